"""Footage straight from a camera: a stretch of now, for a site where nothing has been recorded yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from calibration.footage import Clip, read_clip
from edge.errors import UsageError
from edge.frames import FrameFormat, Source
from edge.places import places_from_spec
from edge.privacy import Shape
from edge.sources import Capture, open_place


def read_site_footage(
    specs: Sequence[str],
    form: FrameFormat,
    live_seconds: float,
    progress: Callable[[str], None],
    masks: Sequence[Shape],
    advance: Callable[[float], None],
    capture: Capture,
) -> list[Clip]:
    """Return every clip that the specs mean, black under the masks; of a live camera, its next `live_seconds`.

    `capture` says through which library a live camera is captured, as on the device; files are read as all footage is.
    `progress` is told each clip's name before it is read, `advance` a live camera's seconds so far.
    Raises UsageError, DeviceUnavailable for a camera.
    """
    clips = []
    for place in (place for spec in specs for place in places_from_spec(spec)):
        progress(place.name)
        if not place.is_live:
            clips.append(read_clip(place, form, masks))
            continue
        source = open_place(place, form, capture, masks)
        try:
            clips.append(recorded(source, live_seconds, advance))
        finally:
            source.close()
    return clips


def recorded(source: Source, seconds: float, advance: Callable[[float], None] = lambda _: None) -> Clip:
    """Return a source's frames from the first on, for so many seconds of its clock; UsageError where none come."""
    frames = []
    for frame in source.frames():
        frames.append(frame)
        advance(frame.seconds - frames[0].seconds)
        if frame.seconds - frames[0].seconds >= seconds:
            break
    if not frames:
        raise UsageError(f"{source.name}: gave no frame; look at it with a player first.")
    return Clip(source.name, np.stack([one.image for one in frames]), np.array([one.seconds for one in frames]))
