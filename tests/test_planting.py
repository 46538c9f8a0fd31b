"""Anomalies planted into normal footage: where and when they say, and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edge.errors import UsageError

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from planting import KINDS, OBJECT_SHARE, PLANTED_SECONDS, WINDOW_SHARE, plant

from tests.tiny import RATE_HZ, clip_from, normal_images


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_planted_anomaly_is_seen_while_its_labels_say_so_and_is_small(kind: str) -> None:
    """Frames outside of the labels are untouched; those within differ, on no more than the anomaly's own size."""
    clip = clip_from(normal_images(200))
    planted = plant(clip, kind, seed=3)
    changed = (planted.clip.images != clip.images).any(axis=(1, 2, 3))
    assert planted.labels.sum() == round(PLANTED_SECONDS * RATE_HZ)
    assert not changed[planted.labels == 0].any()
    assert changed[planted.labels == 1].mean() > 0.9
    height = clip.images.shape[1]
    side = max(round((OBJECT_SHARE if kind == "pasted" else WINDOW_SHARE) * height), 4)
    assert (planted.clip.images != clip.images).sum(axis=(1, 2, 3)).max() <= side * side


def test_a_seed_plants_the_same_again_and_another_elsewhere() -> None:
    """What is measured can be made again."""
    clip = clip_from(normal_images(200))
    one, again, other = (plant(clip, "faster", seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.clip.images, again.clip.images)
    assert (one.clip.images != other.clip.images).any()


def test_what_cannot_be_planted_is_said() -> None:
    """An unknown kind names those that there are; too short a clip its length."""
    with pytest.raises(UsageError, match=r"'ghost' cannot be planted; there are pasted, faster, stopped, removed\."):
        plant(clip_from(normal_images(200)), "ghost", 0)
    with pytest.raises(UsageError, match=r"clip: 40 frames are too few to plant 3 s into\."):
        plant(clip_from(normal_images(40)), "faster", 0)
