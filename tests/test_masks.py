"""Suggested masks: what is never predictable is found, what it would save is what the river saves, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from calibration.cli import main
from calibration.fit import observe
from calibration.footage import Clip, first_part_of, read_footage
from calibration.masks import LEAST_SAVED, suggest_masks
from calibration.noise import fit_noise
from calibration.normality import HeldOut, fitted_on, held_out_maps
from calibration.parts import Seen
from edge.builtin import bundle_from_predictor
from edge.detection import Limit
from edge.frames import FrameFormat
from edge.model import runner_of
from edge.moments import Judge
from edge.normality import Normality
from edge.pipeline import rounds_from_frames, watch
from edge.zones import sensitivity_of
from tests.films import write_clip

FORM = FrameFormat(64, 80, 1, 10.0)
SECONDS = 120
# Where the screen hangs: a quarter of the height, a fifth of the width, in the upper right corner.
SCREEN = ((0.8, 0.0), (1.0, 0.25))
RUNNER = runner_of(bundle_from_predictor("flow-light", FORM), "flow-light", 1)


def with_screen(clip: Clip, seed: int) -> Clip:
    """The same with a screen that shows films: two or three seconds, then a pause; now and then a wild one."""
    rng, images, at = np.random.default_rng(seed), clip.images.copy(), 10
    while at < len(images) - 40:
        length, contrast = int(rng.integers(22, 35)), min(12.0 * np.exp(rng.normal(0.0, 0.8)), 110.0)
        for image in images[at : at + length, 0:16, 64:80, 0]:
            image[:] = np.clip(image + rng.normal(0, contrast, (4, 4)).repeat(4, 0).repeat(4, 1), 0, 255)
        at += length + int(rng.integers(12, 30))
    return Clip(clip.name, images, clip.seconds)


@pytest.fixture(scope="module")
def factory() -> Clip:
    """Some minutes of the factory's normal work."""
    return read_footage([f"test://factory?seed=5&seconds={SECONDS}"], FORM)[0]


def held_out(clip: Clip) -> HeldOut:
    """What the witnesses say of a clip."""
    return held_out_maps([Seen(one.seconds, one.senses) for one in observe([clip], RUNNER)])


def events_in(clip: Clip, judge: Judge, normality: Normality) -> int:
    """How many events the river announces on a clip."""
    moments = watch(rounds_from_frames("a", clip.frames()), RUNNER, {"a": replace(judge, normality=normality)})
    return sum(one.detection.type == "new" for moment in moments for one in moment.findings)


def test_a_screen_on_the_factorys_wall_is_suggested_with_what_it_would_save(factory: Clip) -> None:
    """Exactly its cells; on another film the river makes events at that limit, and none with the mask."""
    held = held_out(with_screen(factory, 0))
    found = suggest_masks(held, FORM.rate_hz)
    (one,) = found.masks
    assert one.mask == SCREEN
    assert one.saves_per_day * SECONDS / 86400.0 >= LEAST_SAVED
    assert found.limit_with_masks < found.limit
    normality, tracks, _ = fitted_on(held)
    noise = fit_noise(tracks, FORM.rate_hz)
    judge = Judge(normality, noise, Limit(found.limit_with_masks, 0.5 * found.limit_with_masks))  # 0 is the median
    other = with_screen(first_part_of(factory, 0.5), 3)
    masked = replace(normality, sensitivity=sensitivity_of({}, [one.mask], RUNNER.spec.grid))
    assert events_in(other, judge, masked) == 0
    assert events_in(other, judge, normality) >= 1


def test_normal_work_alone_suggests_nothing(factory: Clip) -> None:
    """Robot, belt and workers are busy and predictable enough: no part of them carries the events all through."""
    found = suggest_masks(held_out(factory), FORM.rate_hz)
    assert found.masks == ()
    assert found.limit_with_masks == found.limit


def test_the_command_prints_yaml_to_paste_and_draws_the_picture(
    factory: Clip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is printed is the camera's `ignore_masks`; the picture is a PNG; too little footage is one sentence."""
    write_clip(tmp_path / "wall.mkv", with_screen(factory, 0).images)
    words = ["masks", str(tmp_path / "wall.mkv"), "--predictor", "flow-light", "--size", "80x64"]
    chart = tmp_path / "masks.png"
    assert main([*words, "--chart", str(chart)]) == 0
    told = capsys.readouterr().out
    assert yaml.safe_load(told) == {"ignore_masks": [[list(point) for point in SCREEN]]}
    assert "false events a day" in told
    assert chart.read_bytes().startswith(b"\x89PNG")
    short = [words[0], f"{words[1]}#t=0,30", *words[2:]]
    assert main([*short, "--json", "--chart", str(chart)]) == 2
    assert "fewer than 10 moments that stand out" in capsys.readouterr().err
