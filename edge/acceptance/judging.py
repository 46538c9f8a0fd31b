"""The promises of a device, each held against what it did: kept, broken, or not to be judged in the time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from edge.acceptance.ledger import BROKER, Loss, share_within
from edge.self_tests.results import SelfTest
from edge.verdicts import Realised

Verdict = Literal["kept", "broken", "not judged"]
DAY_SECONDS = 86400.0
# Below these nothing is said.
LEAST_FRAMES = 1000
LEAST_WATCHED = 0.5
LEAST_EVENTS = 0.5


class Promised(msgspec.Struct, frozen=True, kw_only=True):
    """What is promised beside the false events, which each camera's calibration promises.

    `uptime` is the share (0–1) of the time in which a camera is to be watched; seconds run from a camera's return until
    it is watched again, milliseconds from a frame's arrival until the broker has its event, beyond the hold.
    """

    uptime: float = 0.99
    recovery_seconds: float = 15.0
    latency_ms: float = 150.0


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """One promise of one camera, or of the device (`camera` empty): what was promised, what was seen, the verdict."""

    name: str
    camera: str
    promised: str
    seen: str
    verdict: Verdict


class Uptime(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of one camera's time: what the ledger of coverage knows, what it does not (`off`), and all of it.

    `is_whole` is false where the device is younger than the time; `is_clock_sure` where labels may be wrong.
    """

    camera: str
    watched: float
    warming: float
    degraded: float
    blind: float
    disabled: float
    off: float
    total: float
    is_whole: bool
    is_clock_sure: bool


def false_events(one: Realised) -> Clause:
    """Return whether a camera kept its rate of false events; what nobody has said anything of counts against it."""
    open_count = one.events - one.real - one.false
    seen = f"{one.false} called false by a person, {one.real} real, {open_count} without an answer, in "
    seen += f"{one.watched_days * 24.0:.1f} hours watched"
    if one.promised_per_day is None:
        why = "nothing: the calibration's footage is too short for a promise, or made for other zones"
        return _clause("false events", one.camera, why, seen, "not judged")
    promised, allowed = f"at most {one.promised_per_day:g} a day", one.promised_per_day * one.watched_days
    most = math.ceil(allowed)
    if one.false > max(most, 1):
        return _clause("false events", one.camera, promised, seen, "broken")
    if allowed < LEAST_EVENTS:  # so short a time allows not even one: silence in it proves nothing
        needed = LEAST_EVENTS / one.promised_per_day * 24.0
        seen += f"; to judge this takes {needed:.3g} hours watched or more"
        return _clause("false events", one.camera, promised, seen, "not judged")
    if one.false + open_count > most:
        seen += "; whether these are too many depends on the answers: prednet-edge ack ID real|false"
        return _clause("false events", one.camera, promised, seen, "not judged")
    if one.false + open_count == 0:  # -ln(0.05): what no event in a time says of a rate, with 95 % confidence
        seen += f"; none in this time shows, with 95 % confidence, at most {3.0 / one.watched_days:.1f} a day"
    return _clause("false events", one.camera, promised, seen, "kept")


def uptime(one: Uptime, promised: Promised) -> Clause:
    """Return whether a camera was watched as long as promised; what a person switched off does not count."""
    wanted = f"watched {promised.uptime:.1%} of the time"
    wished = max(one.total - one.disabled, 0.0)
    share = one.watched / wished if wished > 0.0 else 0.0
    seen = f"{share:.2%} watched of {wished / 3600.0:.1f} hours; {_lost_time(one)}"
    if not one.is_whole:
        return _clause("uptime", one.camera, wanted, f"{seen}; the device is younger than this time", "not judged")
    if not one.is_clock_sure:
        return _clause("uptime", one.camera, wanted, f"{seen}; its clock was not set in all of it", "not judged")
    if wished < LEAST_WATCHED * one.total:
        return _clause("uptime", one.camera, wanted, f"{seen}; it was switched off for most of it", "not judged")
    return _clause("uptime", one.camera, wanted, seen, "kept" if share >= promised.uptime else "broken")


def _lost_time(one: Uptime) -> str:
    parts = {"warming up": one.warming, "degraded": one.degraded, "blind": one.blind, "not running": one.off}
    told = [f"{name} {seconds / 60.0:.1f} min" for name, seconds in parts.items() if seconds >= 1.0]
    return ", ".join(told) or "nothing lost"


def reconnects(camera: str, losses: Sequence[Loss], promised: Promised) -> Clause:
    """Return whether a camera that was away was watched again in time, each time, by itself."""
    wanted = f"watched again {promised.recovery_seconds:g} s after it is back, by itself"
    if not losses:
        return _clause("reconnects", camera, wanted, "it was never away: nothing to judge", "not judged")
    back = [one for one in losses if one.back is not None]
    measured = [one.recovery_seconds for one in back if one.recovery_seconds is not None and not one.restarts]
    seen = f"away {_count(len(losses), 'time')}, back {_count(len(back), 'time')}"
    seen += f"; watched again at most {max(measured):.1f} s after the last vain attempt" if measured else ""
    if any(seconds > promised.recovery_seconds for seconds in measured):
        return _clause("reconnects", camera, wanted, seen, "broken")
    if len(measured) < len(losses):
        left = "; away now, or the daemon was started anew meanwhile: when it could be reached is not known"
        return _clause("reconnects", camera, wanted, seen + left, "not judged")
    return _clause("reconnects", camera, wanted, seen, "kept")


def broker_reconnects(losses: Sequence[Loss]) -> Clause:
    """Return whether the device came back to its broker by itself."""
    wanted = "connected again by itself; events wait on disk"
    if not losses:
        return _clause("broker", "", wanted, "it was never away: nothing to judge", "not judged")
    longest = max((one.back - one.lost for one in losses if one.back is not None), default=0.0)
    seen = f"away {_count(len(losses), 'time')}, {longest / 60.0:.1f} min at most"
    if any(one.back is None or one.restarts for one in losses):
        left = "; away now, or the daemon was started anew meanwhile"
        return _clause("broker", "", wanted, seen + left, "not judged")
    return _clause("broker", "", wanted, seen, "kept")


def latency(
    camera: str, counts: Mapping[int, int], acknowledged: Sequence[float], promised: Promised, since: str | None = None
) -> Clause:
    """Return whether decisions and their way to the broker were fast enough; `acknowledged` are milliseconds.

    `since` is the hour of the first frame that is known, where that is not the first of the time.
    """
    wanted = (
        f"{promised.latency_ms:g} ms from a frame's arrival to its event at the broker beyond the hold, in 95 of 100"
    )
    decided = share_within(counts, 0.95)
    if decided is None or sum(counts.values()) < LEAST_FRAMES:
        seen = f"{sum(counts.values())} frames, too few to judge by"
        return _clause("latency", camera, wanted, seen, "not judged")
    seen = f"decided within {decided:.0f} ms in 95 of 100 of {sum(counts.values()):,} frames"
    seen += "" if since is None else f" (since {since}, UTC; of earlier hours none are kept)"
    if decided > promised.latency_ms:
        return _clause("latency", camera, wanted, seen, "broken")
    if not acknowledged:
        seen += "; the way to the broker was not measured: run prednet-edge self-test"
        return _clause("latency", camera, wanted, seen, "not judged")
    on_the_way = max(acknowledged)
    seen += f", and {on_the_way:.0f} ms to the broker at most, in {_count(len(acknowledged), 'self-test')}"
    return _clause("latency", camera, wanted, seen, "kept" if decided + on_the_way <= promised.latency_ms else "broken")


def self_tests(tests: Sequence[SelfTest]) -> Clause:
    """Return whether a known anomaly came through to the broker, every time it was tried."""
    wanted = "a known anomaly, planted into a copy of the live picture, reaches the broker"
    failed = [one for one in tests if not one.passed]
    seen = f"{len(tests) - len(failed)} of {_count(len(tests), 'self-test')} passed"
    if not tests:
        return _clause("self-test", "", wanted, "none was made: run prednet-edge self-test", "not judged")
    return _clause("self-test", "", wanted, seen, "broken" if failed else "kept")


def acknowledged_of(tests: Sequence[SelfTest], camera: str) -> list[float]:
    """Return the milliseconds that self-tests of a camera took from the outbox to the broker's acknowledgement."""
    return [
        station.milliseconds
        for test in tests
        for one in test.cameras
        for station in one.stations
        if one.camera == camera and station.name == "broker" and station.passed and station.milliseconds is not None
    ]


def clauses_of(
    realised: Sequence[Realised],
    times: Sequence[Uptime],
    losses: Sequence[Loss],
    frames: Mapping[str, Mapping[int, int]],
    frames_since: Mapping[str, str],
    tests: Sequence[SelfTest],
    promised: Promised,
) -> Iterator[Clause]:
    """Yield every promise with its verdict, camera by camera, then those of the device.

    `frames_since`: see `latency`.
    """
    by_camera = {one.camera: one for one in times}
    for one in realised:
        camera = one.camera
        yield false_events(one)
        yield uptime(by_camera[camera], promised)
        yield reconnects(camera, [loss for loss in losses if loss.name == camera], promised)
        acknowledged = acknowledged_of(tests, camera)
        yield latency(camera, frames.get(camera, {}), acknowledged, promised, frames_since.get(camera))
    yield broker_reconnects([loss for loss in losses if loss.name == BROKER])
    yield self_tests(tests)


def _clause(name: str, camera: str, promised: str, seen: str, verdict: Verdict) -> Clause:
    return Clause(name=name, camera=camera, promised=promised, seen=seen, verdict=verdict)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
