"""Footage: the clips that a user names, read once into memory at the network's size, colour and rate."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.frames import Frame, FrameFormat
from edge.places import Place, places_from_spec
from edge.privacy import Shape
from edge.sources import open_place


@dataclass(frozen=True)
class Clip:
    """A stretch of continuous footage: `images` uint8 [T, H, W, C], `seconds` float64 [T] of media time."""

    name: str
    images: NDArray[np.uint8]
    seconds: NDArray[np.float64]

    def frames(self) -> Iterator[Frame]:
        """Yield the images as the frames of a source."""
        for image, seconds in zip(self.images, self.seconds, strict=True):
            yield Frame(image, float(seconds))


def read_footage(specs: Sequence[str], form: FrameFormat, progress: Callable[[str], None] | None = None) -> list[Clip]:
    """Return every clip that the specs mean, in order; `progress` is told each clip's name before it is read.

    Raises UsageError for a spec without footage and for a clip that cannot be read.
    """
    clips = []
    for place in (place for spec in specs for place in places_from_spec(spec)):
        if progress:
            progress(place.name)
        clips.append(read_clip(place, form))
    return clips


def read_clip(place: Place, form: FrameFormat, masks: Sequence[Shape] = ()) -> Clip:
    """Return one place's footage, black under the masks; UsageError where it is a live camera or holds no frame."""
    if place.is_live:
        raise UsageError(f"{place.name}: a live camera is not footage; record it to a file first.")
    if place.is_endless:
        raise UsageError(f"{place.name}: this scene never ends; say how long with seconds=, such as &seconds=60.")
    source = open_place(place, form, masks=masks)
    try:
        frames = list(source.frames())
    finally:
        source.close()
    if not frames:
        raise UsageError(f"{place.name}: no frame lies in this stretch; check the times.")
    return Clip(place.name, np.stack([f.image for f in frames]), np.array([f.seconds for f in frames]))


# A stretch that stands for a clip has so many frames at least, ten seconds at ten a second, where there are as many;
# a clip is not cut into more than so many of them.
STRETCH_FRAMES, MOST_STRETCHES = 100, 10
# The network settles at the beginning of each.
_LEAST_FRAMES = 10


def spread(clips: Sequence[Clip], most: int) -> list[Clip]:
    """Return stretches of every clip, evenly spaced over it, so that there are about `most` frames in all."""
    share = min(most / max(sum(len(clip.images) for clip in clips), 1), 1.0)
    return [stretch for clip in clips for stretch in _stretches(clip, share)]


def _stretches(clip: Clip, share: float) -> list[Clip]:
    total = len(clip.images)
    count = max(round(share * total), min(total, _LEAST_FRAMES))
    parts = 1 if count == total else min(max(count // STRETCH_FRAMES, 1), MOST_STRETCHES)
    size = count // parts
    starts = np.linspace(0, total - size, parts).astype(int).tolist()
    return [Clip(clip.name, clip.images[n : n + size], clip.seconds[n : n + size]) for n in starts]


def first_part_of(clip: Clip, share: float) -> Clip:
    """Return the beginning of a clip: `share` (0–1) of its frames, at least one."""
    count = max(round(share * len(clip.images)), 1)
    return Clip(clip.name, clip.images[:count], clip.seconds[:count])


def footage_digest(clips: Sequence[Clip]) -> str:
    """Return `sha256:…` over the pixels of all clips: the same footage gives the same digest."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(str(clip.images.shape).encode())
        digest.update(np.ascontiguousarray(clip.images).data)
    return f"sha256:{digest.hexdigest()}"
