"""The trace of a stretch of watching: what the chart draws and what a replay remembers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.detection import Episode, Limit
from edge.frames import Image
from edge.moments import Finding, Kind, Moment, Sensed, mean_error
from edge.normality import Map

# Pictures are kept of this many events; numbers are kept of all.
MOST_PICTURES = 6


@dataclass
class Peak:
    """The frame at an event's highest level, its prediction, and the score of each cell [Gh, Gw]."""

    seconds: float
    level: float
    frame: Image
    prediction: Image
    cells: Map


@dataclass
class Span:
    """One event on the time axis, seconds of the trace; `end_seconds` is None while it is open."""

    start_seconds: float
    announced_seconds: float
    end_seconds: float | None = None
    peak: Peak | None = None
    kind: Kind = "surprise"


@dataclass
class Trace:
    """Numbers of every frame of one camera, in order; NaN where nothing could be scored.

    `offset_seconds` is taken off every time, so that a chart begins where the footage does.
    """

    name: str
    offset_seconds: float = 0.0
    limit: Limit | None = None
    stall_limit: Limit | None = None
    seconds: list[float] = field(default_factory=list)
    error: list[float] = field(default_factory=list)
    repeat_error: list[float] = field(default_factory=list)
    surprise: list[float] = field(default_factory=list)
    level: list[float] = field(default_factory=list)
    level_sd: list[float] = field(default_factory=list)
    stall: list[float] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    def array(self, name: str) -> NDArray[np.float64]:
        """Return one of the columns as float64 [T]."""
        return np.array(getattr(self, name), np.float64)


class Tracer:
    """Keeps in a trace what a chart needs of one camera's moments, frame after frame."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._last_image: Image | None = None
        self._peaks: dict[Kind, Peak | None] = {"surprise": None, "stall": None}

    def see(self, moment: Moment) -> None:
        """Keep one moment."""
        if moment.sensed is not None:
            _keep_numbers(self._trace, moment, moment.sensed, self._last_image)
            self._last_image = moment.sensed.frame.image
        told = {finding.kind for finding in moment.findings}
        self._peaks["surprise"] = _peak_so_far(
            self._peaks["surprise"], moment, moment.episode, moment.cells, "surprise" in told
        )
        if moment.stall is not None:
            self._peaks["stall"] = _peak_so_far(
                self._peaks["stall"], moment, moment.stall.episode, moment.stall.cells, "stall" in told
            )
        for finding in moment.findings:
            _keep_span(self._trace, moment, finding, self._peaks[finding.kind])


def traced(moments: Iterable[Moment], trace: Trace) -> Iterator[Moment]:
    """Yield the moments on, and keep in `trace` what a chart needs of them. One camera's moments only."""
    tracer = Tracer(trace)
    for moment in moments:
        tracer.see(moment)
        yield moment


def _keep_numbers(trace: Trace, moment: Moment, sensed: Sensed, last_image: Image | None) -> None:
    image, scored = sensed.frame.image, moment.state == "watching"
    repeat = np.nan if last_image is None else np.abs(image.astype(np.int16) - last_image).mean() / 255
    trace.limit = moment.limit
    trace.seconds.append(moment.seconds - trace.offset_seconds)
    trace.error.append(mean_error(sensed) if scored else np.nan)
    trace.repeat_error.append(float(repeat))
    trace.surprise.append(np.nan if moment.surprise is None else moment.surprise)
    trace.level.append(np.nan if moment.level is None or not scored else moment.level.mean)
    trace.level_sd.append(np.nan if moment.level is None or not scored else moment.level.sd)
    trace.stall.append(np.nan if moment.stall is None else moment.stall.level.mean)
    trace.stall_limit = trace.stall_limit if moment.stall is None else moment.stall.limit


def _peak_so_far(
    peak: Peak | None, moment: Moment, episode: Episode | None, cells: Map | None, is_told: bool
) -> Peak | None:
    """The frame at the highest level of the crossing that is under way, or was until this moment."""
    sensed = moment.sensed
    if episode is None:
        return peak if is_told else None
    if episode.peak_seconds != moment.seconds or sensed is None or cells is None:
        return peak
    return Peak(moment.seconds, episode.peak, sensed.frame.image, sensed.prediction, cells)


def _keep_span(trace: Trace, moment: Moment, finding: Finding, peak: Peak | None) -> None:
    detection, offset = finding.detection, trace.offset_seconds
    if detection.type == "new":
        start, announced = detection.episode.start_seconds - offset, moment.seconds - offset
        trace.spans.append(Span(start, announced, kind=finding.kind))
    span = next(one for one in reversed(trace.spans) if one.kind == finding.kind)
    if detection.end_seconds is not None:
        span.end_seconds = detection.end_seconds - offset
    if len(trace.spans) <= MOST_PICTURES:
        span.peak = peak
