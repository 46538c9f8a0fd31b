"""JSON Schema and AsyncAPI of the MQTT contract, generated from the code's own types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from edge.command_messages import ADMIN_VERBS, VERBS
from edge.contract import CHANNELS, Channel, parameter
from edge.messages import SCHEMA_VERSION, Event

FOLDER = Path(__file__).with_name("data") / "schema"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
ASYNCAPI = "asyncapi"

Document = dict[str, Any]

# What a single type cannot say: which fields belong to which `type` of an event.
_EVENT_RULES: list[Document] = [
    {
        "if": {"properties": {"type": {"enum": ["new", "update", "end"]}}},
        "then": {"required": ["camera", "kind"]},
    },
    {
        "if": {"properties": {"type": {"const": "end"}, "kind": {"enum": ["surprise", "stall"]}}, "required": ["kind"]},
        "then": {"required": ["end_reason"]},
    },
    {"if": {"properties": {"type": {"const": "gap"}}}, "then": {"required": ["reason"]}},
    {"if": {"properties": {"type": {"const": "evidence"}}}, "then": {"required": ["evidence"]}},
    {
        "if": {"properties": {"kind": {"const": "test"}}, "required": ["kind"]},
        "then": {"properties": {"test": {"const": True}}},
    },
]  # fmt: skip


def documents() -> dict[str, Document]:
    """Return every document by name: one JSON Schema a payload, one a verb's arguments, and `asyncapi`."""
    found = {channel.name: _schema(channel) for channel in CHANNELS}
    for verb, arguments in VERBS.items():
        found[f"command.{verb}"] = _standing_alone(arguments, f"args of R/cmd/{verb}")
    return found | {ASYNCAPI: _asyncapi()}


def text_of(document: Document | list[str]) -> str:
    """Return a document as it is printed and shipped."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def write_documents(folder: Path) -> Iterator[Path]:
    """Write every document as NAME.json, and yield each path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents().items():
        path = folder / f"{name}.json"
        path.write_text(text_of(document), encoding="utf-8")
        yield path


def _schema(channel: Channel) -> Document:
    if channel.content_type == "image/jpeg":
        return {"$schema": DIALECT, "title": channel.address, "type": "string", "contentMediaType": "image/jpeg"}
    return _standing_alone(channel.payload, channel.address)


def _standing_alone(kind: Any, title: str) -> Document:
    schema, parts = _parts([kind], "#/$defs/{name}")
    document = {"$schema": DIALECT, "title": title, "x-contract-version": SCHEMA_VERSION, **schema[0]}
    return document | ({"$defs": parts} if parts else {})


def _parts(kinds: list[Any], template: str) -> tuple[list[Document], dict[str, Document]]:
    """Return the schemas of types, and those of the structs that they refer to."""
    schemas, parts = msgspec.json.schema_components(kinds, ref_template=template)
    structs = {struct.__name__: struct for struct in _structs(kinds)}
    for name, part in parts.items():
        if name in structs:
            _make_true(part, structs[name])
    return [dict(schema) for schema in schemas], dict(parts)


def _structs(kinds: list[Any]) -> Iterator[type[msgspec.Struct]]:
    """Yield every struct within types."""
    for kind in kinds:
        yield from _structs_within(msgspec.inspect.type_info(kind))


def _structs_within(info: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(info, msgspec.inspect.StructType):
        yield info.cls
        for field in info.fields:
            yield from _structs_within(field.type)
    for name in ("item_type", "key_type", "value_type"):
        if hasattr(info, name):
            yield from _structs_within(getattr(info, name))
    for name in ("item_types", "types"):
        for part in getattr(info, name, ()):
            yield from _structs_within(part)


def _make_true(part: Document, struct: type[msgspec.Struct]) -> None:
    """Say what our encoder does: fields that it always writes are required, absent ones are left out, not null."""
    required = list(part.get("required", []))
    for field in msgspec.structs.fields(struct):
        described = part["properties"][field.encode_name]
        if field.default is None:
            _without_null(described)
        elif field.default_factory is not msgspec.NODEFAULT and struct.__name__ != "Command":
            required.append(field.encode_name)
    if required:
        part["required"] = sorted(set(required), key=list(part["properties"]).index)
    if struct is Event:
        part["allOf"] = _EVENT_RULES


def _without_null(described: Document) -> None:
    described.pop("default", None)
    options = [option for option in described.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        del described["anyOf"]
        described.update(options[0])
    elif options:
        described["anyOf"] = options


def _asyncapi() -> Document:
    schemas, parts = _parts([channel.payload for channel in CHANNELS], "#/components/schemas/{name}")
    messages = {
        channel.name: {"contentType": channel.content_type, "summary": channel.summary, "payload": schema}
        for channel, schema in zip(CHANNELS, schemas, strict=True)
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "prednet-edge over MQTT",
            "version": SCHEMA_VERSION,
            "description": "Version 1 of the contract. Consumers ignore unknown fields; minor versions only add. "
            f"Verbs: {', '.join(VERBS)}; {', '.join(sorted(ADMIN_VERBS))} only where the device allows them.",
        },
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {channel.name: _operation(channel) for channel in CHANNELS},
        "components": {"messages": messages, "schemas": parts},
    }


def _channel(channel: Channel) -> Document:
    return {
        "address": channel.address,
        "summary": channel.summary,
        "parameters": {name: {"description": _told(name)} for name in channel.parameters},
        "messages": {channel.name: {"$ref": f"#/components/messages/{channel.name}"}},
    }


def _told(name: str) -> str:
    pattern, description = parameter(name)
    return f"{description} Characters: {pattern}"


def _operation(channel: Channel) -> Document:
    """The device's own view: it sends what goes out and receives commands."""
    mqtt: Document = {"qos": channel.qos, "bindingVersion": "0.2.0"}
    if channel.retained is not None:
        mqtt["retain"] = channel.retained
    return {
        "action": "send" if channel.direction == "out" else "receive",
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "messages": [{"$ref": f"#/channels/{channel.name}/messages/{channel.name}"}],
        "bindings": {"mqtt": mqtt},
    }
