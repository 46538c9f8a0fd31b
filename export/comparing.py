"""Two bundles side by side: what differs in manifest, steps, limits and signature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from edge.archive import SIGNATURE, read_members
from edge.bundle import Bundle


class Difference(msgspec.Struct, frozen=True):
    """One thing that differs: its name, and what it is in the one bundle and the other; None where it is absent."""

    name: str
    one: object
    other: object


def differences(one: Bundle, other: Bundle) -> list[Difference]:
    """Return all in which two bundles differ: manifest, files, signature, limits of each variant."""
    pairs = [("", _facts(one), _facts(other))]
    for variant in sorted(one.manifest.variants.keys() & other.manifest.variants.keys()):
        limits = [msgspec.to_builtins(bundle.calibration(variant).limits) for bundle in (one, other)]
        pairs.append((f"limits.{variant}.", limits[0], limits[1]))
    return [found for prefix, left, right in pairs for found in _compared(prefix, left, right)]


def _facts(bundle: Bundle) -> dict[str, object]:
    facts: dict[str, object] = msgspec.to_builtins(bundle.manifest)
    files = {name: f"{member.size} bytes, {member.sha256[:12]}" for name, member in bundle.manifest.files.items()}
    signature = read_members(bundle.path).get(SIGNATURE)
    return facts | {"files": files, "signature": None if signature is None else signature.decode(errors="replace")}


def _compared(prefix: str, one: Mapping[str, object], other: Mapping[str, object]) -> Iterator[Difference]:
    for key in [*one, *(key for key in other if key not in one)]:
        left, right = one.get(key), other.get(key)
        if left == right:
            continue
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            yield from _compared(f"{prefix}{key}.", left, right)
        else:
            yield Difference(f"{prefix}{key}", left, right)


def told_differences(found: list[Difference]) -> str:
    """Return the differences, one a line, for a person."""
    if not found:
        return "no difference"
    return "\n".join(f"{one.name}: {_told(one.one)} → {_told(one.other)}" for one in found)


def _told(value: object) -> str:
    text = "–" if value is None else str(value)
    return text if len(text) <= 90 else f"{text[:87]}…"
