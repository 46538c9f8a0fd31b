"""What the host senses in a frame beside the step's maps, and what all witnesses say of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.appearance import (
    Thumbnail,
    gain_of,
    halted,
    is_foreground,
    novelty,
    novelty_and_share,
    patches_from_tones,
    toned,
)
from edge.composition import mixtures_from_thumbnail, strangeness
from edge.normality import Map, Normality
from edge.pixels import apart, block_highs, grey_half_means, half_means
from edge.stillness import (
    Stillness,
    first_stillness,
    held_seconds,
    slowness,
    standing_picture,
    still_seconds,
    watched_on,
)

# A gain up to this is the day's own, and stands in what was learned; beyond it a lamp was switched on.
BRIGHTER = 1.1


@dataclass(frozen=True)
class Senses:
    """One frame as the witnesses see it, before anything is held against normality.

    `error` and `speed`: float32 [Gh, Gw], the highest mean of a block in each cell: half the absolute error of the
    prediction in 0–1, and pixels of movement a frame. `thumbnail`: uint8 [4 Gh, 4 Gw, C], the frame's quarters.
    """

    error: Map
    speed: Map
    thumbnail: Thumbnail


def speed_blocks(speed: Map, grid: tuple[int, int], ignored: NDArray[np.bool_] | None = None) -> Map:
    """Return each cell's highest block of the speed of the flow, [H, W] pixels a frame: float32 [Gh, Gw].

    What is in the cells `ignored`, bool [Gh, Gw], reaches into no block: it is 0.
    """
    speeds = half_means(speed[..., None], grid)[..., 0]
    if ignored is not None:
        speeds[parts_of(ignored, speeds)] = 0.0
    return block_highs(speeds)


def error_blocks(
    image: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    grid: tuple[int, int],
    ignored: NDArray[np.bool_] | None = None,
) -> Map:
    """Return each cell's highest block of half the absolute error in 0–1: float32 [Gh, Gw]; both [H, W, C].

    What is in the cells `ignored`, bool [Gh, Gw], reaches into no block: it is 0.
    """
    errors = grey_half_means(apart(image, prediction), grid) * np.float32(1.0 / 510.0)
    if ignored is not None:
        errors[parts_of(ignored, errors)] = 0.0
    return block_highs(errors)


def unseen(thumbnail: Map, background: Map, ignored: NDArray[np.bool_] | None) -> Map:
    """Return a levelled thumbnail [rows, columns, C] that shows the background in the cells that are ignored."""
    return thumbnail if ignored is None else np.where(parts_of(ignored, thumbnail)[..., None], background, thumbnail)


def parts_of(cells: NDArray[np.bool_], parts: Map) -> NDArray[np.bool_]:
    """Return which parts (halves or less) of a picture of so many rows and columns lie in cells, [Gh, Gw]."""
    times = parts.shape[0] // cells.shape[0]
    return np.repeat(np.repeat(cells, times, axis=0), times, axis=1)


def witnessed(
    senses: Senses, stillness: Stillness | None, seconds: float, normality: Normality, gain: float | None = None
) -> tuple[Map, Stillness]:
    """Return what every witness says of each cell, float32 [W, Gh, Gw], and the memory of what stands still.

    `stillness` is None for the first frame; `seconds` is the frame's time on the source's clock. Where that goes back
    all begins anew. `gain` is `gain_of` the thumbnail, where it is known already.
    """
    appearance, composition = normality.appearance, normality.composition
    background = appearance.background
    gain = gain_of(senses.thumbnail, background) if gain is None else gain
    thumbnail = unseen(senses.thumbnail / np.float32(gain), background, normality.ignored)
    if stillness is None or seconds < stillness.seconds:
        stillness = first_stillness(thumbnail, senses.speed, seconds)
    else:
        stillness = watched_on(stillness, thumbnail, senses.speed, seconds, normality.change_levels)
    foreground = is_foreground(thumbnail, background)
    error = senses.error / np.float32(gain) if gain > BRIGHTER else senses.error  # errors grow with the light
    strange = strangeness(mixtures_from_thumbnail(thumbnail, foreground, composition.palette), composition)
    tones = toned(thumbnail)
    novel, share = novelty_and_share(patches_from_tones(tones), appearance)
    stands = patches_from_tones(standing_picture(stillness, tones, foreground, appearance.tones))
    said = (
        error,
        senses.speed,
        novel,
        strange,
        still_seconds(stillness),
        held_seconds(stillness, foreground),
        halted(novelty(stands, appearance.ground, appearance.stands), stands, appearance),
        slowness(stillness, share),
    )
    return np.stack(said), stillness
