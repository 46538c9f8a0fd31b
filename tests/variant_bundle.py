"""A bundle with every variant and its golden answer, made in a second: its network draws at random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from export.bundle import MadeVariant, write_bundle
from export.golden import golden_answer, golden_frames
from tests.tiny import tiny_calibration
from tests.variant_steps import ARCHITECTURE, SPEC, made

VARIANTS = ("float", "int8", "fp16", "int8.fp16", "cpu")


def write_variant_bundle(path: Path, names: Sequence[str] = VARIANTS) -> Path:
    """Write a bundle of the named variants, all with one calibration, which says nothing of them."""
    frames, calibration, variants = golden_frames(SPEC.form), tiny_calibration(), []
    for form in map(made, names):
        states = None if form.spec.states == SPEC.states else form.spec.states
        golden = golden_answer(form, frames)
        variants.append(MadeVariant(form.name, form.step, calibration, states, golden, form.convolutions, 8))
    write_bundle(path, ARCHITECTURE, SPEC, variants, {"seed": 0}, frames=frames)
    return path
