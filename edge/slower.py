"""A device at the slower rate that its cameras were calibrated for too: its configuration, and its bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from edge.bundle import Bundle
from edge.config import Camera, Config
from edge.errors import PrednetError
from edge.site_calibration import manifest_of_site


def has_slower(config: Config) -> bool:
    """Return whether every camera has a calibration for a slower rate."""
    return all(camera.slow_normal for camera in config.cameras.values())


def slower_config(config: Config) -> Config:
    """Return the configuration whose cameras are judged by their calibrations for the slower rate."""
    cameras = {
        name: msgspec.structs.replace(camera, normal=camera.slow_normal) for name, camera in config.cameras.items()
    }
    return msgspec.structs.replace(config, cameras=cameras)


def slower_bundle(config: Config, bundle: Bundle) -> Bundle:
    """Return the bundle at the rate of the slower calibrations.

    Raises PrednetError where they differ, or are not slower.
    """
    rates = {name: manifest_of_site(Path(camera.slow_normal)).rate_hz for name, camera in config.cameras.items()}
    if len(set(rates.values())) > 1:
        found = ", ".join(f"{name} {rate_hz:g}" for name, rate_hz in rates.items())
        raise PrednetError(f"slow_normal: made for several rates ({found}); make them all for one.")
    rate_hz, full_hz = next(iter(rates.values())), bundle.spec.form.rate_hz
    if rate_hz >= full_hz:
        raise PrednetError(f"slow_normal: made for {rate_hz:g} frames a second; expected fewer than {full_hz:g}.")
    return at_rate(bundle, rate_hz)


def at_rate(bundle: Bundle, rate_hz: float) -> Bundle:
    """Return the bundle as one for another rate: a calibration made for its own does not fit it."""
    frame = replace(bundle.manifest.frame, rate_hz=rate_hz)
    return replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, frame=frame))


def slow_normal_faults(cameras: Mapping[str, Camera]) -> Iterator[tuple[list[str], str]]:
    """Yield the keys of what is wrong, and the rest of the sentence."""
    lacking = [name for name, camera in cameras.items() if not camera.slow_normal]
    for name, camera in cameras.items():
        if camera.slow_normal and camera.profiles:
            yield (
                ["cameras", name, "slow_normal"],
                "a camera with profiles has no slower rate; leave out one of the two.",
            )
        elif camera.slow_normal and lacking:
            yield (
                ["cameras", name, "slow_normal"],
                f"{', '.join(lacking)} has none; the device slows down as a whole. Give it to all cameras or to none.",
            )
