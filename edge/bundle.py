"""The bundle: everything that a device needs of one trained network, checked before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from edge.archive import Header, Kind, read_archive
from edge.calibrated import Calibration, limits_from_bytes, normality_from_bytes
from edge.errors import PrednetError
from edge.frames import FrameFormat
from edge.golden import Golden, Tolerance, golden_from_bytes
from edge.runner import StepSpec, TensorSpec, check_states

BUNDLE = Kind("prednet-bundle", 1, "Export one on a workstation: prednet-export bundle.")
MOST_PIXELS = 4096
MOST_LAYERS = 16


class Variant(msgspec.Struct, frozen=True):
    """One form of the step, with what was fitted on it: the names of its files, and what is said of it.

    `golden` names the answers that a right runner gives, with `golden_tolerance`. `states` are given where they
    differ from the bundle's. `int8` names the convolutions that compute in whole numbers, of `convolutions` in all,
    and `ranges` how far the activations reach that were rounded.
    """

    step: str
    normality: str
    limits: str
    golden: str = ""
    golden_tolerance: Tolerance | None = None
    states: tuple[TensorSpec, ...] | None = None
    int8: tuple[str, ...] = ()
    convolutions: int = 0
    ranges: dict[str, float] = msgspec.field(default_factory=dict)


class Manifest(Header, frozen=True, kw_only=True):
    """What a bundle says of itself. What a bundle of an earlier release lacks is empty."""

    name: str
    created: str
    made_by: str
    frame: FrameFormat
    layers: int
    grid: tuple[int, int]
    states: tuple[TensorSpec, ...]
    architecture: dict[str, object]
    training: dict[str, object]
    footage_digest: str
    variants: dict[str, Variant]
    licence: str = ""
    golden_frames: str = ""
    reports: tuple[str, ...] = ()
    command: str = ""
    tools: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def spec(self) -> StepSpec:
        """The contract that the bundle's steps keep."""
        return StepSpec(self.frame, self.layers, self.grid, self.states)


@dataclass(frozen=True)
class Bundle:
    """A bundle whose every digest was right. `digest` is `sha256:…` of the whole file."""

    path: Path
    digest: str
    manifest: Manifest
    files: Mapping[str, bytes]

    @property
    def spec(self) -> StepSpec:
        """What all variants share: frames, layers, grid, and the states of those that name none of their own."""
        return self.manifest.spec

    def spec_of(self, variant: str) -> StepSpec:
        """Return the contract that a variant's step keeps, its own states included."""
        states = self._variant(variant).states
        return self.spec if states is None else replace(self.spec, states=states)

    def golden(self, variant: str) -> Golden | None:
        """Return what a right runner of a variant answers; None in bundles that hold no golden answers."""
        names = self._variant(variant)
        if not names.golden or names.golden_tolerance is None:
            return None
        where, frames = f"{self.path}: {names.golden}", self.files[self.manifest.golden_frames]
        return golden_from_bytes(frames, self.files[names.golden], names.golden_tolerance, self.spec, where)

    def step(self, variant: str) -> bytes:
        """Return the ONNX bytes of a variant; PrednetError where the bundle does not hold it."""
        return self.files[self._variant(variant).step]

    def calibration(self, variant: str) -> Calibration:
        """Return the normality and limits fitted on a variant; PrednetError where they are not usable."""
        names = self._variant(variant)
        return Calibration(
            normality_from_bytes(
                self.files[names.normality], self.spec.form, self.spec.grid, f"{self.path}: {names.normality}"
            ),
            limits_from_bytes(self.files[names.limits], f"{self.path}: {names.limits}"),
        )

    def _variant(self, variant: str) -> Variant:
        if variant not in self.manifest.variants:
            raise PrednetError(
                f"{self.path}: has no variant '{variant}'; it holds {', '.join(sorted(self.manifest.variants))}."
            )
        return self.manifest.variants[variant]


def read_bundle(path: Path) -> Bundle:
    """Return the bundle at `path`, every size and digest checked. Raises PrednetError that says what is wrong."""
    manifest, files, digest = read_archive(path, BUNDLE, Manifest)
    _check(manifest, path)
    return Bundle(path, digest, manifest, files)


def _check(manifest: Manifest, path: Path) -> None:
    form = manifest.frame
    if not (1 <= form.height <= MOST_PIXELS and 1 <= form.width <= MOST_PIXELS and form.channels in (1, 3)):
        found = f"{form.height}×{form.width}×{form.channels}"
        raise PrednetError(f"{path}: its frames are {found}, not a size that frames can have. {BUNDLE.remedy}")
    is_grid = all(1 <= size <= MOST_PIXELS for size in manifest.grid)
    if not (0 < form.rate_hz <= 1000 and 1 <= manifest.layers <= MOST_LAYERS and is_grid):
        raise PrednetError(f"{path}: its frame rate, layers or grid are out of bounds. {BUNDLE.remedy}")
    for variant in manifest.variants.values():
        _check_files(manifest, variant, path)
        check_states(variant.states or manifest.states, f"{path}: its manifest")


def _check_files(manifest: Manifest, variant: Variant, path: Path) -> None:
    needed = [variant.step, variant.normality, variant.limits]
    needed += [variant.golden, manifest.golden_frames] if variant.golden else []
    for name in (*needed, *manifest.reports):
        if name not in manifest.files:
            raise PrednetError(f"{path}: its manifest names no digest of {name}. {BUNDLE.remedy}")
