"""Do limits keep their promise? Many fits on normal work of the synthetic factory, each held against all the rest.

    python benchmarks/limits.py [--minutes 25] [--run-days 3] [--seed 1]

Draws days of ten minutes for so long as `--minutes` allow (each another seed: other people, light and noise), watched
by `flow-light` at 80×64. Normality and noise are those of the first days and take no further part. Every run
of `--run-days` days is given to `fit_limit`, and the events that `decide` makes at its limit are counted on all
other days. Counted and stated rate agree where the count is one that a rate in the stated interval gives (Poisson,
5 % at each side). Printed for each run and in all; then the same for simulated surprises of known rate, eight hours
and one false event a day: `tests/processes.py`.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from machine import measured_on
from scipy.stats import poisson
from tqdm import tqdm

from calibration.fit import Observation, observe
from calibration.footage import read_clip
from calibration.heights import Run, count_events, middle_of, watched_seconds
from calibration.limits import FoundLimit, fit_limit, levels_from_track
from calibration.noise import fit_noise
from calibration.normality import fit_normality, scored
from calibration.parts import Seen
from edge.detection import Rules, limit_from_on
from edge.errors import GATE_FAILED
from edge.frames import FrameFormat
from edge.places import place_from_spec
from edge.runners import open_predictor
from tests.processes import PROCESSES, track_of

FORM = FrameFormat(64, 80, 1, 10.0)
RULES = Rules()
DAY_SECONDS, SEEDS, LEARNED_DAYS = 600, 1000, 3
TAIL_PROBABILITY, LEAST_RIGHT = 0.05, 0.9


def main() -> int:
    """Print how often stated intervals were right; exit with 4 where it was less than in 9 of 10 runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=25.0, help="of drawing and watching (default: 25)")
    parser.add_argument("--run-days", type=int, default=3, help="days that one fit sees (default: 3)")
    parser.add_argument("--seed", type=int, default=1, help="of days and processes; the tests' own are others")
    parser.add_argument("--trials", type=int, default=120, help="of each simulated process (default: 120)")
    parser.add_argument("--truth-hours", type=float, default=1500.0, help="of each simulated process (default: 1500)")
    parsed = parser.parse_args()
    print(measured_on(), flush=True)
    right = [factory(days(parsed.minutes, parsed.seed), parsed.run_days)]
    right += [simulated(name, parsed.trials, parsed.truth_hours, parsed.seed) for name in PROCESSES]
    print(f"\nright in {100 * np.mean(right):.0f} % in the mean, at least {100 * LEAST_RIGHT:.0f} % is asked for")
    return 0 if np.mean(right) >= LEAST_RIGHT else GATE_FAILED


def days(minutes: float, seed: int) -> list[Observation]:
    """As many days of normal work as the minutes allow; each seed has its own."""
    until = time.monotonic() + 60.0 * minutes
    seen: list[Observation] = []
    with tqdm(desc="days of ten minutes", disable=None) as bar:
        while time.monotonic() < until or len(seen) < 3 * LEARNED_DAYS:
            seen.append(watched_day(SEEDS * seed + len(seen)))
            bar.update()
    return seen


def watched_day(seed: int) -> Observation:
    """One day of normal work, as flow-light sees it."""
    clip = read_clip(place_from_spec(f"test://factory?seed={seed}&seconds={DAY_SECONDS}"), FORM)
    (seen,) = observe([clip], open_predictor("flow-light", FORM, 1))
    return seen


def factory(seen: list[Observation], run_days: int) -> float:
    """The share of runs whose interval is right."""
    learned, rest = seen[:LEARNED_DAYS], seen[LEARNED_DAYS:]
    normality, surprises, _ = fit_normality([Seen(one.seconds, one.senses) for one in learned])
    noise = fit_noise(surprises, FORM.rate_hz)
    runs: list[Run] = []
    for one in rest:
        track, _ = scored(Seen(one.seconds, one.senses), normality)
        runs.append((one.seconds, np.array([level.mean for level in levels_from_track(track, noise)])))
    hours = watched_seconds(runs, RULES) / 3600.0
    print(f"\nfactory, flow-light: {hours:.1f} h in {len(runs)} days; each fit sees {run_days} of them")
    print("| limit | given a day | stated | interval | counted on the rest | right |\n|---|---|---|---|---|---|")
    results = []
    for first in range(0, len(runs) - run_days + 1, run_days):
        part, others = runs[first : first + run_days], runs[:first] + runs[first + run_days :]
        results += against(fit_limit(part, RULES), part, others)
    right, kept = (sum(column) for column in zip(*results, strict=True))
    print(
        f"the interval is right in {right} of {len(results)} runs that state a rate; the rate given was kept in {kept}",
        flush=True,
    )
    return right / len(results)


def against(found: FoundLimit, part: list[Run], others: list[Run]) -> list[tuple[bool, bool]]:
    """Whether the interval agrees with the count on the other days, and whether that is no more than was given.

    Nothing where the fit states no rate.
    """
    count = count_events(others, limit_from_on(found.on, middle_of(part)), RULES)
    days_watched = watched_seconds(others, RULES) / 86400.0
    promise = found.promise
    if promise.given_per_day is None or promise.low_per_day is None or promise.high_per_day is None:
        print(f"| {found.on:.2f} | no rate | | | {count / days_watched:.1f} | says nothing |")
        return []
    right = (
        poisson.sf(count - 1, promise.high_per_day * days_watched) >= TAIL_PROBABILITY
        and poisson.cdf(count, promise.low_per_day * days_watched) >= TAIL_PROBABILITY
    )
    print(
        f"| {found.on:.2f} | {promise.given_per_day:.1f} | {promise.rate_per_day:.2g} | {promise.low_per_day:.2g} to "
        f"{promise.high_per_day:.2g} | {count / days_watched:.1f} | {'yes' if right else 'no'} |"
    )
    return [(bool(right), count / days_watched <= promise.given_per_day)]


def simulated(name: str, trials: int, truth_hours: float, seed: int) -> float:
    """The share of trials of one process in which the true rate lies in the stated interval."""
    process = PROCESSES[name]
    truth = [track_of(process(np.random.default_rng([seed, trials]), truth_hours))]
    middle, right, kept, told = middle_of(truth), 0, 0, 0
    for trial in range(trials):
        found = fit_limit([track_of(process(np.random.default_rng([seed, trial]), 8.0))], RULES)
        promise = found.promise
        if promise.given_per_day is None or promise.low_per_day is None or promise.high_per_day is None:
            continue
        rate = 24.0 * count_events(truth, limit_from_on(found.on, middle), RULES) / truth_hours
        told += 1
        right += promise.low_per_day <= rate <= promise.high_per_day
        kept += rate <= promise.given_per_day
    print(f"{name}: {told} of {trials} fits state a rate; right in {right}, one a day kept in {kept}", flush=True)
    return right / max(told, 1)


if __name__ == "__main__":
    sys.exit(main())
