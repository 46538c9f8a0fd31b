"""A network so small that every test can afford it, footage for it, and a bundle made of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.fit import fit_calibration, observe
from calibration.footage import Clip
from edge.appearance import Appearance, patch_size
from edge.bank import bank_from
from edge.calibrated import Calibration
from edge.composition import Composition
from edge.normality import Normality
from edge.runner import Runner
from edge.runners import open_runner
from export.architecture import Architecture, parameter_shapes
from export.bundle import MadeVariant, write_bundle
from export.step import spec_from_architecture, step_onnx

RATE_HZ = 10.0


def tiny_architecture(**changes: object) -> Architecture:
    """A residual network of three layers on grey frames of 32 × 40."""
    options: dict[str, object] = {
        "height": 32, "width": 40, "channels": 1, "rate_hz": RATE_HZ,
        "stack": (1, 4, 6), "r_stack": (2, 4, 6), "head": "residual", "error_gain": 5.0,
    }  # fmt: skip
    options |= changes
    if "channels" in changes and "stack" not in changes:
        options["stack"] = (changes["channels"], 4, 6)
    return Architecture(**options)  # type: ignore[arg-type]


def random_weights(architecture: Architecture, seed: int = 0, scale: float = 0.15) -> dict[str, NDArray[np.float32]]:
    """Weights that make every unit do something."""
    rng = np.random.default_rng(seed)
    return {
        name: (rng.standard_normal(shape) * scale).astype(np.float32)
        for name, shape in parameter_shapes(architecture).items()
    }


def repeating_weights(architecture: Architecture) -> dict[str, NDArray[np.float32]]:
    """Weights of a residual network that predicts the last frame: its errors are frame differences."""
    weights = random_weights(architecture)
    for name in ("ahat.0.weight", "ahat.0.bias"):
        weights[name] = np.zeros_like(weights[name])
    return weights


def normal_images(count: int, seed: int = 0, height: int = 32, width: int = 40) -> NDArray[np.uint8]:
    """A spot that goes round on a noisy ground: normal work; uint8 [count, H, W, 1]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    images = []
    for number in range(count):
        angle = 0.35 * number
        spot = np.hypot(rows - 12 - 5 * np.sin(angle), columns - 20 - 8 * np.cos(angle)) < 4
        images.append(90 + 80 * spot + rng.normal(0, 2, (height, width)))
    return np.clip(np.stack(images), 0, 255).astype(np.uint8)[..., None]


def with_accident(images: NDArray[np.uint8], start: int, stop: int, seed: int = 1) -> NDArray[np.uint8]:
    """The same with a corner that flickers from frame `start` to `stop`."""
    changed = images.copy()
    rng = np.random.default_rng(seed)
    changed[start:stop, 18:, 24:] = rng.integers(0, 256, changed[start:stop, 18:, 24:].shape, dtype=np.uint8)
    return changed


def random_thumbnail(generator: np.random.Generator, channels: int = 1) -> NDArray[np.float32]:
    """A levelled thumbnail of 6 × 8 cells without any order, [24, 32, C]."""
    return np.rint(generator.uniform(20, 200, (24, 32, channels))).astype(np.float32)


def clip_from(images: NDArray[np.uint8]) -> Clip:
    """The images as a clip at RATE_HZ."""
    return Clip("clip", images, np.arange(len(images)) / RATE_HZ)


def tiny_runner(slots: int = 1, architecture: Architecture | None = None) -> Runner:
    """The repeating network on ONNX Runtime."""
    architecture = architecture or tiny_architecture()
    model = step_onnx(architecture, repeating_weights(architecture))
    return open_runner(model, spec_from_architecture(architecture), slots, threads=1)


def tiny_calibration(frames: int = 200) -> Calibration:
    """Normality and limits of the repeating network on frames of normal work; from 900 on with a limit of the stall."""
    clips = [clip_from(normal_images(frames))]
    return fit_calibration(clips, observe(clips, tiny_runner()), RATE_HZ)


def write_tiny_bundle(path: Path, frames: int = 200) -> Path:
    """A bundle of the repeating network, fitted on frames of normal work."""
    architecture = tiny_architecture()
    weights, calibration = repeating_weights(architecture), tiny_calibration(frames)
    spec, step = spec_from_architecture(architecture), step_onnx(architecture, weights)
    write_bundle(path, architecture, spec, [MadeVariant("float", step, calibration)], {"seed": 0})
    return path


def plain_normality(high: np.ndarray, background: np.ndarray, floor: float = 1.0) -> Normality:
    """A normality whose scores are log ratios to `high` [W, Gh, Gw]; it knows no patch and no mixture."""
    one, (count, channels) = np.ones(len(high), np.float32), (high[0].size, background.shape[2])
    patches, mixtures = (
        bank_from(np.zeros((0, n), np.uint8), np.zeros(count + 1, np.int32)) for n in (patch_size(channels), 1)
    )
    composition = Composition(np.zeros((1, channels), np.float32), mixtures)
    return Normality(
        high,
        floor * one,
        0 * one,
        one,
        Appearance(background, patches, np.zeros(0, np.float32), patches),
        composition,
        4.0,
    )
