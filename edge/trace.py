"""The trace of a stretch of watching: what the chart draws and what a replay remembers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.detection import Limit
from edge.frames import Image
from edge.normality import Map
from edge.pipeline import Moment, Sensed

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


@dataclass
class Trace:
    """Numbers of every frame of one camera, in order; NaN where nothing could be scored.

    `offset_seconds` is taken off every time, so that a chart begins where the footage does.
    """

    name: str
    offset_seconds: float = 0.0
    limit: Limit | None = None
    seconds: list[float] = field(default_factory=list)
    error: list[float] = field(default_factory=list)
    repeat_error: list[float] = field(default_factory=list)
    surprise: list[float] = field(default_factory=list)
    level: list[float] = field(default_factory=list)
    level_sd: list[float] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    def array(self, name: str) -> NDArray[np.float64]:
        """Return one of the columns as float64 [T]."""
        return np.array(getattr(self, name), np.float64)


class Tracer:
    """Keeps in a trace what a chart needs of one camera's moments, frame after frame."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._last_image: Image | None = None
        self._peak: Peak | None = None

    def see(self, moment: Moment) -> None:
        """Keep one moment."""
        if moment.sensed is not None:
            _keep_numbers(self._trace, moment, moment.sensed, self._last_image)
            self._last_image = moment.sensed.frame.image
        self._peak = _peak_so_far(self._peak, moment)
        _keep_span(self._trace, moment, self._peak)


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
    trace.error.append(2 * float(sensed.errors[0].mean()) if scored else np.nan)
    trace.repeat_error.append(float(repeat))
    trace.surprise.append(np.nan if moment.surprise is None else moment.surprise)
    trace.level.append(np.nan if moment.level is None or not scored else moment.level.mean)
    trace.level_sd.append(np.nan if moment.level is None or not scored else moment.level.sd)


def _peak_so_far(peak: Peak | None, moment: Moment) -> Peak | None:
    """The frame at the highest level of the crossing that is under way, or was until this moment."""
    episode, sensed = moment.episode, moment.sensed
    if episode is None:
        return peak if moment.detection else None
    if episode.peak_seconds != moment.seconds or sensed is None or moment.cells is None:
        return peak
    return Peak(moment.seconds, episode.peak, sensed.frame.image, sensed.prediction, moment.cells)


def _keep_span(trace: Trace, moment: Moment, peak: Peak | None) -> None:
    detection = moment.detection
    if detection is None:
        return
    if detection.type == "new":
        offset = trace.offset_seconds
        trace.spans.append(Span(detection.episode.start_seconds - offset, moment.seconds - offset))
    span = trace.spans[-1]
    if detection.end_seconds is not None:
        span.end_seconds = detection.end_seconds - trace.offset_seconds
    if len(trace.spans) <= MOST_PICTURES:
        span.peak = peak
