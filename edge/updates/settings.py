"""The part of the configuration that says how a new bundle proves itself."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Updates(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long a new bundle is on trial, and what a shadow costs.

    For `trial_minutes` the scores of a bundle that was activated are held against those that its calibration was made
    of; 0 takes it as it is. A shadow looks at `shadow_share` of the frames (0–1).
    """

    trial_minutes: float = 60.0
    shadow_share: float = 0.1


_RANGES = {"trial_minutes": (0.0, 10080.0), "shadow_share": (0.001, 1.0)}


def update_faults(updates: Updates) -> Iterator[tuple[list[str], str]]:
    """Yield the keys of what is wrong, and the rest of the sentence."""
    for key, (low, high) in _RANGES.items():
        value = getattr(updates, key)
        if not low <= value <= high:
            yield [key], f"{value:g} is not within {low:g} to {high:g}."
