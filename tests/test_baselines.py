"""The predictors that need no network: one suite for all, and what each must be right about."""

from __future__ import annotations

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import PrednetError, UsageError
from edge.flow import FINE, LIGHT, DenseFlow, moved_on, speed_from_flow
from edge.frames import FrameFormat
from edge.pooling import block_maxima, cell_means, grid_from_form
from edge.runner import Runner
from edge.runners import PREDICTORS, open_predictor

FORM = FrameFormat(128, 160, 1, 10.0)
COLOUR = FrameFormat(48, 40, 3, 10.0)


def texture(height: int, width: int, seed: int = 0) -> NDArray[np.float64]:
    """A smooth random picture that repeats at its borders, 20–235."""
    rng = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) * np.exp(-((np.hypot(rows, columns) / 0.07) ** 2))
    picture = np.fft.irfft2(spectrum, (height, width))
    return 127.5 + 107.5 * picture / np.abs(picture).max()


def moving(count: int, right: float, down: float, form: FrameFormat = FORM) -> NDArray[np.uint8]:
    """The texture moving by so many pixels a frame, exactly (a phase in its spectrum); uint8 [count, H, W, C]."""
    spectrum = np.fft.rfft2(texture(form.height, form.width))
    rows, columns = np.fft.fftfreq(form.height)[:, None], np.fft.rfftfreq(form.width)[None]
    frames = []
    for number in range(count):
        phase = np.exp(-2j * np.pi * number * (rows * down + columns * right))
        frames.append(np.fft.irfft2(spectrum * phase, (form.height, form.width)))
    images = np.clip(np.rint(np.stack(frames)), 0, 255).astype(np.uint8)
    return np.repeat(images[..., None], form.channels, axis=3)


def step_all(runner: Runner, frames: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """The errors of each of the frames [T, H, W, C], fed to the first slot."""
    found = []
    for number, frame in enumerate(frames):
        images = np.broadcast_to(frame, (runner.slots, *frame.shape))
        advance, reset = np.ones(runner.slots, bool), np.full(runner.slots, number == 0)
        found.append(runner.step(images, advance, reset).errors[0].copy())
    return found


@pytest.mark.parametrize("form", [FORM, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("name", PREDICTORS)
def test_maps_have_the_shapes_of_the_spec_and_are_finite(name: str, form: FrameFormat) -> None:
    """Errors, peaks and prediction of every slot; a peak is no lower than a cell's mean error."""
    runner = open_predictor(name, form, 3)
    frames = np.random.default_rng(0).integers(0, 256, (4, 3, form.height, form.width, form.channels), np.uint8)
    for number, images in enumerate(frames):
        step = runner.step(images, np.ones(3, bool), np.full(3, number == 0))
        assert step.errors.shape == step.peaks.shape == (3, *runner.spec.maps)
        assert step.errors.dtype == step.peaks.dtype == np.float32
        assert step.prediction.shape == images.shape
        assert step.prediction.dtype == np.uint8
        assert np.isfinite(step.errors).all()
        assert step.errors.min() >= 0.0
    assert runner.spec.grid == grid_from_form(form)
    assert (step.peaks[:, 0].max(axis=(1, 2)) >= step.errors[:, 0].max(axis=(1, 2))).all()
    runner.close()


@pytest.mark.parametrize("name", PREDICTORS)
def test_a_reset_forgets_and_a_slot_without_a_frame_keeps_its_state(name: str) -> None:
    """After a reset a run repeats itself; a slot that did not advance goes on as if nothing had happened."""
    frames = moving(5, 2.0, 1.0)
    runner = open_predictor(name, FORM, 2)
    first, again = step_all(runner, frames), step_all(runner, frames)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    noise = np.random.default_rng(1).integers(0, 256, (2, 128, 160, 1), np.uint8)
    step_all(runner, frames[:4])
    runner.step(noise, np.array([False, True]), np.zeros(2, bool))
    step = runner.step(np.stack([frames[4], frames[4]]), np.ones(2, bool), np.zeros(2, bool))
    np.testing.assert_array_equal(step.errors[0], first[4])
    assert not np.array_equal(step.errors[1], first[4])


@pytest.mark.parametrize("name", PREDICTORS)
def test_frames_of_another_shape_are_refused(name: str) -> None:
    """The sentence names both shapes."""
    runner = open_predictor(name, FORM, 1)
    with pytest.raises(
        PrednetError, match=r"frames are uint8 \[1, 8, 8, 1\]; this step takes uint8 \[1, 128, 160, 1\]"
    ):
        runner.step(np.zeros((1, 8, 8, 1), np.uint8), np.ones(1, bool), np.ones(1, bool))


def test_an_unknown_predictor_is_refused_with_those_there_are() -> None:
    """One sentence."""
    with pytest.raises(UsageError, match="'flaw' is not known; there are last-frame, moving-block"):
        open_predictor("flaw", FORM, 1)


def test_the_last_frames_error_is_half_the_mean_absolute_difference() -> None:
    """As PredNet's E_0, so that errors of both can be laid side by side."""
    frames = np.random.default_rng(2).integers(0, 256, (2, 48, 40, 3), np.uint8)
    errors = step_all(open_predictor("last-frame", COLOUR, 1), frames)[1][0]
    difference = np.abs(frames[1].astype(float) - frames[0]).mean(axis=2) / 255.0
    expected = 0.5 * difference.reshape(6, 8, 5, 8).mean(axis=(1, 3))
    np.testing.assert_allclose(errors, expected, atol=1e-6)  # float32 means of 64 numbers below 1


def test_a_moving_block_finds_what_lies_across_cells() -> None:
    """A spot of 16 pixels that is cut by four cells has its full mean; counted over every place of the block."""
    pixels = np.random.default_rng(3).random((32, 40)).astype(np.float32)
    pixels[5:21, 11:27] += 3.0
    found = block_maxima(pixels, (4, 5))
    counted = max(pixels[y : y + 16, x : x + 16].mean() for y in range(17) for x in range(25))
    assert found.max() == pytest.approx(counted, abs=1e-5)  # float32 against a float64 integral image
    assert np.unravel_index(found.argmax(), found.shape) == (1, 2)  # the block's middle, (13, 19)
    assert cell_means(pixels, (4, 5)).shape == (4, 5)


@pytest.mark.parametrize("name", ["flow", "flow-light"])
@pytest.mark.parametrize(("right", "down"), [(3.0, 0.0), (0.0, -2.0), (1.5, 1.5), (-4.0, 2.0)])
def test_extrapolating_along_the_flow_beats_repeating_the_last_frame(name: str, right: float, down: float) -> None:
    """On a texture that moves on as it did, by a factor of three in the middle of the picture."""
    frames = moving(5, right, down)
    middle = (slice(2, -2), slice(2, -2))
    flow = step_all(open_predictor(name, FORM, 1), frames)[4][0][middle].mean()
    repeated = step_all(open_predictor("last-frame", FORM, 1), frames)[4][0][middle].mean()
    assert flow < repeated / 3


@pytest.mark.parametrize("effort", [FINE, LIGHT], ids=["fine", "light"])
@pytest.mark.parametrize(("right", "down"), [(0.0, 0.0), (2.0, 0.0), (-1.5, 3.0), (5.0, -2.0)])
def test_flow_has_the_right_size_and_direction(effort: object, right: float, down: float) -> None:
    """Within a tenth of a pixel, the accuracy of dense search on a smooth texture; speed is its length."""
    frames = moving(2, right, down)
    field = DenseFlow(effort).between(frames[0], frames[1])  # type: ignore[arg-type]
    middle = np.median(field[16:-16, 16:-16].reshape(-1, 2), axis=0)
    assert middle == pytest.approx([right, down], abs=0.1)
    assert np.median(speed_from_flow(field)) == pytest.approx(np.hypot(right, down), abs=0.15)


def test_the_runners_speed_is_in_pixels_a_frame() -> None:
    """The second layer says how fast, nothing where nothing moves."""
    speeds = step_all(open_predictor("flow", FORM, 1), moving(3, 3.0, 4.0))[2][1]
    assert np.median(speeds) == pytest.approx(5.0, abs=0.15)
    still = np.repeat(moving(1, 0.0, 0.0), 4, axis=0)
    assert step_all(open_predictor("flow", FORM, 1), still)[3].max() == 0.0


def test_moving_on_by_a_constant_field_is_a_shift() -> None:
    """The flow back is (−2, 1): one frame later everything stands 2 further right and 1 further up."""
    image = moving(1, 0.0, 0.0)[0]
    backward = np.broadcast_to(np.array([-2.0, 1.0], np.float32), (128, 160, 2)).copy()
    np.testing.assert_array_equal(moved_on(image, backward)[8:-8, 8:-8], np.roll(image, (-1, 2), (0, 1))[8:-8, 8:-8])


def test_the_cost_of_a_frame_stays_within_its_budget() -> None:
    """Light flow at 160×128: the median of 30 steps in CPU time, with room for a slow machine."""
    runner = open_predictor("flow-light", FORM, 1)
    costs = []
    for number, frame in enumerate(moving(31, 2.0, 1.0)):
        began = time.thread_time()
        runner.step(frame[None], np.ones(1, bool), np.full(1, number == 0))
        costs.append(time.thread_time() - began)
    # It takes 3–4 ms on an idle core of 2020; a frame lasts 100 ms.
    assert np.median(costs[1:]) < 0.025
