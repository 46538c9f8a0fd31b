"""Where a key stands in a YAML file, and which keys no type knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import yaml

from edge.errors import ConfigInvalid


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


def composed(text: str, path: Path) -> yaml.Node | None:
    """Return the nodes of a YAML text. Raises ConfigInvalid with line and column, and none of what stands there."""
    with _told_as_mistakes(path):
        return yaml.compose(text, Loader=yaml.SafeLoader)


def loaded(text: str, path: Path) -> object:
    """Return what a YAML text comes to. Raises ConfigInvalid: tags that are not known, keys that are lists, no date."""
    with _told_as_mistakes(path):
        return yaml.safe_load(text)


@contextmanager
def _told_as_mistakes(path: Path) -> Iterator[None]:
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}: not YAML at column {mark.column + 1}" if mark else ": not YAML"
        raise ConfigInvalid(f"{path}{at}: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise ConfigInvalid(f"{path}: not YAML: {str(error).splitlines()[0]}.") from error
    except ValueError as error:  # a date such as 2026-13-45
        raise ConfigInvalid(f"{path}: not YAML: {error}; put words into quotes.") from error
    except RecursionError as error:
        raise ConfigInvalid(f"{path}: not a configuration: its lists or keys are nested too deep.") from error


def double_keys(node: yaml.Node | None, where: str) -> Iterator[str]:
    """Yield a sentence for every key that stands twice: YAML takes the last one without a word."""
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in lines:
            yield f"{line}: '{where}{key.value}' stands in line {lines[key.value]} too; leave one of the two out."
        lines[key.value] = line
        yield from double_keys(value, f"{where}{key.value}.")


def known_values(kind: Any, keys: Sequence[str]) -> str:
    """Return the values that a key may have, as the end of a sentence; empty where they are no list."""
    for key in keys:
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            kind = get_type_hints(kind).get(key)
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    values = [str(value) or "''" for value in get_args(kind)]
    return f"; known here: {', '.join(values)}" if get_origin(kind) is Literal else ""


def line_if_there(root: yaml.Node | None, keys: Sequence[str]) -> int | None:
    """Return the line in which a path's last key stands; None where the file does not hold it."""
    line = None
    for name in keys:
        found = [one for one in (root.value if isinstance(root, yaml.MappingNode) else ()) if one[0].value == name]
        if not found:
            return None
        line, root = found[-1][0].start_mark.line + 1, found[-1][1]
    return line
