"""What each place looks like: patches, the distance to the nearest normal one, and what the banks keep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.appearance import background_of, pictures_of, shown_patches
from calibration.bank import KEPT, NEAR, covering_cells, joined, times_of
from calibration.normality import fit_normality, scored
from calibration.parts import Ground, Seen, known_by, part_of
from edge.appearance import (
    ALIKE_TONES,
    BACKGROUND_TONES,
    LIFTED_BY,
    PASSING_SHARE,
    Appearance,
    background_distance,
    halted,
    levelled,
    novelty,
    novelty_and_share,
    patch_size,
    patches_from_tones,
    toned,
)
from edge.bank import Bank, bank_from, nearest_squares, shares_near
from edge.normality import WITNESSES
from edge.senses import Senses, witnessed
from tests.tiny import plain_normality, random_thumbnail

RNG = np.random.default_rng(5)


def patches_of(picture: np.ndarray) -> np.ndarray:
    """The patches that a levelled thumbnail shows."""
    return patches_from_tones(toned(picture.astype(np.float32)))


def brute_tone(levels: np.ndarray) -> np.ndarray:
    """0–255 of grey levels, in ratios."""
    return 255.0 * np.log((levels + LIFTED_BY) / LIFTED_BY) / np.log((255.0 + LIFTED_BY) / LIFTED_BY)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_patch_is_the_tones_of_its_quarters_and_half_the_colour_of_its_blocks(channels: int) -> None:
    """Counted by hand; a grey picture is as far from another as its tones, whether it has one channel or three."""
    picture = random_thumbnail(RNG, channels)
    patches = patches_of(picture)
    assert patches.shape == (6, 8, patch_size(channels))
    quarters = brute_tone(picture[4:8, 8:12].astype(np.float64))
    np.testing.assert_allclose(patches[1, 2, :16], quarters.mean(axis=2).ravel(), atol=1e-3)
    if channels == 3:
        block = quarters[2:, :2].mean(axis=(0, 1))  # the third: below on the left
        expected = (block[0] - block[2]) / np.sqrt(6.0), (2 * block[1] - block[0] - block[2]) / np.sqrt(18.0)
        np.testing.assert_allclose(patches[1, 2, 20:22] - 128.0, expected, atol=1e-3)
    white, black = (patches_of(np.full((4, 4, channels), level)) for level in (255.0, 0.0))
    assert background_distance(white, black) == pytest.approx(255.0)
    extremes = np.array([[level >> bit & 1 for bit in range(3)] for level in range(8)], np.float32)[:, :channels] * 255
    numbers = np.stack([patches_of(np.broadcast_to(one, (4, 4, channels))) for one in extremes])
    assert numbers.min() >= -1e-3
    assert numbers.max() <= 255.001


def brute_novelty(patches: np.ndarray, ground: np.ndarray, known: Bank) -> np.ndarray:
    """The distance of each cell's patch to the nearest known one of its own four cells and two on each side."""
    found = np.zeros(patches.shape[:2])
    for row in range(found.shape[0]):
        for column in range(found.shape[1]):
            apart = [np.sqrt(((patches[row, column] - ground[row, column]) ** 2).sum() / 16)]
            if apart[0] > BACKGROUND_TONES:
                for beside in range(max(column // 4 * 4 - 2, 0), min(column // 4 * 4 + 6, found.shape[1])):
                    cell = row * found.shape[1] + beside
                    seen = known.known[known.starts[cell] : known.starts[cell + 1]]
                    apart += [np.sqrt(((patches[row, column] - patch) ** 2).sum() / 16) for patch in seen]
            found[row, column] = min(apart)
    return found


def random_bank(channels: int) -> Bank:
    """Of 6 × 8 cells with none to three patches each."""
    counts = RNG.integers(0, 4, 48)
    patches = RNG.integers(0, 256, (counts.sum(), patch_size(channels))).astype(np.uint8)
    return bank_from(patches, np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))


@pytest.mark.parametrize("channels", [1, 3])
def test_novelty_is_the_distance_to_the_nearest_normal_patch(channels: int) -> None:
    """Equal to a search by brute force, for cells with many, few and no patches."""
    background, known = random_thumbnail(RNG, channels), random_bank(channels)
    picture = background.copy()
    picture[4:18, 6:24] = RNG.uniform(0, 255, (14, 18, channels))
    patches, ground = patches_of(picture), patches_of(background)
    # float32 squares up to 255² · 24 are right to one part in 1e6, of which the root is taken
    np.testing.assert_allclose(novelty(patches, ground, known), brute_novelty(patches, ground, known), atol=0.1)


def test_shares_near_are_those_of_all_alike_vectors_of_the_place() -> None:
    """Counted one by one; the nearest is told beside them."""
    known = random_bank(1)
    shares = RNG.uniform(0, 1, len(known.known)).astype(np.float32)
    rows, columns = np.divmod(np.arange(48), 8)
    vectors = RNG.uniform(0, 255, (48, 16)).astype(np.float32)
    squares = float(16 * 80.0**2)  # about a tenth of what is random
    expected = np.zeros(48)
    for number, (row, column) in enumerate(zip(rows, columns, strict=True)):
        first = column // 4 * 4
        lowest, highest = known.starts[row * 8 + max(first - 2, 0)], known.starts[row * 8 + min(first + 6, 8)]
        apart = ((known.known[lowest:highest] - vectors[number]) ** 2).sum(axis=1)
        expected[number] = shares[lowest:highest][apart <= squares].sum()
    near, least = shares_near(vectors, rows, columns, 8, known, shares, squares)
    np.testing.assert_allclose(near, expected, rtol=1e-5)
    np.testing.assert_array_equal(least, nearest_squares(vectors, rows, columns, 8, known))
    assert 0 < (expected > 0).mean() < 1


@pytest.mark.parametrize(("share", "is_said"), [(1.01 * PASSING_SHARE, True), (0.99 * PASSING_SHARE, False)])
def test_that_something_stands_is_said_only_where_what_looks_so_often_passes(share: float, is_said: bool) -> None:
    """A patch a little unlike one that passes often is alike; one that passes seldom had no occasion to stand."""
    background = np.full((4, 16, 1), 100.0, np.float32)
    picture = background.copy()
    picture[:, 4:8] = 180.0
    patches, ground = patches_of(picture), patches_of(background)
    alike = np.rint(patches[0, 1:2] + 0.9 * ALIKE_TONES).astype(np.uint8)
    passing = bank_from(alike, np.array([0, 0, 0, 1, 1], np.int32))  # seen in the third cell, which is beside
    nothing = bank_from(np.zeros((0, 16), np.uint8), np.zeros(5, np.int32))
    appearance = Appearance(background, passing, np.array([share], np.float32), nothing)
    standing = novelty(patches, ground, nothing)
    said = halted(standing, patches, appearance)
    assert said[0, 1] == (standing[0, 1] if is_said else 0.0)
    assert standing[0, 1] > 40.0
    np.testing.assert_array_equal(np.delete(said, 1), np.delete(standing, 1))
    novel, alike_share = novelty_and_share(patches, appearance)
    assert novel[0, 1] == pytest.approx(0.9 * ALIKE_TONES, abs=0.5)  # whole tones
    np.testing.assert_allclose(alike_share, [[1.0, share, 1.0, 1.0]])
    further = replace(appearance, patches=bank_from(alike + np.uint8(4), passing.starts))
    assert halted(standing, patches, further)[0, 1] == 0.0


def test_what_was_seen_is_not_novel_and_what_was_not_is() -> None:
    """A shape that normal work shows is known there and in the cells beside it, not elsewhere."""
    background = np.full((24, 32, 1), 100, np.uint8)

    def shown(row: int, column: int) -> np.ndarray:
        picture = background.copy()
        picture[row : row + 6, column : column + 4] = 220
        return picture

    ground = background.astype(np.float32)
    normal = [shown(8, column) for column in range(4, 24)]
    known = joined([covering_cells(shown_patches(pictures_of(normal, ground, None), ground), 48, 16)])

    def told(picture: np.ndarray) -> float:
        return float(novelty(patches_of(picture), patches_of(ground), known).max())

    assert told(shown(8, 14)) < 3.0  # normal ones were levelled: the + 1 of the ratio
    assert told(shown(18, 14)) > 20.0
    assert told(ground) == 0.0


def test_light_does_not_make_a_picture_novel() -> None:
    """A picture at another brightness is levelled before it is looked at, and no object carries the gain."""
    background = random_thumbnail(RNG)
    bright = np.rint(background * 1.2).astype(np.uint8)
    bright[:8, :8] = 250
    # the + 1 of the ratio, and half a grey level of 20 at the least
    np.testing.assert_allclose(levelled(bright, background)[9:], background[9:], rtol=0.045)


def test_a_selection_keeps_what_is_far_from_all_else() -> None:
    """One strange patch among hundreds of nearly equal ones is kept; no cell keeps more than its share."""
    pictures = [np.clip(160 + RNG.normal(0, 2, (8, 8, 1)), 0, 255).astype(np.uint8) for _ in range(300)]
    pictures[117][:] = 10
    everywhere = np.arange(4)
    vectors = [(everywhere, one.reshape(2, 4, 2, 4).swapaxes(1, 2).reshape(4, 16)) for one in pictures]
    cells = covering_cells([(places, shown.astype(np.float32)) for places, shown in vectors], 4, 16)
    assert all(2 <= len(kept.vectors) < KEPT for kept in cells)
    for number, kept in enumerate(cells):  # what is not kept is near what is, and counts for the nearest
        seen = np.stack([shown[number] for _, shown in vectors]).astype(np.float32)
        apart = ((seen[:, None] - kept.vectors[None]) ** 2).mean(axis=2)
        assert np.sqrt(apart.min(axis=1)).max() <= NEAR + 0.5  # what is kept is whole grey levels
        np.testing.assert_array_equal(kept.times, np.bincount(apart.argmin(axis=1), minlength=len(kept.vectors)))
    noisy = [(everywhere, RNG.uniform(0, 255, (4, 16)).astype(np.float32)) for _ in range(300)]
    assert all(len(kept.vectors) == KEPT for kept in covering_cells(noisy, 4, 16))
    assert all((np.abs(kept.vectors.astype(int) - 10).max(axis=1) == 0).any() for kept in cells)


def test_times_are_in_the_order_of_the_bank_and_count_all_footage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parts with other patches in each cell; of a cell with much footage every so many are looked at."""
    monkeypatch.setattr("calibration.bank.CHOSEN_FROM", 100)
    parts = []
    for part in range(2):
        levels = [100 * part + 40 * (number % 10 == 0) for number in range(400)]
        frames = [(np.arange(2), np.array([[level], [level + 20]], np.float32)) for level in levels]
        parts.append(covering_cells(frames, 2, 1))
    bank, times = joined(parts), times_of(parts)
    assert len(times) == len(bank.known)
    counted = dict(zip(bank.known[:, 0].tolist(), times.tolist(), strict=True))
    assert sum(times) == 2 * 2 * 400
    # every fourth is looked at: of each ten the numbers 0, 4, 8, 2 and 6 in turn
    assert counted == {0: 320, 40: 80, 100: 320, 140: 80, 20: 320, 60: 80, 120: 320, 160: 80}


def test_the_background_is_what_is_mostly_there() -> None:
    """The median: what passes leaves no trace."""
    pictures = [np.full((4, 4, 1), 200 if number % 3 == 0 else 50, np.uint8) for number in range(30)]
    assert (background_of(pictures) == 50.0).all()
    apart = background_distance(patches_of(pictures[0]), patches_of(background_of(pictures)))
    np.testing.assert_allclose(apart, brute_tone(np.array(200.0)) - brute_tone(np.array(50.0)), rtol=1e-5)


def test_what_parts_know_together_counts_the_frames_of_all() -> None:
    """Shares are of all footage's frames, in the order of the joined bank, whatever the parts' lengths."""
    background = np.full((8, 16, 1), 90.0, np.float32)
    speed = np.zeros((2, 4), np.float32)

    def run(levels: list[int]) -> Seen:
        pictures = [background.astype(np.uint8).copy() for _ in levels]
        for picture, level in zip(pictures, levels, strict=True):
            picture[:4, :4] = level
        return Seen(0.1 * np.arange(len(levels)), [Senses(speed, speed, picture) for picture in pictures])

    ground = Ground(background, np.zeros((1, 1), np.float32), 4.0, None)
    known = known_by(ground, [part_of([run([200] * 30)], ground), part_of([run([200] * 60 + [90] * 10)], ground)])
    appearance = known.appearance
    assert appearance.patches.starts.tolist() == [0, 2, 2, 2, 2, 2, 2, 2, 2]
    np.testing.assert_allclose(appearance.shares, [0.3, 0.6])


@pytest.mark.parametrize(("share", "is_heard"), [(0.5, True), (0.001, False)])
def test_a_halt_and_slowness_are_told_of_what_often_passes_alone(share: float, is_heard: bool) -> None:
    """A thing that comes and stays, nothing like it ever stood: whether it often passes decides of both witnesses."""
    background = np.full((8, 16, 1), 90.0, np.float32)
    picture = background.astype(np.uint8).copy()
    picture[:4, :4] = 200
    nothing = bank_from(np.zeros((0, 16), np.uint8), np.zeros(9, np.int32))
    patch = np.rint(patches_of(picture)[:1, 0]).astype(np.uint8)
    patches = bank_from(patch, np.array([0, *[1] * 8], np.int32))
    normality = plain_normality(np.ones((len(WITNESSES), 2, 4), np.float32), background)
    appearance = Appearance(background, patches, np.array([share], np.float32), nothing)
    normality = replace(normality, appearance=appearance)
    speed, memory = np.zeros((2, 4), np.float32), None
    for number in range(15):
        maps, memory = witnessed(Senses(speed, speed, picture), memory, 0.1 * number, normality)
    standing, slow = maps[WITNESSES.index("standing")], maps[WITNESSES.index("slowness")]
    assert (standing[0, 0] > 50.0) == is_heard
    assert (slow[0, 0] > 10.0) == is_heard
    assert (slow[1:] > 10.0).all()  # the background is always there


@pytest.mark.parametrize(("seconds", "is_heard"), [(450, False), (600, True)])
def test_what_no_part_of_the_footage_could_judge_judges_nothing(seconds: int, is_heard: bool) -> None:
    """Footage that is long enough whole, its three parts not: no witness speaks whose held-out score nobody has seen."""
    generator, background = np.random.default_rng(3), np.full((8, 16, 1), 90, np.uint8)
    speed, senses = np.ones((2, 4), np.float32), []
    for number in range(2 * seconds):
        picture = background + generator.integers(0, 3, background.shape).astype(np.uint8)
        picture[:4, 4 * (number % 3) : 4 * (number % 3) + 4] += 90
        senses.append(Senses(generator.uniform(0.01, 0.02, (2, 4)).astype(np.float32), speed, picture))
    normality, surprises, stalls = fit_normality([Seen(0.5 * np.arange(2 * seconds), senses)])
    surprise, stall = scored(Seen(0.5 * np.arange(100), senses[:100]), normality)
    assert normality.speaking[WITNESSES.index("novelty")] == is_heard
    assert surprise[1].max() <= surprises[0][1].max() + 1.0
    assert stall[1].max() <= stalls[0][1].max() + 1.0
