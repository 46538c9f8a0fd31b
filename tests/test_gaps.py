"""Missing and jittering frames: marked, said, and never an anomaly."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.fit import fit_calibration, observe
from edge.frames import Frame
from edge.live_clock import LiveClock
from edge.moments import Judge
from edge.pacing import Pacer, is_gap
from edge.pipeline import rounds_from_frames, watch
from tests.tiny import RATE_HZ, clip_from, normal_images, tiny_runner


@pytest.fixture(scope="module")
def judge() -> Judge:
    """What 300 frames of normal work say is normal."""
    clips = [clip_from(normal_images(300))]
    calibration = fit_calibration(clips, observe(clips, tiny_runner()), RATE_HZ)
    return Judge(calibration.normality, calibration.limits.noise, calibration.limit)


@pytest.mark.parametrize("lost_share", [0.0, 0.1, 0.3])
def test_a_bad_network_is_no_anomaly(judge: Judge, lost_share: float) -> None:
    """Jitter of a fifth of a period, and up to three frames of ten missing: no event; every gap is marked, not scored."""
    rng = np.random.default_rng(1)
    images = normal_images(300, seed=11)
    times = np.arange(300) / RATE_HZ + rng.uniform(-0.2, 0.2, 300) / RATE_HZ
    kept = rng.random(300) >= lost_share
    pacer = Pacer(RATE_HZ)
    frames = [Frame(images[n], float(times[n])) for n in range(300) if kept[n] and pacer.keeps(float(times[n]))]
    moments = [m for m in watch(rounds_from_frames("a", frames), tiny_runner(), {"a": judge}) if m.sensed]
    assert len(moments) == len(frames)
    assert not any(moment.detection for moment in moments)
    gaps = [
        number
        for number in range(1, len(frames))
        if is_gap(frames[number].seconds - frames[number - 1].seconds, RATE_HZ)
    ]
    assert (len(gaps) > 10) == (lost_share > 0)
    for number in gaps:
        assert moments[number].state == "degraded"
        assert moments[number].surprise is None
        sensed = moments[number].sensed
        assert sensed is not None
        assert "frame_gap" in [one.name for one in sensed.conditions]


def test_time_that_goes_back_is_a_gap(judge: Judge) -> None:
    """A camera whose clock is set back an hour: one marked frame, warm-up, and scoring goes on from nothing."""
    images = normal_images(60, seed=12)
    frames = [Frame(image, n / RATE_HZ - (3600.0 if n >= 30 else 0.0)) for n, image in enumerate(images)]
    moments = list(watch(rounds_from_frames("a", frames), tiny_runner(), {"a": judge}))
    assert [one.state for one in moments[29:33]] == ["watching", "degraded", "warming_up", "watching"]
    assert moments[32].level is not None
    assert moments[32].level.mean == moments[32].surprise


@pytest.mark.parametrize("parts_per_million", [-200, -50, 50, 200])
def test_a_camera_whose_clock_drifts_has_no_gap_and_stays_beside_ours(parts_per_million: int) -> None:
    """A day of a camera's quartz, good and bad, under a network's jitter: every frame in its place, and of now."""
    rng, now = np.random.default_rng(0), 0.0
    clock, last = LiveClock(lambda: now), -0.1
    late = rng.exponential(0.02, 10 * 86_400)
    for number in range(late.size):
        now = number * 0.1 + float(late[number])
        seconds = clock.seconds_from_media(number * 0.1 * (1.0 + 1e-6 * parts_per_million))
        assert number < 2 or 0.098 < seconds - last < 0.102  # jitter of a tenth of a second, times the share
        # The mean delay of 20 ms, the fifty seconds over which it is followed times the drift, and the first frame's.
        assert number < 3000 or abs(seconds - number * 0.1 - 0.02) < 0.015
        last = seconds


def test_a_first_frame_that_was_late_is_made_good_and_a_jump_is_laid_anew() -> None:
    """Nothing is of the future for long; a camera that sets its clock by an hour is beside ours with the next frame."""
    now = 0.5
    clock = LiveClock(lambda: now)
    clock.seconds_from_media(0.0)
    for number in range(1, 1500):
        now = number / 25.0
        seconds = clock.seconds_from_media(now)
    assert seconds == pytest.approx(now, abs=0.03)  # 0.5 s times e^-3 are left after a minute
    now += 0.04
    assert clock.seconds_from_media(now + 3600.0) == pytest.approx(now, abs=1e-6)
