"""What a configuration comes to: every key with the value that counts, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from edge.config_file import config_from_text, read_text
from edge.kept_secrets import secrets_of
from edge.yaml_keys import composed, line_if_there

DEFAULT = "default"
_INDENT = "  "


@dataclass(frozen=True)
class Shown:
    """A key's path, its value where it has no keys below it, and its origin: `line 7` or `default`."""

    keys: tuple[str, ...]
    value: Any
    is_leaf: bool
    origin: str


def shown(path: Path) -> Iterator[Shown]:
    """Yield each key of a configuration in the order of the sample. Raises ConfigInvalid as reading it does."""
    text = read_text(path)
    root = composed(text, path)
    yield from _below(msgspec.to_builtins(config_from_text(text, path)), root, ())


def secret_origins(path: Path) -> dict[str, str]:
    """Return where each secret that is set comes from, by its name; never the secret."""
    return {name: secret.origin for name, secret in secrets_of(config_from_text(read_text(path), path))}


def yaml_of(keys: Iterator[Shown], *, with_origin: bool) -> Iterator[str]:
    """Yield the lines of a YAML file that is the same configuration; origins stand in comments."""
    for one in keys:
        indent, value = _INDENT * (len(one.keys) - 1), f" {_flow(one.value)}" if one.is_leaf else ""
        line = f"{indent}{_flow(one.keys[-1])}:{value}"
        yield f"{line}  # {one.origin}" if with_origin and one.is_leaf else line


def _below(value: dict[str, Any], root: yaml.Node | None, keys: tuple[str, ...]) -> Iterator[Shown]:
    for key, inner in value.items():
        here = (*keys, key)
        line = line_if_there(root, here)
        is_leaf = not (isinstance(inner, dict) and inner)
        yield Shown(here, inner if is_leaf else None, is_leaf, DEFAULT if line is None else f"line {line}")
        if not is_leaf:
            yield from _below(inner, root, here)


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()
