"""The roofline's counts against counting by hand, and the line that `bench` measures in the same format."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.bench import Speed, cameras_that_fit, told_speeds
from edge.cli import main
from edge.errors import OK, USAGE
from export.architecture import parameter_shapes
from export.variants.forms import form_of, roundable
from tests import simulated
from tests.variant_bundle import write_variant_bundle
from tests.variant_steps import ARCHITECTURE, RANGES, SPEC, made

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
import roofline  # noqa: E402 - a script, imported to be held to its word


def by_hand(name: str) -> int:
    """Operations of a convolution: 2·out·in·k·k at each pixel of its layer."""
    kind, layer = name.split(".")
    gates = "ifoc" if kind == "gates" else [kind]
    pixels = (32 >> int(layer)) * (40 >> int(layer))
    return sum(2 * int(np.prod(parameter_shapes(ARCHITECTURE)[f"{gate}.{layer}.weight"])) * pixels for gate in gates)


@pytest.mark.parametrize("variant", ["float", "int8", "fp16"])
def test_every_convolution_is_counted_as_by_hand(variant: str) -> None:
    """The operations do not depend on the variant; there are eight convolutions and the rest."""
    loads = {one.name: one for one in roofline.loads_of(made(variant).step)}
    names = ["gates.0", "gates.1", "gates.2", "ahat.0", "ahat.1", "ahat.2", "a.0", "a.1"]
    assert loads.keys() == {*names, "frames, states, maps"}
    for name in names:
        assert loads[name].operations == by_hand(name)


def test_bytes_follow_the_types_of_the_variant() -> None:
    """The input of gates.0 has R0, E0 and R1 upsampled, 8 channels: 4 bytes each in float, 1 in INT8; weights alike."""
    channels = 2 + 2 + 4
    plain, whole = ({one.name: one for one in roofline.loads_of(made(name).step)} for name in ("float", "int8"))
    output = 4 * 2 * 32 * 40 * 4
    assert plain["gates.0"].camera_bytes == channels * 32 * 40 * 4 + output
    assert whole["gates.0"].camera_bytes == channels * 32 * 40 * 1 + output
    assert plain["gates.0"].weight_bytes == 4 * whole["gates.0"].weight_bytes == 4 * 8 * channels * 9
    assert (plain["gates.0"].element_bytes, whole["gates.0"].element_bytes) == (4, 1)


def test_what_goes_in_and_out_is_counted_once() -> None:
    """Frames, flags, C and the last frame in; maps, prediction and every state out; R and E in are the convolutions'."""
    states = {one.name: int(np.prod(one.shape)) * np.dtype(one.dtype).itemsize for one in SPEC.states}
    image, maps = 32 * 40, 2 * int(np.prod(SPEC.maps)) * 4
    read = image + 2 + sum(size for name, size in states.items() if name[0] not in "re")
    (rest,) = [one for one in roofline.loads_of(made("float").step) if one.name == "frames, states, maps"]
    assert rest.camera_bytes == read + maps + image + sum(states.values())


def test_a_layer_takes_what_binds_it() -> None:
    """A million operations at a tera a second is a microsecond; a megabyte at a giga a second is a millisecond."""
    board = roofline.Board("a board", int8_per_second=1e12, bytes_per_second=1e9)
    assert roofline.Load("x", 10**6, 0, 0, 1, 1.0).seconds(board, 2) == pytest.approx(2e-6)
    assert roofline.Load("x", 10**6, 0, 0, 4, 0.25).seconds(board, 1) == pytest.approx(4e-6)
    assert roofline.Load("x", 10**6, 10**6, 10**6, 1, 1.0).seconds(board, 3) == pytest.approx(4e-3)  # weights once


def test_each_type_has_its_rate() -> None:
    """INT8 1, float16 a half, TF32 beside them a quarter; a step of float32 alone a sixteenth, as the builder makes it."""
    names = {
        name: {one.name: one.share for one in roofline.loads_of(made(name).step)} for name in ("float", "fp16", "int8")
    }
    assert [names[name]["gates.1"] for name in ("float", "fp16", "int8")] == [1 / 16, 0.5, 1.0]
    step, spec = made("float").step, SPEC
    some = form_of("int8", step, spec, RANGES, [one for one in roundable("int8", step) if one != "gates.0"])
    shares = {one.name: one.share for one in roofline.loads_of(some.step)}
    assert (shares["gates.0"], shares["gates.1"]) == (0.25, 1.0)


def test_as_many_cameras_fit_as_leave_a_fifth_of_the_time() -> None:
    """One at a millisecond of memory each: 80 at ten frames a second; the next one is too many."""
    board = roofline.Board("a board", 1e12, 1e9)
    loads = [roofline.Load("x", 0, 10**6, 0, 1, 1.0)]
    count = roofline.most_cameras(loads, board, 10.0)
    assert count == 80 == cameras_that_fit(1, 1.0, 10.0)
    assert roofline.step_milliseconds(loads, board, count + 1) > 80.0


def test_the_script_prints_a_plan_that_says_so(tmp_path: Path) -> None:
    """For every board and variant, as a table and as JSON."""
    bundle = write_variant_bundle(tmp_path / "press.prednet", ("float", "int8"))
    command = [sys.executable, str(ROOT / "benchmarks" / "roofline.py"), str(bundle)]
    told = subprocess.run([*command, "--layers"], capture_output=True, text=True, check=True).stdout
    assert "A PLAN, not a measurement" in told
    assert sum(line.startswith("plan ") for line in told.splitlines()) == 2 * len(roofline.BOARDS)
    plans = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert {one["kind"] for one in plans} == {"plan"}
    assert all(one["step_milliseconds"] > 0 and one["cameras_fit"] > 16 for one in plans)


def test_bench_measures_the_same_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the CPU here, and on an engine whose step takes 20 ms: 4 cameras at ten frames a second fit."""
    bundle = write_variant_bundle(tmp_path / "press.prednet", ("fp16", "cpu"))
    command = ["bench", "--bundle", str(bundle), "--folder", str(tmp_path), "--json"]
    assert main([*command, "--cameras", "2", "--threads", "1"]) == OK
    on_cpu = json.loads(capsys.readouterr().out)
    assert on_cpu.keys() == set(Speed.__struct_fields__)
    assert (on_cpu["kind"], on_cpu["runner"], on_cpu["cameras"]) == ("measured", "onnxruntime-cpu", 2)
    simulated.install(monkeypatch, slow={"ahat": 20})
    assert main(["engine", "build", "--bundle", str(bundle), "--folder", str(tmp_path / "engines")]) == OK
    capsys.readouterr()
    assert main(command) == OK
    measured = json.loads(capsys.readouterr().out)
    assert measured["device"] == "Simulated"
    assert measured["runner"].startswith("tensorrt 10.3.0")
    assert measured["step_milliseconds"] >= 20
    assert measured["cameras_fit"] == int(80 / measured["step_milliseconds"])


def test_bench_refuses_a_wrong_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither bundle nor configuration, and a runner that there is not."""
    assert main(["bench"]) == USAGE
    assert main(["bench", "--bundle", "x.prednet", "--runner", "magic"]) == USAGE
    assert "Invalid enum value 'magic'" in capsys.readouterr().err


def test_plan_and_measurement_stand_in_one_table() -> None:
    """The plan's times carry >=, so that nobody takes a floor for a promise."""
    plan = Speed("plan", "Orin", "roofline", "int8", 1, 0.25, 10.0, 320)
    head, first, second = told_speeds([plan, Speed("measured", "Orin", "tensorrt", "int8", 1, 1.5, 10.0, 53)])
    assert "ms a step" in head
    assert ">=0.250" in first
    assert " 1.500" in second
