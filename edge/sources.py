"""Opens the source that an address or a path means: the chooser in front of the capture doors."""

from __future__ import annotations

from edge.frames import FrameFormat, Source
from edge.places import Place, place_from_spec


def open_source(spec: str, form: FrameFormat) -> Source:
    """Return the opened source of one spec (see `edge.places.places_from_spec`).

    Raises UsageError for a spec that means nothing, DeviceUnavailable for a camera that does not answer.
    """
    return open_place(place_from_spec(spec), form)


def open_place(place: Place, form: FrameFormat) -> Source:
    """Return the opened source of a place."""
    if place.kind == "test":
        return _test_source(place, form)
    from edge.capture_av import ImageFolderSource, VideoSource  # noqa: PLC0415 - only a chooser opens a door

    return ImageFolderSource(place, form) if place.kind == "images" else VideoSource(place, form)


def _test_source(place: Place, form: FrameFormat) -> Source:
    from edge.scene import scene_from_url  # noqa: PLC0415 - only a chooser opens a door
    from edge.scene.source import SceneSource  # noqa: PLC0415

    scene, start_seconds, duration_seconds = scene_from_url(place.where)
    return SceneSource(scene, form, start_seconds, duration_seconds)
