"""The sample configuration says what each key is for; the JSON Schema for editors takes its words from it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import yaml

from edge.config import Config
from edge.schema import DIALECT, text_of

SAMPLE_FILE = Path(__file__).with_name("data") / "config.sample.yaml"
SCHEMA_FILE = Path(__file__).with_name("data") / "config.schema.json"
ANY = "*"  # stands for the name that a user chooses: of a camera, a zone, a profile

# A line of an example: what a user would write instead of the empty default below it.
_EXAMPLE = re.compile(r"( *)#   (.*)")
_COMMENT = re.compile(r" *# ?(.*)")


def sample_text() -> str:
    """Return the sample: every key with a comment and its default."""
    return SAMPLE_FILE.read_text(encoding="utf-8")


def with_examples(text: str) -> str:
    """Return a sample in which its examples stand in place of the defaults that they are written above."""
    lines, replaced = [], False
    for line in text.splitlines():
        example = _EXAMPLE.fullmatch(line)
        if example is not None:
            lines.append(example[1] + example[2])
            replaced = True
        elif replaced and _COMMENT.fullmatch(line) is None:
            replaced = False
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def comments_of(text: str) -> dict[tuple[str, ...], str]:
    """Return what stands in the comment above each key, by the key's path; chosen names are `ANY`."""
    root, lines = yaml.compose(text, Loader=yaml.SafeLoader), text.splitlines()
    return {path: _comment_above(lines, line) for path, line in _keys(root, Config, ())}


def schema_text() -> str:
    """Return the JSON Schema of a configuration, as it is shipped and printed."""
    document = dict(msgspec.json.schema(Config))
    comments = comments_of(with_examples(sample_text()))
    for path, struct in _structs(Config, ()):
        part = document["$defs"][struct.__name__]
        part["description"], properties = inspect.getdoc(struct), part["properties"]
        for field in msgspec.structs.fields(struct):
            key = (*path, field.name)
            properties[field.name]["description"] = comments[key]
    document["$defs"]["Config"]["anyOf"] = [{"required": ["bundle"]}, {"required": ["predictor"]}]
    return text_of({"$schema": DIALECT, "title": "Configuration of prednet-edge", **document})


def _keys(node: yaml.Node | None, kind: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the path of each key that a type knows, and its line, counted from 0."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        of_user = get_origin(kind) is dict
        here = (*path, ANY if of_user else key.value)
        yield here, key.start_mark.line
        yield from _keys(value, get_args(kind)[1] if of_user else get_type_hints(kind)[key.value], here)


def _structs(kind: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], type[msgspec.Struct]]]:
    """Yield each struct of a configuration with the path at which it stands."""
    if get_origin(kind) is dict:
        yield from _structs(get_args(kind)[1], (*path, ANY))
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield path, kind
        for name, inner in get_type_hints(kind).items():
            yield from _structs(inner, (*path, name))


def _comment_above(lines: list[str], line: int) -> str:
    words: list[str] = []
    for above in reversed(lines[:line]):
        comment = _COMMENT.fullmatch(above)
        if comment is None:
            break
        words.insert(0, comment[1])
    return " ".join(words)
