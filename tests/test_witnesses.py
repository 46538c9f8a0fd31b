"""What the host sees in a frame: blocks, novelty, stillness; each held against counting."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.appearance import pictures_of
from calibration.bank import covering_cells, joined
from calibration.composition import palette_of, shown_mixtures
from calibration.fit import fit_calibration, observe
from calibration.normality import scored, sustained_values
from calibration.parts import Seen
from calibration.stillness import (
    ASKED_SHARE,
    change_levels_of,
    expected_to_move,
    pairs_of,
    slowness_high,
    standing_high,
)
from edge.appearance import is_foreground
from edge.composition import TALL, WIDE, Composition, mixtures_from_thumbnail, strangeness
from edge.moments import Judge
from edge.normality import NEVER, STALL, WITNESSES, scores_from_maps
from edge.pipeline import rounds_from_frames, watch
from edge.pixels import block_highs, grey_half_means, half_means, quarter_means
from edge.senses import Senses, witnessed
from edge.stillness import (
    LEAST_PACE,
    MOVING_SHARE,
    PACE_SECONDS,
    first_stillness,
    held_seconds,
    slowness,
    standing_picture,
    still_seconds,
    watched_on,
)
from tests.tiny import RATE_HZ, clip_from, normal_images, plain_normality, random_thumbnail, tiny_runner

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("channels", [1, 3])
def test_half_cells_are_means_of_their_pixels(channels: int) -> None:
    """Counted pixel by pixel; a cell of one pixel has four equal halves."""
    pixels = RNG.integers(0, 256, (16, 24, channels)).astype(np.uint8)
    halves = half_means(pixels, (2, 3))
    expected = [[pixels[4 * y : 4 * y + 4, 4 * x : 4 * x + 4].mean(axis=(0, 1)) for x in range(6)] for y in range(4)]
    np.testing.assert_allclose(halves, expected, rtol=1e-5)  # float32 sums of 16 bytes
    np.testing.assert_array_equal(half_means(pixels, (16, 24)), pixels.repeat(2, 0).repeat(2, 1))
    np.testing.assert_array_equal(quarter_means(pixels, (4, 6)), pixels)
    np.testing.assert_array_equal(quarter_means(pixels, (2, 3)), np.rint(half_means(pixels, (4, 6))))
    np.testing.assert_array_equal(quarter_means(pixels, (8, 12)), pixels.repeat(2, 0).repeat(2, 1))


def test_blocks_are_the_highest_means_around_each_cell() -> None:
    """Every 4 × 4 block whose middle lies in the cell, by brute force over the mirrored map."""
    halves = RNG.uniform(0, 1, (8, 10)).astype(np.float32)
    padded = np.pad(halves, ((2, 1), (2, 1)), mode="symmetric")
    for row in range(4):
        for column in range(5):
            blocks = [
                padded[2 * row + dy : 2 * row + dy + 4, 2 * column + dx : 2 * column + dx + 4].mean()
                for dy in (0, 1)
                for dx in (0, 1)
            ]
            # float32 sums of 16 numbers
            assert block_highs(halves)[row, column] == pytest.approx(max(blocks), rel=1e-5)


@pytest.mark.parametrize(("shape", "grid"), [((128, 160, 3), (16, 20)), ((6, 6, 3), (2, 3)), ((4, 6, 1), (4, 6))])
def test_grey_halves_are_the_mean_of_halves_over_channels(shape: tuple[int, ...], grid: tuple[int, int]) -> None:
    """Whether the picture divides into halves or not."""
    pixels = RNG.integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_allclose(grey_half_means(pixels, grid), half_means(pixels, grid).mean(axis=2), rtol=1e-6)


def test_a_mixture_counts_the_colours_of_the_foreground_around_each_cell() -> None:
    """Counted pixel by pixel in every window, with nothing beyond the picture."""
    background = random_thumbnail(RNG, 3)
    palette = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250]], np.float32)
    picture = background.copy()
    places = RNG.uniform(0, 1, background.shape[:2]) < 0.12
    drawn = RNG.integers(0, 3, background.shape[:2])
    picture[places] = palette[drawn[places]]
    mixtures = mixtures_from_thumbnail(picture, is_foreground(picture, background), palette)
    for row in range(6):
        for column in range(8):
            window = (
                slice(max(4 * (row - TALL), 0), 4 * (row + TALL + 1)),
                slice(max(4 * (column - WIDE), 0), 4 * (column + WIDE + 1)),
            )
            counts = np.bincount(drawn[window][places[window]], minlength=3)
            is_shown = places[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].sum() >= 2
            expected = np.sqrt(counts * is_shown / (16 * 21)) * 255.0
            np.testing.assert_allclose(mixtures[row, column], expected, rtol=1e-5)  # float32 sums


def test_a_figure_that_lacks_one_colour_is_strange_though_all_its_parts_are_known() -> None:
    """Figures of red over blue are normal wherever they walk; one that is all blue is not, and none is nothing."""
    background = np.full((24, 32, 3), 90, np.uint8)

    def figure(column: int, upper: tuple[int, int, int]) -> np.ndarray:
        picture = background.copy()
        picture[6:12, column : column + 4] = upper
        picture[12:20, column : column + 4] = (20, 20, 200)
        return picture

    ground = background.astype(np.float32)
    normal = [figure(column, (220, 30, 30)) for column in range(28)]
    palette = palette_of(pictures_of(normal, ground, None), ground)
    np.testing.assert_allclose(
        sorted(palette.tolist()), [[20, 20, 200], [220, 30, 30]], rtol=0.02
    )  # the + 1 of the ratio
    known = Composition(
        palette,
        joined([covering_cells(shown_mixtures(pictures_of(normal, ground, None), ground, palette), 48, len(palette))]),
    )

    def told(picture: np.ndarray) -> float:
        shown = picture.astype(np.float32)
        return float(strangeness(mixtures_from_thumbnail(shown, is_foreground(shown, ground), palette), known).max())

    assert told(figure(13, (220, 30, 30))) < 1.0  # the roots of shares are kept as whole 255ths
    assert told(figure(13, (20, 20, 200))) > 10.0
    assert told(background) == 0.0


def test_stillness_counts_seconds_since_a_place_changed() -> None:
    """Noise is no change, a slow drift adds up to one, and what stands before the background is held."""
    background = np.full((8, 12, 1), 100.0, np.float32)
    speed = np.zeros((2, 3), np.float32)
    memory = first_stillness(background, speed, 0.0)
    for number in range(1, 41):
        picture = background + RNG.uniform(-1, 1, background.shape).astype(np.float32)
        picture[:4, :4] += 0.5 * number  # half a level a frame: below the noise from one frame to the next
        picture[4:6, 8:10] = 180.0  # four quarters of a cell
        picture[4:6, 4:5] = 180.0  # two are too few
        memory = watched_on(memory, picture, speed, 0.1 * number, change_levels=5.0)
    still, held = still_seconds(memory), held_seconds(memory, is_foreground(picture, background))
    assert still[0, 1] == pytest.approx(4.0)
    assert still[0, 0] < 1.2  # 0.5 levels a frame reach 5 ± 1 in a second
    assert held[1, 2] == pytest.approx(3.9)  # it came with the first of the frames
    assert held[0, 1] == 0.0
    assert held[1, 1] == 0.0


def test_what_stands_is_left_and_what_passes_is_not() -> None:
    """A thing that stopped a second ago stands; of one that moves on nothing is left but what its middle covers on."""
    background = np.full((8, 48, 1), 100.0, np.float32)
    speed = np.zeros((2, 12), np.float32)

    def shown(at: int) -> np.ndarray:
        picture = background.copy()
        picture[2:6, at : at + 8] = 180.0
        return picture

    passing, halting = first_stillness(shown(0), speed, 0.0), first_stillness(shown(0), speed, 0.0)
    for number in range(1, 31):
        passing = watched_on(passing, shown(number), speed, 0.1 * number, 5.0)
        halting = watched_on(halting, shown(min(number, 15)), speed, 0.1 * number, 5.0)
    picture = shown(30)
    stands = standing_picture(passing, picture, is_foreground(picture, background), background)
    np.testing.assert_array_equal(stands, background)  # it is 8 quarters long and has moved on by 10 in a second
    picture = shown(15)
    stands = standing_picture(halting, picture, is_foreground(picture, background), background)
    np.testing.assert_array_equal(stands, picture)
    early = replace(halting, seconds=2.4)
    stands = standing_picture(early, picture, is_foreground(picture, background), background)
    assert (stands[2:6, 22] == 100.0).all()  # its front has been there for 0.9 s


def test_slowness_is_that_of_the_last_moments() -> None:
    """Frames a pixel, of a mean that forgets with its time constant whatever the frames' distance in time."""
    thumb, fast = np.zeros((4, 4, 1), np.float32), np.full((1, 1), 0.5, np.float32)
    memory = first_stillness(thumb, fast, 0.0)
    often_there = np.full((1, 1), MOVING_SHARE, np.float32)
    assert slowness(memory, often_there)[0, 0] == pytest.approx(1 / (0.5 + LEAST_PACE))
    assert slowness(memory, np.float32(0.9) * often_there)[0, 0] == 0.0  # who stops before a belt
    once = watched_on(memory, thumb, 0 * fast, 0.4, 5.0)
    often = memory
    for number in range(1, 5):
        often = watched_on(often, thumb, 0 * fast, 0.1 * number, 5.0)
    for one in (once, often):
        assert one.pace[0, 0] == pytest.approx(0.5 * np.exp(-0.4 / PACE_SECONDS), rel=1e-4)  # float32
    assert slowness(often, often_there)[0, 0] > 3 * slowness(memory, often_there)[0, 0]


def test_a_clock_that_is_set_back_begins_anew() -> None:
    """Nothing has stood for less than no time, and no mean of a speed is infinite."""
    background = random_thumbnail(RNG)
    normality = plain_normality(np.ones((len(WITNESSES), 6, 8), np.float32), background)
    zero = np.zeros((6, 8), np.float32)
    senses = Senses(zero, zero + 0.5, background.astype(np.uint8))
    _, memory = witnessed(senses, None, 5000.0, normality)
    maps, memory = witnessed(senses, memory, 3.0, normality)
    assert np.isfinite(maps).all()
    assert maps.min() >= 0.0
    assert memory.seconds == 3.0


def test_the_stall_listens_where_normal_work_has_shown_what_to_expect() -> None:
    """What stands is asked where things stand often, slowness where something always moves; elsewhere both are silent."""
    standing = np.zeros((1000, 1, 2), np.float32)
    standing[::20, 0, 0] = 12.0
    standing[::50, 0, 1] = 12.0
    assert standing_high(standing)[0].tolist() == [12.0, np.inf]
    still = np.zeros((1000, 1, 3), np.float32)
    still[::5, 0, 1] = 1.0
    frames = np.full((1000, 1, 3), 3.0, np.float32)
    frames[: int(1000 - 0.9 * ASKED_SHARE * 1000), 0, 2] = 0.0  # always another look: seldom asked
    assert slowness_high(frames, still)[0].tolist() == [3.0, np.inf, np.inf]


def test_a_surprise_is_what_was_said_for_a_while() -> None:
    """A witness that shouts for two frames of six is not heard, one that says it for five is; a stall counts at once."""
    values = np.zeros((8, len(WITNESSES)), np.float32)
    values[4:6, 2] = 9.0
    values[1:6, 3] = 5.0
    values[7, STALL] = 7.0
    said = sustained_values(0.1 * np.arange(8), values)
    assert said[:, 2].max() == 0.0
    assert said[5, 3] == 5.0
    assert (said[7, STALL] == 7.0).all()
    assert (
        sustained_values(np.arange(8.0), values) == values
    ).all()  # where frames are seconds apart each stands alone


def test_movement_is_expected_where_pauses_are_short_for_the_footage() -> None:
    """A place that moves every 2 s is expected to; one that moved twice, or paused for long, is not."""
    seconds = 0.1 * np.arange(6000)
    still = np.zeros((6000, 1, 3), np.float32)
    still[:, 0, 0] = seconds % 2.0
    still[:, 0, 1] = seconds % 300.0
    still[:, 0, 2] = np.where(seconds < 100, seconds, seconds % 2.0)
    longest = expected_to_move(still, 600.0)
    assert longest[0, 0] == pytest.approx(1.9, abs=1e-3)  # float32 of 0.1 s steps
    assert np.isinf(longest[0, 1:]).all()


def test_the_change_that_counts_is_well_above_the_noise() -> None:
    """Six times the median difference of still places, and no less than four levels."""
    quiet = np.full((50, 16, 16, 1), 90, np.uint8)
    ground = quiet[0].astype(np.float32)
    assert change_levels_of(pictures_of(quiet, ground, None)) == 4.0
    noisy = np.rint(quiet + RNG.normal(0, 6, quiet.shape)).astype(np.uint8)
    # the median of |N(0, 2 σ²)|, in whole levels of about six
    assert change_levels_of(pictures_of(pairs_of(noisy), ground, None)) == pytest.approx(
        6 * 0.6745 * 6 * np.sqrt(2), rel=0.15
    )


def test_a_silent_witness_says_nothing() -> None:
    """Where a witness has no normal to compare with it neither raises nor lowers the score."""
    high = np.full((len(WITNESSES), 6, 8), np.inf, np.float32)
    high[1] = 1.0
    normality = plain_normality(high, random_thumbnail(RNG))
    maps = np.full((len(WITNESSES), 6, 8), 50.0, np.float32)
    maps[1] = 3.0
    surprise, stall, _ = scores_from_maps(maps, normality)
    assert normality.speaking.tolist() == [name == "speed" for name in WITNESSES]
    assert surprise.value == pytest.approx(np.log(2.0), rel=1e-5)  # (3 + 1) / (1 + 1)
    assert surprise.witness == 1
    assert stall.value == 0.0
    assert (stall.cells == NEVER).all()


def test_a_movement_that_fails_to_come_is_a_stall() -> None:
    """The spot that always goes round halts: one event of the kind `stall`, soon, and no surprise about it."""
    clips = [clip_from(normal_images(2500))]
    calibration = fit_calibration(clips, observe(clips, tiny_runner()), RATE_HZ)
    stall = calibration.limits.stall
    assert stall is not None
    judge = Judge(
        calibration.normality, calibration.limits.noise, calibration.limit,
        stall_noise=stall.noise, stall_limit=calibration.stall_limit,
    )  # fmt: skip
    images = normal_images(300, seed=4)
    halted = normal_images(1, seed=5).repeat(100, axis=0) + RNG.integers(-2, 3, (100, 32, 40, 1))
    images[150:250] = np.clip(halted, 0, 255).astype(np.uint8)
    moments = list(watch(rounds_from_frames("a", clip_from(images).frames()), tiny_runner(), {"a": judge}))
    told = [(moment.seconds, finding) for moment in moments for finding in moment.findings if finding.kind == "stall"]
    assert [finding.detection.type for _, finding in (told[0], told[-1])] == ["new", "end"]
    assert {finding.detection.type for _, finding in told[1:-1]} == {"update"}
    assert 15.0 < told[0][0] < 20.0
    # the spot that sets off again is also taken for a condition of the camera; which one was not looked into
    assert told[-1][1].detection.end_reason in ("cleared", "condition")


def test_scores_of_kept_senses_are_those_of_the_river() -> None:
    """What is scored again from what was kept of a run is what `watch` found of its frames."""
    clips = [clip_from(normal_images(200))]
    observations = observe(clips, tiny_runner())
    calibration = fit_calibration(clips, observations, RATE_HZ)
    other = clip_from(normal_images(60, seed=9))
    (seen,) = observe([other], tiny_runner())
    surprise, stall = scored(Seen(seen.seconds, seen.senses), calibration.normality)
    judge = Judge(calibration.normality, calibration.limits.noise, None)
    moments = list(watch(rounds_from_frames("a", other.frames()), tiny_runner(), {"a": judge}))
    expected = [moment.surprise for moment in moments if moment.surprise is not None]
    np.testing.assert_allclose(surprise[1], expected, rtol=1e-6)
    assert len(stall[1]) == len(expected)


def test_a_lamp_that_was_switched_on_raises_no_error() -> None:
    """Errors grow with the light; beyond the day's own drift they are taken at the brightness that was learned."""
    background = random_thumbnail(RNG)
    normality = plain_normality(np.ones((len(WITNESSES), 6, 8), np.float32), background)
    error = np.full((6, 8), 0.03, np.float32)
    for gain, expected in ((1.05, 0.03), (1.5, 0.02), (0.5, 0.03)):
        lit = np.rint(gain * (background + 1.0)).clip(0, 255).astype(np.uint8)
        senses = Senses(error, np.zeros((6, 8), np.float32), lit)
        assert witnessed(senses, None, 0.0, normality)[0][0] == pytest.approx(expected, rel=0.01)  # whole grey levels
