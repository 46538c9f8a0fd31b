"""A model ready to watch with: a bundle's variant, and the calibration that is in force."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.builtin import predictor_of
from edge.bundle import Bundle, read_bundle
from edge.calibrated import Calibration
from edge.detection import Rules
from edge.errors import PrednetError
from edge.golden import check_golden
from edge.messages import EventModel
from edge.moments import Judge, Kind
from edge.rates import Rates
from edge.runner import Runner
from edge.runners import RunnerName, open_predictor, open_runner
from edge.site_calibration import read_site
from edge.zones import Zones

# The variant to run where nobody says one.
AUTO = "auto"


@dataclass(frozen=True)
class Model:
    """A bundle's variant with a calibration: the bundle's own, or a site's (`is_site`).

    `is_outdated` where the camera's zones or masks are others than those that its limits were fitted with; `profile`
    is the camera's that it belongs to, empty for a camera without profiles.
    """

    bundle: Bundle
    variant: str
    calibration: Calibration
    is_site: bool
    zones: Zones | None = None
    is_outdated: bool = False
    profile: str = ""

    @property
    def is_calibrated(self) -> bool:
        """Whether the limits belong to this camera as it is watched."""
        return self.is_site and not self.is_outdated

    def judge(self, rules: Rules) -> Judge:
        """Return what a camera is judged by."""
        return judge_from_calibration(self.calibration, rules, self.zones)

    @property
    def rates(self) -> dict[Kind, Rates | None]:
        """What says how often normal work reaches a level, for each kind of event."""
        limits = self.calibration.limits
        return {"surprise": limits.rates, "stall": None if limits.stall is None else limits.stall.rates}

    def runner(self, slots: int, threads: int = 0) -> Runner:
        """Return a runner of this variant for so many cameras."""
        return runner_of(self.bundle, self.variant, slots, threads)

    def event_model(self) -> EventModel:
        """Return how the model is named in an event."""
        manifest = self.bundle.manifest
        return EventModel(
            bundle=self.bundle.digest, name=manifest.name, variant=self.variant, fps=manifest.frame.rate_hz
        )


def judge_from_calibration(fitted: Calibration, rules: Rules, zones: Zones | None = None) -> Judge:
    """Return what a camera with this calibration is judged by."""
    stall = fitted.limits.stall
    stall_noise = None if stall is None else stall.noise
    return Judge(fitted.normality, fitted.limits.noise, fitted.limit, rules, stall_noise, fitted.stall_limit, zones)


def runner_of(
    bundle: Bundle, variant: str, slots: int, threads: int = 0, name: RunnerName = "onnxruntime-cpu"
) -> Runner:
    """Return a runner of a bundle's variant on ONNX Runtime, or of the predictor that the bundle stands for.

    A runner that does not give the bundle's golden answers is refused with a PrednetError.
    """
    predictor = predictor_of(bundle)
    if predictor is not None:
        return open_predictor(predictor, bundle.spec.form, slots)
    return proved(open_runner(bundle.step(variant), bundle.spec_of(variant), slots, threads, name), bundle, variant)


def proved(runner: Runner, bundle: Bundle, variant: str) -> Runner:
    """Return the runner, which gives the bundle's golden answers; otherwise close it and raise PrednetError."""
    golden = bundle.golden(variant)
    try:
        if golden is not None:
            check_golden(runner, golden, f"{bundle.path}: variant {variant} on {runner.name}")
    except PrednetError:
        runner.close()
        raise
    return runner


def chosen_variant(bundle: Bundle, asked: str) -> str:
    """Return the variant that is asked for; of `auto` the one laid out for the CPU, or float where there is none.

    What runs on a GPU has its own (`edge.choice`).
    """
    if asked != AUTO:
        return asked
    return next(
        (name for name in ("cpu", "float") if name in bundle.manifest.variants),
        next(iter(bundle.manifest.variants), "float"),
    )


def read_model(bundle: Path, variant: str, normal: Path | None) -> Model:
    """Return a bundle's variant with the site calibration at `normal`, or with its own where that is None."""
    return with_normal(read_bundle(bundle), variant, normal)


def with_normal(bundle: Bundle, variant: str, normal: Path | None) -> Model:
    """Return a variant of a bundle that is read already; see `read_model`. `auto` is `chosen_variant`'s."""
    variant = chosen_variant(bundle, variant)
    if normal is None:
        return Model(bundle, variant, bundle.calibration(variant), is_site=False)
    return Model(bundle, variant, read_site(normal, bundle, variant), is_site=True)
