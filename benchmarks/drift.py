"""Drift on the synthetic cell: what is said over normal days, and how soon when light, camera or crowd change.

    python benchmarks/drift.py [--scale 30] [--size 80x64] [--normal 2]

Footage of as long as drift looks back (eight hours), `--normal` times as long of other normal days, then each change
for as long again, after those. Every time is divided by `--scale`, those of drift's rules too: the cell repeats itself
within minutes. Flow in the place of a network; 15 minutes on an idle core.

    python benchmarks/drift.py --simulated [--days 40]

Simulated surprise that is like itself for 1 to 30 minutes, against 2 and 8 hours of footage of its own: on how many
days drift is said falsely, and how soon a shift of one and a half deviations is. Two minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from machine import measured_on
from scipy.signal import lfilter
from tqdm import tqdm

from calibration.drift import sketch_of
from calibration.fit import fit_calibration, observe
from calibration.footage import Clip, read_footage
from edge.builtin import bundle_from_predictor
from edge.calibrated import Calibration
from edge.detection import Rules
from edge.drift import DriftRules, DriftWatch, new_monitor, watched_on
from edge.frames import FrameFormat
from edge.model import judge_from_calibration, runner_of
from edge.moments import Kind
from edge.pipeline import rounds_from_frames, watch
from edge.runner import Runner
from edge.sketch import Sketch

DAY_SECONDS = 240.0
STEP_SECONDS, SHIFT = 20.0, 1.5  # of what is simulated
FIRST_FOOTAGE_DAY, FIRST_NORMAL_DAY, FIRST_CHANGED_DAY, OTHER_DAY = 1000, 2000, 3000, 9000
Images = np.ndarray


def as_it_is(images: Images, _: Clip) -> Images:
    """Normal work."""
    return images


def brighter(images: Images, _: Clip) -> Images:
    """A lamp more: a third more light, and saturation where it was bright."""
    return np.clip(1.33 * images.astype(np.float32), 0, 255).astype(np.uint8)


def noisy(images: Images, _: Clip) -> Images:
    """A camera at high gain, as at dusk: noise of six grey levels."""
    rng = np.random.default_rng(0)
    return np.clip(images + rng.normal(0, 6, images.shape), 0, 255).astype(np.uint8)


def soft(images: Images, _: Clip) -> Images:
    """A lens that has become dirty: unsharp, with less contrast."""
    blurred = np.stack([cv2.GaussianBlur(image, (0, 0), 0.8) for image in images])[..., None]
    return (0.8 * blurred + 25).astype(np.uint8)


def crowded(images: Images, other: Clip) -> Images:
    """Twice the people and machines: what moves on another day as well."""
    shown = other.images[: len(images)].astype(np.int16)
    moves = np.abs(shown - np.median(shown, axis=0)) > 14
    return np.where(moves, shown, images).astype(np.uint8)


CHANGES: dict[str, Callable[[Images, Clip], Images]] = {
    "light": brighter, "camera: noise": noisy, "camera: dirty lens": soft, "crowd": crowded,
}  # fmt: skip


def main() -> int:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=30.0)
    parser.add_argument("--normal", type=float, default=2.0, help="so many windows of normal days")
    parser.add_argument("--size", default="80x64", metavar="WIDTHxHEIGHT")
    parser.add_argument("--changes", nargs="+", choices=CHANGES, default=list(CHANGES), metavar="CHANGE")
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--days", type=int, default=40)
    parsed = parser.parse_args()
    if parsed.simulated:
        print(f"{measured_on()}; {parsed.days} days each")
        print("\n".join(simulated(parsed.days)))
        return 0
    width, height = (int(part) for part in parsed.size.split("x"))
    form = FrameFormat(height, width, 1, 10.0)
    rules = replace(DriftRules(), block_seconds=DriftRules().block_seconds / parsed.scale)
    window = rules.blocks * rules.block_seconds
    runner = runner_of(bundle_from_predictor("flow-light", form), "flow-light", 1)
    days = round(window / DAY_SECONDS)
    print(f"{measured_on()}; flow-light {parsed.size}; {window:g} s of the cell are 8 h")
    footage = list(read_days(FIRST_FOOTAGE_DAY, days, form))
    fitted = fit_calibration(footage, observe(footage, runner), form.rate_hz)
    (other,) = read_days(OTHER_DAY, 1, form)
    normal = DriftWatch(rules)
    print("| what | hours of it | said after (h) | distance at the end | scored | events |\n|---|---|---|---|---|---|")
    for name, change in {"normal": as_it_is, **{one: CHANGES[one] for one in parsed.changes}}.items():
        is_normal = change is as_it_is
        first, count = (FIRST_NORMAL_DAY, round(parsed.normal * days)) if is_normal else (FIRST_CHANGED_DAY, days)
        clips = tqdm(read_days(first, count, form), desc=name, total=count, disable=None)
        changed = (Clip(one.name, change(one.images, other), one.seconds) for one in clips)
        seen = watched(changed, runner, fitted, normal if is_normal else deepcopy(normal))
        print(told(name, seen, parsed.scale / 3600.0), flush=True)
    return 0


def simulated(days: int) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    rng = np.random.default_rng(0)
    yield "| footage | like itself for | false days | shift said | after (h, median) |\n|---|---|---|---|---|"
    for hours in (2, 8):
        for minutes in (1, 5, 15, 30):
            false, found = 0, []
            for _ in range(days):
                sketch = sketch_of([(np.zeros(0), swaying(hours, minutes, rng))], 1.0 / STEP_SECONDS)
                false += any(followed(swaying(24, minutes, rng), sketch, ())[0])
                _, before = followed(swaying(8, minutes, rng), sketch, ())
                said, _ = followed(swaying(16, minutes, rng) + SHIFT, sketch, before)
                found += [(said.index(True) + 1) / 6.0] if any(said) else []
            yield f"| {hours} h | {minutes} min | {false} | {len(found)} | {np.median(found):.1f} |"


def swaying(hours: float, minutes: float, rng: np.random.Generator) -> np.ndarray:
    """An autoregression of deviation 1 with noise of deviation 0.7."""
    count, keep = round(hours * 3600 / STEP_SECONDS), np.exp(-STEP_SECONDS / (60.0 * minutes))
    pushes = rng.normal(size=count) * np.sqrt(1.0 - keep**2)
    pushes[0] = rng.normal()
    return lfilter([1.0], [1.0, -keep], pushes) + rng.normal(0.0, 0.7, count)


def followed(
    values: np.ndarray, sketch: Sketch, shares: tuple[np.ndarray, ...]
) -> tuple[list[bool], tuple[np.ndarray, ...]]:
    """Return whether drift is said after each block of ten minutes, and the blocks' shares at the end."""
    monitor, said = replace(new_monitor(), shares=shares, lights=(0.0,) * len(shares)), []
    for block in values.reshape(-1, round(DriftRules().block_seconds / STEP_SECONDS)):
        for value in block.tolist():
            monitor = watched_on(monitor, sketch, value, STEP_SECONDS, DriftRules())
        said.append(monitor.is_drifting)
    return said, monitor.shares


@dataclass
class Seen:
    """What was made of a stretch: seconds, the second at which drift was said, its distance, frames scored, events."""

    seconds: float = 0.0
    said: float | None = None
    distance: float | None = None
    scored: int = 0
    events: list[Kind] = field(default_factory=list)


def watched(clips: Iterable[Clip], runner: Runner, fitted: Calibration, drift: DriftWatch) -> Seen:
    """Return what is made of clips, after what `drift` has seen already."""
    judge, seen = judge_from_calibration(fitted, Rules()), Seen()
    for clip in clips:
        for moment in watch(rounds_from_frames("cell", clip.frames()), runner, {"cell": judge}):
            drift.see(moment, fitted)
            seen.seconds += 0.1
            seen.scored += moment.surprise is not None
            seen.events += [one.kind for one in moment.findings if one.detection.type == "new"]
            known = drift.of("cell", fitted)
            seen.distance = None if known is None else known.distance
            if known is not None and known.is_drifting and seen.said is None:
                seen.said = seen.seconds
    return seen


def told(name: str, seen: Seen, hours: float) -> str:
    """Return a row of the table; one second of the cell stands for so many hours."""
    said = "not" if seen.said is None else f"{seen.said * hours:.1f}"
    distance = "–" if seen.distance is None else f"{seen.distance:.2f}"
    kinds = ", ".join(f"{seen.events.count(kind)} {kind}" for kind in sorted(set(seen.events)))
    share = 10.0 * seen.scored / max(seen.seconds, 0.1)
    return f"| {name} | {seen.seconds * hours:.0f} | {said} | {distance} | {share:.0f} % | {kinds or 'none'} |"


def read_days(first: int, count: int, form: FrameFormat) -> Iterator[Clip]:
    """Yield normal days of the cell."""
    for seed in range(first, first + count):
        yield read_footage([f"test://factory?seed={seed}&seconds={DAY_SECONDS:g}"], form)[0]


if __name__ == "__main__":
    sys.exit(main())
