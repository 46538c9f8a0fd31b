"""Where a key stands in a YAML file, and which keys no type knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import yaml


def unknown_keys(node: yaml.Node | None, kind: Any, where: str) -> Iterator[str]:
    """Yield a sentence for every key that no type knows, with its line and the nearest that one knows."""
    if not isinstance(node, yaml.MappingNode):
        return
    if get_origin(kind) is dict:
        for key, value in node.value:
            yield from unknown_keys(value, get_args(kind)[1], f"{where}{key.value}.")
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        known = get_type_hints(kind)
        for key, value in node.value:
            if key.value in known:
                yield from unknown_keys(value, known[key.value], f"{where}{key.value}.")
                continue
            near = difflib.get_close_matches(str(key.value), known, n=1, cutoff=0.5)
            remedy = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}."
            yield f"{key.start_mark.line + 1}: unknown key '{where}{key.value}'; {remedy}"


def line_of(root: yaml.Node | None, keys: list[str]) -> int:
    """The line of the deepest key of a path that the file holds."""
    line = 1
    for name in keys:
        if not isinstance(root, yaml.MappingNode):
            break
        for key, value in root.value:
            if key.value == name:
                line, root = key.start_mark.line + 1, value
                break
    return line
