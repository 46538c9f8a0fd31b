"""What a person tries, as it is written: `limit=…,false_per_day=…,mask=…,bundle=…,normal=…`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge.errors import JsonError, UsageError
from edge.privacy import Shape, fault_of_shape

KEYS = ("limit", "false_per_day", "mask", "bundle", "normal")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is tried; `masks` are shapes, or names of zones of the camera. Nothing at all is what was in force."""

    limit: float | None = None
    false_per_day: float | None = None
    masks: tuple[Shape | str, ...] = ()
    bundle: str = ""
    normal: str = ""

    @property
    def needs_frames(self) -> bool:
        """Whether recorded scores cannot tell, and the frames are watched again."""
        return bool(self.masks or self.bundle or self.normal)


def wish_from_texts(texts: Sequence[str]) -> Wish:
    """Return what texts such as `limit=4.2,mask=[[0.8,0],[1,0.3]]` ask for. Raises UsageError for what is none."""
    found: dict[str, Any] = {"masks": ()}
    for text in texts:
        for part in re.split(r",(?=\s*[a-z_]+=)", text):  # a mask has commas of its own
            key, _, value = (word.strip() for word in part.partition("="))
            if key == "limit" and value.startswith("false_per_day="):
                key, value = "false_per_day", value.partition("=")[2]
            if key not in KEYS or not value:
                raise UsageError(f"--what-if {part!r}: write KEY=VALUE, with a key of {', '.join(KEYS)}.")
            if key == "mask":
                found["masks"] = (*found["masks"], _mask(value))
            elif key in found:
                raise UsageError(f"--what-if {part!r}: {key} stands twice; give it once.")
            else:
                found[key] = _number(key, value) if key in ("limit", "false_per_day") else value
    return Wish(**found)


def _number(key: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise UsageError(f"--what-if {key}={text}: {text!r} is no number.") from error
    if not 0.0 < number <= 10_000.0:
        raise UsageError(f"--what-if {key}={text}: {number:g} is not above 0, 10000 at most.")
    return number


def _mask(text: str) -> Shape | str:
    if not text.startswith("["):
        return text
    try:
        shape = msgspec.json.decode(text, type=Shape)
    except JsonError as error:
        raise UsageError(
            f"--what-if mask={text}: is no shape; write two corners [[0.8,0.0],[1.0,0.3]], a polygon, or a zone's name."
        ) from error
    fault = fault_of_shape(shape)
    if fault is not None:
        raise UsageError(f"--what-if mask={text}: {fault}")
    return shape


def told_wish(wish: Wish) -> str:
    """Return what is tried in words."""
    masks = (f"mask {mask if isinstance(mask, str) else msgspec.json.encode(mask).decode()}" for mask in wish.masks)
    told = [
        None if wish.limit is None else f"limit {wish.limit:g}",
        None if wish.false_per_day is None else f"at most {wish.false_per_day:g} false events a day",
        *masks,
        f"bundle {Path(wish.bundle).name}" if wish.bundle else None,
        f"normality {Path(wish.normal).name}" if wish.normal else None,
    ]
    return ", ".join(filter(None, told)) or "nothing changed"
