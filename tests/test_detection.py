"""Hysteresis: when a crossing of the limit is an event, and when it is over."""

from __future__ import annotations

from edge.detection import Detection, Detector, Limit, Reading, Rules, decide, end

LIMIT = Limit(3.0, 2.0)
RULES = Rules(hold_seconds=1.5, release_seconds=1.0, refractory_seconds=3.0, update_seconds=5.0)
BOX = (0.0, 0.0, 1.0, 1.0)


def run(levels: list[float], rate_hz: float = 10.0, rules: Rules = RULES) -> list[tuple[float, Detection]]:
    """Feed levels at a rate and return what was announced, with its time."""
    detector, told = Detector(), []
    for number, level in enumerate(levels):
        seconds = number / rate_hz
        detector, detection = decide(detector, Reading(seconds, level, level, BOX), LIMIT, rules)
        if detection:
            told.append((seconds, detection))
    return told


def test_a_slam_shorter_than_hold_raises_no_event() -> None:
    """A crossing of 1.4 s is nothing, whatever its height."""
    assert run([0.0] * 20 + [99.0] * 14 + [0.0] * 50) == []


def test_a_crossing_that_lasts_is_announced_when_its_hold_has_passed() -> None:
    """The event says when it began, not when it was announced."""
    (seconds, detection), *_ = run([0.0] * 20 + [4.0] * 30)
    assert detection.type == "new"
    assert seconds == 3.5
    assert detection.episode.start_seconds == 2.0


def test_an_event_ends_after_the_release_at_its_last_moment_above() -> None:
    """The end is the last frame above the lower edge, told once the release has passed."""
    (_, new), (seconds, ended) = run([4.0] * 30 + [0.0] * 30)
    assert (new.type, ended.type, ended.end_reason) == ("new", "end", "cleared")
    assert ended.end_seconds == 2.9
    assert seconds == 3.9


def test_a_dip_shorter_than_the_release_does_not_split_an_event() -> None:
    """Half a second below the lower edge, and a level between both edges, keep the event open."""
    assert [told.type for _, told in run([4.0] * 20 + [0.0] * 5 + [4.0] * 10 + [2.5] * 20)] == ["new"]


def test_peak_and_mean_are_those_of_the_event() -> None:
    """The highest level, where it stood, and the mean over the frames above."""
    _, (_, ended) = run([4.0] * 10 + [9.0] + [4.0] * 9 + [0.0] * 20)
    assert ended.episode.peak == 9.0
    assert ended.episode.peak_seconds == 1.0
    assert ended.episode.mean == (19 * 4.0 + 9.0) / 20


def test_updates_come_at_their_pace() -> None:
    """A long event is told again every five seconds."""
    told = run([4.0] * 130)
    assert [(detection.type, seconds) for seconds, detection in told] == [
        ("new", 1.5),
        ("update", 6.5),
        ("update", 11.5),
    ]


def test_a_second_event_waits_for_the_refractory_time() -> None:
    """A crossing soon after an event is announced late, not lost: it may be the same thing."""
    told = run([4.0] * 20 + [0.0] * 15 + [4.0] * 60)
    assert [detection.type for _, detection in told] == ["new", "end", "new"]
    ended, again = told[1][1].end_seconds, told[2][0]
    assert ended is not None
    assert again - ended >= RULES.refractory_seconds
    assert told[2][1].episode.start_seconds == 3.5


def test_a_lost_camera_ends_an_announced_event_and_forgets_a_candidate() -> None:
    """What was never announced needs no end."""
    detector, _ = decide(Detector(), Reading(0.0, 4.0, 4.0, BOX), LIMIT, RULES)
    assert end(detector, "camera_lost", 1.0) == (Detector(), None)
    detector, _ = decide(detector, Reading(2.0, 4.0, 4.0, BOX), LIMIT, RULES)
    after, detection = end(detector, "camera_lost", 2.5)
    assert after.episode is None
    assert detection is not None
    assert (detection.type, detection.end_reason, detection.end_seconds) == ("end", "camera_lost", 2.5)
