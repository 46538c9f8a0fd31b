"""False events an hour on real clips of normal work: what is normal is learned from a part, the rest must stay silent.

    python benchmarks/quiet_clips.py [--data ../shared/data] [--bundle edge/data/demo.prednet]

The shipped network, which saw none of it, with what is normal at each camera; surprises and stalls are counted,
conditions are not. Beside each count stands the rate that it excludes with 95 % (Poisson): minutes of footage cannot
show a low rate, and the last column says how low. A clip too short to learn from says so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
from conditions import Watcher, announced, watcher_of
from machine import DATA, measured_on
from scipy.stats import chi2
from tqdm import tqdm

from calibration.footage import Clip, read_footage
from edge.detection import Rules
from edge.errors import PrednetError
from edge.frames import FrameFormat
from edge.shipped import BUNDLE


@dataclass(frozen=True)
class Quiet:
    """A camera's normal work: what is learned from, and what is watched."""

    name: str
    learned: tuple[str, ...]
    watched: tuple[str, ...]


def cameras(data: Path) -> Iterator[Quiet]:
    """Yield every camera whose footage is here."""
    clips, ped2 = data / "clips", data / "ped2" / "train"
    for name, file, learned, watched in (
        ("car park", "car-detection-270p.mp4", ("0,10",), ("10,60",)),
        ("bench with bottles", "bottle-detection.mp4", ("0,5.7",), ("13.6,15.8", "29,30.8", "36.8,39.8")),
        ("fruit on a conveyor", "fruit-and-vegetable-conveyor-270p.mp4", ("0,2.4",), ("2.4,60",)),
        ("bolts on a conveyor", "bolt-multi-size-conveyor-270p.mp4", ("0,1.5",), ("1.5,60",)),
    ):
        if (clips / file).exists():
            spans = [tuple(f"{clips / file}#t={span}" for span in part) for part in (learned, watched)]
            yield Quiet(name, *spans)
    if ped2.is_dir():
        folders = [f"{folder}#fps=10" for folder in sorted(ped2.iterdir()) if folder.is_dir()]
        half = len(folders) // 2
        yield Quiet("walkway (Ped2)", tuple(folders[:half]), tuple(folders[half:]))


@dataclass(frozen=True)
class Counted:
    """Seconds learned from, watched and scored of one camera, and its false events."""

    learned: float
    watched: float
    scored: float
    events: int


def counted(quiet: Quiet, watcher: Watcher, form: FrameFormat) -> Counted:
    """Learn what is normal at a camera, watch the rest, and count."""
    learned, watched = (read_footage(list(part), form) for part in (quiet.learned, quiet.watched))
    judge = watcher.judge(learned)
    moments = [watcher.moments(clip, judge) for clip in tqdm(watched, desc=quiet.name, disable=None, leave=False)]
    frames = [moment for one in moments for moment in one if moment.surprise is not None]
    events = sum(announced(one) for one in moments)
    return Counted(seconds_of(learned), seconds_of(watched), len(frames) / form.rate_hz, events)


def seconds_of(clips: list[Clip]) -> float:
    """Return how long clips are together."""
    return sum(float(clip.seconds[-1] - clip.seconds[0]) for clip in clips)


def row(name: str, one: Counted) -> str:
    """Return the row of one camera, or of all together."""
    cells = (name, f"{one.learned:.0f}", f"{one.watched:.0f}", f"{one.scored:.0f}", f"{one.events}", rate(one))
    return f"| {' | '.join(cells)} |"


def rate(one: Counted) -> str:
    """Return false events an hour with the highest rate that the count does not exclude (95 %, Poisson)."""
    hours = one.scored / 3600.0
    if hours == 0.0:
        return "nothing was scored"
    return f"{one.events / hours:.0f} (at most {chi2.ppf(0.95, 2 * (one.events + 1)) / 2 / hours:.0f})"


def main() -> int:
    """Watch every camera that is here, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parsed = parser.parse_args()
    found = list(cameras(parsed.data))
    if not found:
        print(f"skipped: no footage in {parsed.data}; name the folder with --data")
        return 0
    cv2.setNumThreads(1)
    watcher = watcher_of(parsed.bundle)
    print(f"{measured_on()}; {parsed.bundle.name}, hold {Rules().hold_seconds:g} s\n", flush=True)
    columns = ("camera", "learned from, s", "watched, s", "scored s", "false events", "an hour (not excluded, 95 %)")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    counts = []
    for quiet in found:
        try:
            counts.append(counted(quiet, watcher, watcher.form))
            print(row(quiet.name, counts[-1]), flush=True)
        except PrednetError as error:
            print(f"| {quiet.name} | | | | | {error} |", flush=True)
    sums = (sum(getattr(one, name) for one in counts) for name in ("learned", "watched", "scored"))
    print(row("all", Counted(*sums, sum(one.events for one in counts))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
