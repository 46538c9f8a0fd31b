"""Suggested masks: regions whose normal work cannot be predicted, and the false events that ignoring each would save.

The level that all else stays below on the footage is what the camera could be judged by without such a region; at that
limit the region alone makes so many events. Surprise alone is looked at: a stall is a pause, and no prediction's.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from calibration.heights import NOWHERE, Run, count_events, event_heights, middle_of, watched_seconds
from calibration.limits import levels_from_track, quiet_limit, runs_from_levels
from calibration.noise import Track, fit_noise
from calibration.normality import HeldOut, fitted_on, held_out_scores, sustained_runs, tracks_of
from edge.detection import Detector, Limit, Reading, Rules, decide, limit_from_on
from edge.errors import UsageError
from edge.level import Noise
from edge.normality import NEVER, STANDING_OUT_CELLS, Normality, drawn, scores_from_maps, standing_out
from edge.privacy import Shape

Cells = NDArray[np.bool_]

# The highest events that are looked at, or fewer where there are not so many.
WANTED_EVENTS = (50, 35, 25, 20, 10)
# A cell is unpredictable where it carries this share of them, in this many of so many equal stretches of the footage:
# an accident in the footage is one stretch's.
LEAST_SHARE = 0.1
STRETCHES, LEAST_STRETCHES = 8, 3
MOST_MASKS = 5
# A region so large is the scene itself.
MOST_PICTURE = 0.3
# A mask is worth suggesting where it saves so many events of the footage at least.
LEAST_SAVED = 3


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """One mask: `saves_per_day` false events at the limit that all else stays below."""

    mask: Shape
    saves_per_day: float


class Suggestions(msgspec.Struct, frozen=True, kw_only=True):
    """What to ignore. Levels are in units of the tail of normal work as it is without the masks.

    `limit` is what this footage stays below as it is, `limit_with_masks` with all the masks; at that one, work like
    this footage makes `events_per_day` without a mask. `cells` [Gh, Gw]: how many of the `events` highest events were
    drawn from each cell.
    """

    masks: tuple[Suggestion, ...]
    limit: float
    limit_with_masks: float
    events_per_day: float
    events: int
    cells: list[list[int]]


def suggest_masks(held: HeldOut, rate_hz: float, rules: Rules | None = None) -> Suggestions:
    """Return the masks that footage of normal work suggests; raises UsageError where it shows too few events to say."""
    rules = rules or Rules()
    normality, tracks, _ = fitted_on(held)
    noise = fit_noise(tracks, rate_hz)
    runs = _levels(tracks, noise)
    counts, stretches, events = _carried(held, normality, runs, rules)
    regions = _regions(counts, stretches, events)
    quiet, saved = quiet_limit(runs, rules, 0.0), [0] * len(regions)
    lower, days = quiet, watched_seconds(runs, rules) / 86400.0
    while regions:
        lower, saved = _worth(held, normality, noise, regions, rules)
        if min(saved) >= LEAST_SAVED:
            break
        regions = [region for region, kept in zip(regions, saved, strict=True) if kept >= LEAST_SAVED]
        lower = quiet
    return Suggestions(
        masks=tuple(
            Suggestion(mask=_shape(cells), saves_per_day=kept / days)
            for cells, kept in zip(regions, saved, strict=False)
        ),
        limit=quiet,
        limit_with_masks=lower,
        events_per_day=_count(runs, lower, rules) / days,
        events=events,
        cells=counts.tolist(),
    )


def _levels(tracks: Sequence[Track], noise: Noise) -> list[Run]:
    return runs_from_levels(tracks, [levels_from_track(track, noise) for track in tracks])


def _count(runs: Sequence[Run], on: float, rules: Rules) -> int:
    return count_events(runs, limit_from_on(on, middle_of(runs)), rules)


def _carried(
    held: HeldOut, normality: Normality, runs: Sequence[Run], rules: Rules
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return how many of the highest events each cell carried, in how many stretches, and how many there were."""
    heights = (event_heights(runs, rules, wanted) for wanted in WANTED_EVENTS)
    highest = next((found for found in heights if found is not None), None)
    if highest is None:
        raise UsageError(
            f"this footage has fewer than {WANTED_EVENTS[-1]} moments that stand out, too few to say where they come "
            f"from; give more footage of normal work."
        )
    peaks = _peaks(runs, limit_from_on(highest.threshold, middle_of(runs)), rules)
    grid = held.maps.shape[2:]
    counts, stretches = np.zeros(grid, np.int64), np.zeros((STRETCHES, *grid), np.bool_)
    for index in peaks:
        score, _, _ = scores_from_maps(held.maps[index], normality)
        cells = drawn(score.cells, int(STANDING_OUT_CELLS[score.witness]))
        counts += cells
        stretches[index * STRETCHES // len(held.maps)] |= cells
    return counts, stretches.sum(axis=0), len(peaks)


def _peaks(runs: Sequence[Run], limit: Limit, rules: Rules) -> list[int]:
    """The number of the frame at the peak of each event that a limit announces, counted over all runs."""
    found, begun = [], 0
    for seconds, levels in runs:
        detector, at = Detector(), None
        for second, level in zip(seconds.tolist(), levels.tolist(), strict=True):
            detector, _ = decide(detector, Reading(second, level, 0.0, NOWHERE), limit, rules)
            episode = detector.episode
            if at is not None and (episode is None or episode.announced_seconds is None):
                found.append(begun + at)
                at = None
            elif episode is not None and episode.announced_seconds is not None:
                at = int(np.searchsorted(seconds, episode.peak_seconds))
        found += [] if at is None else [begun + at]
        begun += len(seconds)
    return found


def _regions(counts: NDArray[np.int64], stretches: NDArray[np.int64], events: int) -> list[Cells]:
    """Return the rectangles of neighbouring cells that carry events all through the footage, the heaviest first."""
    restless = (counts >= max(LEAST_SHARE * events, 2.0)) & (stretches >= LEAST_STRETCHES)
    regions, left = [], restless.copy()
    while left.any():
        region = _neighbours(left, np.unravel_index(int(np.where(left, counts, -1).argmax()), left.shape))
        left &= ~region
        rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
        rectangle = np.zeros_like(region)
        rectangle[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        if rectangle.mean() <= MOST_PICTURE:
            regions.append(rectangle)
    return regions[:MOST_MASKS]


def _neighbours(cells: Cells, start: Sequence[np.intp]) -> Cells:
    """The cells that hang together with one of them, corners included."""
    region = np.zeros_like(cells)
    region[start[0], start[1]] = True
    while True:
        padded = np.pad(region, 1)
        rows, columns = cells.shape
        around = np.logical_or.reduce(
            [padded[row : row + rows, column : column + columns] for row in range(3) for column in range(3)]
        )
        grown = around & cells
        if (grown == region).all():
            return region
        region = grown


def _worth(
    held: HeldOut, normality: Normality, noise: Noise, regions: Sequence[Cells], rules: Rules
) -> tuple[float, list[int]]:
    """Return the limit that the footage stays below with all regions ignored, and what ignoring each saves at it."""
    nowhere = np.zeros_like(regions[0])
    without_one = [[one for one in regions if one is not region] for region in regions]
    masks = [np.logical_or.reduce([nowhere, *some]) for some in (regions, *without_one)]
    silent, *others = _silenced(held, normality, noise, masks)
    lower = quiet_limit(silent, rules, 0.0)
    return lower, [_count(other, lower, rules) - _count(silent, lower, rules) for other in others]


def _silenced(held: HeldOut, normality: Normality, noise: Noise, masks: Sequence[Cells]) -> list[list[Run]]:
    """Return the levels as they are with the cells of each mask ignored; all else is judged as before."""
    values = np.empty((len(masks), *held.maps.shape[:2]), np.float32)
    for index, scores in held_out_scores(held):
        for number, mask in enumerate(masks):
            values[number, index] = standing_out(np.where(mask, np.float32(NEVER), scores))
    said = [sustained_runs(held.runs, one) for one in values]
    return [_levels(tracks_of(held.runs, one, normality)[0], noise) for one in said]


def _shape(cells: Cells) -> Shape:
    """The two corners of a rectangle of cells, in 0–1 of the picture."""
    rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
    height, width = cells.shape
    corners = ((columns[0] / width, rows[0] / height), ((columns[-1] + 1) / width, (rows[-1] + 1) / height))
    return tuple((round(float(x), 4), round(float(y), 4)) for x, y in corners)
