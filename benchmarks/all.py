"""Runs every benchmark, one after the other, keeps what each said, and writes docs/benchmarks.md from what is kept.

    python benchmarks/all.py [--quick] [--only NAME …] [--page] [--list] [--data ../shared/data] [--out work-out/bench]

Each runs in a process of its own; its output, exit code, commit, machine, versions, load and time are kept in
NAME.json of --out. What was measured at this commit already is not measured again, so that a run that was stopped goes
on where it was; --only measures what it names in any case. --page measures nothing and writes the page alone.
--quick takes smaller counts, and leaves the longest measurements out: at most 20 minutes on two quiet cores.
Ends with 1 where a benchmark failed, with 4 where one missed a bound of its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from document import page, state_of, told_seconds
from entries import BENCHMARKS, CHAPTERS, Benchmark
from kept import Choice, Kept, read_kept, run, words_of, write_kept
from machine import DATA, ROOT, commit
from plots import draw_plots
from tqdm import tqdm

from edge.errors import FAILURE, GATE_FAILED

PAGE = ROOT / "docs" / "benchmarks.md"
STOPPED = 130
CODES = {"failed": FAILURE, "missed a bound": GATE_FAILED}


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for, write the page, and return the exit code."""
    parsed = arguments().parse_args(words)
    choice = Choice(parsed.quick, parsed.data, parsed.out)
    if parsed.list:
        print(listed(choice))
        return 0
    try:
        measure([] if parsed.page else chosen(parsed.only, choice), choice)
    except KeyboardInterrupt:
        print("stopped; what was measured is kept, and the same command goes on from there", file=sys.stderr)
        return STOPPED
    kept = {name: one for name, one in read_kept(parsed.out).items() if name in {b.name for b in BENCHMARKS}}
    write_page(kept, parsed.write)
    states = [state_of(one) for one in kept.values()]
    return next((code for state, code in CODES.items() if state in states), 0)


def arguments() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [one.name for one in BENCHMARKS]
    parser.add_argument("--quick", action="store_true", help="smaller counts: at most 20 minutes")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--page", action="store_true", help="measure nothing; write the page from what is kept")
    parser.add_argument("--list", action="store_true", help="what there is, how it is called, and how long it takes")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of real footage (default: ../shared/data)")
    parser.add_argument("--out", type=Path, default=ROOT / "work-out" / "bench", help="(default: work-out/bench)")
    parser.add_argument(
        "--write", type=Path, default=PAGE, metavar="FILE", help="the page (default: docs/benchmarks.md)"
    )
    return parser


def listed(choice: Choice) -> str:
    """Return every benchmark with its command and minutes, by chapter, as a table."""
    lines = ["| benchmark | question | command | minutes |", "|---|---|---|---|"]
    for chapter in CHAPTERS:
        for one in BENCHMARKS:
            if one.chapter == chapter and not (choice.is_quick and one.quick is None):
                minutes = one.quick_minutes if choice.is_quick else one.minutes
                lines.append(f"| {one.name} | {one.question} | `{' '.join(words_of(one, choice))}` | {minutes:g} |")
    return "\n".join(lines)


def chosen(only: Sequence[str] | None, choice: Choice) -> list[Benchmark]:
    """Return what is to be measured: what is named, or all that was not measured at this commit in this way."""
    if only:
        return [one for one in BENCHMARKS if one.name in only]
    kept, now = read_kept(choice.out), commit()
    good = (False, choice.is_quick)  # a full measurement is good for a quick run, too
    done = {name for name, one in kept.items() if one.is_measured and one.commit == now and one.is_quick in good}
    return [one for one in BENCHMARKS if one.name not in done]


def measure(benchmarks: Sequence[Benchmark], choice: Choice) -> None:
    """Run them one after the other, with a line for each, and keep each as soon as it is done."""
    for number, benchmark in enumerate(benchmarks, 1):
        place = f"{number}/{len(benchmarks)} {benchmark.name}"
        minutes = (benchmark.quick_minutes if choice.is_quick else benchmark.minutes) or 1.0
        with tqdm(total=round(60 * minutes), desc=place, unit="s", disable=None, leave=False) as bar:
            kept = run(benchmark, choice, lambda seconds, bar=bar: bar.update(min(seconds, bar.total) - bar.n))
        keep(kept, choice.out)
        print(f"{place}: {told_result(kept)}", file=sys.stderr, flush=True)


def keep(result: Kept, folder: Path) -> None:
    """Keep a result, but not the word that nothing was measured over what was measured before."""
    before = read_kept(folder).get(result.name)
    if before is None or not before.is_measured or result.exit_code is not None:
        write_kept(result, folder)


def told_result(kept: Kept) -> str:
    """Return in one line what came of a run."""
    if kept.exit_code is None:
        return f"not run: {kept.reason}"
    complaint = f": {kept.said.splitlines()[-1]}" if kept.said else ""
    return f"{state_of(kept)} in {told_seconds(kept.seconds)}{complaint}"


def write_page(kept: dict[str, Kept], path: Path) -> None:
    """Write the page, and the plots into `images` beside it."""
    plots = draw_plots(kept, path.parent / "images")
    path.write_text(page(kept, plots), encoding="utf-8")
    print(f"{path} tells of {len(kept)} benchmarks, with {len(plots)} plots", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
