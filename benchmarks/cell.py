"""The synthetic cell: every accident on days that no limit was fitted on, and an hour of normal work.

    python benchmarks/cell.py [BUNDLE] [--days 6] [--first-day 61] [--normal-seconds 3600] [--false-per-day 48]

Prints, as a Markdown table, how many accidents of each kind the river announced within two seconds and at all, and
the false events: on the accidents' days outside of them, and in the hour of other days' normal work. 15 minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from machine import measured_on
from tqdm import tqdm

from edge.calibrated import limits_for
from edge.detection import Rules
from edge.model import Model, read_model
from edge.moments import Kind
from edge.pipeline import rounds_from_frames, watch
from edge.runner import Runner
from edge.scene import ACCIDENTS, Incident, scene_from_url
from edge.shipped import BUNDLE, FALSE_EVENTS_PER_DAY, HOLD_SECONDS
from edge.sources import open_source
from edge.truth import Seen, account_for

SOON_SECONDS = 2.0
DAY_SECONDS = 300.0
# Days that nothing was fitted or chosen on.
FIRST_DAY, FIRST_NORMAL_DAY = 61, 2001


@dataclass(frozen=True)
class Day:
    """What one day showed: events as they were announced, with their kinds, and what happened in truth."""

    events: tuple[Seen, ...]
    kinds: tuple[Kind, ...]
    incidents: tuple[Incident, ...]


def main() -> int:
    """Watch all days and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=BUNDLE)
    parser.add_argument("--variant", default="float")
    parser.add_argument("--days", type=int, default=6)
    parser.add_argument("--normal-seconds", type=float, default=3600.0)
    parser.add_argument("--hold", type=float, default=HOLD_SECONDS, help="as in the demo")
    parser.add_argument("--first-day", type=int, default=FIRST_DAY, help="of the accidents' days")
    parser.add_argument("--first-normal-day", type=int, default=FIRST_NORMAL_DAY)
    parser.add_argument("--false-per-day", type=float, default=FALSE_EVENTS_PER_DAY, help="asked for, as in the demo")
    parsed = parser.parse_args()
    rules = Rules(hold_seconds=parsed.hold)
    model = asked_for(read_model(parsed.bundle, parsed.variant, None), rules, parsed.false_per_day)
    print(f"{measured_on()}; {parsed.bundle.name} {parsed.variant}; hold {rules.hold_seconds:g} s; "
          f"at most {parsed.false_per_day:g} false events a day are asked for")  # fmt: skip
    runner = model.runner(1, threads=1)
    accidents = [watched_day(url, model, runner, rules) for url in accident_days(parsed.first_day, parsed.days)]
    normal = [
        watched_day(url, model, runner, rules) for url in normal_days(parsed.first_normal_day, parsed.normal_seconds)
    ]
    print("\n".join(told(accidents, normal)))
    return 0


def asked_for(model: Model, rules: Rules, false_per_day: float) -> Model:
    """Return the model with the limits that a device's configuration would ask for."""
    limits = limits_for(model.calibration.limits, rules, false_per_day)
    return replace(model, calibration=replace(model.calibration, limits=limits))


def accident_days(first: int, count: int) -> Iterator[str]:
    """Yield the addresses of days on which every accident happens."""
    for seed in range(first, first + count):
        yield f"test://factory?seed={seed}&accidents=all&first=12&spacing=10"


def normal_days(first: int, seconds: float) -> Iterator[str]:
    """Yield the addresses of normal days, DAY_SECONDS of each, as many as make up so many seconds."""
    for number in range(round(seconds / DAY_SECONDS)):
        yield f"test://factory?seed={first + number}&seconds={DAY_SECONDS:g}"


def watched_day(url: str, model: Model, runner: Runner, rules: Rules) -> Day:
    """Return what the river announces of one day."""
    scene, _, seconds = scene_from_url(url)
    if seconds is None:
        url = f"{url}&seconds={max(incident.end_seconds for incident in scene.incidents) + 6.0:g}"
    source = open_source(url, model.bundle.spec.form)
    events: list[Seen] = []
    kinds: list[Kind] = []
    frames = tqdm(source.frames(), desc=url, unit="frame", disable=None, leave=False)
    for moment in watch(rounds_from_frames("day", frames), runner, {"day": model.judge(rules)}):
        for finding in moment.findings:
            if finding.detection.type == "new":
                start = finding.detection.episode.start_seconds
                events.append(Seen("day", start, start, moment.seconds))
                kinds.append(finding.kind)
    source.close()
    return Day(tuple(events), tuple(kinds), tuple(scene.incidents))


def told(accidents: Sequence[Day], normal: Sequence[Day]) -> Iterator[str]:
    """Yield the lines of the table and of what was false."""
    accounts = [account_for(day.events, {"day": day.incidents}) for day in accidents]
    yield "| accident | found within 2 s | found | median delay |"
    yield "|---|---|---|---|"
    for kind in ACCIDENTS:
        delays = [one.delay_seconds for account in accounts for one in account.findings if one.incident.kind == kind]
        found = [delay for delay in delays if delay is not None]
        soon = sum(delay <= SOON_SECONDS for delay in found)
        middle = f"{np.median(found):.1f} s" if found else "–"
        yield f"| {kind} | {soon} of {len(delays)} | {len(found)} of {len(delays)} | {middle} |"
    stray = sum(len(account.false_events) for account in accounts)
    seconds = DAY_SECONDS * len(normal)
    count, kinds = sum(len(day.events) for day in normal), [kind for day in normal for kind in day.kinds]
    yield ""
    yield f"false events: {stray} on the accidents' days, {count} in {seconds:g} s of normal work ({told_kinds(kinds)})"


def told_kinds(kinds: Sequence[str]) -> str:
    """Return how many there are of each kind."""
    return ", ".join(f"{count} {kind}" for kind, count in Counter(kinds).items()) or "none"


if __name__ == "__main__":
    sys.exit(main())
