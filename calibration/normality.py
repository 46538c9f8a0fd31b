"""Normality from normal footage, with every number judged on footage that it was not made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.appearance import background_of, pictures_of, spread_over
from calibration.composition import PALETTE_FRAMES, palette_of
from calibration.noise import Track
from calibration.parts import Ground, Seen, Values, known_by, part_of
from calibration.stillness import change_levels_of, expected_to_move, pairs_of, slowness_high, standing_high
from edge.errors import UsageError
from edge.normality import (
    NEVER,
    STALL,
    SURPRISE,
    WITNESSES,
    Map,
    Normality,
    Recent,
    cell_scores,
    ignored_of,
    said_on,
    scores_from_maps,
    standing_out,
    sustained,
)
from edge.senses import witnessed

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
# What is added to both sides of a ratio: half the absolute error in 0–1, pixels a frame, tones, roots of shares
# of a window times 255, seconds, seconds, tones, frames a pixel.
FLOORS = {
    "error": 0.002,
    "speed": 0.2,
    "novelty": 3.0,
    "composition": 3.0,
    "still": 1.0,
    "held": 2.0,
    "standing": 5.0,
    "slowness": 1e-3,
}
# Footage shorter than this has not shown what normal work looks like, nor how long things may stand: the witness
# is silent (docs/decisions/0009).
LEAST_SECONDS = {
    "novelty": 400.0,
    "composition": 400.0,
    "still": 60.0,
    "held": 400.0,
    "standing": 400.0,
    "slowness": 400.0,
}


@dataclass(frozen=True)
class HeldOut:
    """What every witness says of every frame of `runs`, `maps` [T, W, Gh, Gw], against other folds than its own.

    `fold` [T] says which fold a frame is of; `bare` is a normality without highs.
    """

    runs: Sequence[Seen]
    maps: Map
    fold: NDArray[np.int64]
    bare: Normality


def fit_normality(runs: Sequence[Seen], sensitivity: Map | None = None) -> tuple[Normality, list[Track], list[Track]]:
    """Return the normality of normal footage, and each run's surprise and stall as held-out footage.

    The score of a frame is that against the normality of the other folds, so it is what new normal
    footage will show and not what fitted footage shows. `sensitivity`, float32 [Gh, Gw], is the camera's, with which
    `runs` were observed (`edge.zones`). Raises UsageError where there is too little.
    """
    return fitted_on(held_out_maps(runs, sensitivity))


def held_out_maps(runs: Sequence[Seen], sensitivity: Map | None = None) -> HeldOut:
    """Return what every witness says of every frame against what other folds have shown; see `fit_normality`."""
    frames = sum(len(run.senses) for run in runs)
    if frames < LEAST_FRAMES or max(len(run.senses) for run in runs) < 2:  # one frame of each says nothing of time
        raise UsageError(
            f"the normal footage has {frames} scored frames; at least {LEAST_FRAMES} are needed, two of them in "
            f"one clip (the first 5 of each clip are warm-up). Give more footage of normal work."
        )
    thumbnails = [sense.thumbnail for run in runs for sense in run.senses]
    background = background_of(thumbnails)
    ignored = ignored_of(sensitivity)
    palette = palette_of(pictures_of(spread_over(thumbnails, PALETTE_FRAMES), background, ignored), background)
    change_levels = change_levels_of(pictures_of(pairs_of(thumbnails), background, ignored))
    ground = Ground(background, palette, change_levels, sensitivity)
    fold = np.arange(frames) * FOLDS // frames
    folds = _by_run(runs, fold)
    parts = [part_of(_runs_of(runs, folds, one), ground) for one in range(FOLDS)]
    others = [known_by(ground, [*parts[:one], *parts[one + 1 :]]) for one in range(FOLDS)]
    maps = [_maps(run, others, numbers) for run, numbers in zip(runs, folds, strict=True)]
    return HeldOut(runs, np.concatenate(maps), fold, known_by(ground, parts))


def scored(run: Seen, normality: Normality) -> tuple[Track, Track]:
    """Return the surprise and the stall of a run's frames against a normality, as the river finds them."""
    stillness, recent, found = None, None, []
    for seconds, senses in zip(run.seconds.tolist(), run.senses, strict=True):
        maps, stillness = witnessed(senses, stillness, seconds, normality)
        surprise, stall, recent = scores_from_maps(maps, normality, recent, seconds)
        found.append([surprise.value, stall.value])
    surprises, stalls = np.array(found, np.float64).T
    return (run.seconds, surprises), (run.seconds, stalls)


def sustained_values(seconds: Values, values: Map) -> Map:
    """Return what each witness says over time (`edge.normality.sustained`) of footage without a break; both [T, W]."""
    recent, said = Recent(), np.empty_like(values)
    for index, second in enumerate(seconds.tolist()):
        recent = said_on(recent, values[index], second)
        said[index] = sustained(recent)
    return said


def _by_run(runs: Sequence[Seen], values: NDArray[Any]) -> list[NDArray[Any]]:
    """Cut what belongs to all runs' frames, [T, …], run by run."""
    return np.split(values, np.cumsum([len(run.senses) for run in runs])[:-1])


def _runs_of(runs: Sequence[Seen], folds: Sequence[NDArray[np.int64]], fold: int) -> list[Seen]:
    """What of each run lies in a fold."""
    cut = []
    for run, numbers in zip(runs, folds, strict=True):
        start, end = np.searchsorted(numbers, (fold, fold + 1)).tolist()
        if end > start:
            cut.append(Seen(run.seconds[start:end], run.senses[start:end]))
    return cut


def _maps(run: Seen, others: Sequence[Normality], folds: NDArray[np.int64]) -> Map:
    """What every witness says of every frame, [T, W, Gh, Gw], against what the folds other than its own have shown."""
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
    held_out = sustained_runs(held.runs, held_out)
    cells = _cells(held.maps, held.bare, _step_seconds(held.runs))
    unheard = held_out.max(axis=0) <= NEVER  # three parts of the footage were too short: it has judged none
    cells = replace(cells, high=np.where(unheard[:, None, None], np.float32(np.inf), cells.high))
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


def sustained_runs(runs: Sequence[Seen], values: Map) -> Map:
    """Return what each witness says over time, run by run; values [T, W] of all runs' frames."""
    parts = zip(runs, _by_run(runs, values), strict=True)
    return np.concatenate([sustained_values(run.seconds, part) for run, part in parts])


def held_out_scores(held: HeldOut) -> Iterator[tuple[int, Map]]:
    """Yield each frame's number and its cells' scores, [W, Gh, Gw], against the normality of the other folds."""
    step_seconds = _step_seconds(held.runs)
    for part in range(FOLDS):
        normality = _cells(held.maps[held.fold != part], held.bare, step_seconds)
        for index in np.flatnonzero(held.fold == part).tolist():
            yield index, cell_scores(held.maps[index], normality)


def tracks_of(runs: Sequence[Seen], values: Map, normality: Normality) -> tuple[list[Track], list[Track]]:
    """Return each run's surprise and stall from what every witness says over time, [T, W] of `sustained_runs`."""
    scores = np.where(normality.speaking, (values - normality.middle) / normality.spread, -np.inf)
    return _tracks(runs, scores[:, SURPRISE]), _tracks(runs, scores[:, STALL])


def _step_seconds(runs: Sequence[Seen]) -> float:
    return float(np.median(np.concatenate([np.diff(run.seconds) for run in runs if len(run.seconds) > 1])))


def _tracks(runs: Sequence[Seen], values: NDArray[np.float32]) -> list[Track]:
    """The highest of the witnesses that speak in each frame, run by run; 0 where none does."""
    highest = values.max(axis=1).astype(np.float64)
    highest = np.where(np.isfinite(highest), highest, 0.0)
    return [(run.seconds, scores) for run, scores in zip(runs, _by_run(runs, highest), strict=True)]


def _cells(maps: Map, bare: Normality, step_seconds: float) -> Normality:
    """The highest that is normal around each cell, for maps [T, W, Gh, Gw]."""
    floor = np.array([FLOORS[name] for name in WITNESSES], np.float32)
    high = np.quantile(maps, HIGH_QUANTILE, axis=0).astype(np.float32)
    ignored = np.zeros(high.shape[1:], np.bool_) if bare.sensitivity is None else bare.sensitivity == 0.0
    high[:, ignored] = 0.0  # what is ignored is no measure of what is beside it, nor of the whole
    high[SURPRISE] = _shrunk(_highest_around(high[SURPRISE]), floor[SURPRISE, None, None], len(maps))
    still = WITNESSES.index("still")
    high[still] = expected_to_move(maps[:, still], len(maps) * step_seconds)
    standing, slowness = WITNESSES.index("standing"), WITNESSES.index("slowness")
    high[standing] = standing_high(maps[:, standing])
    high[slowness] = slowness_high(maps[:, slowness], maps[:, still])
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
