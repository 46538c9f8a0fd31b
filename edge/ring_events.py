"""The events that recorded scores make: the daemon's own decisions over the score ring, and its own messages.

Only `decide` and `end` of `edge.detection` decide. Frames at which they change nothing (no event is under way, and the
level is not above the limit) are passed over, so that a day takes a fraction of a second.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import numpy as np

from edge.detection import Detection, Detector, EndReason, Limit, Reading, Rules, decide, end, stall_rules
from edge.events import Teller, Told, events_from_moment
from edge.flood import Flood, passed
from edge.messages import ULID_RANDOM_BYTES, Event, new_event_id
from edge.moments import Finding, Kind, Moment
from edge.ring import ACTS, FIRST_LOSS, KINDS, PAUSED, SCORED, Facts, Segment, box_of

# What a kind of event is decided by in a segment: its limit, and the rules; without a limit nothing is decided.
LimitsOf = Callable[[Facts], tuple[Limit | None, Limit | None]]


def limits_in_force(facts: Facts) -> tuple[Limit | None, Limit | None]:
    """Return the limits of surprise and stall by which a segment was judged when it was recorded."""
    return facts.limit, facts.stall_limit


class Seen(NamedTuple):
    """The last message of each event, in the order of their beginnings; and of those that a flood's cap held back."""

    events: tuple[Event, ...]
    suppressed: tuple[Event, ...]


class _Decided(NamedTuple):
    """Something to be told: at which second of the camera, of which kind."""

    seconds: float
    kind: int
    detection: Detection
    limit: Limit


@dataclass
class _Memory:
    """What the judgement and the announcer remember of one camera."""

    detectors: list[Detector] = field(default_factory=lambda: [Detector() for _ in KINDS])
    open: Mapping[Kind, Told] = field(default_factory=dict)
    flood: Flood = field(default_factory=Flood)
    published: dict[str, Event] = field(default_factory=dict)
    suppressed: dict[str, Event] = field(default_factory=dict)


def events_of(camera: str, segments: Sequence[Segment], limits_of: LimitsOf) -> Seen:
    """Return the events that a camera's segments, the oldest first, make under some limits."""
    memory, numbers = _Memory(), itertools.count()
    for last, segment in zip([None, *segments], segments, strict=False):
        if last is not None and is_apart(last, segment):
            _tell(memory, camera, last.facts, _closed(memory, last, limits_of), numbers)
            memory.open, memory.flood = {}, Flood()
        _tell(memory, camera, segment.facts, _decided(memory, segment, limits_of), numbers)
    return Seen(*(tuple(sorted(told.values(), key=_begun)) for told in (memory.published, memory.suppressed)))


def _begun(event: Event) -> tuple[str, str]:
    return event.time.start or "", event.event_id


def is_apart(earlier: Segment, later: Segment) -> bool:
    """Return whether the daemon was started, or its clock set back, between two segments."""
    return earlier.facts.run != later.facts.run or bool(later.rows["seconds"][0] < earlier.rows["seconds"][-1])


def _decided(memory: _Memory, segment: Segment, limits_of: LimitsOf) -> list[_Decided]:
    """What a segment makes of what is open, in the order of its rows."""
    rules = (segment.facts.rules, stall_rules(segment.facts.rules))
    found: list[_Decided] = []
    for kind, limit in enumerate(limits_of(segment.facts)):
        if limit is not None:
            found += _decided_of(memory, segment, kind, limit, rules[kind])
    return sorted(found, key=lambda one: (one.seconds, one.kind))


def _decided_of(memory: _Memory, segment: Segment, kind: int, limit: Limit, rules: Rules) -> Iterator[_Decided]:
    rows, detector = segment.rows, memory.detectors[kind]
    levels, acts = rows["level"][:, kind], rows["act"]
    above = np.flatnonzero((levels > limit.on) & (acts == SCORED))
    read = _reader(segment, kind) if above.size or detector.episode is not None else None
    index = 0
    while index < len(rows) and read is not None:
        if detector.episode is None:  # nothing changes before the limit is exceeded
            place = int(np.searchsorted(above, index))
            if place == above.size:
                break
            index = int(above[place])
        act, reading = read(index)
        detector, detection = _step(detector, act, reading, limit, rules)
        if detection is not None:
            yield _Decided(reading.seconds, kind, detection, limit)
        index += 1
    memory.detectors[kind] = detector


def _step(
    detector: Detector, act: int, reading: Reading, limit: Limit, rules: Rules
) -> tuple[Detector, Detection | None]:
    """Take one frame as `edge.judgement` does."""
    if act == SCORED and reading.level == reading.level:  # NaN: this kind was not scored
        return decide(detector, reading, limit, rules)
    if act == PAUSED:
        return end(detector, "condition", reading.seconds)
    if act >= FIRST_LOSS:
        return end(detector, cast(EndReason, ACTS[act]), reading.seconds)
    return detector, None


def _reader(segment: Segment, kind: int) -> Callable[[int], tuple[int, Reading]]:
    """Return what gives a row's act and reading; lists and bytes are read many times faster than arrays."""
    rows, names, grid = segment.rows, segment.facts.zones, segment.facts.grid
    seconds, acts = rows["seconds"].tolist(), rows["act"].tobytes()
    levels, zs = rows["level"][:, kind].tolist(), rows["z"][:, kind].tolist()
    boxes, shares = rows["box"][:, kind].tobytes(), rows["zones"][:, kind] if names else None

    def read(index: int) -> tuple[int, Reading]:
        zones = {} if shares is None else _shares(names, shares[index].tolist())
        box = box_of(boxes[4 * index : 4 * index + 4], grid)
        return acts[index], Reading(seconds[index], levels[index], zs[index], box, zones)

    return read


def _shares(names: Sequence[str], shares: Sequence[float]) -> dict[str, float]:
    return {name: share for name, share in zip(names, shares, strict=True) if share > 0.0}


def _closed(memory: _Memory, last: Segment, limits_of: LimitsOf) -> list[_Decided]:
    """What is open when the daemon dies ends where its scores do."""
    seconds, found = float(last.rows["seconds"][-1]), []
    for kind, limit in enumerate(limits_of(last.facts)):
        _, detection = end(memory.detectors[kind], "restart", seconds)
        memory.detectors[kind] = Detector()
        if detection is not None and limit is not None:
            found.append(_Decided(seconds, kind, detection, limit))
    return found


def _tell(memory: _Memory, camera: str, facts: Facts, found: Sequence[_Decided], numbers: Iterator[int]) -> None:
    """Tell of what was decided as the announcer does, the cap of a flood included."""
    for one in found:
        kind = KINDS[one.kind]
        moment = Moment(camera, one.seconds, "watching", findings=(Finding(kind, one.detection, one.limit),))
        published = one.seconds + facts.wall_offset_seconds
        memory.open, (event,) = events_from_moment(
            _teller(camera, facts, numbers), memory.open, moment, published, None
        )
        memory.flood, may_pass = passed(memory.flood, event, one.seconds, facts.most_events_per_hour)
        (memory.published if may_pass else memory.suppressed)[event.event_id] = event


def _teller(camera: str, facts: Facts, numbers: Iterator[int]) -> Teller:
    return Teller(
        site="what-if",
        device="what-if",
        camera=camera,
        model=facts.model,
        rates={},
        calibrated=facts.calibrated,
        wall_offset_seconds=facts.wall_offset_seconds,
        clock=facts.clock,
        media_offset_seconds=None,
        new_id=lambda seconds: new_event_id(seconds, next(numbers).to_bytes(ULID_RANDOM_BYTES, "big")),
    )
