"""NVIDIA's compiler on every exported step: what the manifest calls INT8 is INT8 in the plan."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace

import pytest

from edge.errors import DeviceUnavailable, PrednetError
from export import compiling
from export.compiling import Compiled, compiled, convolutions_of_plan, told_differences
from export.step import spec_from_architecture, step_onnx
from export.variants.draft import closed, opened
from export.variants.forms import FOR_TENSORRT, form_of, roundable
from tests.needs import need
from tests.test_lint import list_scale, weight_alone, zero_point
from tests.tiny import random_weights, tiny_architecture
from tests.variant_steps import RANGES, made


@pytest.fixture
def _compiler() -> None:
    need("tensorrt_rtx")


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("head", ["residual", "original"])
@pytest.mark.parametrize("name", FOR_TENSORRT)
def test_every_step_compiles_and_is_int8_where_it_says_so(name: str, head: str) -> None:
    """SM 8.6: all convolutions are found in the plan, and those that are claimed take int8 data and weights."""
    architecture = tiny_architecture(head=head)
    step = step_onnx(architecture, random_weights(architecture))
    form = form_of(name, step, spec_from_architecture(architecture), RANGES, roundable(name, step))
    found = compiled(form.step)
    assert found.refusals == ()
    assert len(found.convolutions) == 8
    assert told_differences(found, form.convolutions) == []
    assert len(found.int8) == (8 if name.startswith("int8") else 0)


@pytest.mark.usefixtures("_compiler")
def test_a_layer_that_returned_to_float_is_counted_as_float() -> None:
    """The count follows the graph, not the variant's name."""
    step, spec = made("float").step, made("float").spec
    form = form_of("int8", step, spec, RANGES, [one for one in roundable("int8", step) if one != "gates.0"])
    found = compiled(form.step)
    assert "gates.0" in found.convolutions
    assert "gates.0" not in found.int8
    assert told_differences(found, ["gates.0", *form.convolutions]) == [
        "gates.0 is said to be INT8 and is compiled in float"
    ]


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (list_scale, "compiled in float"),
        (weight_alone, "a.0 is said to be INT8 and is compiled in float"),
        (zero_point, "the compiler refuses the step"),
    ],
)
def test_what_the_lint_forbids_the_compiler_refuses_or_computes_in_float(change, told: str) -> None:  # type: ignore[no-untyped-def]
    """The lint's rules are the compiler's, not our taste."""
    form = made("int8")
    draft = opened(form.step)
    change(draft)
    assert told in "; ".join(told_differences(compiled(closed(draft)), form.convolutions))


def test_a_plan_that_cannot_be_read_is_unknown_and_no_pass() -> None:
    """The plan's format is not documented: what is not understood is an error."""
    good = (
        b'tensor={ name="x" dims={ 1 } type=int8 }\ntensor={ name="w" type=int8 }\n'
        b'corrltn={ name="conv" output={"y"} input={"x" "w" } layers="[ONNX Layer: make_conv_a.0]" }\n'
    )
    assert convolutions_of_plan(good) == (("a.0",), ("a.0",))
    assert convolutions_of_plan(good.replace(b'"w" type=int8', b'"w" type=float')) == (("a.0",), ())
    for plan in (b"", good.replace(b'tensor={ name="x"', b'tensor={ name="z"'), good.replace(b"make_conv_", b"")):
        with pytest.raises(PrednetError, match="unknown"):
            convolutions_of_plan(plan)


def test_a_compiler_that_dies_is_unknown_and_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash of its process is told with its last words."""
    monkeypatch.setattr(compiling, "can_compile", lambda: True)
    died = SimpleNamespace(returncode=-11, stdout=b"", stderr=b"a\nSegmentation fault\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: died)
    with pytest.raises(PrednetError, match=r"ended with -11 \(Segmentation fault\); its result is unknown"):
        compiled(b"")


def test_a_compiler_that_hangs_is_unknown_and_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended, and the export says so."""
    monkeypatch.setattr(compiling, "can_compile", lambda: True)
    monkeypatch.setattr(compiling, "_TIMEOUT_SECONDS", 0.001)
    with pytest.raises(PrednetError, match=r"took more than 0\.001 s; its result is unknown"):
        compiled(b"")


@pytest.mark.usefixtures("_compiler")
def test_it_is_compiled_for_sm_86(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan names what it was built for, which stands in for the Orin's."""
    plans: list[bytes] = []
    monkeypatch.setattr(compiling, "convolutions_of_plan", lambda plan: plans.append(plan) or ((), ()))
    compiling._compiled_here(made("int8").step)
    assert b"sm86" in plans[0]


def test_without_the_compiler_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never a hard dependency."""
    monkeypatch.setattr(compiling, "can_compile", lambda: False)
    with pytest.raises(DeviceUnavailable, match=r"pip install tensorrt-rtx-cu13==1\.7\.1\.116"):
        compiled(b"")
    assert told_differences(Compiled(refusals=("no",)), []) == ["the compiler refuses the step: no"]
