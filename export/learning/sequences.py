"""Sequences for training out of clips, and stretches of footage that training never sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

VALIDATION_SHARE = 0.1
LARGEST_SHARE = 0.2
CANDIDATES = 4
# A lane lasts ten sequences on average: long enough to meet a state far from its start.
RESTART_CHANCE = 0.1


@dataclass(frozen=True)
class Stretch:
    """Frames `start` to `stop` (not included) of clip number `clip`."""

    clip: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Split:
    """What is learned from, and what it is judged on; no frame is in both."""

    training: tuple[Stretch, ...]
    validation: tuple[Stretch, ...]


@dataclass(frozen=True)
class Place:
    """Where a lane stands: the next frame of a stretch, counted in its clip."""

    stretch: Stretch
    frame: int


@dataclass(frozen=True)
class Batch:
    """`images` uint8 [T, N, H, W, C]; `fresh` bool [N], true where the lane starts with an empty state."""

    images: NDArray[np.uint8]
    fresh: NDArray[np.bool_]


def split_footage(lengths: Sequence[int], gap: int, seed: int) -> Split:
    """Return a split by whole clips, or else the end of the longest clip after a gap of `gap` frames.

    Neighbouring frames are nearly equal, so a split by frame would judge a network on what it
    learned. A tenth of all frames is for validation, a fifth at most.
    """
    chosen = _validation_clips(lengths, seed)
    whole = [Stretch(clip, 0, length) for clip, length in enumerate(lengths)]
    if chosen:
        rest = [stretch for stretch in whole if stretch.clip not in chosen]
        return Split(tuple(rest), tuple(whole[clip] for clip in sorted(chosen)))
    longest = max(whole, key=len, default=Stretch(0, 0, 0))
    cut = longest.stop - round(VALIDATION_SHARE * sum(lengths))
    training = [replace(s, stop=max(cut - gap, 0)) if s == longest else s for s in whole]
    return Split(tuple(training), (replace(longest, start=max(cut, 0)),))


def _validation_clips(lengths: Sequence[int], seed: int) -> set[int]:
    """Clips, in a shuffled order, that make up a tenth of the footage; none where they would not fit."""
    total = sum(lengths)
    chosen: set[int] = set()
    frames = 0
    for clip in np.random.default_rng(seed).permutation(len(lengths)):
        if frames >= VALIDATION_SHARE * total:
            break
        if frames + lengths[clip] <= LARGEST_SHARE * total:
            chosen.add(int(clip))
            frames += lengths[clip]
    return chosen if frames >= VALIDATION_SHARE * total / 2 else set()


class Lanes:
    """Streams of footage side by side, cut into sequences; each restarts by chance or at its end.

    A lane that goes on keeps its state, so the network also learns to be right long after its
    start. What chance decides at a step depends on `seed`, `rank` and the step alone.
    """

    def __init__(
        self,
        images: Sequence[NDArray[np.uint8]],
        stretches: Sequence[Stretch],
        *,
        length: int,
        lanes: int,
        seed: int,
        rank: int = 0,
    ) -> None:
        self.images = images
        self.stretches = [stretch for stretch in stretches if len(stretch) >= length]
        self.length, self.seed, self.rank = length, seed, rank
        self.places: list[Place | None] = [None] * lanes
        starts = np.array([len(stretch) - length + 1 for stretch in self.stretches], np.float64)
        self.chances = starts / starts.sum()

    def draw(self, step: int) -> Batch:
        """Return the sequences of a step, and move every lane on by one sequence."""
        generator = np.random.default_rng((self.seed, self.rank, step))
        places, fresh = zip(*(self._next(generator, place) for place in self.places), strict=True)
        self.places = [replace(place, frame=place.frame + self.length) for place in places]
        images = [self._cut(place) for place in places]
        return Batch(np.stack(images, axis=1), np.array(fresh, np.bool_))

    def _next(self, generator: np.random.Generator, place: Place | None) -> tuple[Place, bool]:
        restarts = generator.random() < RESTART_CHANCE
        if place is None or restarts or place.frame + self.length > place.stretch.stop:
            return self._liveliest(generator), True
        return place, False

    def _liveliest(self, generator: np.random.Generator) -> Place:
        """Draw a few places and take the one where most moves: most footage shows nothing that does."""
        return max((self._draw(generator) for _ in range(CANDIDATES)), key=self._movement)

    def _draw(self, generator: np.random.Generator) -> Place:
        stretch = self.stretches[generator.choice(len(self.stretches), p=self.chances)]
        frame = int(generator.integers(stretch.start, stretch.stop - self.length + 1))
        return Place(stretch, frame)

    def _movement(self, place: Place) -> float:
        cut = self._cut(place)
        return float(np.abs(cut[-1].astype(np.int16) - cut[0]).mean())

    def _cut(self, place: Place) -> NDArray[np.uint8]:
        return self.images[place.stretch.clip][place.frame : place.frame + self.length]
