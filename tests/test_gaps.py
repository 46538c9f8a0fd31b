"""Missing and jittering frames: marked, said, and never an anomaly."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.fit import fit_calibration, observe
from edge.frames import Frame
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
    """A camera whose clock is set back an hour: one marked frame, warm-up, and scoring goes on."""
    images = normal_images(60, seed=12)
    frames = [Frame(image, n / RATE_HZ - (3600.0 if n >= 30 else 0.0)) for n, image in enumerate(images)]
    states = [m.state for m in watch(rounds_from_frames("a", frames), tiny_runner(), {"a": judge})]
    assert states[29:33] == ["watching", "degraded", "warming_up", "watching"]
