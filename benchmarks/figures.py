"""The figures of a whole device beside their targets, read from the tables that its benchmarks printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kept import Kept
from markdown import Row, number_in, tables_of

RATE = "an hour (not excluded, 95 %)"
OURS = "the CPU variant"
# What benchmarks/capture.py calls it.
REST = "capture to decision, without decoding and the step"
WAITED, EVERYTHING = "what a decision waits for", "processor time of all threads"
FULL_RATE_HZ = 9.8  # ten frames a second, less what a mailbox may drop within a measurement
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Figure:
    """One figure: what it is, its target, the benchmark that it comes from, and how it is read from its rows."""

    what: str
    target: str
    benchmark: str
    read: Callable[[list[Row]], str | None]
    table: int = 0


def most_cameras(rows: list[Row]) -> str | None:
    """Return the largest measured number of cameras that keep the full rate."""
    counts = [int(row["cameras"]) for row in rows if (number_in(row["frames/s each"]) or 0.0) >= FULL_RATE_HZ]
    return f"{max(counts)}" if counts else "none"


def processor_share(rows: list[Row]) -> str | None:
    """Return the share of one core that a camera takes, alone and among as many as were watched at the full rate."""
    shares = {int(row["cameras"]): float(row["processor, cores"]) / int(row["cameras"]) for row in rows}
    alone, most = min(shares), most_cameras(rows) or "none"
    among = f", {100 * shares[int(most)]:.0f} % each with {most}" if most not in ("none", f"{alone}") else ""
    return f"{100 * shares[alone]:.0f} % with {alone}{among}"


def memory_share(rows: list[Row]) -> str | None:
    """Return the memory of the first camera's process, and what each further camera adds."""
    used = {int(row["cameras"]): float(row["memory MB"]) for row in rows}
    first, last = min(used), max(used)
    more = f", {(used[last] - used[first]) / (last - first):.0f} MB for each more" if last > first else ""
    return f"{used[first]:.0f} MB with {first}{more}"


def row_where(column: str, value: str, told: Callable[[Row], str]) -> Callable[[list[Row]], str | None]:
    """Return what reads the row whose column holds a value."""

    def read(rows: list[Row]) -> str | None:
        return next((told(row) for row in rows if row[column] == value), None)

    return read


def quantiles(row: Row) -> str:
    """Return median and 95th percentile."""
    return f"median {row['median ms']} ms, 95 % {row['95th percentile ms']} ms"


def of_frame(row: Row) -> str:
    """Return the milliseconds of one frame."""
    return f"{row['ms a frame']} ms a frame"


def arrival(rows: list[Row]) -> str:
    """Return median and 95th percentile of the last library: what a device takes where both are."""
    return quantiles(rows[-1])


def of_first(column: str, unit: str = "") -> Callable[[list[Row]], str | None]:
    """Return what reads a column of the first row."""
    return lambda rows: f"{rows[0][column]}{unit}"


def median_and_largest(row: Row) -> str:
    """Return both, of how many."""
    return f"median {row['median s']} s, largest of {row['times']}: {row['largest s']} s"


def lost(rows: list[Row]) -> str | None:
    """Return how many messages were lost without a word, of how many."""
    (row,) = rows
    told = "" if row["told as lost"] == "0" else f", {row['told as lost']} told as lost"
    return f"{row['lost without a word']} of {row['messages put']}{told}; starts of the device: {row['starts']}"


def false_events(rows: list[Row]) -> str | None:
    """Return the last row: all clips together."""
    row = rows[-1]
    return f"{row['false events']} in {row['scored s']} s: {row[RATE]}"


def step_ratio(candidate: str) -> Callable[[list[Row]], str | None]:
    """Return what reads how many times as long as the CPU variant a candidate takes, for one camera."""

    def read(rows: list[Row]) -> str | None:
        times = {row["candidate"]: float(row["median ms"]) for row in rows}
        ours, other = times.get(OURS), times.get(candidate)
        return None if ours is None or other is None else f"{other / ours:.1f} times ({ours:.1f} and {other:.1f} ms)"

    return read


def fastest(rows: list[Row]) -> str | None:
    """Return which way of running the step of one camera took the least time."""
    times = {row["candidate"]: float(row["median ms"]) for row in rows if "4 cameras" not in row["candidate"]}
    return f"{min(times, key=times.__getitem__)} ({min(times.values()):.1f} ms)"


RECOVERIES = {
    "first start to watching": "10 s",
    "later start to watching": "10 s",
    "killed camera noticed": "5 s",
    "camera back within a minute: frames again": "5 s",
    "camera back after more than a minute: frames again": "15 s",
    "stalled camera noticed": "5 s",
    "stalled camera goes on: frames again": "5 s",
    "broker back: live messages again": "–",
    "daemon killed and started at once: watching": "10 s",
}

FIGURES = (
    Figure("the fastest way of running the edge network's step", OURS, "step", fastest),
    Figure("ONNX Runtime's float step against the CPU variant", "2 times", "step", step_ratio("ONNX Runtime, float")),
    Figure("eager PyTorch against the CPU variant", "5 times", "step", step_ratio("PyTorch, eager")),
    Figure("capture to decision, less decoding and step", "2 ms", "capture", row_where(REST, WAITED, of_frame), 1),
    Figure("processor time of it, all threads", "–", "capture", row_where(REST, EVERYTHING, of_frame), 1),
    Figure("cameras at 10 frames a second", "–", "cameras", most_cameras),
    Figure("processor of a camera, of one core", "–", "cameras", processor_share),
    Figure("memory of the river", "–", "cameras", memory_share),
    Figure("memory of the daemon with one RTSP camera", "250 MB", "recovery", of_first("memory MB", " MB"), 1),
    Figure("processor of it, of one core", "–", "recovery", of_first("processor, of one core"), 1),
    Figure("glass to event, first part: picture to arrival over RTSP", "–", "glass", arrival),
    Figure("second part: arrival to subscriber, one camera", "150 ms", "latency", row_where("cameras", "1", quantiles)),
    Figure("second part with eight cameras", "150 ms", "latency", row_where("cameras", "8", quantiles)),
    *(
        Figure(what, target, "recovery", row_where("what", what, median_and_largest))
        for what, target in RECOVERIES.items()
    ),
    Figure("lost through kills of the daemon and the broker", "0", "loss-kills", lost),
    Figure("lost through a day of outages", "0", "loss-day", lost),
    Figure("false events on real clips of normal work", "–", "quiet-clips", false_events),
)


def told_figures(kept: Mapping[str, Kept]) -> str:
    """Return the table of all figures; what was not measured says so."""
    lines = ["| figure | here | target | from |", "|---|---|---|---|"]
    rows = ((one.what, told(one, kept), one.target, f"[{one.benchmark}](#{one.benchmark})") for one in FIGURES)
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in rows)])


def told(figure: Figure, kept: Mapping[str, Kept]) -> str:
    """Return one figure, or that there is none, or that the table is not the one that it is read from."""
    one = kept.get(figure.benchmark)
    tables = tables_of(one.output) if one is not None and one.is_measured else []
    if len(tables) <= figure.table:
        return NOT_MEASURED
    try:
        return figure.read(tables[figure.table]) or NOT_MEASURED
    except (KeyError, ValueError) as error:
        return f"unreadable: {error!r}"
