"""What an attacker or a bad disk makes of a good bundle: changes of its members, sealed again where it is an attacker."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Members = dict[str, bytes]
Change = Callable[[Members], None]


def sealed(members: Members, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """Change the manifest and name every member in it with its true size and digest: an attacker can."""
    manifest = json.loads(members["manifest.json"])
    manifest["files"] = {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in members.items()
        if name != "manifest.json"
    }
    change(manifest)
    members["manifest.json"] = json.dumps(manifest).encode()


def manifest(change: Callable[[dict[str, Any]], None]) -> Change:
    """A change of the manifest alone."""
    return lambda members: sealed(members, change)


def at(*path: str, value: Any) -> Change:
    """A value put into the manifest."""

    def change(found: dict[str, Any]) -> None:
        place: Any = found
        for key in path[:-1]:
            place = place[int(key) if isinstance(place, list) else key]
        last = path[-1]
        place[int(last) if isinstance(place, list) else last] = value

    return manifest(change)


def member(name: str, change: Callable[[bytes], bytes]) -> Change:
    """A member changed, and sealed again."""

    def changed(members: Members) -> None:
        members[name] = change(members[name])
        sealed(members)

    return changed


def in_step(change: Callable[[onnx.ModelProto], None]) -> Change:
    """The int8 step changed, and sealed again."""

    def changed(data: bytes) -> bytes:
        model = onnx.load_from_string(data)
        change(model)
        return model.SerializeToString()

    return member("step.int8.onnx", changed)


def scale_of(value: float) -> Callable[[onnx.ModelProto], None]:
    """Every activation's scale is another number."""

    def change(model: onnx.ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.name.endswith("data_scale"):
                tensor.CopyFrom(numpy_helper.from_array(np.array(value, np.float32), tensor.name))

    return change


def weights_of_nan(model: onnx.ModelProto) -> None:
    """A bias that is not a number."""
    for tensor in model.graph.initializer:
        if tensor.name == "ahat.1.bias":
            tensor.CopyFrom(numpy_helper.from_array(np.full(tuple(tensor.dims), np.nan, np.float32), tensor.name))


def outside_file(model: onnx.ModelProto) -> None:
    """Weights that lie in a file of the device."""
    tensor = next(one for one in model.graph.initializer if one.name == "ahat.1.bias")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "../../../../etc/passwd"), ("offset", "0"), ("length", "16")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def another_input(model: onnx.ModelProto) -> None:
    """A step that wants one input more."""
    model.graph.input.append(helper.make_tensor_value_info("secret", onnx.TensorProto.FLOAT, ["N"]))


def strange_operator(model: onnx.ModelProto) -> None:
    """A node of a library that is not there."""
    model.graph.node.append(helper.make_node("Exec", ["frames"], ["x"], domain="attacker"))
    model.opset_import.append(helper.make_opsetid("attacker", 1))


def no_prediction(model: onnx.ModelProto) -> None:
    """A step that predicts nothing."""
    output = next(one for one in model.graph.output if one.name == "prediction")
    model.graph.output.remove(output)


def output_of(
    name: str, *nodes: tuple[str, dict[str, Any]], kind: int | None = None
) -> Callable[[onnx.ModelProto], None]:
    """A step whose output goes through nodes of one input more, and is said to have no shape and another type."""

    def change(model: onnx.ModelProto) -> None:
        made = next(node for node in model.graph.node if name in node.output)
        names = [f"{name}_{number}" for number in range(len(nodes))] + [name]
        made.output[list(made.output).index(name)] = names[0]
        for (operator, options), taken, given in zip(nodes, names, names[1:], strict=False):
            model.graph.node.append(helper.make_node(operator, [taken], [given], **options))
        value = next(one for one in model.graph.output if one.name == name)
        value.type.tensor_type.ClearField("shape")
        value.type.tensor_type.elem_type = kind or value.type.tensor_type.elem_type

    return change


def endless_output(model: onnx.ModelProto) -> None:
    """A step that gives something more, of a size that nobody knows."""
    model.graph.node.append(helper.make_node("NonZero", ["errors"], ["places"]))
    model.graph.node.append(helper.make_node("Cast", ["places"], ["more"], to=onnx.TensorProto.FLOAT))
    model.graph.output.append(helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, ["N", "sizes"]))


def petabyte(model: onnx.ModelProto) -> None:
    """A step of a few bytes that wants sixteen terabytes once it runs."""
    model.graph.initializer.append(numpy_helper.from_array(np.array([1 << 21, 1 << 21]), "wide"))
    made = next(node for node in model.graph.node if "errors" in node.output)
    made.output[list(made.output).index("errors")] = "errors_before"
    model.graph.node.extend(
        [
            helper.make_node("ConstantOfShape", ["wide"], ["zeros"]),
            helper.make_node("ReduceMax", ["zeros"], ["zero"], keepdims=0),
            helper.make_node("Add", ["errors_before", "zero"], ["errors"]),
        ]
    )


def arrays(**changed: np.ndarray | None) -> Callable[[bytes], bytes]:
    """An npz with some arrays replaced, or left out."""

    def change(data: bytes) -> bytes:
        with np.load(io.BytesIO(data)) as found:
            held = {name: found[name] for name in found.files} | changed
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{name: array for name, array in held.items() if array is not None})
        return buffer.getvalue()

    return change


def first_array(fill: float) -> Callable[[bytes], bytes]:
    """An npz whose arrays are full of one number, whatever they are called."""

    def change(data: bytes) -> bytes:
        with np.load(io.BytesIO(data)) as found:
            held = {name: np.full_like(found[name], fill) for name in found.files}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **held)
        return buffer.getvalue()

    return change


def pickled(_: bytes) -> bytes:
    """An npz with a pickle in it."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, errors=np.array([{"a": 1}], dtype=object))
    return buffer.getvalue()


def swapped(one: str, other: str) -> Change:
    """Two members in each other's place."""

    def change(members: Members) -> None:
        members[one], members[other] = members[other], members[one]
        sealed(members)

    return change


def added(name: str, data: bytes = b"x") -> Change:
    """A member more, named in the manifest or not."""
    return lambda members: members.update({name: data})


def named_outside(members: Members) -> None:
    """A step that lies, by its name, outside of the bundle."""
    members["../step.onnx"] = members.pop("step.int8.onnx")
    sealed(members, lambda found: found["variants"]["int8"].update(step="../../elsewhere.onnx"))


def bomb(members: Members) -> None:
    """Two gigabytes of zeros that the manifest confesses."""
    sealed(members, lambda found: found["files"].update(zeros={"size": 2 << 30, "sha256": "0" * 64}))


def hidden_bomb(members: Members) -> None:
    """4 MB of zeros where the manifest says 10 bytes."""
    members["report.html"] = bytes(4 << 20)
    sealed(members, lambda found: found["files"]["report.html"].update(size=10))


def wide_manifest(members: Members) -> None:
    """A manifest of two megabytes."""
    sealed(members, lambda found: found["training"].update(notes="x" * (2 << 20)))


def array_bomb(data: bytes) -> bytes:
    """An npz whose first array would have a gigabyte, by its own directory."""
    place = data.index(b"PK\x01\x02") + 24
    return data[:place] + struct.pack("<I", 1 << 30) + data[place + 4 :]


def array_without_end(name: str) -> Callable[[bytes], bytes]:
    """An npz of a few bytes with an array that would have petabytes, by its own header."""

    def change(data: bytes) -> bytes:
        header, buffer = io.BytesIO(), io.BytesIO()
        shape = {"descr": "<f4", "fortran_order": False, "shape": (1 << 20, 1 << 20, 1 << 14)}
        np.lib.format.write_array_header_1_0(header, shape)
        with zipfile.ZipFile(io.BytesIO(data)) as found, zipfile.ZipFile(buffer, "w") as made:
            for one in found.namelist():
                made.writestr(one, header.getvalue() if one == f"{name}.npy" else found.read(one))
        return buffer.getvalue()

    return change


def numbers_below_zero(data: bytes) -> bytes:
    """Limits whose every number is below 0."""
    return re.sub(rb'": ([0-9])', rb'": -\1', data)
