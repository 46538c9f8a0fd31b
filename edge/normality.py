"""Normality: what each witness says of each place on normal footage, and surprise and stall against it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge.appearance import Appearance
from edge.composition import Composition

Map = NDArray[np.float32]

# What is looked at, place by place. The first four carry the surprise, the others the stall:
# PredNet's error in blocks, the speed of the flow, the distance from everything that normal work looks like, and that
# from every mixture of colours that it shows;
# how long a place has not changed, how long something that is not the background has stood there, the distance of what
# stands from everything that stands in normal work, and how slowly things move where they always do.
WITNESSES = ("error", "speed", "novelty", "composition", "still", "held", "standing", "slowness")
SURPRISE = slice(0, 4)
STALL = slice(4, 8)
# A witness's score is drawn from so many cells that stand out most: more than one, so that a hot
# pixel or a flash on one spot cannot carry it, and few, so that a small thing in a large picture can.
STANDING_OUT_CELLS = np.array([4, 4, 2, 2, 2, 1, 2, 2])
# A surprise is what a witness says for so long, but for this share of the frames, the ones in which it says least
# (docs/decisions/0009): what is strange for a moment only is what normal work shows when two things meet.
SUSTAINED_SECONDS = 0.6
UNSAID_SHARE = 0.3
# The score of a cell that a witness has nothing to say of.
NEVER = -10.0


@dataclass(frozen=True)
class Normality:
    """What normal footage shows, for the W witnesses of WITNESSES in their order.

    `high`: float32 [W, Gh, Gw], what a cell or one of its neighbours exceeds in one normal frame of a thousand;
    infinite where a witness has nothing to say. `floor` [W] is added to both sides of a ratio, so that places where
    nothing ever happens do not shout. `spread` [W] is what a witness's score exceeds the start of its tail by, on
    average, and `middle` [W] lies such that half of normal work's surprises, and stalls, are below 0.
    `change_levels` is the difference (grey levels of 255) from which a place has changed. `sensitivity`: float32
    [Gh, Gw], what is said of a cell counts as so many times as much, 0 where it is ignored; None where all count alike.
    """

    high: Map
    floor: Map
    middle: Map
    spread: Map
    appearance: Appearance
    composition: Composition
    change_levels: float
    sensitivity: Map | None = None

    @cached_property
    def ignored(self) -> NDArray[np.bool_] | None:
        """Which cells are ignored: bool [Gh, Gw]; None where none is."""
        return ignored_of(self.sensitivity)

    @cached_property
    def heard(self) -> NDArray[np.bool_]:
        """Where a witness has something to say: bool [W, Gh, Gw]."""
        heard = np.isfinite(self.high)
        return heard if self.sensitivity is None else heard & (self.sensitivity > 0.0)

    @cached_property
    def speaking(self) -> NDArray[np.bool_]:
        """Which witnesses have something to say anywhere: bool [W]."""
        return np.asarray(self.heard.any(axis=(1, 2)))

    @cached_property
    def weight(self) -> Map:
        """What a witness says of a cell counts so many times: sensitivity / (high + floor), float32 [W, Gh, Gw]."""
        over = np.where(self.heard, self.high, 1.0) + self.floor[:, None, None]
        times = 1.0 if self.sensitivity is None else np.where(self.heard, self.sensitivity, 1.0)
        return np.asarray(times / over, np.float32)


@dataclass(frozen=True)
class Recent:
    """What the witnesses said of the frames of the last SUSTAINED_SECONDS: seconds and values [W], the newest last."""

    seconds: tuple[float, ...] = ()
    values: tuple[Map, ...] = ()


@dataclass(frozen=True)
class Score:
    """One frame against normality: `value` in units of normal work's own tail, `cells` float32 [Gh, Gw].

    `witness` is the index of the one that says it.
    """

    value: float
    cells: Map
    witness: int


def ignored_of(sensitivity: Map | None) -> NDArray[np.bool_] | None:
    """Return the cells that a sensitivity [Gh, Gw] ignores, bool [Gh, Gw]; None where it ignores none."""
    return None if sensitivity is None or sensitivity.all() else sensitivity == 0.0


def cell_scores(maps: Map, normality: Normality) -> Map:
    """Return the log ratio of each cell to the highest that is normal around it: [W, Gh, Gw] of maps [W, Gh, Gw].

    What is said of a cell counts as often as its sensitivity says: log(sensitivity · (said + floor) / (high + floor)).
    """
    ratios = maps + normality.floor[:, None, None]
    ratios *= normality.weight
    scores: Map = np.log(ratios, dtype=np.float32)
    scores[~normality.heard] = NEVER
    return scores


def standing_out(scores: Map) -> Map:
    """Return each witness's mean of the cells that stand out most: float32 [W]; scores [W, Gh, Gw]."""
    flat = scores.reshape(scores.shape[0], -1)
    most = min(int(STANDING_OUT_CELLS.max()), flat.shape[1])
    top = np.partition(flat, flat.shape[1] - most, axis=1)[:, -most:]
    counts = np.minimum(STANDING_OUT_CELLS, most)
    sums = np.cumsum(np.sort(top, axis=1)[:, ::-1], axis=1)
    means: Map = (sums[np.arange(len(flat)), counts - 1] / counts).astype(np.float32)
    return means


def scores_from_maps(
    maps: Map, normality: Normality, recent: Recent | None = None, seconds: float = 0.0
) -> tuple[Score, Score, Recent]:
    """Return a frame's surprise and stall, and what to remember for the next; maps float32 [W, Gh, Gw].

    `recent` is what was remembered of the frames before, None where this is the first; `seconds` is this frame's time.
    """
    scores = cell_scores(maps, normality)
    recent = said_on(recent or Recent(), _standardised(scores, normality), seconds)
    values = sustained(recent)
    return _highest(values, scores, normality, SURPRISE), _highest(values, scores, normality, STALL), recent


def said_on(recent: Recent, values: Map, seconds: float) -> Recent:
    """Return the memory after one more frame, of which the witnesses say `values` [W]; time set back clears it."""
    if recent.seconds and seconds < recent.seconds[-1]:
        recent = Recent()
    first = bisect_right(recent.seconds, seconds - SUSTAINED_SECONDS + 1e-6)
    return Recent((*recent.seconds[first:], seconds), (*recent.values[first:], values))


def sustained(recent: Recent) -> Map:
    """Return what each witness says, float32 [W]: now those of the stall, for SUSTAINED_SECONDS those of the surprise.

    Said for so long is what all but UNSAID_SHARE of the frames reach. What stands has been there for a while anyway.
    """
    values: Map = recent.values[-1].copy()
    said = np.sort(np.stack(recent.values)[:, SURPRISE], axis=0)
    values[SURPRISE] = said[int(UNSAID_SHARE * len(said))]
    return values


def witness_values(maps: Map, normality: Normality) -> Map:
    """Return each witness's score of one frame alone in units of normal work's own tail: float32 [W]."""
    return _standardised(cell_scores(maps, normality), normality)


def _standardised(scores: Map, normality: Normality) -> Map:
    values: Map = (standing_out(scores) - normality.middle) / normality.spread
    return values


def error_score(error: Map, normality: Normality) -> float:
    """Return what the error alone says of one frame, in units of normal work's own tail; error float32 [Gh, Gw]."""
    maps = np.zeros((len(WITNESSES), *error.shape), np.float32)
    maps[0] = error
    return float(witness_values(maps, normality)[0])


def _highest(values: Map, scores: Map, normality: Normality, among: slice) -> Score:
    """The highest of the witnesses that speak; 0 where none does."""
    heard = normality.speaking[among]
    witness = among.start + int(np.where(heard, values[among], -np.inf).argmax())
    return Score(float(values[witness]) if heard.any() else 0.0, scores[witness], witness)


def drawn(cells: Map, count: int) -> NDArray[np.bool_]:
    """Return the cells that stand out most, which a score is drawn from: so many, or more that are equal; [Gh, Gw]."""
    least = np.partition(cells, cells.size - min(count, cells.size), axis=None)[-min(count, cells.size)]
    return np.asarray((cells >= least) & (cells > NEVER), np.bool_)


def carrying(cells: Map) -> NDArray[np.bool_]:
    """Return which cells carry an anomaly: at least half as high as the highest, and above 0; cells [Gh, Gw]."""
    return np.asarray(cells >= max(0.5 * float(cells.max()), np.finfo(np.float32).tiny), np.bool_)


def box_from_cells(cells: Map) -> tuple[float, float, float, float]:
    """Return (x0, y0, x1, y1) in 0–1 around the cells of at least half the highest score; cells [Gh, Gw]."""
    rows, columns = np.nonzero(carrying(cells))
    height, width = cells.shape
    if not rows.size:
        return (0.0, 0.0, 1.0, 1.0)
    return (
        float(columns.min() / width),
        float(rows.min() / height),
        float((columns.max() + 1) / width),
        float((rows.max() + 1) / height),
    )
