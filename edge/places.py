"""Where frames come from, as the user writes it: addresses, paths, globs, and stretches of time in them."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from edge.errors import UsageError

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mov", ".m4v", ".ts", ".webm", ".mpg", ".mpeg", ".mjpeg", ".h264"})
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".pgm", ".ppm"})

Kind = Literal["video", "images", "rtsp", "http", "v4l2", "csi", "launch", "test"]
_CAMERA_SCHEMES: dict[str, Kind] = {"rtsp": "rtsp", "rtsps": "rtsp", "http": "http", "https": "http"}
# Where frames are gone when nobody takes them.
_LIVE = ("rtsp", "http", "v4l2", "csi", "launch")


@dataclass(frozen=True)
class Place:
    """One source: `where` is a path or an address; a stretch is in seconds of media time, end exclusive.

    `rate_hz` is what the user says of images, which carry no time of their own.
    """

    kind: Kind
    where: str
    start_seconds: float = 0.0
    end_seconds: float | None = None
    rate_hz: float | None = None

    @property
    def is_live(self) -> bool:
        """True for a camera, whose frames are gone when nobody takes them."""
        return self.kind in _LIVE

    @property
    def is_endless(self) -> bool:
        """True where frames never stop coming: cameras, and a test scene without `seconds`."""
        return self.is_live or (self.kind == "test" and "seconds=" not in self.where)

    @property
    def name(self) -> str:
        """A short name for messages and pictures, without a password."""
        bare = without_login(self.where)
        if self.kind in ("csi", "launch"):
            return f"csi://{bare}" if self.kind == "csi" else f"gst://{bare.split()[0]}"
        name = bare if self.kind in ("rtsp", "http", "v4l2", "test") else Path(bare).name
        if self.end_seconds is None and not self.start_seconds:
            return name
        return f"{name}#t={self.start_seconds:g},{'' if self.end_seconds is None else f'{self.end_seconds:g}'}"


# A login with a password in an address; also a password with a /, ? or # in it, which no library takes for a login.
LOGIN_WITH_PASSWORD = r"//(?!\[)[^/\s\"'?#:]*:(?!\d+(?:[/?#]|$))[^\s\"']*@"  # noqa: S105 - a pattern


def without_login(where: str) -> str:
    """Return an address, or a line that holds some, without user and password."""
    return re.sub(rf"//[^/\s\"'?#]*@|{LOGIN_WITH_PASSWORD}", "//", where)


def places_from_spec(spec: str) -> list[Place]:
    """Return the places that one word of the user means.

    A spec is a video, a folder of images, a folder of such folders and videos, a glob of them, or
    an address (`rtsp://…`, `http://…`, `v4l2:///dev/video0`, `csi://0`, `file:///…`, `test://factory`), or a GStreamer
    launch line that ends in raw video (`gst://videotestsrc ! video/x-raw,width=320,height=240`). `#t=START,END` takes a
    stretch of seconds (Media Fragments URI), `#fps=N` says the rate of images; both join with `&`.
    Raises UsageError when there is nothing there.
    """
    scheme, _, rest = spec.partition("://")
    if rest and scheme == "test":
        return [Place("test", spec)]
    if rest.strip() and scheme == "gst":
        return [Place("launch", rest.strip())]
    if scheme == "csi" and spec.startswith("csi://"):
        if not rest.isdigit():
            raise UsageError(f"{spec}: a CSI camera is named by its sensor's number, such as csi://0.")
        return [Place("csi", rest)]
    where, _, fragment = spec.partition("#")
    base = _with_fragment(Place("video", where), fragment, spec)
    if rest and scheme in _CAMERA_SCHEMES:
        return [replace(base, kind=_CAMERA_SCHEMES[scheme])]
    if where.startswith(("v4l2://", "/dev/")):
        return [replace(base, kind="v4l2", where=where.removeprefix("v4l2://"))]
    if rest and scheme != "file":
        raise UsageError(
            f"{without_login(spec)}: the address scheme '{scheme}' is not known; "
            f"use rtsp://, http://, v4l2://, csi://, file://, test://, gst:// or a path."
        )
    return _places_of_files(where.removeprefix("file://"), base, spec)


def place_from_spec(spec: str) -> Place:
    """Return the one place that a spec means; UsageError where it means several."""
    places = places_from_spec(spec)
    if len(places) > 1:
        raise UsageError(
            f"{spec}: holds {len(places)} clips where one was expected; name one of them, such as {places[0].where}."
        )
    return places[0]


def _places_of_files(where: str, base: Place, spec: str) -> list[Place]:
    paths = (
        [Path(where)] if Path(where).exists() else [Path(found) for found in sorted(glob.glob(where, recursive=True))]
    )
    if not paths:
        raise UsageError(
            f"{spec}: no such file or folder; give a video, a folder of images or a glob that matches some."
        )
    images = [path for path in paths if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES]
    if images and len(images) == len(paths):  # a glob of images is one clip
        return [replace(base, kind="images", where=where)]
    places = [place for path in paths for place in _places_below(path, base)]
    if not places:
        raise UsageError(
            f"{spec}: holds neither videos ({', '.join(sorted(VIDEO_SUFFIXES)[:4])}, …) nor images "
            f"({', '.join(sorted(IMAGE_SUFFIXES)[:4])}, …)."
        )
    return places


def _places_below(path: Path, base: Place) -> list[Place]:
    if path.is_file():
        return [replace(base, kind="video", where=str(path))]
    entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    if any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in entries):
        return [replace(base, kind="images", where=str(path))]
    videos = [entry for entry in entries if entry.is_file() and entry.suffix.lower() in VIDEO_SUFFIXES]
    folders = [entry for entry in entries if entry.is_dir()]
    return [place for entry in sorted(videos + folders) for place in _places_below(entry, base)]


def _with_fragment(place: Place, fragment: str, spec: str) -> Place:
    for part in filter(None, fragment.split("&")):
        key, _, value = part.partition("=")
        if key == "t" and (stretch := re.fullmatch(r"(\d*\.?\d*),?(\d*\.?\d*)", value)):
            start, end = (float(text) if text else None for text in stretch.groups())
            if end is not None and end <= (start or 0.0):
                raise UsageError(
                    f"{without_login(spec)}: the stretch ends at {end:g} s, not after its start at {start or 0:g} s."
                )
            place = replace(place, start_seconds=start or 0.0, end_seconds=end)
        elif key == "fps" and re.fullmatch(r"\d+\.?\d*", value) and float(value) > 0:
            place = replace(place, rate_hz=float(value))
        else:
            raise UsageError(
                f"{without_login(spec)}: '#{part}' is not understood; "
                "use #t=START,END in seconds or #fps=FRAMES_PER_SECOND."
            )
    return place


def image_paths(place: Place) -> list[Path]:
    """Return the images of a place in the order of their names, numbers in them counted as numbers."""
    where = Path(place.where)
    found = list(where.iterdir()) if where.is_dir() else [Path(path) for path in glob.glob(place.where, recursive=True)]
    images = [path for path in found if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")]
    return sorted(
        images,
        key=lambda path: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)],
    )
