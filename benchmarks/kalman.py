"""Does the Kalman filter earn its place? Detection and delay with it and without, at equal rates of false events.

    python benchmarks/kalman.py [--ped2 FOLDER] [--minutes 10] [--accident-days 6]
    python benchmarks/kalman.py --bundle edge/data/demo.prednet [--normal-days 8] [--accident-days 6]

The synthetic factory, watched by flow-light at 80×64: the days of normal work of `limits.py`, and days with all eight
accidents. Ped2, where it is there: optical flow at 160×128, normality from the training clips. Every filter gets the
same surprises and the device's own `decide`; its limit is the lowest that makes no more than so many events on the
normal work. On Ped2's twelve clips of almost nothing but anomalies frames are ranked, too (AUC).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from limits import FORM, LEARNED_DAYS, days
from machine import measured_on
from ped2 import PED2
from tqdm import tqdm

from calibration.datasets import read_dataset
from calibration.event_metrics import WatchedClip, score_events, stretches_from_labels
from calibration.fit import Observation, observe
from calibration.footage import read_clip
from calibration.heights import NOWHERE, Run, count_events, middle_of
from calibration.limits import levels_from_track
from calibration.metrics import auc
from calibration.noise import Track, most_likely_noise, quick_enough
from calibration.normality import fit_normality, scored
from calibration.parts import Seen
from edge.detection import Reading, Rules, limit_from_on
from edge.frames import FrameFormat
from edge.level import Noise, condition, first_level, predict
from edge.model import read_model
from edge.normality import Normality
from edge.places import Place, place_from_spec
from edge.runner import Runner
from edge.runners import open_predictor

RULES = Rules()
ACCIDENTS = "accidents=all&first=10&spacing=9&seconds=130"
BISECTIONS = 24
MEAN_SECONDS = 0.5


@dataclass(frozen=True)
class Stream:
    """Surprises of one kind of footage: normal work, and labelled tracks with 0/1 per scored frame."""

    name: str
    normal: list[Track]
    labelled: list[tuple[Track, np.ndarray]]
    rate_hz: float


Filter = Callable[[Track], Run]


def main() -> int:
    """Print one table for each stream."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ped2", type=Path, default=PED2)
    parser.add_argument("--bundle", type=Path, help="the factory watched by this bundle, in the place of flow-light")
    parser.add_argument("--normal-days", type=int, default=8, help="of five minutes, for --bundle (default: 8)")
    parser.add_argument("--minutes", type=float, default=10.0, help="of drawing normal days (default: 10)")
    parser.add_argument("--accident-days", type=int, default=6, help="with all eight accidents (default: 6)")
    parsed = parser.parse_args()
    print(measured_on(), flush=True)
    if parsed.ped2.is_dir():
        print(f"\n{told(ped2(parsed.ped2))}", flush=True)
    else:
        print(f"Ped2 skipped: {parsed.ped2} is absent; name its folder with --ped2.")
    if parsed.bundle:
        print(f"\n{told(trained(parsed.bundle, parsed.normal_days, parsed.accident_days))}", flush=True)
        return 0
    print(f"\n{told(factory(days(parsed.minutes, seed=1), parsed.accident_days))}", flush=True)
    return 0


def factory(seen: list[Observation], accident_days: int) -> Stream:
    """The surprises of flow-light on the factory: normality from the first days, normal work from the others."""
    normality, _, _ = fit_normality([Seen(one.seconds, one.senses) for one in seen[:LEARNED_DAYS]])
    normal = [(one.seconds, surprise_of(one, normality)) for one in seen[LEARNED_DAYS:]]
    busy = [f"test://factory?seed={501 + day}&{ACCIDENTS}" for day in range(accident_days)]
    tracks = surprises([place_from_spec(url) for url in busy], open_predictor("flow-light", FORM, 1), FORM, normality)
    labelled = [(track, factory_labels(url, track)) for url, track in zip(busy, tracks, strict=True)]
    return Stream("factory, flow-light at 80×64", normal, labelled, FORM.rate_hz)


def trained(path: Path, normal_days: int, accident_days: int) -> Stream:
    """The surprises of a bundle on days of the factory that it was not made from."""
    model = read_model(path, "float", None)
    runner, form, normality = model.runner(1, threads=1), model.bundle.spec.form, model.calibration.normality
    quiet = [f"test://factory?seed={1101 + day}&seconds=300" for day in range(normal_days)]
    busy = [f"test://factory?seed={521 + day}&{ACCIDENTS}" for day in range(accident_days)]
    normal = surprises([place_from_spec(url) for url in quiet], runner, form, normality)
    tracks = surprises([place_from_spec(url) for url in busy], runner, form, normality)
    labelled = [(track, factory_labels(url, track)) for url, track in zip(busy, tracks, strict=True)]
    return Stream(f"factory, {path.name}", normal, labelled, form.rate_hz)


def factory_labels(url: str, track: Track) -> np.ndarray:
    """1 at each scored frame in which an accident is visible."""
    from edge.scene import scene_from_url, visible_accidents  # noqa: PLC0415

    scene, _, _ = scene_from_url(url)
    return np.array([bool(visible_accidents(scene, at)) for at in track[0].tolist()], np.uint8)


def ped2(folder: Path) -> Stream:
    """The surprises of optical flow on Ped2; those of the training clips are held out by folds."""
    dataset, form = read_dataset(folder), FrameFormat(128, 160, 1, 10.0)
    runner = open_predictor("flow", form, 1)
    clips = [read_clip(place, form) for place in dataset.normal]
    seen = observe(clips, runner)
    normality, normal, _ = fit_normality([Seen(one.seconds, one.senses) for one in seen])
    places = [replace(one.place, rate_hz=one.place.rate_hz or 10.0) for one in dataset.test]
    tracks = surprises(places, runner, form, normality)
    labelled = []
    for track, one in zip(tracks, dataset.test, strict=True):
        assert one.labels is not None  # noqa: S101 - Ped2 has labels
        labelled.append((track, one.labels[np.rint(track[0] * form.rate_hz).astype(int)]))
    return Stream("Ped2, optical flow at 160×128", normal, labelled, form.rate_hz)


def surprises(places: Sequence[Place], runner: Runner, form: FrameFormat, normality: Normality) -> list[Track]:
    """The surprise of every scored frame of each place."""
    tracks = []
    for place in tqdm(places, desc="watching", unit="clip", disable=None):
        (seen,) = observe([read_clip(place, form)], runner)
        tracks.append((seen.seconds, surprise_of(seen, normality)))
    return tracks


def surprise_of(seen: Observation, normality: Normality) -> np.ndarray:
    """The surprise of every scored frame."""
    return scored(Seen(seen.seconds, seen.senses), normality)[0][1]


def filters(stream: Stream) -> dict[str, Filter]:
    """Every filter that is compared, fitted on the normal work."""
    likely = most_likely_noise(stream.normal, stream.rate_hz)
    quick = quick_enough(likely, stream.rate_hz)
    told_noise = (
        f"q {likely.q_level:.3g}, trend {likely.q_trend:.2g}, r {likely.r:.3g}; as it runs q {quick.q_level:.3g}"
    )
    print(f"{stream.name}: maximum likelihood {told_noise}")
    return {
        "none: the surprise itself": lambda track: track,
        f"mean of the last {MEAN_SECONDS:g} s": lambda track: (track[0], causal_mean(track)),
        "Kalman, likelihood alone": lambda track: kalman(track, likely),
        "Kalman, as it runs": lambda track: kalman(track, quick),
        "the same without a gate": lambda track: (track[0], ungated(track, quick)),
    }


def causal_mean(track: Track) -> np.ndarray:
    """The exponential mean with a time constant of MEAN_SECONDS."""
    seconds, surprise = track
    means = surprise.copy()
    for index, step in enumerate(np.diff(seconds).tolist(), 1):
        means[index] = means[index - 1] + (1.0 - np.exp(-step / MEAN_SECONDS)) * (surprise[index] - means[index - 1])
    return means


def kalman(track: Track, noise: Noise) -> Run:
    """The level, by the filter that the device runs."""
    return track[0], np.array([level.mean for level in levels_from_track(track, noise)])


def ungated(track: Track, noise: Noise) -> np.ndarray:
    """The level by Gaussian conditioning alone."""
    seconds, surprise = track
    levels = [first_level(float(surprise[0]), noise)]
    for step, value in zip(np.diff(seconds).tolist(), surprise[1:].tolist(), strict=True):
        levels.append(condition(predict(levels[-1], noise, step), value, noise))
    return np.array([level.mean for level in levels])


def lowest_limit(runs: Sequence[Run], most: int) -> float:
    """The lowest limit at which normal work makes no more than so many events."""
    low = middle = middle_of(runs)
    high = max(float(levels.max()) for _, levels in runs)
    for _ in range(BISECTIONS):
        between = 0.5 * (low + high)
        if count_events(runs, limit_from_on(between, middle), RULES) > most:
            low = between
        else:
            high = between
    return high


def told(stream: Stream) -> str:
    """The table of one stream."""
    hours = sum(float(np.ptp(seconds)) for seconds, _ in stream.normal) / 3600.0
    labels = np.concatenate([labels for _, labels in stream.labelled]) > 0
    lines = [
        f"{stream.name}: {hours:.2f} h of normal work, {len(stream.labelled)} labelled clips",
        "| filter | frame AUC | "
        + " | ".join(f"found at {most} false events, delay (median, 90 %)" for most in (0, 2, 8))
        + " |",
        "|---|---|---|---|---|",
    ]
    for name, apply in filters(stream).items():
        normal = [apply(track) for track in stream.normal]
        runs = [apply(track) for track, _ in stream.labelled]
        cells = [at_rate(stream, normal, runs, most) for most in (0, 2, 8)]
        value = auc(np.concatenate([levels for _, levels in runs]), labels)
        lines.append(f"| {name} | {value:.3f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def at_rate(stream: Stream, normal: Sequence[Run], runs: Sequence[Run], most: int) -> str:
    """What is found, and how late, at the limit that makes so many false events on normal work."""
    limit = limit_from_on(lowest_limit(normal, most), middle_of(normal))
    clips = [
        WatchedClip(readings(run), stretches_from_labels(labels, run[0]), 0.0)
        for run, (_, labels) in zip(runs, stream.labelled, strict=True)
    ]
    score = score_events(clips, limit, RULES)
    if not score.delays:
        return f"0 of {score.stretches}"
    late = np.quantile(score.delays, [0.5, 0.9])
    return f"{len(score.delays)} of {score.stretches}, {late[0]:.1f} s, {late[1]:.1f} s"


def readings(run: Run) -> tuple[Reading, ...]:
    """A run as the river hands it to `decide`."""
    return tuple(Reading(at, level, 0.0, NOWHERE) for at, level in zip(run[0].tolist(), run[1].tolist(), strict=True))


if __name__ == "__main__":
    sys.exit(main())
