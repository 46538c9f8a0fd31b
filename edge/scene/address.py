"""Scenes by address: test://factory?seed=3&accidents=fire,jam&start=0&seconds=60."""

from __future__ import annotations

import difflib
import math
from typing import TypeVar
from urllib.parse import parse_qsl

from edge.errors import UsageError
from edge.scene.incidents import ACCIDENTS, CONDITIONS, Kind, Scene
from edge.scene.planting import accident_scene

KEYS = ("seed", "accidents", "conditions", "first", "spacing", "start", "seconds")
_Name = TypeVar("_Name", bound=str)


def scene_from_url(url: str) -> tuple[Scene, float, float | None]:
    """Return the scene, the second to start at, and the seconds to last (None: without end).

    Keys, all optional: seed; accidents and conditions (all, none, or names with commas; planted in the
    order given, accidents first); first (second of the first one); spacing (seconds of normal work
    between two); start; seconds. Raises UsageError for whatever else the address holds.
    """
    values = _values(url)
    accidents = _kinds(url, "accidents", values.get("accidents", "none"), ACCIDENTS)
    conditions = _kinds(url, "conditions", values.get("conditions", "none"), CONDITIONS)
    kinds: list[Kind] = [*accidents, *conditions]
    first = _seconds(url, "first", values.get("first", "20"))
    spacing = _positive_seconds(url, "spacing", values.get("spacing", "12"))
    start = _seconds(url, "start", values.get("start", "0"))
    last = values.get("seconds")
    duration = None if last is None else _positive_seconds(url, "seconds", last)
    return accident_scene(_seed(url, values.get("seed", "0")), first, spacing, kinds), start, duration


def _values(url: str) -> dict[str, str]:
    """Return the address's keys and values, each key once and known."""
    address, _, query = url.partition("?")
    if address not in ("test://factory", "test://factory/"):
        raise UsageError(f"{url} is not a test scene; expected test://factory, as in test://factory?seed=3")
    values: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in KEYS:
            raise UsageError(f"{url}: unknown key {key}; expected {_one_of(key, KEYS)}")
        if key in values:
            raise UsageError(f"{url}: {key} is given twice; expected it once")
        values[key] = value
    return values


def _one_of(found: str, names: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(found, names, n=1)
    return f"{near[0]}, or another of {', '.join(names)}" if near else f"one of {', '.join(names)}"


def _seed(url: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{url}: seed is {text!r}; expected a whole number of 0 or above")
    return int(text)


def _seconds(url: str, key: str, text: str) -> float:
    seconds = _number(text)
    if seconds is None or seconds < 0.0:
        raise UsageError(f"{url}: {key} is {text!r}; expected a number of seconds of 0 or above")
    return seconds


def _positive_seconds(url: str, key: str, text: str) -> float:
    seconds = _number(text)
    if seconds is None or seconds <= 0.0:
        raise UsageError(f"{url}: {key} is {text!r}; expected a number of seconds above 0")
    return seconds


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _kinds(url: str, key: str, text: str, known: tuple[_Name, ...]) -> tuple[_Name, ...]:
    if text == "none":
        return ()
    if text == "all":
        return known
    by_name = {str(name): name for name in known}
    for name in text.split(","):
        if name not in by_name:
            expected = _one_of(name, (*by_name, "all", "none"))
            raise UsageError(f"{url}: {key} has {name!r}; expected {expected}")
    return tuple(by_name[name] for name in text.split(","))
