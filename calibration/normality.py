"""Normality from normal footage, with every number judged on footage that it was not made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from calibration.appearance import background_of, pictures_of, shown_patches, spread_over
from calibration.bank import Cells, covering_cells, joined
from calibration.composition import PALETTE_FRAMES, palette_of, shown_mixtures
from calibration.stillness import change_levels_of, expected_to_move, pairs_of
from edge.appearance import SIDE, Appearance, Thumbnail
from edge.composition import Composition
from edge.errors import UsageError
from edge.normality import (
    STALL,
    SURPRISE,
    WITNESSES,
    Map,
    Normality,
    cell_scores,
    ignored_of,
    scores_from_maps,
    standing_out,
)
from edge.senses import Senses, witnessed

# Fewer scored frames than this say nothing about what is normal.
LEAST_FRAMES = 10
# Stretches that the footage is cut into; each is judged by the normality of the others.
FOLDS = 4
# A cell is held against this quantile of what it and its neighbours say on normal footage.
HIGH_QUANTILE = 0.999
# With fewer frames than this a place's own high is half that of the whole picture (docs/decisions/0009).
PLACE_FRAMES = 20000
# A witness's tail begins where this share of normal frames is higher, or so many frames (docs/decisions/0009); where
# nothing varies, the unit of its score is a log ratio of LEAST_EXCESS.
TAIL_SHARE = 0.005
TAIL_FRAMES = 20
LEAST_EXCESS = 1e-2
# What is added to both sides of a ratio: a share of the median of what moves, grey levels, 255ths of
# a window, seconds.
FLOORS = {"error": 0.002, "speed": 0.2, "novelty": 3.0, "composition": 3.0, "still": 1.0, "held": 2.0}
# Footage shorter than this has not shown what normal work looks like, nor how long things may stand: the witness
# is silent (docs/decisions/0009).
LEAST_SECONDS = {"novelty": 400.0, "composition": 400.0, "still": 60.0, "held": 400.0}

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """The scored frames of one clip without a break: `seconds` [T] and the senses of each."""

    seconds: Values
    senses: Sequence[Senses]


@dataclass(frozen=True)
class Part:
    """What a part of the footage keeps of each cell: patches of 16 C numbers, and mixtures of K colours."""

    patches: Cells
    mixtures: Cells


@dataclass(frozen=True)
class HeldOut:
    """What every witness says of every frame of `runs`, `maps` [T, W, Gh, Gw], against other folds than its own.

    `fold` [T] says which fold a frame is of; `bare` is a normality without highs.
    """

    runs: Sequence[Run]
    maps: Map
    fold: NDArray[np.int64]
    bare: Normality


@dataclass(frozen=True)
class Track:
    """One kind of score of one run, as held-out footage shows it: seconds [T], scores [T]."""

    seconds: Values
    scores: Values


def fit_normality(runs: Sequence[Run], sensitivity: Map | None = None) -> tuple[Normality, list[Track], list[Track]]:
    """Return the normality of normal footage, and each run's surprise and stall as held-out footage.

    The score of a frame is that against the normality of the other folds, so it is what new normal
    footage will show and not what fitted footage shows. `sensitivity`, float32 [Gh, Gw], is the camera's, with which
    `runs` were observed (`edge.zones`). Raises UsageError where there is too little.
    """
    return fitted_on(held_out_maps(runs, sensitivity))


def held_out_maps(runs: Sequence[Run], sensitivity: Map | None = None) -> HeldOut:
    """Return what every witness says of every frame, novelty against patches of other folds; see `fit_normality`."""
    frames = sum(len(run.senses) for run in runs)
    if frames < LEAST_FRAMES:
        raise UsageError(
            f"the normal footage has {frames} scored frames; at least {LEAST_FRAMES} are needed "
            f"(the first 5 of each clip are warm-up). Give more footage of normal work."
        )
    thumbnails = [sense.thumbnail for run in runs for sense in run.senses]
    background = background_of(thumbnails)
    ignored = ignored_of(sensitivity)
    palette = palette_of(pictures_of(spread_over(thumbnails, PALETTE_FRAMES), background, ignored), background)
    fold = np.arange(frames) * FOLDS // frames
    ends = np.searchsorted(fold, range(FOLDS + 1))
    parts = [_part(thumbnails[start:end], background, palette, ignored) for start, end in pairwise(ends.tolist())]
    change_levels = change_levels_of(pictures_of(pairs_of(thumbnails), background, ignored))
    bare = _bare(background, palette, parts, change_levels, sensitivity)
    maps = [_maps(run, bare, parts, ends) for run, ends in zip(runs, _folds_of(runs, fold), strict=True)]
    return HeldOut(runs, np.concatenate(maps), fold, bare)


def scored(run: Run, normality: Normality) -> tuple[Track, Track]:
    """Return the surprise and the stall of a run's frames against a normality, as the river finds them."""
    stillness, found = None, []
    for seconds, senses in zip(run.seconds.tolist(), run.senses, strict=True):
        maps, stillness = witnessed(senses, stillness, seconds, normality)
        found.append([score.value for score in scores_from_maps(maps, normality)])
    surprise, stall = np.array(found, np.float64).T
    return Track(run.seconds, surprise), Track(run.seconds, stall)


def _folds_of(runs: Sequence[Run], fold: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.split(fold, np.cumsum([len(run.senses) for run in runs])[:-1])


def _part(thumbnails: Sequence[Thumbnail], background: Map, palette: Map, ignored: NDArray[np.bool_] | None) -> Part:
    rows, columns, channels = background.shape
    count = rows * columns // SIDE**2
    pictures = partial(pictures_of, thumbnails, background, ignored)
    patches = covering_cells(shown_patches(pictures(), background), count, SIDE * SIDE * channels)
    return Part(patches, covering_cells(shown_mixtures(pictures(), background, palette), count, len(palette)))


def _bare(
    background: Map, palette: Map, parts: Sequence[Part], change_levels: float, sensitivity: Map | None
) -> Normality:
    """A normality without highs: enough to make the witnesses speak of what the parts do not know."""
    nothing = np.zeros(0, np.float32)
    appearance = Appearance(background, joined([part.patches for part in parts]))
    composition = Composition(palette, joined([part.mixtures for part in parts]))
    return Normality(nothing, nothing, nothing, nothing, appearance, composition, change_levels, sensitivity)


def _maps(run: Run, bare: Normality, parts: Sequence[Part], folds: NDArray[np.int64]) -> Map:
    """What every witness says of every frame, [T, W, Gh, Gw], patches and mixtures against those of the other folds."""
    background, palette = bare.appearance.background, bare.composition.palette
    others = [
        _bare(background, palette, [*parts[:one], *parts[one + 1 :]], bare.change_levels, bare.sensitivity)
        for one in range(len(parts))
    ]
    stillness, maps = None, []
    for seconds, sense, one in zip(run.seconds.tolist(), run.senses, folds.tolist(), strict=True):
        found, stillness = witnessed(sense, stillness, seconds, others[one])
        maps.append(found)
    return np.stack(maps)


def fitted_on(held: HeldOut) -> tuple[Normality, list[Track], list[Track]]:
    """Return the normality of what the witnesses said, and each run's surprise and stall; see `fit_normality`."""
    held_out = np.empty(held.maps.shape[:2], np.float32)
    for index, scores in held_out_scores(held):
        held_out[index] = standing_out(scores)
    cells = _cells(held.maps, held.bare, _step_seconds(held.runs))
    middle, spread = _tail_of(held_out, cells.speaking)
    normality = replace(cells, middle=middle, spread=spread)
    return normality, *tracks_of(held.runs, held_out, normality)


def _tail_of(scores: Map, heard: NDArray[np.bool_]) -> tuple[Map, Map]:
    """What is taken from each witness's score, and its unit; scores [T, W], `heard` [W] those that say anything.

    The unit is what scores in the tail exceed its start by, on average: one witness is as seldom high as another, and
    the highest of them belongs to none. What is taken away puts half of normal work's surprises, and stalls, below 0.
    """
    share = min(max(TAIL_SHARE, TAIL_FRAMES / len(scores)), 0.5)
    start = np.quantile(scores, 1.0 - share, axis=0)
    excess = np.maximum(scores - start, 0.0).sum(axis=0) / np.maximum((scores > start).sum(axis=0), 1) + LEAST_EXCESS
    for kind in (SURPRISE, STALL):
        if heard[kind].any():
            values = np.where(heard[kind], (scores[:, kind] - start[kind]) / excess[kind], -np.inf)
            start[kind] += np.median(values.max(axis=1)) * excess[kind]
    return start.astype(np.float32), excess.astype(np.float32)


def held_out_scores(held: HeldOut) -> Iterator[tuple[int, Map]]:
    """Yield each frame's number and its cells' scores, [W, Gh, Gw], against the normality of the other folds."""
    step_seconds = _step_seconds(held.runs)
    for part in range(FOLDS):
        normality = _cells(held.maps[held.fold != part], held.bare, step_seconds)
        for index in np.flatnonzero(held.fold == part).tolist():
            yield index, cell_scores(held.maps[index], normality)


def tracks_of(runs: Sequence[Run], values: Map, normality: Normality) -> tuple[list[Track], list[Track]]:
    """Return each run's surprise and stall from every witness's value of every frame, [T, W]."""
    scores = np.where(normality.speaking, (values - normality.middle) / normality.spread, -np.inf)
    return _tracks(runs, scores[:, SURPRISE]), _tracks(runs, scores[:, STALL])


def _step_seconds(runs: Sequence[Run]) -> float:
    return float(np.median(np.concatenate([np.diff(run.seconds) for run in runs if len(run.seconds) > 1])))


def _tracks(runs: Sequence[Run], values: NDArray[np.float32]) -> list[Track]:
    """The highest of the witnesses that speak in each frame, run by run; 0 where none does."""
    highest = values.max(axis=1).astype(np.float64)
    highest = np.where(np.isfinite(highest), highest, 0.0)
    ends = np.cumsum([len(run.senses) for run in runs])[:-1]
    return [Track(run.seconds, scores) for run, scores in zip(runs, np.split(highest, ends), strict=True)]


def _cells(maps: Map, bare: Normality, step_seconds: float) -> Normality:
    """The highest that is normal around each cell, for maps [T, W, Gh, Gw]."""
    floor = np.array([FLOORS[name] for name in WITNESSES], np.float32)
    high = np.quantile(maps, HIGH_QUANTILE, axis=0).astype(np.float32)
    ignored = np.zeros(high.shape[1:], np.bool_) if bare.sensitivity is None else bare.sensitivity == 0.0
    high[:, ignored] = 0.0  # what is ignored is no measure of what is beside it, nor of the whole
    high[SURPRISE] = _shrunk(_highest_around(high[SURPRISE]), floor[SURPRISE, None, None], len(maps))
    still = WITNESSES.index("still")
    high[still] = expected_to_move(maps[:, still], len(maps) * step_seconds)
    for witness, least_seconds in LEAST_SECONDS.items():
        if len(maps) * step_seconds < least_seconds:
            high[WITNESSES.index(witness)] = np.inf
    high[:, ignored] = np.inf
    return replace(
        bare, high=high, floor=floor, middle=np.zeros(len(floor), np.float32), spread=np.ones(len(floor), np.float32)
    )


def _shrunk(high: Map, floor: Map, frames: int) -> Map:
    """Draw each place's high towards that of the whole picture, the more the less footage there is."""
    whole = high.max(axis=(1, 2), keepdims=True)
    share = frames / (frames + PLACE_FRAMES)
    shrunk: Map = (high + floor) ** share * (whole + floor) ** (1.0 - share) - floor
    return shrunk


def _highest_around(cells: Map) -> Map:
    """Return for each cell of [W, Gh, Gw] the highest of the 3 × 3 cells around it."""
    padded = np.pad(cells, ((0, 0), (1, 1), (1, 1)), mode="edge")
    _, rows, columns = cells.shape
    shifted = [padded[:, row : row + rows, column : column + columns] for row in range(3) for column in range(3)]
    highest: Map = np.maximum.reduce(shifted)
    return highest
