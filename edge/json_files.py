"""Small files of JSON, as the device keeps them, which may be gone or damaged."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from edge.errors import JsonError

_Value = TypeVar("_Value")
_Default = TypeVar("_Default")


def read_json(path: Path, kind: type[_Value], default: _Default) -> _Value | _Default:
    """Return what a file of JSON holds; `default` where it is gone, cannot be read or was damaged, in whatever way."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, *JsonError):
        return default
