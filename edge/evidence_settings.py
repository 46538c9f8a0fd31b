"""The part of the configuration that says what is kept of an event, and for how long."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from edge.upload_settings import Upload, upload_faults


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is recorded of each event, and when it goes.

    A clip runs from `pre_roll_seconds` before the event to `post_roll_seconds` after it, `longest_seconds` at most.
    Evidence of alerts is kept for `days`, of warnings and tests for `days_of_minor`; all of it takes `megabytes` at
    most, and leaves `free_megabytes` of the disk to others. `record: false` keeps nothing.
    `upload` copies it to a store.
    """

    record: bool = True
    pre_roll_seconds: float = 5.0
    post_roll_seconds: float = 5.0
    longest_seconds: float = 60.0
    days: float = 30.0
    days_of_minor: float = 7.0
    megabytes: float = 4000.0
    free_megabytes: float = 512.0
    upload: Upload = Upload()


_RANGES = {
    "pre_roll_seconds": (0.0, 60.0),
    "post_roll_seconds": (0.0, 60.0),
    "longest_seconds": (1.0, 600.0),
    "days": (0.0, 3650.0),
    "days_of_minor": (0.0, 3650.0),
    "megabytes": (1.0, 1e7),
    "free_megabytes": (0.0, 1e7),
}


def evidence_faults(evidence: Evidence) -> Iterator[tuple[list[str], str]]:
    """Yield the keys of what is wrong, and the rest of the sentence."""
    for key, (low, high) in _RANGES.items():
        value = getattr(evidence, key)
        if not low <= value <= high:
            yield [key], f"{value:g} is not within {low:g} to {high:g}."
    if evidence.longest_seconds <= evidence.pre_roll_seconds:
        yield (
            ["longest_seconds"],
            f"{evidence.longest_seconds:g} is not above pre_roll_seconds, {evidence.pre_roll_seconds:g}.",
        )
    yield from ((["upload", *keys], message) for keys, message in upload_faults(evidence.upload))
