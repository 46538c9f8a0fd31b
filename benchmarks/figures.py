"""The figures of a whole device beside their targets, read from the tables that its benchmarks printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kept import Kept
from markdown import Row, number_in, tables_of

RATE = "an hour (not excluded, 95 %)"
OURS = "the CPU variant"
# What benchmarks/capture.py calls it.
REST = "capture to decision, without decoding and the step"
WAITED, EVERYTHING = "what a decision waits for", "processor time of all threads"
FULL_RATE_HZ = 9.8  # ten frames a second, less what a mailbox may drop within a measurement
NOT_MEASURED = "not measured"
LAST = -1  # of a benchmark's tables
FLOAT_BY_IT = "float ÷ it"  # a column of benchmarks/step.py
VERDICTS = {True: "yes", False: "**missed**", None: "–"}


class Found(NamedTuple):
    """What is told of a figure, and the number that its target is held against."""

    told: str
    value: float = 0.0


@dataclass(frozen=True)
class Figure:
    """One figure: what it is, the benchmark that it comes from, and how it is read from the rows of its table.

    Its target is `most` or `least`, in `unit`; neither where it has none.
    """

    what: str
    benchmark: str
    read: Callable[[list[Row]], Found | None]
    table: int = 0
    most: float | None = None
    least: float | None = None
    unit: str = ""

    @property
    def target(self) -> str:
        """What is asked for, in words."""
        if self.most is not None:
            return f"at most {self.most:g}{self.unit}"
        return "–" if self.least is None else f"at least {self.least:g}{self.unit}"

    def is_kept(self, value: float) -> bool | None:
        """Whether a value is within the target; None where there is none."""
        if self.most is not None:
            return value <= self.most
        return None if self.least is None else value >= self.least


def most_cameras(rows: list[Row]) -> Found:
    """Return the largest measured number of cameras that keep the full rate."""
    most = _most_cameras(rows)
    return Found("none" if most is None else f"{most}")


def _most_cameras(rows: list[Row]) -> int | None:
    counts = [int(row["cameras"]) for row in rows if (number_in(row["frames/s each"]) or 0.0) >= FULL_RATE_HZ]
    return max(counts, default=None)


def processor_share(rows: list[Row]) -> Found:
    """Return the share of one core that a camera takes, alone and among as many as were watched at the full rate."""
    shares = {int(row["cameras"]): float(row["processor, cores"]) / int(row["cameras"]) for row in rows}
    alone, most = min(shares), _most_cameras(rows)
    among = "" if most in (None, alone) else f", {100 * shares[most]:.0f} % each with {most}"
    return Found(f"{100 * shares[alone]:.0f} % with {alone}{among}")


def memory_share(rows: list[Row]) -> Found:
    """Return the memory of the first camera's process, and what each further camera adds."""
    used = {int(row["cameras"]): float(row["memory MB"]) for row in rows}
    first, last = min(used), max(used)
    more = f", {(used[last] - used[first]) / (last - first):.0f} MB for each more" if last > first else ""
    return Found(f"{used[first]:.0f} MB with {first}{more}")


def row_where(column: str, value: str, told: Callable[[Row], Found]) -> Callable[[list[Row]], Found | None]:
    """Return what reads the row whose column holds a value."""

    def read(rows: list[Row]) -> Found | None:
        return next((told(row) for row in rows if row[column] == value), None)

    return read


def quantiles(row: Row) -> Found:
    """Return median and 95th percentile, which is what a target asks about."""
    late = row["95th percentile ms"]
    return Found(f"median {row['median ms']} ms, 95 % {late} ms", float(late))


def of_frame(row: Row) -> Found:
    """Return the milliseconds of one frame."""
    return Found(f"{row['ms a frame']} ms a frame", float(row["ms a frame"]))


def arrivals(rows: list[Row]) -> Found:
    """Return median and 95th percentile of both libraries."""
    return Found("; ".join(f"{row['capture']} {quantiles(row).told}" for row in rows))


def of_first(column: str, unit: str = "") -> Callable[[list[Row]], Found]:
    """Return what reads a column of the first row."""
    return lambda rows: Found(f"{rows[0][column]}{unit}", number_in(rows[0][column]) or 0.0)


def median_and_largest(row: Row) -> Found:
    """Return both, of how many."""
    largest = row["largest s"]
    return Found(f"median {row['median s']} s, largest of {row['times']}: {largest} s", float(largest))


def lost(rows: list[Row]) -> Found:
    """Return how many messages were lost without a word, of how many."""
    (row,) = rows
    told, silent = row["told as lost"], row["lost without a word"]
    told = "" if told == "0" else f", {told} told as lost"
    return Found(f"{silent} of {row['messages put']}{told}; starts of the device: {row['starts']}", float(silent))


def cut(rows: list[Row]) -> Found:
    """Return how many messages were missing after cuts of the power, of how many."""
    (row,) = rows
    told = f"{row['missing']} of {row['messages that had to be there']}; cuts: {row['cuts']}"
    damaged = "" if row["damaged"] == "0" else f", the outbox taken for damaged: {row['damaged']}"
    return Found(told + damaged, float(row["missing"]))


def false_events(rows: list[Row]) -> Found:
    """Return the last row: all clips together."""
    row = rows[-1]
    return Found(f"{row[RATE]}; {row['false events']} in {row['scored s']} s")


def captures(rows: list[Row]) -> Found:
    """Return what each of our libraries takes of the time of OpenCV's loop, in colour."""
    ours = [row for row in rows if row["colour"] == "rgb" and not row["capture"].startswith("OpenCV")]
    return Found(", ".join(f"{row['capture'].split(' ')[0]} {row['÷ OpenCV']} times" for row in ours))


def best_auc(*names: str) -> Callable[[list[Row]], Found | None]:
    """Return what reads the best frame AUC of the approaches whose names begin so."""

    def read(rows: list[Row]) -> Found | None:
        found = {row["all, by their level"]: number_in(row["frame AUC"]) for row in rows}
        values = {name: auc for name, auc in found.items() if auc is not None and name.startswith(names)}
        best = max(values, key=values.__getitem__, default=None)
        return None if best is None else Found(f"{values[best]:.4f} ({best})")

    return read


def mean_auc(rows: list[Row]) -> Found | None:
    """Return the mean frame AUC of our networks, and of how many."""
    ours = [float(row["frame AUC"]) for row in rows if row["all, by their level"].startswith("ped2-")]
    if not ours:
        return None
    mean = sum(ours) / len(ours)
    return Found(f"{mean:.4f} (mean of {len(ours)})", mean)


def step_ratio(candidate: str) -> Callable[[list[Row]], Found | None]:
    """Return what reads how many times as long as the CPU variant a candidate takes, for one camera."""

    def read(rows: list[Row]) -> Found | None:
        found = {row["candidate"]: row for row in rows}
        if OURS not in found or candidate not in found:
            return None
        ours, other = found[OURS], found[candidate]
        ratio = float(ours[FLOAT_BY_IT]) / float(other[FLOAT_BY_IT])  # of medians that are not rounded
        return Found(f"{ratio:.2f} times ({ours['median ms']} and {other['median ms']} ms)", ratio)

    return read


def fastest(rows: list[Row]) -> Found:
    """Return which way of running the step of one camera took the least time."""
    times = {row["candidate"]: float(row["median ms"]) for row in rows if "4 cameras" not in row["candidate"]}
    return Found(f"{min(times, key=times.__getitem__)} ({min(times.values()):.1f} ms)")


MOST_MEMORY_MB = 250.0
# Seconds, as the design sets them; None where it sets none.
RECOVERIES: Mapping[str, float | None] = {
    "first start to watching": 10.0,
    "later start to watching": 10.0,
    "killed camera noticed": 5.0,
    "camera back within a minute: frames again": 5.0,
    "camera back after more than a minute: frames again": 15.0,
    "stalled camera noticed": 5.0,
    "stalled camera goes on: frames again": 5.0,
    "broker back: live messages again": None,
    "daemon killed and started at once: watching": 10.0,
}

GLASS = Figure("glass to event, first part: picture to arrival over RTSP", "glass", arrivals)
ALONE = Figure(
    "second part: arrival to subscriber, one camera", "latency", row_where("cameras", "1", quantiles),
    most=150.0, unit=" ms",
)  # fmt: skip
BOTH_PARTS = Figure("both parts added, beyond the time that an anomaly must last", "glass", arrivals)
_FLOAT, _EAGER = step_ratio("ONNX Runtime, float"), step_ratio("PyTorch, eager")
FIGURES = (
    Figure("the fastest way of running the edge network's step", "step", fastest),
    Figure("ONNX Runtime's float step against the CPU variant", "step", _FLOAT, least=2.0, unit=" times"),
    Figure("eager PyTorch against the CPU variant", "step", _EAGER, least=5.0, unit=" times"),
    Figure("processor time of capture against a loop of OpenCV", "capture", captures),
    Figure(
        "capture to decision, less decoding and step", "capture", row_where(REST, WAITED, of_frame), 1,
        most=2.0, unit=" ms",
    ),
    Figure("processor time of it, all threads", "capture", row_where(REST, EVERYTHING, of_frame), 1),
    Figure("cameras at 10 frames a second, by the float step", "cameras", most_cameras),
    Figure("processor of a camera, of one core", "cameras", processor_share),
    Figure("memory of the river", "cameras", memory_share),
    Figure(
        "memory of the daemon with one RTSP camera", "recovery", of_first("memory MB", " MB"), 1,
        most=MOST_MEMORY_MB, unit=" MB",
    ),
    Figure("processor of it, of one core", "recovery", of_first("processor, of one core"), 1),
    GLASS,
    ALONE,
    Figure("second part with eight cameras", "latency", row_where("cameras", "8", quantiles), most=150.0, unit=" ms"),
    *(
        Figure(what, "recovery", row_where("what", what, median_and_largest), most=seconds, unit=" s")
        for what, seconds in RECOVERIES.items()
    ),
    Figure("lost through kills of the daemon and the broker", "loss-kills", lost, most=0.0),
    Figure("lost through a day of outages", "loss-day", lost, most=0.0),
    Figure("lost through cuts of the power", "power-cuts", cut, most=0.0),
    Figure("false events an hour on real clips of normal work", "quiet-clips", false_events),
    Figure("frame AUC on Ped2: PredNet's level", "ped2", mean_auc, LAST, least=0.97),
    Figure("frame differences in the same machinery", "ped2", best_auc("last-frame", "moving-block"), LAST),
    Figure("optical flow in the same machinery", "ped2", best_auc("flow"), LAST),
)  # fmt: skip


def told_figures(kept: Mapping[str, Kept]) -> str:
    """Return the table of all figures, each with its target; what was not measured says so."""
    lines = ["| figure | here | target | kept | from |", "|---|---|---|---|---|"]
    for one in FIGURES:
        lines.append(told_row(one, found_in(one, kept), kept))
        if one is ALONE:
            lines.append(told_row(BOTH_PARTS, glass_to_event(kept), kept))
    return "\n".join(lines)


def found_in(figure: Figure, kept: Mapping[str, Kept]) -> Found | str:
    """Return a figure, or why there is none: it was not measured, or its table is not the one that it is read from."""
    one = kept.get(figure.benchmark)
    tables = tables_of(one.output) if one is not None and one.is_measured else []
    if not tables[figure.table :]:
        return NOT_MEASURED
    try:
        return figure.read(tables[figure.table]) or NOT_MEASURED
    except (KeyError, ValueError) as error:
        return f"unreadable: {error!r}"


def glass_to_event(kept: Mapping[str, Kept]) -> Found | str:
    """Return both parts of the way from the picture to the subscriber, added: medians, and 95th percentiles."""
    glass, rest = kept.get(GLASS.benchmark), kept.get(ALONE.benchmark)
    if isinstance(found_in(GLASS, kept), str) or isinstance(found_in(ALONE, kept), str) or not glass or not rest:
        return NOT_MEASURED
    (last,) = (one for one in tables_of(rest.output)[0] if one["cameras"] == "1")
    median, late = (
        {row["capture"]: float(row[column]) + float(last[column]) for row in tables_of(glass.output)[0]}
        for column in ("median ms", "95th percentile ms")
    )
    told = (f"{name} median {median[name]:.0f} ms, 95 % about {late[name]:.0f} ms" for name in median)
    return Found("; ".join(told))


def told_row(figure: Figure, found: Found | str, kept: Mapping[str, Kept]) -> str:
    """Return the row of one figure; what is of a quick run says so."""
    verdict = None if isinstance(found, str) else figure.is_kept(found.value)
    one = kept.get(figure.benchmark)
    quick = ", quick" if one is not None and one.is_measured and one.is_quick else ""
    told, where = found if isinstance(found, str) else found.told, f"[{figure.benchmark}](#{figure.benchmark}){quick}"
    return f"| {' | '.join((figure.what, told, figure.target, VERDICTS[verdict], where))} |"
