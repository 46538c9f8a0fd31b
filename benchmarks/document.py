"""docs/benchmarks.md, assembled from what is kept: every benchmark with its question, command, moment and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from entries import BENCHMARKS, CHAPTERS, Benchmark
from figures import told_figures
from kept import Kept
from markdown import laid_out
from plots import Plot

from edge.errors import GATE_FAILED

HEAD = """# Benchmarks

Made by `make bench`, which runs every measurement of the repository beside what a user would pick instead; each stands
below with its command, commit and moment. One of them again: `python benchmarks/all.py --only NAME`. What needs real
footage takes it from a folder that is no part of the repository (`--data`). A commit with a plus was measured with
changes that were not committed.
"""
QUICK = """
**Those marked «quick» are of `make bench QUICK=1`**: fewer rounds, frames, clips and repeats, and the longest
measurements not at all. They show that everything runs, and in what order things lie; decide by those of `make bench`.
"""
# Of results that were kept without the command that comes before them.
FOLDERS = {"data": "../shared/data", "made": "work-out/bench/made"}
JETSON = """Nothing here was run on a Jetson. A floor counts operations and bytes and takes everything else for free: a
device can only be slower. What a Jetson really does, `prednet-edge bench` prints on it, in the same format."""


def page(kept: Mapping[str, Kept], plots: Sequence[Plot]) -> str:
    """Return the whole page."""
    is_quick = any(one.is_quick and one.is_measured for one in kept.values())
    parts = [HEAD + QUICK if is_quick else HEAD]
    parts += [told_machines(kept), told_state(kept), "## At a glance", told_figures(kept)]
    for chapter, title in CHAPTERS.items():
        parts.append(f"## {title}")
        parts += [JETSON] if chapter == "paper" else []
        parts += [f"![{plot.told}](images/{plot.path.name})" for plot in plots if plot.chapter == chapter]
        parts += [told_benchmark(one, kept.get(one.name)) for one in BENCHMARKS if one.chapter == chapter]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def told_machines(kept: Mapping[str, Kept]) -> str:
    """Return each machine and set of versions that something was measured with, and the commits."""
    lines = ["| machine | commits | versions |", "|---|---|---|"]
    commits: dict[tuple[str, str], list[str]] = {}
    for one in (one for one in kept.values() if one.exit_code is not None):
        versions = ", ".join(f"{name} {version}" for name, version in one.versions.items())
        commits.setdefault((one.machine, versions), []).append(one.commit)
    for (machine, versions), found in commits.items():
        lines.append(f"| {machine} | {', '.join(dict.fromkeys(found))} | {versions} |")
    return "\n".join(lines)


def told_state(kept: Mapping[str, Kept]) -> str:
    """Return one sentence: how many were measured, which missed a bound, failed, or were not run."""
    groups: dict[str, list[str]] = {"measured": [], "missed a bound": [], "failed": [], "not run": []}
    for benchmark in BENCHMARKS:
        groups[state_of(kept.get(benchmark.name))].append(f"[{benchmark.name}](#{benchmark.name})")
    measured = len(groups.pop("measured")) + len(groups["missed a bound"])
    rest = [f"{state}: {', '.join(names)}" for state, names in groups.items() if names]
    return f"{measured} of {len(BENCHMARKS)} were measured{'; ' if rest else ''}{'; '.join(rest)}."


def state_of(kept: Kept | None) -> str:
    """Return in what state a benchmark is."""
    if kept is None or kept.exit_code is None:
        return "not run"
    if kept.exit_code == GATE_FAILED:
        return "missed a bound"
    return "measured" if kept.is_measured else "failed"


def told_benchmark(benchmark: Benchmark, kept: Kept | None) -> str:
    """Return the section of one benchmark."""
    lines = [f"### {benchmark.name}", benchmark.question]
    if kept is None:
        return "\n\n".join([*lines, "**Not run yet.**"])
    before = kept.before or benchmark.before.format(**FOLDERS)
    lines.append("\n".join(["```sh", *([before] if before else []), kept.command, "```"]))
    if kept.exit_code is None:
        return "\n\n".join([*lines, f"**Not run**: {kept.reason}."])
    when = f"{kept.began}, {told_seconds(kept.seconds)}, load {kept.load:g} at the start"
    lines.append(f"Commit {kept.commit}, {when}{'; quick' if kept.is_quick else ''}.")
    if state_of(kept) == "missed a bound":
        lines.append("**It missed a bound of its own**; which, its output says.")
    if not kept.is_measured:
        lines.append(f"**Failed** with exit code {kept.exit_code}:\n\n```text\n{kept.said}\n```")
    return "\n\n".join([*lines, laid_out(kept.output)])


def told_seconds(seconds: float) -> str:
    """Return a time as one says it."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
