"""A camera's zones and masks laid on what it is judged by; where its limits were fitted with others, that is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edge.calibrated import Calibration, Limits
from edge.errors import PrednetError
from edge.model import Model
from edge.normality import Map
from edge.privacy import Shape
from edge.zones import Zone, covers_of, is_alike, sensitivity_of, zones_of


def zoned(
    model: Model, zones: Mapping[str, Zone], ignore_masks: Sequence[Shape], privacy_masks: Sequence[Shape]
) -> Model:
    """Return the model with a camera's zones and masks in force.

    Where they count the cells otherwise than those that the limits were fitted with, or black out another part of the
    picture, the model is outdated and promises nothing; black that was not there when it learned what is normal is not
    judged. Raises PrednetError where nothing is left to be watched.
    """
    fitted, grid = model.calibration, model.bundle.spec.grid
    wanted = sensitivity_of(zones, ignore_masks, grid)
    if list(fitted.privacy_masks or ()) != list(privacy_masks):
        wanted = _left_out(wanted, privacy_masks, grid)
    if wanted is not None and not wanted.any():
        raise PrednetError("its zones and masks leave no cell to be watched; leave some of the picture open.")
    is_outdated = not is_alike(wanted, fitted.normality.sensitivity) or (
        fitted.privacy_masks is not None and list(fitted.privacy_masks) != list(privacy_masks)
    )
    if is_outdated:
        normality = replace(fitted.normality, sensitivity=wanted)
        fitted = replace(fitted, normality=normality, limits=_without_promise(fitted.limits))
    return replace(model, calibration=fitted, zones=zones_of(zones, grid), is_outdated=is_outdated)


def _left_out(sensitivity: Map | None, masks: Sequence[Shape], grid: tuple[int, int]) -> Map | None:
    """Return a sensitivity without the cells that masks touch, and without those around them, which see their edges.

    Where that would leave nothing, those around are judged.
    """
    touched = np.zeros(grid, np.bool_)
    for cover in covers_of(masks, grid):
        touched |= cover > 0.0
    if not touched.any():
        return sensitivity
    around = sliding_window_view(np.pad(touched, 1), (3, 3)).any(axis=(2, 3))
    whole = np.ones(grid, np.float32) if sensitivity is None else sensitivity
    return np.where(touched if around.all() else around, np.float32(0.0), whole)


def told_outdated(config: str, camera: str, profile: str = "") -> str:
    """Return what to do about limits that belong to other zones or masks, in a sentence."""
    return (
        "its limit was fitted with other zones or masks, so nothing is promised and its events are not calibrated; "
        f"run: prednet-calibrate site --config {config} --camera {camera}{f' --profile {profile}' if profile else ''}"
    )


def _without_promise(limits: Limits) -> Limits:
    stall = None if limits.stall is None else _without_promise(limits.stall)
    return msgspec.structs.replace(limits, is_promise=False, stall=stall, sketch=None)


def calibration_in_zones(
    calibration: Calibration, zones: Mapping[str, Zone], ignore_masks: Sequence[Shape], grid: tuple[int, int]
) -> Calibration:
    """Return a calibration as the device judges by it, with the zones and masks that the camera has now."""
    normality = replace(calibration.normality, sensitivity=sensitivity_of(zones, ignore_masks, grid))
    return replace(calibration, normality=normality)
