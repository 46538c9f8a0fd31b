"""Real video, from nothing to events: train on normal stretches, find what is not normal in the rest.

    python benchmarks/real_clips.py [--clips FOLDER] [--out FOLDER] [--minutes M] [bottle] [worker]

Trains a network on stretches of normal work of one clip, fits normality and limits on the same stretches
(there is no other footage), replays the whole clip, and holds the events against the hand-made labels. The
normal stretches that training did not see must stay silent. Exits with 4 where that fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import DATA, measured_on

from edge.errors import GATE_FAILED

CLIPS = DATA / "clips"


@dataclass(frozen=True)
class Case:
    """One clip: frames a second of the file, normal stretches to learn from in seconds, options of training."""

    video: str
    labels: str
    file_rate_hz: float
    learned: tuple[tuple[float, float], ...]
    training: tuple[str, ...] = ()
    hold_seconds: float = 1.5


CASES = {
    "bottle": Case(
        "bottle-detection.mp4", "bottle-detection.labels.npy", 179 / 6, ((0.0, 5.7), (13.6, 15.8)), ("--rate", "10")
    ),
    "worker": Case(
        "worker-zone-detection-360p.mp4",
        "worker-zone-detection-360p.labels.npy",
        12.0,
        ((0.0, 1.75),),
        ("--rate", "12", "--sequence-length", "5"),
    ),
}


def main() -> int:
    """Run the cases that are named, or all, and print one line of figures for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--out", type=Path, default=Path("work-out"))
    parser.add_argument("--minutes", type=float, default=2.0, help="of training for each clip")
    parsed = parser.parse_args()
    if unknown := set(parsed.cases) - set(CASES):
        parser.error(f"there is no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    if not parsed.clips.is_dir():
        print(f"skipped: {parsed.clips} is absent; name the folder of the clips with --clips.")
        return 0
    parsed.out.mkdir(parents=True, exist_ok=True)
    print(measured_on())
    passed = [run(name, CASES[name], parsed.clips, parsed.out, parsed.minutes) for name in parsed.cases or CASES]
    return 0 if all(passed) else GATE_FAILED


def run(name: str, case: Case, clips: Path, out: Path, minutes: float) -> bool:
    """Train, bundle, replay and judge one clip; True where every stretch was found and no normal one disturbed."""
    video = clips / case.video
    footage = [f"{video}#t={start:g},{end:g}" for start, end in case.learned]
    weights, bundle, chart = out / f"{name}.safetensors", out / f"{name}.prednet", out / f"{name}.png"
    began = time.monotonic()
    command("export", "train", "--footage", *footage, "--out", weights, "--minutes", minutes, *case.training)
    command("export", "bundle", weights, "--footage", *footage, "-o", bundle)
    replay = ("replay", video, "--bundle", bundle, "--chart", chart, "--hold", case.hold_seconds)
    events = [json.loads(line) for line in command("edge", *replay).splitlines()]
    found, false = judged(events, np.load(clips / case.labels), case.file_rate_hz)
    print(
        f"{name}: {sum(found)} of {len(found)} stretches found, {false} false events, "
        f"{sum(event['type'] == 'new' for event in events)} events, {time.monotonic() - began:.0f} s; chart {chart}"
    )
    return all(found) and not false


def judged(events: list[dict], labels: np.ndarray, rate_hz: float) -> tuple[list[bool], int]:
    """Return for each labelled stretch whether an event begins in it, and how many events begin in none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], labels, [0]]))) / rate_hz
    stretches = list(zip(edges[::2], edges[1::2], strict=True))
    margin = 3 / rate_hz  # the labels are exact to three frames
    starts = [event["media"]["start"] for event in events if event["type"] == "new"]
    within = [[begin - margin <= start <= end + margin for start in starts] for begin, end in stretches]
    return [any(row) for row in within], sum(not any(row[index] for row in within) for index in range(len(starts)))


def command(room: str, *words: object) -> str:
    """Run one of our commands as a user does and return what it printed; stop where it fails."""
    call = [sys.executable, "-c", f"import sys; from {room}.cli import main; sys.exit(main())", *map(str, words)]
    done = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    if words[0] != "replay":
        print(done.stdout, end="")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
