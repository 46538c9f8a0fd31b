"""Training: it learns, goes on after a kill, and says early what cannot work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from calibration.footage import Clip
from edge.errors import PrednetError, UsageError
from edge.files import write_whole
from export.architecture import Architecture
from tests.needs import need

torch = need("torch")

from export.checkpoint import Weights, load_checkpoint  # noqa: E402 - after the check that it is there
from export.learning.network import initial_weights  # noqa: E402
from export.learning.settings import TrainingFailed, TrainingProgress, TrainingReport, TrainingSettings  # noqa: E402
from export.learning.training import train  # noqa: E402

SMALL = Architecture(
    height=24,
    width=32,
    channels=1,
    rate_hz=10.0,
    stack=(1, 8, 12),
    r_stack=(1, 8, 12),
    head="residual",
    error_gain=5.0,
)
ORIGINAL = msgspec.structs.replace(SMALL, head="original", error_gain=1.0)
QUICK = TrainingSettings(steps=4, batch=2, sequence_length=5)


def square_clip(seed: int = 0, frames: int = 400, size: tuple[int, int] = (24, 32)) -> Clip:
    """Return a textured square that runs over a still background and bounces, with a little noise."""
    generator = np.random.default_rng(seed)
    height, width = size
    background = generator.integers(60, 100, (height, width, 1))
    images = np.repeat(background[None], frames, axis=0)
    for index, image in enumerate(images):
        top, left = bounced(index, height - 8), bounced(2 * index + 7 * seed, width - 8)
        image[top : top + 8, left : left + 8] = 200
    images = np.clip(images + generator.normal(0, 1, images.shape).round(), 0, 255).astype(np.uint8)
    return Clip(f"square {seed}", images, np.arange(frames) / 10.0)


def bounced(position: int, room: int) -> int:
    """Return where something is that runs to and fro in `room`."""
    return room - abs(position % (2 * room) - room)


def trained(
    out: Path,
    settings: TrainingSettings = QUICK,
    clips: Sequence[Clip] | None = None,
    start: Weights | None = None,
    architecture: Architecture = SMALL,
) -> TrainingReport:
    """Train on one thread, which a network this small fills, and return the report."""
    torch.set_num_threads(1)
    report = train([square_clip()] if clips is None else clips, architecture, settings, out, lambda _: None, start)
    assert report is not None
    return report


def test_learns_better_than_repeating_the_last_frame(tmp_path: Path) -> None:
    """A square that bounces is predicted better than by repeating the last frame, on frames held back."""
    out = tmp_path / "net.safetensors"
    report = trained(out, TrainingSettings(steps=150, batch=4))
    assert report.skill.moving_ratio < 0.8
    assert report.skill.ratio < 0.95
    assert report.warnings == ()
    architecture, _, facts = load_checkpoint(out)
    assert architecture == SMALL
    assert facts["steps"] == 150
    assert facts["footage"] == report.footage
    assert [file.name for file in tmp_path.iterdir()] == ["net.safetensors"]


class Killed(Exception):
    """Stands for a power cut."""


def test_goes_on_after_a_kill(tmp_path: Path) -> None:
    """A run that was killed goes on at the step that was saved, and ends with the steps that were asked for."""
    out, settings = tmp_path / "net.safetensors", replace(QUICK, steps=12, save_seconds=1e-9)
    steps: list[int] = []

    def killed_at_seven(progress: TrainingProgress) -> None:
        steps.append(progress.step)
        if progress.step == 7:
            raise Killed

    with pytest.raises(Killed):
        train([square_clip()], SMALL, settings, out, killed_at_seven)
    assert (tmp_path / "net.resume.pt").exists()
    report = train([square_clip()], SMALL, settings, out, lambda progress: steps.append(progress.step))
    assert report is not None
    assert report.steps == 12
    assert steps == [1, 2, 3, 4, 5, 6, 7, *range(7, 13)]
    assert not (tmp_path / "net.resume.pt").exists()


def test_elapsed_time_goes_on_after_a_kill(tmp_path: Path) -> None:
    """The minutes of both runs together are the budget."""
    out, settings = tmp_path / "net.safetensors", replace(QUICK, steps=None, minutes=1.0, save_seconds=1.0)
    seen: list[TrainingProgress] = []

    def killed_at_forty(progress: TrainingProgress) -> None:
        seen.append(progress)
        if progress.seconds >= 40:
            raise Killed

    with pytest.raises(Killed):
        train([square_clip()], SMALL, settings, out, killed_at_forty, clock=Clock(4.0))
    report = train([square_clip()], SMALL, settings, out, seen.append, clock=Clock(4.0))
    assert report is not None
    assert 60 <= report.seconds < 60 + 3 * 4.0  # a step looks at the clock up to three times
    assert all(progress.seconds_left == pytest.approx(60 - progress.seconds) for progress in seen[:-1])


class Clock:
    """A clock for tests: it moves only when it is looked at."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 0.0

    def __call__(self) -> float:
        """Return the time, later by one tick than the last."""
        self.now += self.seconds
        return self.now


def test_foreign_resume_file(tmp_path: Path) -> None:
    """A resume file of another training is refused, not continued and not overwritten."""
    out = tmp_path / "net.safetensors"
    kill_soon(out, QUICK)
    with pytest.raises(UsageError, match="belongs to a training with other options or footage"):
        trained(out, replace(QUICK, seed=9))
    assert trained(out, QUICK).steps == 4


def kill_soon(out: Path, settings: TrainingSettings) -> None:
    """Leave the resume file of a training that was killed at its second step."""

    def killed(progress: TrainingProgress) -> None:
        if progress.step == 2:
            raise Killed

    with pytest.raises(Killed):
        train([square_clip()], SMALL, replace(settings, save_seconds=1e-9), out, killed)


@pytest.mark.parametrize("content", [b"", b"not a file of torch"])
def test_damaged_resume_file(content: bytes, tmp_path: Path) -> None:
    """A resume file that cannot be read is named, with what to do."""
    write_whole(tmp_path / "net.resume.pt", content)
    with pytest.raises(PrednetError, match=r"net\.resume\.pt: it is damaged and cannot be resumed; delete it"):
        trained(tmp_path / "net.safetensors")


def test_same_seed_same_weights(tmp_path: Path) -> None:
    """Two trainings with one seed and a budget in steps end with equal weights."""
    for name in ("a", "b"):
        trained(tmp_path / f"{name}.safetensors")
    first, second = (load_checkpoint(tmp_path / f"{name}.safetensors")[1] for name in ("a", "b"))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_collapse_is_said_early(tmp_path: Path) -> None:
    """A network that draws black whatever it sees is given up within a tenth of the budget."""
    weights = initial_weights(ORIGINAL, torch.Generator().manual_seed(0))
    weights["ahat.0.bias"][:] = -100.0
    steps: list[int] = []
    with pytest.raises(TrainingFailed, match="the network has collapsed by step"):
        train(
            [square_clip()],
            ORIGINAL,
            replace(QUICK, steps=400),
            tmp_path / "net.safetensors",
            lambda progress: steps.append(progress.step),
            weights,
        )
    assert len(steps) <= 40


def test_residual_collapse_is_said_early(tmp_path: Path) -> None:
    """A residual network whose memory is dead only repeats the last frame, which is said."""
    weights = initial_weights(SMALL, torch.Generator().manual_seed(0))
    weights["o.0.bias"][:] = -1000.0
    with pytest.raises(TrainingFailed, match="it predicts the same whatever it sees"):
        trained(tmp_path / "net.safetensors", replace(QUICK, steps=100), start=weights)


def test_a_wild_learning_rate_is_said(tmp_path: Path) -> None:
    """Gates that were thrown into saturation let no gradient through: that is a collapse."""
    with pytest.raises(TrainingFailed, match="the network has collapsed by step 11: "):
        trained(tmp_path / "net.safetensors", replace(QUICK, steps=40, learning_rate=1e37))


def test_loss_that_is_not_finite(tmp_path: Path) -> None:
    """A loss that is not finite stops the training at that step."""
    weights = initial_weights(SMALL, torch.Generator().manual_seed(0))
    weights["ahat.0.bias"][:] = np.nan
    with pytest.raises(TrainingFailed) as caught:
        trained(tmp_path / "net.safetensors", start=weights)
    assert str(caught.value) == (
        "the loss is not finite at step 1; train anew with a lower --learning-rate (this was 0.004)."
    )


def still_clip() -> Clip:
    """Return a clip of one image, 200 times."""
    image = square_clip(frames=1).images
    return Clip("still", np.repeat(image, 200, axis=0), np.arange(200) / 10.0)


TOO_LITTLE = "; 10 are needed, in clips of 5 or more: give longer footage."
REFUSED_FOOTAGE = {
    "too short": (
        [square_clip(frames=9)],
        f"the footage has 9 frames, of which 9 can be learned from{TOO_LITTLE}",
    ),
    "too many short clips": (
        [square_clip(seed, frames=4) for seed in range(50)],
        f"the footage has 200 frames, of which 0 can be learned from{TOO_LITTLE}",
    ),
    "none": ([], f"the footage has 0 frames, of which 0 can be learned from{TOO_LITTLE}"),
    "still": (
        [still_clip()],
        "nothing moves in the footage: every frame of a clip is the same; give other footage.",
    ),
    "another size": (
        [square_clip(size=(32, 32))],
        "square 0: its frames are (32, 32, 1) (height, width, channels); the network needs (24, 32, 1).",
    ),
}


@pytest.mark.parametrize(("clips", "sentence"), REFUSED_FOOTAGE.values(), ids=REFUSED_FOOTAGE.keys())
def test_refused_footage(clips: list[Clip], sentence: str, tmp_path: Path) -> None:
    """Footage that nothing can be learned from is refused before the first step."""
    with pytest.raises(PrednetError) as caught:
        trained(tmp_path / "net.safetensors", clips=clips)
    assert str(caught.value) == sentence


def test_little_footage_is_learned_from_with_a_warning(tmp_path: Path) -> None:
    """Two seconds give a network, and two sentences about what it is worth."""
    report = trained(tmp_path / "net.safetensors", clips=[square_clip(frames=20)])
    assert report is not None
    assert report.warnings[0].startswith("20 frames are very little footage")
    assert report.warnings[1].startswith("nothing could be held back")


def test_missing_folder(tmp_path: Path) -> None:
    """A folder that does not exist is said before the training, not after it."""
    out = tmp_path / "nowhere" / "net.safetensors"
    with pytest.raises(UsageError) as caught:
        trained(out)
    assert str(caught.value) == f"{out}: the folder {out.parent} does not exist; make it, or choose another."


def test_poor_network_is_announced(tmp_path: Path) -> None:
    """A network that hardly beats repeating the last frame comes with a warning."""
    (warning,) = trained(tmp_path / "net.safetensors").warnings
    assert warning.startswith("on moving places the network errs ")
