"""Real footage changed in known ways: what the conditions of a camera say, and whether an anomaly is announced.

    python benchmarks/conditions.py [--data ../shared/data] [--predictor flow-light | --bundle BUNDLE] [--clips 4]

Held-out normal footage is changed from its fourth second on, for six seconds, and then is as before: light (gain,
gamma), place (shifts of some pixels), cover, defocus, repeated frames. Printed for each change: how often its
condition was found within 1.5 s (frozen: within 10 s; the last seven changes are too small to be demanded), the
median delay, what else was said, and the anomaly events that were announced. Then every unchanged clip, and what
was said of it. Exits with 4 where fewer than 0.95 of the conditions are found, an anomaly is announced, or an
unchanged clip (but for car-detection: a swaying camera with exposure jumps) has a condition.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from machine import DATA, measured_on
from numpy.typing import NDArray
from tqdm import tqdm

from calibration.fit import fit_calibration, observe
from calibration.footage import Clip, read_footage
from edge.builtin import bundle_from_predictor
from edge.bundle import read_bundle
from edge.detection import Rules
from edge.errors import GATE_FAILED
from edge.frames import FrameFormat
from edge.model import judge_from_calibration, runner_of
from edge.moments import Judge, Moment
from edge.pipeline import rounds_from_frames, watch

Images = NDArray[np.uint8]
Change = Callable[[NDArray[np.float32]], NDArray[np.float32]]
BEGIN_SECONDS, LAST_SECONDS = 4.0, 6.0
LEAST_RECALL = 0.95
SWAYING = "car-detection"  # its camera sways, and its exposure jumps


@dataclass(frozen=True)
class Known:
    """A change of known kind: its name, the condition that it is, and what it makes of a grey image [H, W]."""

    name: str
    condition: str
    change: Change


def gain(factor: float) -> Known:
    """The light is so many times as bright."""
    return Known(f"gain {factor:g}", "lighting", lambda image: image * np.float32(factor))


def gamma(power: float) -> Known:
    """The camera's tone curve changes."""
    return Known(f"gamma {power:g}", "lighting", lambda image: 255 * (image / 255) ** np.float32(power))


def shift(right: float, down: float) -> Known:
    """The picture stands so many pixels elsewhere."""
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)

    def moved(image: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = image.shape
        return np.asarray(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT))

    return Known(f"shift {right:g},{down:g}", "moved", moved)


def blur(sigma: float) -> Known:
    """The lens is out of focus."""
    return Known(f"defocus {sigma:g}", "blurred", lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), sigma)))


def cover(name: str, level: float, share: float) -> Known:
    """Something of one brightness stands before so much of the lens."""

    def covered(image: NDArray[np.float32]) -> NDArray[np.float32]:
        changed = image.copy()
        changed[:, : round(image.shape[1] * share)] = level
        return changed

    return Known(name, "blocked", covered)


CHANGES = (
    *(gain(factor) for factor in (0.3, 0.5, 0.7, 0.8, 1.25, 1.5, 1.8)),
    *(gamma(power) for power in (0.6, 0.75, 1.35, 1.6)),
    *(shift(*by) for by in ((2, 0), (0, 2), (2, 1), (-3, 2), (5, -4), (-8, 3))),
    cover("covered, black", 4, 1.0), cover("covered, grey", 120, 1.0), cover("covered, white", 235, 1.0),
    cover("covered for 4/5", 90, 0.8),
    Known("covered by cloth", "blocked", lambda image: cv2.GaussianBlur(image, (0, 0), 15) * np.float32(0.05) + 6),
    *(blur(sigma) for sigma in (1.0, 1.5, 2.5, 4.0)),
    Known("repeated frames", "frozen", lambda image: image),
)  # fmt: skip
# Too small to be demanded as a condition; whatever is said of them, they must be no anomaly.
SMALL_CHANGES = (gain(0.9), gain(1.1), gamma(0.9), gamma(1.1), shift(1, 0), shift(0, 1), blur(0.6))


def changed(clip: Clip, known: Known, seed: int = 0) -> Clip:
    """Return the clip with the change for LAST_SECONDS from BEGIN_SECONDS on, under the noise of a sensor."""
    rng = np.random.default_rng(seed)
    images = clip.images.copy()
    rate_hz = 1.0 / float(np.median(np.diff(clip.seconds)))
    first = round(BEGIN_SECONDS * rate_hz)
    last = min(first + round(LAST_SECONDS * rate_hz), len(images))
    for number in range(first, last):
        if known.condition == "frozen":
            images[number] = images[first]
            continue
        for channel in range(images.shape[3]):
            image = known.change(images[number, ..., channel].astype(np.float32)) + rng.normal(0, 1, images.shape[1:3])
            images[number, ..., channel] = np.clip(np.rint(image), 0, 255)
    return Clip(f"{clip.name} {known.name}", images, clip.seconds)


def delay_of(moments: list[Moment], condition: str) -> float | None:
    """Return how many seconds after the change its condition stood; None where it did not in time."""
    bound = 10.0 if condition == "frozen" else 1.5
    for moment in moments:
        late = moment.seconds - moments[0].seconds - BEGIN_SECONDS
        if moment.sensed and 0 <= late <= bound and condition in [one.name for one in moment.sensed.conditions]:
            return late
    return None


def others(moments: list[Moment], condition: str) -> set[str]:
    """Return the conditions that were said beside the expected one."""
    return {one.name for moment in moments if moment.sensed for one in moment.sensed.conditions} - {condition}


def announced(moments: list[Moment]) -> int:
    """Return how many anomaly events, surprises and stalls, were announced."""
    return sum(finding.detection.type == "new" for moment in moments for finding in moment.findings)


@dataclass(frozen=True)
class Watcher:
    """Watches a clip with one predictor, calibrated on normal clips of the same camera."""

    moments: Callable[[Clip, Judge], list[Moment]]
    judge: Callable[[list[Clip]], Judge]
    form: FrameFormat


def watcher_of(path: Path | None, predictor: str = "") -> Watcher:
    """Return the watcher of a bundle, or where there is none of a predictor that needs no network."""
    bundle = read_bundle(path) if path else bundle_from_predictor(predictor, FrameFormat(128, 160, 1, 10.0))
    runner, form = runner_of(bundle, "float" if path else predictor, 1, 1), bundle.spec.form

    def judge(clips: list[Clip]) -> Judge:
        calibration = fit_calibration(clips, observe(clips, runner), form.rate_hz)
        return judge_from_calibration(calibration, Rules())

    def moments(clip: Clip, by: Judge) -> list[Moment]:
        return list(watch(rounds_from_frames("a", clip.frames()), runner, {"a": by}))

    return Watcher(moments, judge, form)


def footage(data: Path, form: FrameFormat, count: int) -> Iterator[tuple[str, list[Clip], list[Clip]]]:
    """Yield each camera's name, the clips to learn from, and the held-out normal clips to change."""
    ped2 = [f"{folder}#fps=10" for folder in sorted((data / "ped2" / "train").iterdir())]
    yield "ped2", read_footage(ped2[:12], form), read_footage(ped2[12:], form)[:count]
    bottles = str(data / "clips" / "bottle-detection.mp4")
    yield "bottles", [], read_footage([f"{bottles}#t=0,14", f"{bottles}#t=25,39.6"], form)
    worker = str(data / "clips" / "worker-zone-detection-360p.mp4")
    yield "worker", [], read_footage([worker], form)  # no normal work is held out: conditions alone


def main() -> int:
    """Measure and print; 4 where less is found, or more is said, than is promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--predictor", default="flow-light")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--clips", type=int, default=4, help="held-out clips of Ped2 (default: 4)")
    parsed = parser.parse_args()
    if not parsed.data.is_dir():
        print(f"skipped: {parsed.data} is not here; name the real footage with --data")
        return 0
    cv2.setNumThreads(1)
    watcher = watcher_of(parsed.bundle, parsed.predictor)
    print(f"{measured_on()}; {parsed.bundle or parsed.predictor}\n")
    return told(*measured(parsed, watcher), unchanged(parsed.data, watcher.form))


Row = tuple[str, str, float | None, set[str], int]


def measured(parsed: argparse.Namespace, watcher: Watcher) -> tuple[list[Row], int]:
    """Return a row for each change and clip, and the anomalies announced on the same clips unchanged."""
    rows, quiet = [], 0
    for camera, normal, held_out in footage(parsed.data, watcher.form, parsed.clips):
        judge = watcher.judge(normal or held_out)
        judge = judge if normal else replace(judge, limit=None)
        quiet += sum(announced(watcher.moments(clip, judge)) for clip in held_out)
        for known in tqdm(CHANGES + SMALL_CHANGES, desc=camera, disable=None):
            for seed, clip in enumerate(held_out):
                moments = watcher.moments(changed(clip, known, seed), judge)
                delay = delay_of(moments, known.condition)
                rows.append((camera, known.name, delay, others(moments, known.condition), announced(moments)))
    return rows, quiet


def unchanged(data: Path, form: FrameFormat, every: int = 1) -> dict[str, dict[str, float]]:
    """Return for every unchanged clip with a condition its seconds by name; of Ped2 each `every`-th clip."""
    from edge.conditions import Watched, watched  # noqa: PLC0415 - beside its only use

    said: dict[str, dict[str, float]] = {}
    ped2 = [f"{folder}#fps=10" for part in ("train", "test") for folder in sorted((data / "ped2" / part).iterdir())
            if folder.is_dir()]  # fmt: skip
    for clip in read_footage([*ped2[::every], *map(str, sorted((data / "clips").glob("*.mp4")))], form):
        state = Watched()
        for frame in clip.frames():
            state = watched(state, frame, is_gap=False)
            for one in state.active:
                seconds = said.setdefault(clip.name, {})
                seconds[one.name] = round(seconds.get(one.name, 0.0) + 1.0 / form.rate_hz, 1)
    return said


def told(rows: list[Row], quiet: int, said: dict[str, dict[str, float]]) -> int:
    """Print the tables and return the exit code."""
    print("| change | found | of | median s | also said | anomalies announced |\n|---|---|---|---|---|---|")
    for name in dict.fromkeys(row[1] for row in rows):
        mine = [row for row in rows if row[1] == name]
        delays = [row[2] for row in mine if row[2] is not None]
        also = ", ".join(sorted(set().union(*(row[3] for row in mine)))) or "–"
        median = f"{np.median(delays):.1f}" if delays else "–"
        print(f"| {name} | {len(delays)} | {len(mine)} | {median} | {also} | {sum(row[4] for row in mine)} |")
    demanded = [row for row in rows if row[1] in {known.name for known in CHANGES}]
    recall = sum(row[2] is not None for row in demanded) / len(demanded)
    events = sum(row[4] for row in rows)
    print(f"\nrecall {recall:.3f} of {len(demanded)}; {events} anomaly events (the same clips unchanged: {quiet})")
    print("unchanged clips with a condition:", said or "none")
    print(f"asked for: a recall of {LEAST_RECALL:g}, no event, and a condition of no unchanged clip but {SWAYING}")
    false = {name for name in said if SWAYING not in name}
    return 0 if recall >= LEAST_RECALL and not events and not false else GATE_FAILED


if __name__ == "__main__":
    sys.exit(main())
