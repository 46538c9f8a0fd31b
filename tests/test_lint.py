"""The structural lint: every rule is broken once and named; what the export makes breaks none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from export.variants.draft import Draft, closed, opened
from export.variants.forms import FOR_TENSORRT
from export.variants.lint import RULES, lint
from tests.variant_steps import made

INT8 = made("int8")


@pytest.mark.parametrize("name", FOR_TENSORRT)
def test_what_the_export_makes_breaks_no_rule(name: str) -> None:
    """Every variant for TensorRT, with the convolutions that its manifest claims."""
    form = made(name)
    assert lint(form.step, form.convolutions) == []


def broken(change: Callable[[Draft], None]) -> list[str]:
    """The rules that the INT8 step breaks after a change."""
    draft = opened(INT8.step)
    change(draft)
    return sorted({breach.rule for breach in lint(closed(draft), INT8.convolutions)})


def node_of(draft: Draft, made_value: str) -> onnx.NodeProto:
    """The node that makes a value."""
    node = draft.maker(made_value)
    assert node is not None
    return node


def zero_point(draft: Draft) -> None:
    """An activation with a zero point of 3."""
    zero = draft.graph.constant("three", np.array(3, np.int8))
    for value in ("a.0.data_int8", "a.0.data_dequantised"):
        node_of(draft, value).input[2] = zero


def uint8_activation(draft: Draft) -> None:
    """An activation in uint8, zero at 0: a parse error in TensorRT."""
    zero = draft.graph.constant("uint8_zero", np.array(0, np.uint8))
    for value in ("a.0.data_int8", "a.0.data_dequantised"):
        node_of(draft, value).input[2] = zero


def weight_axis(draft: Draft) -> None:
    """Weights with a scale for each input channel."""
    node = node_of(draft, "ahat.1.weight_dequantised")
    node.attribute[0].i = 1
    channels = draft.array(node.input[0]).shape[1]
    node.input[1] = draft.graph.constant("other_scale", np.full(channels, 0.01, np.float32))
    node.input[2] = draft.graph.constant("other_zero", np.zeros(channels, np.int8))


def weight_of_128(draft: Draft) -> None:
    """A weight at −128, which has no counterpart."""
    weight = draft.array("ahat.1.weight_int8").copy()
    weight[0, 0, 0, 0] = -128
    draft.replace_array("ahat.1.weight_int8", weight)


def weight_alone(draft: Draft) -> None:
    """Q/DQ on the weights alone."""
    node_of(draft, "conv_a.0").input[0] = "e0_new"


def quantised_output(draft: Draft) -> None:
    """Q/DQ behind a convolution, before the ReLU."""
    scales = ["a.0.data_scale", "int8_zero"]
    whole = draft.graph.add("QuantizeLinear", ["conv_ahat.1", *scales], "output_int8")
    draft.graph.add("DequantizeLinear", [whole, *scales], "output_dequantised")
    node_of(draft, "ahat1").input[0] = "output_dequantised"


def int32_bias(draft: Draft) -> None:
    """A bias through DequantizeLinear: a parse error."""
    node, count = node_of(draft, "conv_ahat.1"), len(draft.array("ahat.1.bias"))
    inputs = [
        draft.graph.constant("bias_int32", np.zeros(count, np.int32)),
        draft.graph.constant("bias_scale", np.full(count, 0.01, np.float32)),
        draft.graph.constant("bias_zero", np.zeros(count, np.int32)),
    ]
    node.input[2] = draft.graph.add("DequantizeLinear", inputs, "bias_dequantised", axis=0)


def computed_scale(draft: Draft) -> None:
    """A scale that is computed instead of an initialiser."""
    scale = draft.graph.add("Identity", ["a.0.data_scale"], "computed_scale")
    for value in ("a.0.data_int8", "a.0.data_dequantised"):
        node_of(draft, value).input[1] = scale


def nan_scale(draft: Draft) -> None:
    """A scale that is not a number."""
    draft.replace_array("a.0.data_scale", np.array(np.nan, np.float32))


def list_scale(draft: Draft) -> None:
    """A list of one scale: compiled in float, in silence (found with the compiler)."""
    draft.replace_array("a.0.data_scale", np.array([0.01], np.float32))
    draft.replace_array("int8_zero", np.array([0], np.int8))


def before_concat(draft: Draft) -> None:
    """Branches quantised each on their own, and not after the Concat."""
    concat = node_of(draft, "x1")
    scales = ["a.0.data_scale", "int8_zero"]
    for place, value in enumerate(list(concat.input)):
        whole = draft.graph.add("QuantizeLinear", [value, *scales], f"branch{place}_int8")
        concat.input[place] = draft.graph.add("DequantizeLinear", [whole, *scales], f"branch{place}_dequantised")
    node_of(draft, "conv_gates.1").input[0] = "x1"


def before_resize(draft: Draft) -> None:
    """Quantised before a nearest Resize instead of after it."""
    resize = next(node for node in draft.graph.nodes if node.op_type == "Resize")
    scales = ["a.0.data_scale", "int8_zero"]
    whole = draft.graph.add("QuantizeLinear", [resize.input[0], *scales], "before_int8")
    resize.input[0] = draft.graph.add("DequantizeLinear", [whole, *scales], "before_dequantised")


def before_max_pool(draft: Draft) -> None:
    """Quantised before a MaxPool instead of after it."""
    pool = next(node for node in draft.graph.nodes if node.op_type == "MaxPool" and "conv" not in node.input[0])
    scales = ["a.0.data_scale", "int8_zero"]
    whole = draft.graph.add("QuantizeLinear", [pool.input[0], *scales], "pool_int8")
    pool.input[0] = draft.graph.add("DequantizeLinear", [whole, *scales], "pool_dequantised")


def channel_scales(draft: Draft) -> None:
    """An activation with a scale for each channel: compiled in float, in silence."""
    channels = draft.array("a.0.weight_int8").shape[1]
    scale = draft.graph.constant("channel_scale", np.full(channels, 0.01, np.float32))
    zero = draft.graph.constant("channel_zero", np.zeros(channels, np.int8))
    for value in ("a.0.data_int8", "a.0.data_dequantised"):
        node = node_of(draft, value)
        node.input[1], node.input[2] = scale, zero
        node.attribute.append(helper.make_attribute("axis", 1))


def gate_in_int8(draft: Draft) -> None:
    """A gate's arithmetic on dequantised numbers."""
    tanh = next(node for node in draft.graph.nodes if node.op_type == "Tanh")
    scales = ["a.0.data_scale", "int8_zero"]
    whole = draft.graph.add("QuantizeLinear", [tanh.input[0], *scales], "gate_int8")
    tanh.input[0] = draft.graph.add("DequantizeLinear", [whole, *scales], "gate_dequantised")


def int8_c(draft: Draft) -> None:
    """C stored in INT8, which has no bound."""
    scales = ["a.0.data_scale", "int8_zero"]
    node_of(draft, "c0_seen").input[2] = "c0_held"
    draft.graph.add("DequantizeLinear", ["c0", *scales], "c0_held")
    draft.rename_made("c0_next", "c0_next_float")
    draft.graph.add("QuantizeLinear", ["c0_next_float", *scales], "c0_next")
    for name in ("c0", "c0_next"):
        draft.retype(name, TensorProto.INT8)


def uint8_inside(draft: Draft) -> None:
    """Frames turned while they are uint8: TensorRT takes that at the border alone."""
    node_of(draft, "frames_seen").input[0] = draft.graph.add("Identity", ["frames"], "frames_inside")


def lost_state(draft: Draft) -> None:
    """A state that the step takes and does not give back."""
    for output in draft.model.graph.output:
        if output.name == "r1_next":
            draft.model.graph.output.remove(output)
            return


def branching(draft: Draft) -> None:
    """A step with control flow in it."""
    value = helper.make_tensor_value_info("chosen", TensorProto.FLOAT, None)
    one = helper.make_graph([helper.make_node("Identity", ["number_0.5"], ["chosen"])], "one", [], [value])
    condition = draft.graph.constant("yes", np.array(True))
    node = helper.make_node("If", [condition], ["chosen_half"], then_branch=one, else_branch=one)
    draft.graph.nodes.append(node)
    mean = next(node for node in draft.graph.nodes if node.op_type == "Mul" and "number_0.5" in node.input)
    mean.input[1] = "chosen_half"


def newer_opset(draft: Draft) -> None:
    """Another edition than the one for float32 scales."""
    draft.model.opset_import[0].version = 16


BREAKS = [
    (zero_point, ["symmetric"]), (uint8_activation, ["symmetric"]), (weight_axis, ["weights"]),
    (weight_of_128, ["weights"]), (weight_alone, ["both inputs", "claim"]), (quantised_output, ["float body", "float outputs"]),
    (int32_bias, ["float bias", "symmetric"]), (computed_scale, ["scales"]), (nan_scale, ["scales"]), (list_scale, ["scales"]),
    (channel_scales, ["scales"]), (before_max_pool, ["float body"]),
    (before_concat, ["both inputs", "claim", "float body"]), (before_resize, ["float body"]), (gate_in_int8, ["float body"]),
    (int8_c, ["unbounded"]), (uint8_inside, ["border"]), (lost_state, ["unrolled"]), (branching, ["unrolled"]), (newer_opset, ["opset"]),
]  # fmt: skip


@pytest.mark.parametrize(("change", "rules"), BREAKS, ids=[change.__name__ for change, _ in BREAKS])
def test_a_broken_rule_is_named(change: Callable[[Draft], None], rules: list[str]) -> None:
    """Each change breaks the rules that it is meant to break, and no other."""
    assert set(rules) <= set(broken(change))
    assert set(broken(change)) - {"float body", "symmetric"} <= set(rules)


def test_every_rule_is_broken_by_some_case() -> None:
    """No rule goes untested."""
    assert {rule for _, rules in BREAKS for rule in rules} == RULES.keys() | {"claim"}


def test_a_claim_of_more_than_there_is_is_a_breach() -> None:
    """A manifest may not call a float convolution INT8."""
    (breach,) = lint(made("float").step, ["gates.0"])
    assert (breach.rule, breach.told) == ("claim", "INT8 convolutions are none; gates.0 are claimed")
