"""What `prednet-calibrate site` is asked for: from options alone, or from a device's configuration."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from calibration.evaluate_cli import form_from_options
from edge.builtin import bundle_from_predictor, predictor_of
from edge.bundle import Bundle, read_bundle
from edge.calibrated import Calibration
from edge.choice import Choice, choose, variant_in_use
from edge.chosen import open_chosen
from edge.config import read_config
from edge.detection import Rules
from edge.errors import PrednetError, UsageError
from edge.model import chosen_variant, runner_of, with_normal
from edge.privacy import Shape
from edge.runner import Runner


@dataclass(frozen=True)
class SiteOrder:
    """One camera to be calibrated: on which footage, for which model, where to, and what is in force there before.

    `out` None writes nothing; `before` None means that nothing is in force yet. `choice` is the device's runner.
    """

    footage: Sequence[str]
    bundle: Bundle
    variant: str
    camera: str
    out: Path | None
    before: Calibration | None = None
    masks: Sequence[Shape] = ()
    rules: Rules = field(default_factory=Rules)
    choice: Choice | None = None


def site_order(parsed: argparse.Namespace) -> SiteOrder:
    """Return the order of a parsed command line. Raises UsageError or ConfigInvalid for what it lacks."""
    if parsed.config is not None:
        return _order_from_config(parsed)
    if not parsed.footage:
        raise UsageError("no footage; name videos, folders or a camera, or give --config for the camera's own source.")
    if parsed.out is None and not parsed.show_only:
        raise UsageError("no place for the .normal file; give -o FILE, or --show-only.")
    if parsed.predictor:
        bundle = bundle_from_predictor(parsed.predictor, form_from_options(parsed.size, parsed.colour, parsed.rate))
        variant = parsed.predictor
    else:
        bundle = read_bundle(parsed.bundle)
        variant = chosen_variant(bundle, parsed.variant)
    out = None if parsed.show_only else parsed.out
    return SiteOrder(parsed.footage, bundle, variant, parsed.camera, out, _in_force(bundle, variant, parsed.out))


def _order_from_config(parsed: argparse.Namespace) -> SiteOrder:
    config = read_config(parsed.config)
    camera = config.cameras.get(parsed.camera)
    if camera is None:
        raise UsageError(f"{parsed.config} has no camera {parsed.camera!r}; it has {', '.join(config.cameras)}.")
    normal = parsed.out or (Path(camera.normal) if camera.normal else None)
    if normal is None and not parsed.show_only:
        raise UsageError(
            f"{parsed.config}: {parsed.camera} has no 'normal' file to be replaced; add, for example, "
            f"'normal: {parsed.camera}.normal' to it, or give -o FILE."
        )
    bundle = (
        bundle_from_predictor(config.predictor, config.frame.form)
        if config.predictor
        else read_bundle(Path(config.bundle))
    )
    variant, choice = variant_in_use(config, bundle), choose(config, bundle)
    return SiteOrder(
        parsed.footage or [camera.source],
        bundle,
        variant,
        parsed.camera,
        None if parsed.show_only else normal,
        _in_force(bundle, variant, normal),
        camera.privacy_masks,
        config.detection.rules,
        choice,
    )


def runner_for(order: SiteOrder) -> Runner:
    """Return the device's own runner where it computes the order's variant, otherwise ONNX Runtime's on the CPU."""
    if order.choice is not None and order.choice.variant == order.variant:
        return open_chosen(order.choice, order.bundle, slots=1, threads=0)
    return runner_of(order.bundle, order.variant, slots=1)


def _in_force(bundle: Bundle, variant: str, normal: Path | None) -> Calibration | None:
    """Return what judges the camera now: its own calibration, or the bundle's; None where there is neither."""
    has_own = normal is not None and normal.exists()
    if not has_own and predictor_of(bundle) is not None:
        return None
    try:
        return with_normal(bundle, variant, normal if has_own else None).calibration
    except PrednetError:  # made for another bundle: it judges nothing here
        return None
