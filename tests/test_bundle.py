"""Bundles and site calibrations: what is written is read, and what is wrong with a file is said."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import read_bundle
from edge.errors import PrednetError
from edge.model import read_model
from edge.site_calibration import write_site
from tests.tiny import clip_from, normal_images, tiny_architecture, write_tiny_bundle


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle as the export writes it."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "good.prednet")


def test_a_bundle_is_read_as_it_was_written(good: Path) -> None:
    """Spec, calibration and provenance survive; the model runs."""
    bundle = read_bundle(good)
    assert bundle.manifest.name == "good"
    assert bundle.spec.form.height == 32
    assert bundle.manifest.architecture["stack"] == list(tiny_architecture().stack)
    limits = bundle.calibration("float").limits
    assert limits.on > limits.off
    assert not limits.is_promise
    assert limits.footage_digest == bundle.manifest.footage_digest
    runner = read_model(good, "float", None).runner(1)
    assert runner.step(normal_images(1), np.ones(1, bool), np.zeros(1, bool)).errors.shape == (1, 3, 4, 5)


def test_the_same_contents_give_the_same_bytes(good: Path, tmp_path: Path) -> None:
    """Nothing of the time of writing is in the file but the manifest's `created`."""
    again = write_tiny_bundle(tmp_path / "good.prednet")
    names = zipfile.ZipFile(good).namelist()
    for name in names:
        if name != "manifest.json":
            assert zipfile.ZipFile(good).read(name) == zipfile.ZipFile(again).read(name), name


def rewritten(source: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Copy a bundle, its members changed by `change`."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target


def manifest_change(**changes: object) -> Callable[[dict[str, bytes]], None]:
    """Return a change of fields of the manifest."""

    def change(members: dict[str, bytes]) -> None:
        manifest = json.loads(members["manifest.json"]) | changes
        members["manifest.json"] = json.dumps(manifest).encode()

    return change


def without(name: str) -> Callable[[dict[str, bytes]], None]:
    """Return a change that leaves a member out."""
    return lambda members: members.pop(name) and None


def spoil(name: str) -> Callable[[dict[str, bytes]], None]:
    """Return a change of one byte of a member."""

    def change(members: dict[str, bytes]) -> None:
        data = bytearray(members[name])
        data[len(data) // 2] ^= 1
        members[name] = bytes(data)

    return change


def add(name: str) -> Callable[[dict[str, bytes]], None]:
    """Return a change that adds a stranger."""
    return lambda members: members.update({name: b"x"})


REFUSALS = [
    (manifest_change(format_version=7), "its format version is 7; this prednet-edge reads version 1. Make it with the same release, or update the device."),
    (manifest_change(format="zip"), "its format is 'zip', expected 'prednet-bundle'."),
    (without("manifest.json"), "holds no manifest.json"),
    (without("step.float.onnx"), "step.float.onnx is missing from it; copy or make it again."),
    (spoil("step.float.onnx"), "step.float.onnx is not what its manifest says (digest differs); copy or make it again."),
    (lambda members: members.update({"limits.float.json": b"{}"}), "limits.float.json has 2 bytes, its manifest says"),
    (add("../../etc/passwd"), "holds ../../etc/passwd, which its manifest does not name; refused."),
    (lambda members: members.update({"manifest.json": b"{"}), "its manifest is not JSON"),
    (lambda members: members.update({"manifest.json": b'{"format": "prednet-bundle", "format_version": 1}'}), "its manifest is not complete"),
    (manifest_change(frame={"height": 99999, "width": 40, "channels": 1, "rate_hz": 10}), "its frames are 99999×40×1, not a size that frames can have."),
    (manifest_change(layers=400), "its frame rate, layers or grid are out of bounds."),
    (manifest_change(files={"huge": {"size": 1 << 40, "sha256": "0"}}), "unpacked it would be larger than 1024 MB; refused."),
    (manifest_change(files={}), "holds step.float.onnx, which its manifest does not name; refused."),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), REFUSALS, ids=[message[:40] for _, message in REFUSALS])
def test_a_wrong_bundle_is_refused_with_its_reason(
    good: Path, tmp_path: Path, change: Callable[[dict[str, bytes]], None], message: str
) -> None:
    """One sentence that names the file, what was found and what to do."""
    wrong = rewritten(good, tmp_path / "wrong.prednet", change)
    with pytest.raises(PrednetError) as refused:
        read_bundle(wrong)
    assert message in str(refused.value)
    assert str(wrong) in str(refused.value)


def test_files_that_are_no_bundles_are_refused(good: Path, tmp_path: Path) -> None:
    """Absent, empty, text, and cut off at any length."""
    for name, data in (("empty", b""), ("text", b"hello"), ("half", good.read_bytes()[: good.stat().st_size // 2])):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(PrednetError, match="not a prednet-bundle archive, or a damaged one"):
            read_bundle(tmp_path / name)
    with pytest.raises(PrednetError, match="cannot be read"):
        read_bundle(tmp_path / "absent")


def test_an_unknown_variant_names_those_that_there_are(good: Path) -> None:
    """A variant is asked for by name."""
    with pytest.raises(PrednetError, match=r"has no variant 'int8'; it holds float\."):
        read_bundle(good).calibration("int8")


def test_a_site_calibration_overrides_the_bundles_own_and_fits_no_other(good: Path, tmp_path: Path) -> None:
    """It is bound to the bundle's digest, its variant and frame rate."""
    bundle = read_bundle(good)
    site = tmp_path / "press3.normal"
    calibration = bundle.calibration("float")
    write_site(site, calibration, camera="press3", bundle=bundle, variant="float", created="2026-11-22T00:00:00Z")
    model = read_model(good, "float", site)
    assert model.is_site
    np.testing.assert_array_equal(model.calibration.normality.high, calibration.normality.high)
    other = tmp_path / "other.prednet"
    shutil.copy(good, other)
    rewritten(good, other, manifest_change(created="2020-01-01T00:00:00Z"))
    with pytest.raises(PrednetError, match=r"made for the bundle sha256:.* Make one with prednet-calibrate site"):
        read_model(other, "float", site)
    with pytest.raises(PrednetError, match="its format is 'prednet-bundle', expected 'prednet-normal'"):
        read_model(good, "float", good)


def test_clip_helper_spaces_frames_at_the_rate() -> None:
    """The tests' own clips have the times that they claim."""
    assert clip_from(normal_images(3)).seconds.tolist() == [0.0, 0.1, 0.2]
