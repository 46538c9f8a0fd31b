"""The gate: a variant beside the float step; where it fails, its layers return to float, the most sensitive first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from calibration.asked import Asked
from calibration.fit import fit_calibration, observe
from calibration.footage import Clip, spread
from calibration.parity import Parity, Rollout, compare, roll_out
from calibration.ranges import OBSERVERS, Histogram, joined, observe_ranges, ranges_from_histograms
from edge.calibrated import Calibration
from edge.pipeline import WARMUP_FRAMES
from edge.runner import StepSpec
from edge.runner_onnx import OnnxRunner
from edge.runners import open_runner
from export.architecture import Architecture, parameter_shapes
from export.variants.forms import ROUNDED, Form, form_of, roundable
from export.variants.taps import range_name, with_taps

Told = Callable[[str, int, int], None]
# Frames on which observers are compared and the sensitivity of single layers is measured.
TRIAL_FRAMES = 200
# Frames that activations are observed on, in each of the two passes; spread over all the footage.
OBSERVED_FRAMES = 3000
# A try of one variant is fitted on so many frames at the most, the variant that passes on all.
TRIED_FRAMES = 3000


@dataclass(frozen=True)
class Source:
    """What variants are made of: the float step, and the footage that they are measured on."""

    architecture: Architecture
    step: bytes
    spec: StepSpec
    clips: Sequence[Clip]
    steps: int
    asked: Asked = field(default_factory=Asked)

    @property
    def float_form(self) -> Form:
        """The float step as a variant, which nothing was done to."""
        return Form("float", self.step, self.spec, ())


class Ranges(msgspec.Struct, frozen=True):
    """How far activations reach, by the observer whose INT8 step came closest to the float one.

    `deviations` are those of every observer: the mean difference of the error maps over the mean error.
    """

    observer: str
    ranges: dict[str, float]
    deviations: dict[str, float]
    frames: int


class Returned(msgspec.Struct, frozen=True):
    """A convolution that went back to float: its own deviation in whole numbers, and what its return costs.

    `share` is its part of the network's multiplications; `bytes` what its weights weigh more than in INT8.
    """

    convolution: str
    deviation: float
    share: float
    bytes: int


@dataclass(frozen=True)
class Settled:
    """A variant as it passed the gate, or as it failed it for good: `parity.failures` says which."""

    form: Form
    calibration: Calibration
    rollout: Rollout
    parity: Parity
    returned: list[Returned] = field(default_factory=list)


def measured_ranges(source: Source, told: Told) -> Ranges:
    """Return the ranges of all activations: float rollouts first, then rollouts whose states are INT8 as well.

    The observer is the one whose INT8 step is closest to the float step on a stretch of the footage.
    """
    clips = spread(source.clips, OBSERVED_FRAMES)
    floats = _observed(source, source.float_form, clips, "observing activations", told)
    trial = spread(source.clips, TRIAL_FRAMES)
    reference = maps(source.float_form, trial)
    deviations = {}
    for number, name in enumerate(OBSERVERS):
        told("comparing observers", number, len(OBSERVERS))
        deviations[name] = deviation(reference, maps(_int8(source, ranges_from_histograms(floats, name)), trial))
    best = min(deviations, key=lambda name: deviations[name])
    rounded = _int8(source, ranges_from_histograms(floats, best))
    wholes = _observed(source, rounded, clips, "observing activations in INT8", told)
    ranges = ranges_from_histograms(joined(floats, wholes), best)
    return Ranges(best, ranges, deviations, 2 * sum(len(clip.images) for clip in clips))


def _int8(source: Source, ranges: Mapping[str, float]) -> Form:
    return form_of("int8", source.step, source.spec, ranges, roundable("int8", source.step))


def _observed(source: Source, form: Form, clips: Sequence[Clip], name: str, told: Told) -> dict[str, Histogram]:
    total = sum(len(clip.images) for clip in clips)
    with closing(OnnxRunner(with_taps(form.step, source.architecture), form.spec, 1)) as runner:
        seen = observe_ranges(clips, runner, lambda done: told(name, done, total))
    return {range_name(tap): histogram for tap, histogram in seen.items()}


def maps(form: Form, clips: Sequence[Clip]) -> NDArray[np.float32]:
    """Return a step's error maps of layer 0 over the clips in closed loop, float32 [T, Gh, Gw], settling left out."""
    seen = []
    with closing(open_runner(form.step, form.spec, 1)) as runner:
        for clip in clips:
            for number, image in enumerate(clip.images):
                step = runner.step(image[None], np.ones(1, np.bool_), np.array([number == 0]))
                if number >= WARMUP_FRAMES:
                    seen.append(step.errors[0, 0].copy())
    return np.stack(seen)


def deviation(reference: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the mean difference of error maps [T, Gh, Gw] over the reference's mean error; infinite if not finite."""
    found = float(np.abs(other - reference).mean() / max(float(reference.mean()), 1e-12))
    return found if np.isfinite(found) else float("inf")


def fitted(source: Source, form: Form, told: Told) -> tuple[Calibration, Rollout]:
    """Return normality and limits of a variant, by its own runner, and its rollout for the gate."""
    total = sum(len(clip.images) for clip in source.clips)
    with closing(open_runner(form.step, form.spec, 1)) as runner:
        observations = observe(
            source.clips, runner, lambda done: told(f"{form.name}: watching normal footage", done, total)
        )
        calibration = fit_calibration(source.clips, observations, source.spec.form.rate_hz, source.asked)
        rollout = roll_out(
            source.clips, runner, calibration, source.steps,
            lambda done: told(f"{form.name}: the gate", done, source.steps),
        )  # fmt: skip
    return calibration, rollout


def settle(
    source: Source, name: str, ranges: Mapping[str, float], reference: Rollout, may_return: bool, told: Told
) -> Settled:
    """Return the variant that passes the gate with as many convolutions in whole numbers as can be.

    Where the gate fails and `may_return` allows it, convolutions return to float in the order of the deviation that
    each alone causes. On long footage that is tried on a part of it; what passes there is fitted on all of it, and
    must pass again. What fails with one left, or without permission, comes back with its failures: with none it would
    be the float step under another name.
    """
    part = _part_of(source)
    begun = reference if part is source else fitted(part, source.float_form, told)[1]
    order: list[Returned] | None = None
    returned: list[Returned] = []
    while True:
        settled = _tried(part, name, ranges, begun, told, returned)
        if not settled.parity.failures and part is not source:
            settled = _tried(source, name, ranges, reference, told, returned)
        if not settled.parity.failures or not may_return or name not in ROUNDED:
            break
        order = sensitivities(source, name, ranges, told) if order is None else order
        if len(returned) + 1 >= len(order):
            break
        returned = order[: len(returned) + 1]
    return settled


def _part_of(source: Source) -> Source:
    """The source with stretches of each clip, where there is more footage than a try needs."""
    frames = sum(len(clip.images) for clip in source.clips)
    if frames <= TRIED_FRAMES:
        return source
    return replace(source, clips=spread(source.clips, TRIED_FRAMES))


def _tried(
    source: Source, name: str, ranges: Mapping[str, float], reference: Rollout, told: Told, returned: Sequence[Returned]
) -> Settled:
    gone = {one.convolution for one in returned}
    whole = [one for one in roundable(name, source.step) if one not in gone]
    form = form_of(name, source.step, source.spec, ranges, whole)
    calibration, rollout = fitted(source, form, told)
    return Settled(form, calibration, rollout, compare(reference, rollout), list(returned))


def sensitivities(source: Source, name: str, ranges: Mapping[str, float], told: Told) -> list[Returned]:
    """Return every convolution with the deviation that it alone causes in whole numbers, the largest first."""
    trial = spread(source.clips, TRIAL_FRAMES)
    reference = maps(source.float_form, trial)
    names, costs = roundable(name, source.step), costs_of(source.architecture)
    total, found = sum(one for one, _ in costs.values()), []
    for number, convolution in enumerate(names):
        told(f"{name}: sensitivity of single layers", number, len(names))
        alone = form_of(name, source.step, source.spec, ranges, [convolution])
        products, weights = costs[convolution]
        found.append(Returned(convolution, deviation(reference, maps(alone, trial)), products / total, 3 * weights))
    return sorted(found, key=lambda one: -one.deviation)


def costs_of(architecture: Architecture) -> dict[str, tuple[int, int]]:
    """Multiplications of a frame and weights of every convolution, by its name in the step."""
    weights: dict[str, int] = {}
    for parameter, shape in parameter_shapes(architecture).items():
        kind, layer, part = parameter.split(".")
        if part == "weight":
            name = f"{kind if kind in ('a', 'ahat') else 'gates'}.{layer}"
            weights[name] = weights.get(name, 0) + int(np.prod(shape))
    return {name: (count * _places(architecture, name), count) for name, count in weights.items()}


def _places(architecture: Architecture, name: str) -> int:
    height, width = architecture.size(int(name.split(".")[1]))
    return height * width
