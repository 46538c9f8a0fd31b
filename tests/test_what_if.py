"""What if: the events that recorded scores make are the daemon's own, and what is not covered is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge.detection import Detector, Limit, Reading, Rules, decide, end, limit_at, stall_rules
from edge.events import events_from_moment
from edge.frames import Frame
from edge.labels import seconds_from_utc
from edge.messages import Event
from edge.model import Model
from edge.pipeline import rounds_from_frames, watch
from edge.recording import read_film
from edge.replay import replay_teller
from edge.ring import ACTS, Ring, Segment, ring_of
from edge.ring_coverage import covered
from edge.ring_events import events_of, limits_in_force
from edge.setup import Device, read_device
from edge.what_if import Change, compared, limits_under, preview
from edge.what_if_change import models_under, what_if
from edge.what_if_frames import clipped, watched_again
from edge.what_if_told import headline
from edge.what_if_wish import Wish
from tests.ringing import ALL_TIME, ZONES, eventful_images, facts, segment_of, watched

WALL = 1e9


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """What a daemon left that watched nine accidents, a cover and a standstill: its configuration, what it published."""
    return watched(tmp_path_factory.mktemp("device"), eventful_images(), ZONES, frames=900)


@pytest.fixture(scope="module")
def device(left: tuple[Path, list[dict[str, Any]]]) -> Device:
    """The same device, read."""
    return read_device(left[0])


@pytest.fixture(scope="module")
def ring(device: Device) -> Ring:
    """Its score ring."""
    return ring_of(device.config.state_directory)


def told(event: dict[str, Any] | Event) -> tuple[object, ...]:
    """What an event says of the scene, as a tuple that compares; times aside, whose labels come of two clocks."""
    one = msgspec.to_builtins(event) if isinstance(event, Event) else event
    score = {
        key: one["score"][key] for key in ("peak", "mean", "z_peak", "threshold_on", "threshold_off", "valid_frames")
    }
    zones = [(zone["id"], zone["peak"], zone["share"]) for zone in one.get("zones", ())]
    return (one["kind"], one["type"], one["end_reason"], score, tuple(one["bbox"]), zones)


def seconds_of(event: dict[str, Any]) -> list[float]:
    """Begin, peak and end in Unix time."""
    return [seconds_from_utc(event["time"][key]) for key in ("start", "peak", "end")]


def test_the_limit_in_force_makes_exactly_the_events_that_were_published(
    left: tuple[Path, list[dict[str, Any]]], ring: Ring
) -> None:
    """Kinds, times, scores, boxes, zones and reasons of all events, with a cover and a standstill among them."""
    ends = [event for event in left[1] if event["type"] == "end"]
    seen = events_of("busy", ring.segments("busy", *ALL_TIME), limits_in_force)
    assert {(event["kind"], event["end_reason"]) for event in ends} >= {
        ("surprise", "cleared"), ("surprise", "condition"), ("stall", "condition")
    }  # fmt: skip
    assert sorted(map(str, map(told, seen.events))) == sorted(map(str, map(told, ends)))
    published = sorted((event["kind"], *seconds_of(event)) for event in ends)
    for one, other in zip(
        published, sorted((str(e.kind), *seconds_of({"time": vars_of(e)})) for e in seen.events), strict=True
    ):
        assert one[1:] == pytest.approx(other[1:], abs=0.002), (
            "labels hold milliseconds, the clocks' distance is read twice"
        )
    found = preview(ring, "busy", *ALL_TIME, Change())
    assert (found.before, found.after, found.stay) == (len(ends),) * 3


def vars_of(event: Event) -> dict[str, Any]:
    """The times of an event by name."""
    return {"start": event.time.start, "peak": event.time.peak, "end": event.time.end}


def judged_anew(model: Model, segments: list[Segment], limit: Limit, rules: Rules) -> list[tuple[object, ...]]:
    """The oracle: the river over the frames from the first on, with this limit in the judge."""
    images = [image for one in segments if one.film for image in read_film(one.film, one.facts.form.channels)]
    seconds = [second for one in segments for second in one.rows["seconds"][one.rows["has_frame"] == 1].tolist()]
    judge = replace(model.judge(rules), limit=limit)
    rounds = rounds_from_frames("replay", [Frame(*both) for both in zip(images, seconds, strict=True)])
    open_events: Any = {}
    last: dict[str, Event] = {}
    for moment in watch(rounds, model.runner(1), {"replay": judge}):
        open_events, events = events_from_moment(replay_teller(model, "busy"), open_events, moment, 0.0, None)
        last |= {event.event_id: event for event in events}
    return sorted((told(event) for event in last.values()), key=str)


@pytest.mark.parametrize("on", [2.0, 20.0])
def test_another_limit_makes_the_events_that_the_river_makes_with_it(device: Device, ring: Ring, on: float) -> None:
    """The river over the kept frames with that limit is the oracle: from scores alone comes the same."""
    segments, model = ring.segments("busy", *ALL_TIME), device.models["busy"]
    limit = limit_at(model.calibration.limit, on)
    expected = judged_anew(model, segments, limit, device.config.detection.rules)
    seen = events_of("busy", segments, limits_under(Change(limit=on)))
    assert sorted(map(told, seen.events), key=str) == expected
    assert expected


def test_frames_watched_again_come_to_the_scores_that_were_recorded(device: Device, ring: Ring) -> None:
    """Bit for bit: the film is lossless, and the river the same."""
    segments, model = ring.segments("busy", *ALL_TIME), device.models["busy"]
    runner = model.runner(1)
    again = watched_again("busy", segments, runner, lambda _: model)
    runner.close()
    assert sum(len(one.rows) for one in again) >= 620
    for was, now in zip(segments, again, strict=True):
        for name in ("seconds", "act", "level", "score", "z", "box", "zones"):
            np.testing.assert_array_equal(was.rows[name], now.rows[name], err_msg=name)


def test_a_mask_and_a_limit_together_make_the_events_of_a_river_with_both(device: Device, ring: Ring) -> None:
    """A zone by its name and a level: the oracle is the river with the masked model."""
    wish = Wish(masks=("right",), limit=1.5)
    answer = what_if(device, ring, "busy", ALL_TIME, wish)
    model = models_under(device, "busy", wish)("")
    limit = limit_at(device.models["busy"].calibration.limit, 1.5)
    expected = judged_anew(model, ring.segments("busy", *ALL_TIME), limit, device.config.detection.rules)
    seen = events_of("busy", answer.after, answer.limits_of)
    assert sorted(map(told, seen.events), key=str) == expected
    assert answer.found.after == len(expected)
    assert answer.found.covered.unfilmed_seconds == 0.0


def test_what_a_mask_hides_vanishes_and_nothing_else_comes(device: Device, ring: Ring) -> None:
    """All accidents happen to the right: with it masked none of them is left."""
    found = what_if(device, ring, "busy", ALL_TIME, Wish(masks=(((0.5, 0.4), (1.0, 1.0)),))).found
    surprises = [one for one in found.events if one.kind == "surprise"]
    assert {one.fate for one in surprises} == {"vanishes"}
    assert found.come == 0


def test_events_whose_frames_are_gone_are_unknown_and_not_gone(device: Device, ring: Ring) -> None:
    """A mask is tried where only the second half has frames: the events before it are in neither count."""
    segments = ring.segments("busy", *ALL_TIME)
    middle = float(segments[0].wall_seconds[300])
    first, second = clipped(segments, 0.0, middle), clipped(segments, middle + 0.001, 4e9)
    bare = [Segment(one.facts, one.rows, None) for one in first]
    runner = device.models["busy"].runner(1)
    again = watched_again("busy", [*bare, *second], runner, lambda _: device.models["busy"])
    runner.close()
    found = compared("busy", ALL_TIME, [*bare, *second], again, limits_in_force, is_filmed=True)
    starts = [seconds_from_utc(one.start) for one in found.events if one.fate == "unknown"]
    assert starts
    assert all(start < middle for start in starts)
    assert found.before == found.stay
    assert found.vanish == 0
    lost = covered(bare, ALL_TIME).scored_seconds
    assert lost <= (found.covered.unfilmed_seconds or 0.0) <= lost + 2.0, "and what warms up anew"


def test_what_is_left_of_an_event_that_cannot_be_told_is_in_neither_count() -> None:
    """Ten seconds were recorded and the last two scored again: no event stays that was in no count before."""
    before = segment_of(high(100))
    after = segment_of(high(100)[130:], start=13.0)
    found = compared("a", (WALL, WALL + 60), [before], [after], limits_in_force, is_filmed=True)
    assert (found.before, found.after, found.stay, found.come, found.vanish, found.unknown) == (0, 0, 0, 0, 0, 1)
    assert headline(found) == "a: 0 instead of 0; 1 cannot be told, their frames are gone"
    nothing = compared("a", (WALL, WALL + 60), [], [], limits_in_force, is_filmed=True)
    assert headline(nothing) == "a: 0 instead of 0; there were no events"


def test_a_film_that_breaks_off_ends_what_is_open_and_the_network_begins_anew(
    device: Device, ring: Ring, tmp_path: Path
) -> None:
    """Damaged or deleted while it is watched again: nothing is judged across the hole, and before it all is as it was."""
    first, second, *_ = ring.segments("busy", *ALL_TIME)
    assert first.film is not None
    half = tmp_path / first.film.name
    half.write_bytes(first.film.read_bytes()[: first.film.stat().st_size // 2])
    runner = device.models["busy"].runner(1)
    parts = [
        watched_again("busy", [replace(first, film=film), second], runner, lambda _: device.models["busy"])
        for film in (half, tmp_path / "gone.mkv")
    ]
    runner.close()
    broken, rest = parts[0]
    assert 100 < len(broken.rows) < len(first.rows)
    # The optical flow rounds the last bit of its float32 speed by where its buffers lie.
    np.testing.assert_allclose(broken.rows["level"][:-1], first.rows["level"][: len(broken.rows) - 1], atol=1e-5)
    assert ACTS[broken.rows["act"][-1]] == "restart"
    assert [ACTS[act] for act in rest.rows["act"][:6]] == ["warming_up"] * 5 + ["scored"]
    (alone,) = parts[1]
    assert alone.rows["seconds"][0] == second.rows["seconds"][0]


def test_a_run_of_decisions_over_every_row_comes_to_the_same() -> None:
    """Passing over frames changes nothing: random levels and losses, against `decide` and `end` called for each row."""
    rng = np.random.default_rng(1)
    for number in range(40):
        levels = 3.0 + 1.5 * np.cumsum(rng.normal(0, 0.4, 400)) / 3 + rng.normal(0, 0.3, 400)
        acts = rng.choice(["scored", "paused", "warming_up", "camera_lost"], 400, p=[0.97, 0.01, 0.01, 0.01]).tolist()
        halves = [segment_of(levels[:170], 0.0, levels[:170][::-1], acts[:170]),
                  segment_of(levels[170:], 17.0, levels[170:][::-1], acts[170:])]  # fmt: skip
        seen = events_of("a", halves, limits_in_force)
        found = sorted((str(e.kind), round(seconds_from_utc(e.time.start or "") - WALL, 1)) for e in seen.events)
        kinds = ("surprise", "stall")
        expected = sorted((name, round(at, 1)) for kind, name in enumerate(kinds) for at in plainly(halves, kind))
        assert found == expected, number


def plainly(segments: list[Segment], kind: int) -> list[float]:
    """When events begin, by a plain loop over every row."""
    rules = Rules() if kind == 0 else stall_rules(Rules())
    detector, found, limit = Detector(), [], Limit(3.0, 2.0)
    for row in np.concatenate([one.rows for one in segments]):
        seconds, act = float(row["seconds"]), ACTS[row["act"]]
        detection = None
        if act == "scored":
            reading = Reading(seconds, float(row["level"][kind]), 0.0, (0.0, 0.0, 1.0, 1.0))
            detector, detection = decide(detector, reading, limit, rules)
        elif act in ("paused", "camera_lost"):
            detector, detection = end(detector, "condition", seconds)
        if detection is not None and detection.type == "new":
            found.append(detection.episode.start_seconds)
    return found


def high(count: int) -> list[float]:
    """Levels of an event of so many frames, after and before quiet ones."""
    return [0.0] * 50 + [5.0] * count + [0.0] * 50


def test_a_restart_ends_what_is_open_and_begins_anew() -> None:
    """A daemon that died within an event: it ends with `restart`, and the next run has an event of its own."""
    dying = segment_of([0.0] * 50 + [5.0] * 50, run="a")
    living = segment_of([5.0] * 50 + [0.0] * 50, start=30.0, run="b")
    seen = events_of("a", [dying, living], limits_in_force)
    assert [event.end_reason for event in seen.events] == ["restart", "cleared"]


def test_the_cap_of_a_flood_holds_back_as_the_daemon_does() -> None:
    """Twelve events within the hour, ten may pass: two are held back, before and after alike."""
    levels = np.tile(high(30), 12)
    found = compared("a", (WALL, WALL + 1e4), *[[segment_of(levels, most_events_per_hour=10)]] * 2, limits_in_force,
                     is_filmed=False)  # fmt: skip
    assert (found.before, found.suppressed_before, found.after, found.suppressed_after) == (10, 2, 10, 2)


def test_a_split_event_stays_in_parts() -> None:
    """One event under the limit in force, two peaks under a higher one: it stays, and nothing comes."""
    levels = [0.0] * 50 + [9.0] * 40 + [4.0] * 40 + [9.0] * 40 + [0.0] * 50
    segments = [segment_of(levels)]
    found = compared("a", (WALL, WALL + 60), segments, segments, limits_under(Change(limit=7.0)), is_filmed=False)
    assert (found.before, found.after, found.stay, found.come, found.vanish) == (1, 2, 1, 0, 0)


def test_an_event_counts_where_it_begins() -> None:
    """One that began before the stretch is in neither count."""
    segments = [segment_of(high(100))]
    found = compared("a", (WALL + 7.0, WALL + 60), segments, segments, limits_in_force, is_filmed=False)
    assert (found.before, found.after) == (0, 0)


def test_what_is_not_covered_is_said_in_seconds() -> None:
    """Every second of the stretch is in one field: before, scored, warming, degraded, blind, off, unwritten."""
    acts = ["warming_up"] * 5 + ["scored"] * 195 + ["paused"] * 100 + ["camera_lost"]
    first = segment_of([0.0] * 301, acts=acts, run="a")  # the last row at 30 s; frames again at 50 s
    back = segment_of([0.0] * 101, start=50.0, run="a", acts=["warming_up"] * 5 + ["scored"] * 95 + ["disabled"])
    later = segment_of([0.0] * 101, start=70.0, run="b")
    found = covered([first, back, later], (WALL - 10.0, WALL + 100.0))
    assert found.before_seconds == pytest.approx(10.0)
    assert found.warming_seconds == pytest.approx(1.0, abs=0.05)  # times of 1e9 s hold a tenth of a microsecond
    assert found.scored_seconds == pytest.approx(19.5 + 9.5 + 10.0, abs=0.05)
    assert found.degraded_seconds == pytest.approx(10.0, abs=0.05)
    assert found.blind_seconds == pytest.approx(20.0, abs=0.05)
    assert found.unrecorded_seconds == pytest.approx(10.0, abs=0.05), "the device was off"
    assert found.after_seconds == pytest.approx(20.0, abs=0.05)
    sums = [
        getattr(found, name) for name in found.__struct_fields__ if name not in ("asked_seconds", "unfilmed_seconds")
    ]
    assert sum(sums) == pytest.approx(found.asked_seconds, abs=0.1)


def test_frames_that_were_dropped_and_silence_are_not_recorded() -> None:
    """What the queue could not take, and what had no room, is no watched time."""
    whole = segment_of([0.0] * 100)
    whole.rows["missed"][50] = 3
    whole.rows["seconds"][50:] += 2.0
    whole.rows["seconds"][80:] += 30.0
    found = covered([whole], (WALL, WALL + 41.9))
    assert found.unrecorded_seconds == pytest.approx(2.1 + 30.1, abs=0.01)
    assert covered([], (0.0, 50.0)).before_seconds == 50.0


def test_a_camera_that_nothing_is_kept_of_has_no_events(ring: Ring) -> None:
    """And all of the time is said to be not covered."""
    found = preview(ring, "none", 0.0, 60.0, Change(limit=1.0))
    assert (found.before, found.after, found.covered.before_seconds) == (0, 0, 60.0)


def test_limits_by_profile_are_those_of_the_segment() -> None:
    """A promise's limits are taken for the profile that was in force; another profile keeps its own."""
    change = Change(limits={"day": (Limit(9.0, 8.0), None)})
    limits_of = limits_under(change)
    assert limits_of(facts(profile="day")) == (Limit(9.0, 8.0), None)
    assert limits_of(facts(profile="night")) == (Limit(3.0, 2.0), Limit(3.0, 2.0))
