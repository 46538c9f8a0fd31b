"""Hostile and damaged bundles: a table of what an attacker or a bad disk makes of a good one, and the refusal of each."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge.archive import SIGNATURE
from edge.bundle import read_bundle
from edge.errors import PrednetError
from edge.model import Model, read_model
from export.bundle import MadeVariant, write_bundle
from export.golden import golden_answer, golden_frames
from export.step import spec_from_architecture, step_onnx
from export.variants.forms import form_of, roundable
from tests.tampering import (
    Change,
    added,
    another_input,
    array_bomb,
    array_without_end,
    arrays,
    at,
    bomb,
    endless_output,
    first_array,
    hidden_bomb,
    in_step,
    member,
    named_outside,
    no_prediction,
    numbers_below_zero,
    output_of,
    outside_file,
    petabyte,
    pickled,
    scale_of,
    strange_operator,
    swapped,
    weights_of_nan,
    wide_manifest,
)
from tests.tiny import random_weights, tiny_architecture, tiny_calibration
from tests.variant_steps import RANGES

HALF = onnx.TensorProto.FLOAT16


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of float and int8 with golden answers."""
    path = tmp_path_factory.mktemp("hostile") / "good.prednet"
    architecture = tiny_architecture()
    step, spec = step_onnx(architecture, random_weights(architecture)), spec_from_architecture(architecture)
    frames, calibration, made = golden_frames(spec.form), tiny_calibration(), []
    for name in ("float", "int8"):
        form = form_of(name, step, spec, RANGES, roundable(name, step))
        golden = golden_answer(form, frames)
        states = form.spec.states if name == "int8" else None
        made.append(MadeVariant(name, form.step, calibration, states, golden, form.convolutions, 8, RANGES))
    write_bundle(path, architecture, spec, made, {"seed": 0}, frames=frames)
    return path


def opened(path: Path) -> Model:
    """Do with a bundle what a device does: read it, take both variants, run their golden answers."""
    for variant in ("float", "int8"):
        model = read_model(path, variant, None)
        model.runner(1).close()
    return model


CASES: dict[str, tuple[Change, str]] = {
    "another format version": (at("format_version", value=2), "its format version is 2"),
    "a format version as text": (at("format_version", value="1"), "its format version is '1'"),
    "another format": (at("format", value="prednet-normal"), "its format is 'prednet-normal'"),
    "a stranger outside": (added("../../etc/cron.d/x"), "holds ../../etc/cron.d/x, which its manifest does not name; refused."),
    "a stranger with an absolute path": (added("/etc/passwd"), "holds /etc/passwd, which its manifest does not name"),
    "a stranger with backslashes": (added("..\\..\\x"), "which its manifest does not name; refused."),
    "a step named outside": (named_outside, "its manifest names no digest of ../../elsewhere.onnx"),
    "a signature as large as a bundle": (added(SIGNATURE, bytes(1 << 20)), "its signature is larger than 4096 bytes; refused."),
    "a bomb that is confessed": (bomb, "unpacked it would be larger than 1024 MB; refused."),
    "a bomb that is hidden": (hidden_bomb, "report.html has 4194304 bytes, its manifest says 10; refused."),
    "a manifest of two megabytes": (wide_manifest, "its manifest is larger than 1048576 bytes; refused."),
    "a bomb in a golden answer": (member("golden.int8.npz", array_bomb), "cannot be read (unpacked it would have more than 256 MB)"),
    "a bomb in a normality": (member("normality.int8.npz", array_bomb), "cannot be read (unpacked it would have more than 256 MB)"),
    "a golden answer of petabytes": (member("golden.int8.npz", array_without_end("errors")), "errors cannot be read (Unable to allocate"),
    "a normality of petabytes": (member("normality.int8.npz", array_without_end("high")), "the normality cannot be read (Unable to allocate"),
    "a negative size": (at("files", "step.int8.onnx", "size", value=-1), "its manifest says -1; refused."),
    "another digest": (at("files", "step.int8.onnx", "sha256", value="0" * 64), "(digest differs)"),
    "a size of words": (at("files", "step.int8.onnx", "size", value="many"), "its manifest is not complete"),
    "steps swapped": (swapped("step.float.onnx", "step.int8.onnx"), "its manifest says"),
    "normality and step swapped": (swapped("normality.int8.npz", "step.int8.onnx"), "the normality cannot be read"),
    "golden answers swapped": (swapped("golden.frames.npz", "golden.float.npz"), "frames cannot be read"),
    "a step that is no ONNX": (member("step.int8.onnx", lambda _: b"#!/bin/sh\nreboot\n"), "refuses the step"),
    "a step cut off": (member("step.int8.onnx", lambda data: data[: len(data) // 2]), "refuses the step"),
    "a step that wants more": (in_step(another_input), "the step's input secret"),
    "a step with a strange operator": (in_step(strange_operator), "refuses the step"),
    "a step without a prediction": (in_step(no_prediction), "prediction"),
    "maps of one number": (in_step(output_of("errors", ("ReduceMax", {"keepdims": 0}))), "the step's output errors is ('tensor(float)', [])"),
    "maps of float16": (in_step(output_of("errors", ("Cast", {"to": HALF}), kind=HALF)), "the step's output errors is ('tensor(float16)', "),
    "a state that folds": (in_step(output_of("c0_next", ("SpaceToDepth", {"blocksize": 2}))), "the step's output c0_next is"),
    "an output of any size": (in_step(endless_output), "the step's output more is"),
    "a step of terabytes": (in_step(petabyte), "cannot compute the step"),
    "weights outside of the bundle": (in_step(outside_file), "refuses the step"),
    "a scale that is not a number": (in_step(scale_of(float("nan"))), "its golden answer is missed"),
    "a scale of zero": (in_step(scale_of(0.0)), "its golden answer is missed"),
    "an infinite scale": (in_step(scale_of(float("inf"))), "its golden answer is missed"),
    "a bias that is not a number": (in_step(weights_of_nan), "its golden answer is missed: errors by inf"),
    "a normality of NaN": (member("normality.int8.npz", first_array(float("nan"))), "high holds NaN"),
    "a normality of −1": (member("normality.int8.npz", first_array(-1.0)), "not in the order of their cells"),
    "a normality of an older release": (member("normality.int8.npz", arrays(stands=None, stands_starts=None)), "lacks stands, stands_starts; an older release may have made it"),
    "a normality without spread": (member("normality.int8.npz", arrays(spread=np.zeros(8, np.float32))), "not above 0"),
    "a normality below 0": (member("normality.int8.npz", arrays(high=np.full((8, 4, 5), -1.0, np.float32))), "or below 0"),
    "a background below 0": (member("normality.int8.npz", arrays(background=np.full((16, 20, 1), -300.0, np.float32))), "or below 0"),
    "a normality that does not say what passes often": (member("normality.int8.npz", arrays(shares=None)), "lacks shares; an older release may have made it"),
    "shares of other patches": (member("normality.int8.npz", arrays(shares=np.zeros(3, np.float32))), "shares is float32 [3], expected numbers ["),
    "limits of text": (member("limits.int8.json", lambda _: b'{"on": "high"}'), "the limits cannot be read"),
    "limits of NaN": (member("limits.int8.json", lambda data: data.replace(b'"on": ', b'"on": NaN, "x": ')), "the limits cannot be read"),
    "limits below 0": (member("limits.int8.json", numbers_below_zero), "a variance is below 0"),
    "a golden answer with a pickle": (member("golden.int8.npz", pickled), "errors cannot be read"),
    "a golden answer of another shape": (member("golden.int8.npz", arrays(errors=np.zeros((6, 3, 4, 4), np.float32))), "errors is [6, 3, 4, 4], expected [6, 3, 4, 5]"),
    "a golden answer of another type": (member("golden.int8.npz", arrays(errors=np.zeros((6, 3, 4, 5)))), "errors is float64, expected float32"),
    "a golden answer without a prediction": (member("golden.int8.npz", arrays(prediction=None)), "prediction cannot be read"),
    "a tolerance that allows anything": (at("variants", "int8", "golden_tolerance", "errors", value=1e9), "is not finite, or allows anything"),
    "golden frames of no length": (member("golden.frames.npz", arrays(frames=np.zeros((0, 32, 40, 1), np.uint8))), "frames is [0, 32, 40, 1]"),
    "frames of 99999 pixels": (at("frame", "height", value=99999), "not a size that frames can have"),
    "frames of −1": (at("frame", "width", value=-1), "not a size that frames can have"),
    "frames of two colours": (at("frame", "channels", value=2), "not a size that frames can have"),
    "no frame rate": (at("frame", "rate_hz", value=0), "frame rate, layers or grid are out of bounds"),
    "a thousand layers": (at("layers", value=1000), "frame rate, layers or grid are out of bounds"),
    "a grid of nothing": (at("grid", value=[0, 5]), "frame rate, layers or grid are out of bounds"),
    "a grid of billions": (at("grid", value=[1 << 30, 1 << 30]), "frame rate, layers or grid are out of bounds"),
    "a grid of words": (at("grid", value="4x5"), "its manifest is not complete"),
    "a state of objects": (at("states", "0", "dtype", value="object"), "the state r0 is object with zero at 0"),
    "C in INT8": (at("states", "1", "dtype", value="int8"), "C has no bound and is float32"),
    "a state of a terabyte": (at("states", "0", "shape", value=[1 << 20, 1 << 20, 1]), "expected 3 sizes of 1 to 8192"),
    "states of gigabytes": (at("states", "0", "shape", value=[8192, 8192, 8]), "the states of a camera have 2048 MB"),
    "a state of two axes": (at("states", "0", "shape", value=[32, 40]), "expected 3 sizes of 1 to 8192"),
    "a zero that the state cannot hold": (at("variants", "int8", "states", "0", "zero", value=999), "with zero at 999"),
    "two states of one name": (at("states", "2", "name", value="r0"), "two states have one name"),
    "states of another size": (at("states", "0", "shape", value=[9, 9, 9]), "the step's input r0 is"),
    "a variant without its files": (at("variants", "int8", "normality", value="gone.npz"), "its manifest names no digest of gone.npz"),
    "variants of a list": (at("variants", value=[]), "its manifest is not complete"),
    "a manifest of a list": (lambda members: members.update({"manifest.json": b"[]"}), "its manifest is not JSON"),
    "a manifest that nests for ever": (lambda members: members.update({"manifest.json": b"[" * 100_000}), "its manifest is not JSON"),
    "a manifest that nests in what is not known": (lambda members: members.update({"manifest.json": b'{"x":' + b"[" * 100_000}), "its manifest is not JSON"),
    "a manifest that is no UTF-8": (lambda members: members.update({"manifest.json": b'{"format": "\xff"}'}), "its manifest is not JSON"),
    "limits that are no UTF-8": (member("limits.int8.json", lambda data: data[:-1] + b', "\xff": 1}'), "the limits cannot be read"),
    "a member that is gone": (lambda members: members.pop("limits.int8.json") and None, "limits.int8.json is missing from it"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_bundle_is_refused_with_its_reason(good: Path, tmp_path: Path, name: str) -> None:
    """One sentence that names the file and what is wrong, before anything of it is used."""
    change, told = CASES[name]
    with zipfile.ZipFile(good) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    change(members)
    path = tmp_path / "hostile.prednet"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, data in members.items():
            archive.writestr(one, data)
    with pytest.raises(PrednetError) as refused:
        opened(path)
    assert told in str(refused.value)


def test_the_good_one_is_taken(good: Path) -> None:
    """So that the table above proves something; and it has at least 30 cases."""
    assert opened(good).variant == "int8"
    assert len(CASES) >= 30


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_bundle_is_refused(good: Path, tmp_path: Path, share: float) -> None:
    """Cut off anywhere, its directory is gone (what may be found then is that of a member)."""
    data = good.read_bytes()
    path = tmp_path / "short.prednet"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(PrednetError, match="not a prednet-bundle archive"):
        read_bundle(path)


def test_every_single_flipped_byte_is_noticed_or_harmless(good: Path, tmp_path: Path) -> None:
    """200 random bytes flipped, one at a time: refused with a sentence of ours, or what is read is what was written."""
    data, rng, expected = good.read_bytes(), np.random.default_rng(0), read_bundle(good)
    path, refusals = tmp_path / "flipped.prednet", 0
    for place in rng.integers(0, len(data), 200):
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            found = read_bundle(path)
        except PrednetError:
            refusals += 1
        else:
            assert found.files == expected.files
    assert refusals > 150


def test_two_members_of_one_name_are_refused(good: Path, tmp_path: Path) -> None:
    """Which of them a reader takes is the reader's taste."""
    path = tmp_path / "twice.prednet"
    path.write_bytes(good.read_bytes())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("limits.int8.json", zipfile.ZipFile(good).read("limits.int8.json"))
    with pytest.raises(PrednetError, match="two files of one name"):
        read_bundle(path)
