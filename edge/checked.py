"""What `prednet-edge check` says of each camera: what judges it, and what its limit is worth."""

from __future__ import annotations

from collections.abc import Iterator

from edge.model import Model
from edge.promise import told_promise
from edge.setup import Device
from edge.zoning import told_outdated


def told_models(device: Device, config: str) -> Iterator[str]:
    """Yield a line a camera, or a profile of one; `config` is the configuration's path, as it was typed."""
    for camera, model in device.models.items():
        if not model.profile:
            yield _told(device, camera, model, config)
    for key, model in device.profiles.items():
        yield _told(device, key.partition("/")[0], model, config)


def _told(device: Device, camera: str, model: Model, config: str) -> str:
    name = f"{camera}, profile {model.profile}" if model.profile else camera
    kind, limits = "its own normality" if model.is_site else "the bundle's normality", model.calibration.limits
    promise = told_promise(limits.promise, limits.is_promise) if limits.promise else "no promise of a rate"
    if model.is_outdated:
        promise = told_outdated(config, camera, model.profile)
    return f"{name}: {device.config.cameras[camera].source} on {kind}, limit {limits.on:.2f}; {promise}"
