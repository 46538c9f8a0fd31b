"""A labelled clip through the daemon's own river: every frame gets its scores, and the daemon its readings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.datasets import LabelledClip
from calibration.event_metrics import WatchedClip, stretches_from_labels
from calibration.footage import Clip, read_clip
from calibration.labels import Labels, Masks, read_masks
from calibration.metrics import Values, cell_shares
from calibration.normality import sustained_values
from edge.detection import Reading
from edge.errors import UsageError
from edge.frames import FrameFormat
from edge.moments import Judge, Moment
from edge.normality import SURPRISE, WITNESSES, Normality, box_from_cells, witness_values
from edge.pacing import Pacer
from edge.pipeline import rounds_from_frames, watch
from edge.runner import Runner
from edge.senses import witnessed

# Faster than any file: at this rate every frame of it is read, so that frames and labels can be counted.
EVERY_FRAME_HZ = 1000.0
CAMERA = "dataset"
# Three frames at ten a second: what the known figures on Ped2 were smoothed by, and quicker than the level.
SMOOTHING_SECONDS = 0.3


@dataclass(frozen=True)
class ScoredClip:
    """One test clip after the river. `scores`: one number per labelled frame, [T], by the score's name.

    `maps`: what a score says of each cell, float32 [T, Gh, Gw], for those scores that say it. `inside`: how many
    pixels of each cell are anomalous, [T, Gh, Gw], of `cell_pixels` [Gh, Gw]; None where the dataset has no masks.
    `watched` is what events are judged by; `watch_seconds` is the wall time of step and judgement of all `looked_at`
    frames, scored or not.
    """

    name: str
    is_anomalous: bool
    labels: Labels | None
    scores: Mapping[str, Values]
    maps: Mapping[str, NDArray[np.float32]]
    inside: Values | None
    cell_pixels: Values | None
    watched: WatchedClip
    watch_seconds: float
    looked_at: int


def score_clip(labelled: LabelledClip, runner: Runner, judge: Judge, progress: Callable[[], None]) -> ScoredClip:
    """Return a clip's scores by one runner and judge; `progress` is called at each frame that is looked at.

    Scores: `surprise` and `level` are the daemon's; `largest N` is the highest cell of layer N's error map as it
    is, and `smoothed N` its causal mean (SMOOTHING_SECONDS). `only X` and `without X` are the surprise of one witness
    and of the others, smoothed likewise, where more than one speaks. Frames that were not scored (warm-up, gaps)
    count as the scored frame after them, frames between two that were looked at as the earlier one.
    Raises UsageError where labels or masks do not belong to the clip.
    """
    clip = _every_frame(labelled, runner.spec.form)
    labels, masks = labelled.labels, None if labelled.masks is None else read_masks(labelled.masks)
    for what, found in (("labels", labels), ("masks", masks)):
        if found is not None and len(found) != len(clip.images):
            raise UsageError(f"{clip.name}: has {len(clip.images)} frames and {len(found)} {what}; they must be equal.")
    if masks is not None and any(np.less(masks.shape[1:], runner.spec.grid)):
        raise UsageError(
            f"{clip.name}: its masks have {masks.shape[1]} rows and {masks.shape[2]} columns; its scores have "
            f"{runner.spec.grid[0]} and {runner.spec.grid[1]} cells. Give masks of a pixel a cell at least."
        )
    pacer = Pacer(runner.spec.form.rate_hz)
    looked_at = np.array([number for number, seconds in enumerate(clip.seconds.tolist()) if pacer.keeps(seconds)])
    frames = Clip(clip.name, clip.images[looked_at], clip.seconds[looked_at]).frames()
    moments, began = [], time.perf_counter()
    for moment in watch(rounds_from_frames(CAMERA, frames), runner, {CAMERA: judge}):
        if moment.sensed is not None:
            moments.append(_without_pictures(moment))
            progress()
    return _scored(labelled, clip, masks, moments, looked_at, judge.normality, time.perf_counter() - began)


def smoothed(values: Values, seconds: Values) -> Values:
    """Return the causal exponential mean of values [T] at seconds [T], time constant SMOOTHING_SECONDS."""
    means: Values = values.astype(np.float64)
    for index, step in enumerate(np.diff(seconds).tolist(), 1):
        gain = 1.0 - np.exp(-step / SMOOTHING_SECONDS)
        means[index] = means[index - 1] + gain * (values[index] - means[index - 1])
    return means


def _every_frame(labelled: LabelledClip, form: FrameFormat) -> Clip:
    place = replace(labelled.place, rate_hz=labelled.place.rate_hz or form.rate_hz)
    return read_clip(place, replace(form, rate_hz=EVERY_FRAME_HZ))


def _without_pictures(moment: Moment) -> Moment:
    """The moment without its frame, which is not needed again and is large."""
    if moment.sensed is None:
        return moment
    empty = np.zeros((0, 0, 0), np.uint8)
    frame = replace(moment.sensed.frame, image=empty)
    return replace(moment, sensed=replace(moment.sensed, frame=frame, prediction=empty))


def _scored(
    labelled: LabelledClip,
    clip: Clip,
    masks: Masks | None,
    moments: list[Moment],
    looked_at: NDArray[np.int64],
    normality: Normality,
    watch_seconds: float,
) -> ScoredClip:
    scored = [
        (index, moment)
        for index, moment in zip(looked_at.tolist(), moments, strict=True)
        if moment.surprise is not None  # a frame after a gap keeps its level, but has no score of its own
    ]
    if not scored:
        raise UsageError(f"{clip.name}: has no frame that can be scored; {len(moments)} frames are all warm-up.")
    taken = _taken(len(clip.images), looked_at, np.array([index for index, _ in scored]))
    seen = [moment for _, moment in scored]
    errors = np.stack([moment.sensed.errors for moment in seen if moment.sensed])
    seconds = np.array([moment.seconds for moment in seen])
    scores = {
        "surprise": np.array([moment.surprise for moment in seen], np.float64),
        "level": np.array([moment.level.mean for moment in seen if moment.level]),
    }
    maps = {"surprise": np.stack([moment.cells for moment in seen if moment.cells is not None])[taken]}
    for layer in range(errors.shape[1]):
        scores[f"largest {layer}"] = largest = errors[:, layer].max(axis=(1, 2)).astype(np.float64)
        scores[f"smoothed {layer}"] = smoothed(largest, seconds)
        maps[f"largest {layer}"] = errors[taken, layer]
    scores |= {name: smoothed(values, seconds) for name, values in _ablated(seen, normality).items()}
    spread = {name: values[taken] for name, values in scores.items()}
    watched = _watched(seen, labelled.labels, clip)
    inside, cell_pixels = (None, None) if masks is None else cell_shares(masks, (errors.shape[2], errors.shape[3]))
    return ScoredClip(
        clip.name, labelled.is_anomalous, labelled.labels, spread, maps, inside, cell_pixels, watched, watch_seconds,
        len(moments),
    )  # fmt: skip


def _ablated(seen: list[Moment], normality: Normality) -> dict[str, Values]:
    """The surprise of each witness alone, and of all but each."""
    names = [name for name, heard in zip(WITNESSES[SURPRISE], normality.speaking[SURPRISE], strict=True) if heard]
    if len(names) < 2:
        return {}
    senses = [(moment.seconds, moment.sensed.senses) for moment in seen if moment.sensed]
    said = [witness_values(witnessed(one, None, seconds, normality)[0], normality) for seconds, one in senses]
    values = sustained_values(np.array([seconds for seconds, _ in senses]), np.stack(said)).astype(np.float64)
    alone = {name: values[:, WITNESSES.index(name)] for name in names}
    ablated = {f"only {name}": one for name, one in alone.items()}
    for name in names:
        ablated[f"without {name}"] = np.maximum.reduce([one for other, one in alone.items() if other != name])
    return ablated


def _taken(frames: int, looked_at: NDArray[np.int64], scored: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of the clip's frames, which of the scored ones it counts as: int64 [frames]."""
    last_looked_at = looked_at[np.searchsorted(looked_at, np.arange(frames), side="right") - 1]
    taken: NDArray[np.int64] = np.minimum(np.searchsorted(scored, last_looked_at), len(scored) - 1)
    return taken


def _watched(seen: list[Moment], labels: Labels | None, clip: Clip) -> WatchedClip:
    readings = tuple(
        Reading(moment.seconds, moment.level.mean, moment.z or 0.0, box_from_cells(moment.cells))
        for moment in seen
        if moment.level is not None and moment.cells is not None
    )
    if labels is None:
        return WatchedClip(readings, (), 0.0)
    step_seconds = float(np.ptp(clip.seconds)) / max(len(clip.seconds) - 1, 1)
    return WatchedClip(readings, stretches_from_labels(labels, clip.seconds), float((labels == 0).sum()) * step_seconds)
