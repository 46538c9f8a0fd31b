"""Opens the source that an address or a path means: the chooser in front of the capture doors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edge.errors import DeviceUnavailable, UsageError
from edge.frames import FrameFormat, Source
from edge.places import Place, place_from_spec
from edge.privacy import MaskedSource, Shape, mask_from_shapes
from edge.tape import Tape

Capture = Literal["auto", "gstreamer", "pyav"]
# PyAV knows no other way to these.
_GSTREAMER_ALONE = ("csi", "launch")


def open_source(spec: str, form: FrameFormat, capture: Capture = "auto", masks: Sequence[Shape] = ()) -> Source:
    """Return the opened source of one spec (see `edge.places.places_from_spec`), black under the masks.

    Raises UsageError for a spec that means nothing, DeviceUnavailable for a camera that does not answer.
    """
    return open_place(place_from_spec(spec), form, capture, masks)


def open_place(
    place: Place,
    form: FrameFormat,
    capture: Capture = "auto",
    masks: Sequence[Shape] = (),
    *,
    in_child: bool | None = None,
    tape: Tape | None = None,
) -> Source:
    """Return the opened source of a place, black under the masks.

    `auto` is GStreamer for a camera where the machine has it, and PyAV for everything else, http too. `in_child`: in a
    process of its own, which can be killed; None means where the library needs it (see `needs_a_process`).
    `tape` is given the encoded video where there is some, no mask is set, and this process captures.
    """
    if tape is not None:
        tape.end()
    if in_child or (in_child is None and needs_a_process(place, capture)):
        from edge.capture_child import ChildSource  # noqa: PLC0415 - a child opens sources

        return ChildSource(place, form, capture, tuple(masks))
    source = _opened(place, form, capture, None if masks else tape)
    mask = mask_from_shapes(masks, form.height, form.width)
    return source if mask is None else MaskedSource(source, mask)


def needs_a_process(place: Place, capture: Capture) -> bool:
    """Return whether the library that captures a place hangs or keeps what it was given, and so gets a process.

    Argus hangs; GStreamer's v4l2src keeps the device open after it was closed, and while that is so a camera that was
    unplugged does not come back under its name.
    """
    return place.kind == "csi" or (place.kind == "v4l2" and chosen(place, capture) == "gstreamer")


def _opened(place: Place, form: FrameFormat, capture: Capture, tape: Tape | None) -> Source:
    if place.kind == "test":
        return _test_source(place, form)
    if place.kind != "images" and chosen(place, capture) == "gstreamer":
        return open_gstreamer(place, form, tape)
    from edge.capture_av import ImageFolderSource, VideoSource  # noqa: PLC0415 - only a chooser opens a door

    return ImageFolderSource(place, form) if place.kind == "images" else VideoSource(place, form, tape=tape)


def chosen(place: Place, capture: Capture) -> Literal["gstreamer", "pyav"]:
    """Return which library captures a place; UsageError where GStreamer is asked for what PyAV alone knows."""
    if place.kind in _GSTREAMER_ALONE:
        return "gstreamer"
    if place.kind == "http":
        if capture == "gstreamer":
            raise UsageError(f"{place.name}: http is captured through PyAV alone; write 'capture: auto' or 'pyav'.")
        return "pyav"
    if capture != "auto":
        return capture
    return "gstreamer" if place.is_live and has_gstreamer() else "pyav"


def has_gstreamer() -> bool:
    """Return whether GStreamer's Python is here."""
    try:
        import edge.capture_gst  # noqa: F401, PLC0415 - only a chooser opens a door
    except (ImportError, ValueError):  # no gi; or gi without GStreamer's descriptions
        return False
    return True


def open_gstreamer(place: Place, form: FrameFormat, tape: Tape | None = None) -> Source:
    """Return the source that GStreamer plays; DeviceUnavailable says how it is installed where it is missing."""
    if not has_gstreamer():
        raise DeviceUnavailable(
            f"{place.name}: needs GStreamer's Python, which pip does not bring; install python3-gi and "
            f"gir1.2-gst-plugins-base-1.0, and make the virtual environment with --system-site-packages."
        )
    from edge.capture_gst import GstSource  # noqa: PLC0415 - only a chooser opens a door

    return GstSource(place, form, tape=tape)


def _test_source(place: Place, form: FrameFormat) -> Source:
    from edge.scene import scene_from_url  # noqa: PLC0415 - only a chooser opens a door
    from edge.scene.source import SceneSource  # noqa: PLC0415

    scene, start_seconds, duration_seconds = scene_from_url(place.where)
    return SceneSource(scene, form, start_seconds, duration_seconds)
