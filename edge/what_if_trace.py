"""The level of one event over time as a small drawing in SVG: as it was, as it would have been, and both limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.labels import seconds_from_utc
from edge.ring import KINDS, SCORED, Segment
from edge.ring_events import LimitsOf, limits_in_force
from edge.what_if import Judged
from edge.what_if_frames import clipped

WAS, NOW, TRIED, EVENT = "#8a93a0", "#1d7a5f", "#c23b22", "#f2b8a8"
# Seconds shown before an event's beginning and after its end; of a longer event its first ones.
AROUND_SECONDS, LONGEST_SECONDS = 15.0, 120.0
# So many times the higher limit is drawn at most: the limits stay in sight below a high peak.
TALL = 6.0
WIDTH, HEIGHT = 460, 128

Values = NDArray[np.float64]


@dataclass(frozen=True)
class _Axes:
    """What is drawn: Unix times from left to right, levels from the lower edge to the upper one."""

    first: float
    last: float
    low: float
    high: float

    def x(self, seconds: float) -> float:
        return WIDTH * (seconds - self.first) / (self.last - self.first)

    def y(self, level: float) -> float:
        return HEIGHT * (1.0 - (min(level, self.high) - self.low) / (self.high - self.low))


def trace_of(event: Judged, before: Sequence[Segment], after: Sequence[Segment], limits_of: LimitsOf) -> str:
    """Return the drawing: `before` are scores as they were recorded, `after` those under the change and its limits."""
    start = seconds_from_utc(event.start)
    stop = start + min(LONGEST_SECONDS if event.seconds is None else event.seconds, LONGEST_SECONDS)
    kind = KINDS.index("stall" if event.kind == "stall" else "surprise")
    old, new = (clipped(one, start - AROUND_SECONDS, stop + AROUND_SECONDS) for one in (before, after))
    was, now = _limit(old, limits_in_force, kind), _limit(new, limits_of, kind)
    axes = _axes((start - AROUND_SECONDS, stop + AROUND_SECONDS), [*old, *new], kind, max(was or 1.0, now or 1.0))
    width = axes.x(stop) - axes.x(start)
    parts = [
        f'<rect x="{axes.x(start):.1f}" width="{width:.1f}" height="{HEIGHT}" fill="{EVENT}" fill-opacity=".45"/>',
        *(_lines(old, kind, axes, WAS) if after is not before else ()),
        *_lines(new, kind, axes, NOW),
        *(_dashes(limit, axes, colour) for limit, colour in ((was, WAS), (now, TRIED)) if limit is not None),
        f'<text x="2" y="11">{axes.high:.1f}</text><text x="2" y="{HEIGHT - 3}">{axes.low:.1f}</text>',
        f'<text x="{axes.x(start):.1f}" y="{HEIGHT + 13}">{event.start[11:19]}</text>',
    ]
    return f'<svg width="{WIDTH}" viewBox="0 0 {WIDTH} {HEIGHT + 16}">{"".join(parts)}</svg>'


def _axes(stretch: tuple[float, float], segments: Sequence[Segment], kind: int, limit: float) -> _Axes:
    levels = np.concatenate([_levels(one, kind)[1] for one in segments] or [np.zeros(1)])
    high = max(float(np.nanmax(levels, initial=0.0)), 1.25 * limit)
    return _Axes(*stretch, min(float(np.nanmin(levels, initial=0.0)), 0.0), min(1.05 * high, TALL * limit))


def _limit(segments: Sequence[Segment], limits_of: LimitsOf, kind: int) -> float | None:
    limit = limits_of(segments[-1].facts)[kind] if segments else None
    return None if limit is None else limit.on


def _levels(segment: Segment, kind: int) -> tuple[Values, Values]:
    """Unix times and levels, NaN where nothing was scored."""
    levels = np.where(segment.rows["act"] == SCORED, segment.rows["level"][:, kind], np.nan)
    return segment.wall_seconds, levels


def _lines(segments: Sequence[Segment], kind: int, axes: _Axes, colour: str) -> Iterator[str]:
    """A line for each run of frames that were scored."""
    if not segments:
        return
    times, levels = (np.concatenate(both) for both in zip(*(_levels(one, kind) for one in segments), strict=True))
    known = np.isfinite(levels)
    for run in np.split(np.arange(len(levels)), np.flatnonzero(np.diff(known.astype(np.int8))) + 1):
        if known[run[0]]:
            points = " ".join(f"{axes.x(times[at]):.1f},{axes.y(levels[at]):.1f}" for at in run)
            yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _dashes(limit: float, axes: _Axes, colour: str) -> str:
    y = axes.y(limit)
    return f'<path d="M0 {y:.1f}H{WIDTH}" stroke="{colour}" stroke-width="1.2" stroke-dasharray="5 3"/>'
