"""Many cameras and one step: they come, go and are late without touching one another."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from calibration.fit import fit_calibration, observe
from edge.capture import Mailboxes
from edge.errors import PrednetError
from edge.frames import Frame
from edge.moments import Judge, Moment, Round
from edge.pipeline import watch
from edge.slots import Slots
from tests.holding import child_environment
from tests.tiny import RATE_HZ, clip_from, normal_images, tiny_runner, with_accident


@pytest.fixture(scope="module")
def judge() -> Judge:
    """What 200 frames of normal work say is normal."""
    clips = [clip_from(normal_images(200))]
    calibration = fit_calibration(clips, observe(clips, tiny_runner()), RATE_HZ)
    return Judge(calibration.normality, calibration.limits.noise, calibration.limit)


def of(moments: list[Moment], camera: str) -> list[Moment]:
    """Return one camera's moments."""
    return [moment for moment in moments if moment.camera == camera]


def assert_alike(ones: list[Moment], others: list[Moment]) -> None:
    """Two runs of one camera saw, scored and announced the same."""
    assert [(m.seconds, m.state) for m in ones] == [(m.seconds, m.state) for m in others]
    assert [m.detection and m.detection.type for m in ones] == [m.detection and m.detection.type for m in others]
    for one, other in zip(ones, others, strict=True):
        assert (one.surprise is None) == (other.surprise is None)
        if one.surprise is not None and other.surprise is not None:
            assert one.surprise == pytest.approx(other.surprise, abs=1e-3)  # float32 sums in another order


def rounds_of(*cameras: tuple[str, np.ndarray, range]) -> list[Round]:
    """Return rounds in which each camera shows its images while the number of the round is in its range."""
    rounds = []
    for number in range(max(lasting.stop for _, _, lasting in cameras)):
        frames = {
            name: Frame(images[number], number / RATE_HZ) for name, images, lasting in cameras if number in lasting
        }
        lost = {name: "disabled" for name, _, lasting in cameras if number == lasting.stop}
        rounds.append(Round(frames, lost))  # type: ignore[arg-type]
    return rounds


def test_a_camera_comes_and_goes_without_touching_its_neighbours(judge: Judge) -> None:
    """`b` is removed, `c` takes its slot later, `a` with its accident sees what it would see alone; so does `c`."""
    busy = with_accident(normal_images(120, seed=4), 60, 100)
    others = normal_images(120, seed=3), normal_images(120, seed=5)
    judges = dict.fromkeys("abc", judge)
    rounds = rounds_of(("a", busy, range(120)), ("b", others[0], range(40)), ("c", others[1], range(50, 120)))
    runner = tiny_runner(2)  # two slots for three cameras, two at a time
    together = list(watch(rounds, runner, _Later(judges, ["a", "b"])))
    for name, images, lasting in (("a", busy, range(120)), ("c", others[1], range(50, 120))):
        alone = list(watch(rounds_of((name, images, lasting)), tiny_runner(), {name: judge}))
        assert_alike(of(together, name), of(alone, name))
    assert of(together, "b")[-1].lost == "disabled"


class _Later(dict[str, Judge]):
    """Judges of which some cameras stand in the configuration at the start, and the others come later."""

    def __init__(self, judges: dict[str, Judge], first: list[str]) -> None:
        super().__init__(judges)
        self._first = first

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._first)


def test_a_camera_that_is_lost_and_returns_resets_itself_alone(judge: Judge) -> None:
    """`b` loses its state twice; `a` goes on as if it were alone."""
    busy, other = with_accident(normal_images(120, seed=4), 60, 100), normal_images(120, seed=3)
    rounds = rounds_of(("a", busy, range(120)), ("b", other, range(120)))
    for number in (30, 70):
        rounds[number] = Round({"a": rounds[number].frames["a"]}, {"b": "camera_lost"})
    together = list(watch(rounds, tiny_runner(2), dict.fromkeys("ab", judge)))
    alone = list(watch(rounds_of(("a", busy, range(120))), tiny_runner(), {"a": judge}))
    assert_alike(of(together, "a"), of(alone, "a"))
    assert [m.state for m in of(together, "b")][30:32] == ["blind", "warming_up"]


def test_more_cameras_than_slots_is_one_sentence() -> None:
    """The runner's slots are counted."""
    slots = Slots(2, ["a", "b"])
    with pytest.raises(PrednetError, match=r"c: all 2 slots of the runner are taken; remove another camera first\."):
        slots["c"]
    slots.free("a")
    assert (slots["c"], slots["b"]) == (0, 1)


def frame(seconds: float = 0.0) -> Frame:
    """A small frame."""
    return Frame(np.zeros((1, 1, 1), np.uint8), seconds)


def test_frames_that_come_together_share_a_step_and_a_late_camera_holds_nobody_up() -> None:
    """Within the gathering time they are one round; a camera that is late is waited for that long and no longer."""
    mailboxes = Mailboxes(["a", "b"], gather_seconds=0.3)
    for camera in ("a", "b"):
        mailboxes.put(camera, frame(), None)
    mailboxes.take(0.0)
    mailboxes.put("a", frame(1.0), None)
    threading.Timer(0.1, mailboxes.put, ("b", frame(1.0), None)).start()
    (now,) = mailboxes.take(1.0)
    assert sorted(now.frames) == ["a", "b"]
    mailboxes.put("a", frame(2.0), None)
    began = time.monotonic()
    (now,) = mailboxes.take(1.0)
    assert sorted(now.frames) == ["a"]
    assert 0.25 < time.monotonic() - began < 0.9


MEMORY_OF_EIGHT = """
import numpy as np, psutil
from edge.bundle import read_bundle
from edge.shipped import BUNDLE
from edge.runners import open_runner
bundle, used = read_bundle(BUNDLE), psutil.Process().memory_info
runner, before = open_runner(bundle.step("float"), bundle.spec, 8), used().rss
form, all_of_them = bundle.spec.form, np.ones(8, bool)
for _ in range(3):
    runner.step(np.zeros((8, form.height, form.width, form.channels), np.uint8), all_of_them, all_of_them)
print((used().rss - before) / 1e6)
"""


def test_eight_cameras_need_the_memory_of_eight_cameras() -> None:
    """A step of eight takes about 90 MB; planned as one block for all layers it took 170."""
    asked = [sys.executable, "-c", MEMORY_OF_EIGHT]
    said = subprocess.run(asked, capture_output=True, text=True, check=True, env=child_environment())
    assert float(said.stdout) < 150.0
