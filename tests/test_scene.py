"""The synthetic factory cell: its frames, its accidents, and the truth that it tells about them."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import UsageError
from edge.frames import FrameFormat, Image, Source
from edge.scene import (
    ACCIDENTS,
    CONDITIONS,
    Incident,
    Kind,
    Scene,
    accident_scene,
    frame_labels,
    is_visible,
    normal_scene,
    plant,
    scene_duration,
    scene_from_url,
    visible_accidents,
)
from edge.scene.arm import joints, tool_position
from edge.scene.belt import lying_parts
from edge.scene.drawing import draw
from edge.scene.footage import write_scene
from edge.scene.layout import project
from edge.scene.sensor import LIGHT_STEP, nudge
from edge.scene.source import SceneSource
from edge.scene.workers import accident_stance, accident_walk, people_at

HEIGHT, WIDTH = 128, 160
BLOCK = 8  # pixels: JPEG carries a change no farther than its block
SMALL = FrameFormat(64, 80, 1, 10.0)


def grey(scene: Scene, seconds: float) -> NDArray[np.float32]:
    """Return the small grey frame of a scene as numbers that can be subtracted."""
    return draw(scene, seconds, HEIGHT, WIDTH, 1)[:, :, 0].astype(np.float32)


def planted(kind: Kind, seed: int = 7) -> tuple[Scene, Incident]:
    """Return a scene with one incident, and the incident."""
    scene = accident_scene(seed, first_seconds=25.0, kinds=[kind])
    return scene, scene.incidents[0]


def times_within(incident: Incident) -> list[float]:
    """Return times spread over the incident's interval, its edges left out."""
    length = incident.end_seconds - incident.start_seconds
    return [incident.start_seconds + share * length for share in (0.2, 0.35, 0.5, 0.65, 0.8)]


def box_mask(incident: Incident, margin: int) -> NDArray[np.bool_]:
    """Return a mask [H, W] that is true in the incident's box, widened by some pixels."""
    x0, y0, x1, y1 = incident.box
    rows, columns = np.arange(HEIGHT)[:, None], np.arange(WIDTH)[None, :]
    across = (columns >= x0 * WIDTH - margin) & (columns < x1 * WIDTH + margin)
    mask: NDArray[np.bool_] = across & (rows >= y0 * HEIGHT - margin) & (rows < y1 * HEIGHT + margin)
    return mask


def test_a_frame_is_a_function_of_seed_and_time() -> None:
    """The same seed and time give the same frame, to the bit."""
    assert np.array_equal(draw(Scene(3), 12.3, 64, 80, 3), draw(Scene(3), 12.3, 64, 80, 3))


def test_a_frame_is_the_same_in_another_process() -> None:
    """Nothing in a frame depends on the process that draws it, such as the salt of Python's hashes."""
    code = (
        "from edge.scene import Scene; from edge.scene.drawing import draw; "
        "import zlib; print(zlib.crc32(draw(Scene(3), 12.3, 64, 80, 1).tobytes()))"
    )
    answers = {subprocess.check_output([sys.executable, "-c", code]) for _ in range(2)}
    assert len(answers) == 1


def test_seeds_are_different_days() -> None:
    """Two seeds show different work at the same time."""
    differences = [np.abs(grey(Scene(1), t) - grey(Scene(2), t)).max() for t in (5.0, 50.0, 500.0)]
    assert min(differences) > 50.0  # a part or a worker against the floor; noise alone stays below 20


def test_the_background_is_the_same_for_every_seed() -> None:
    """All seeds show one cell from one camera: what is learned from some of them holds for others."""
    medians = [np.median([grey(Scene(seed), 7.0 * n) for n in range(15)], axis=0) for seed in (1, 2)]
    assert np.median(np.abs(medians[0] - medians[1])) < 6.0  # the light drifts by up to 4.5 %


def test_random_access_equals_the_sequence() -> None:
    """A frame that is drawn alone equals the one that a source yields in its turn."""
    scene = accident_scene(5, first_seconds=1.0)
    frames = list(SceneSource(scene, SMALL, start_seconds=0.5, duration_seconds=3.0).frames())
    assert len(frames) == 30
    for frame in reversed(frames):
        assert np.array_equal(frame.image, draw(scene, frame.seconds, 64, 80, 1))


@pytest.mark.parametrize(("height", "width"), [(128, 160), (256, 320), (512, 640), (50, 70), (90, 160)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_and_colour(height: int, width: int, channels: int) -> None:
    """A frame has the asked shape, and is neither dark, nor white, nor flat."""
    image = draw(Scene(1), 3.0, height, width, channels)
    assert image.shape == (height, width, channels)
    assert image.dtype == np.uint8
    assert 60 < image.mean() < 180
    assert image.std() > 20


def test_sizes_show_the_same_cell() -> None:
    """The picture does not change with its size, only its grain does."""
    small = grey(Scene(4), 30.0)
    large = draw(Scene(4), 30.0, 4 * HEIGHT, 4 * WIDTH, 1).reshape(HEIGHT, 4, WIDTH, 4).mean(axis=(1, 3))
    assert np.median(np.abs(small - large)) < 4.0  # noise of 2 levels, and JPEG; edges differ more


def test_a_source_can_start_hours_into_the_work() -> None:
    """Work has no end: a day later parts, arm and workers still move, and no frame costs more."""
    day = 86_400.0
    assert lying_parts(Scene(1), day)
    places = {round(project(joints(tool_position(Scene(1), day + t))[3])[0], 2) for t in range(10)}
    assert len(places) > 2
    assert any(people_at(Scene(1), day + 5.0 * n) for n in range(40))


def test_normal_work_varies() -> None:
    """Workers come and go, at times nobody and at times two or more, and parts come in all shapes."""
    crowd = [len(people_at(Scene(2), 4.0 * n)) for n in range(300)]
    assert min(crowd) == 0
    assert max(crowd) >= 2
    shapes = {one.part.shape for n in range(20) for one in lying_parts(Scene(2), 10.0 * n)}
    assert shapes == {"box", "cylinder", "step"}


def test_parts_do_not_overlap() -> None:
    """Neighbours on the belt keep a gap, also in a jam."""
    scene, _ = planted("jam")
    for number in range(300):
        lying = lying_parts(scene, 0.2 * number)
        for ahead, behind in pairwise(lying):
            assert ahead.x - behind.x > 0.5 * (ahead.part.length + behind.part.length)


@pytest.mark.parametrize("seed", range(6))
def test_the_arm_moves_without_jumps(seed: int) -> None:
    """From frame to frame the tool makes no leap, in normal work and in the arm's accidents."""
    scene = accident_scene(seed, first_seconds=5.0, spacing_seconds=5.0, kinds=["arm_halted", "jam", "arm_off_path"])
    tips = np.array([joints(tool_position(scene, n / 50))[3] for n in range(50 * 60)])
    assert np.linalg.norm(np.diff(tips, axis=0), axis=1).max() < 0.1  # metres in 20 ms: 5 m/s at most


@pytest.mark.parametrize("kind", ACCIDENTS)
@pytest.mark.parametrize("seed", [7, 8, 9])
def test_an_accident_is_seen_in_its_box(kind: Kind, seed: int) -> None:
    """During an accident the frames differ from normal work within its box, and nowhere else."""
    scene, incident = planted(kind, seed)
    inside, beyond = box_mask(incident, 0), ~box_mask(incident, BLOCK)
    changes = [np.abs(grey(scene, t) - grey(Scene(seed), t)) for t in times_within(incident)]
    assert max(change[inside].max() for change in changes) > 60.0
    # What remains outside of the box is the rim of shadows, glow and smoke.
    assert max(change[beyond].max(initial=0.0) for change in changes) < 25.0


@pytest.mark.parametrize("kind", [*ACCIDENTS, *CONDITIONS])
@pytest.mark.parametrize("seed", [7, 8])
def test_nothing_differs_outside_of_the_interval(kind: Kind, seed: int) -> None:
    """Before and after an incident the frames equal normal work, to the bit."""
    scene, incident = planted(kind, seed)
    start, end = incident.start_seconds, incident.end_seconds
    if kind in ("fall", "slow"):  # their worker walks in before, and out after, as anybody does
        knots = accident_walk(seed, incident).knots
        start, end = knots[0].seconds, knots[-1].seconds
    if kind.startswith("arm"):  # the arm finishes its cycle late, and a part that it missed runs out
        end += 30.0
    for seconds in (start - 5.0, start - 0.1, end, end + 0.1, end + 1.0, end + 5.0):
        assert np.array_equal(grey(scene, seconds), grey(Scene(seed), seconds))


@pytest.mark.parametrize("kind", ["fall", "slow", "no_helmet", "no_vest"])
@pytest.mark.parametrize("seed", range(5))
def test_the_accident_of_a_worker_has_its_worker(kind: Kind, seed: int) -> None:
    """A worker to whom an accident happens is within the picture during the interval."""
    scene, incident = planted(kind, seed)
    for seconds in times_within(incident):
        worker = accident_stance(seed, incident, seconds)
        u, v = project((worker.x, worker.y, 1.0))
        assert 0.0 < u < 1.0
        assert 0.0 < v < 1.0


def test_who_slows_stands_and_stoops() -> None:
    """The worker who slows walks before and after, and stands bent in between."""
    scene, incident = planted("slow")
    times = (incident.start_seconds - 1.0, incident.start_seconds + 3.0, incident.end_seconds + 1.0)
    before, within, after = (accident_stance(scene.seed, incident, t) for t in times)
    assert (before.stride, within.stride, after.stride) == (1.0, 0.0, 1.0)
    assert (before.stoop, within.stoop, after.stoop) == (0.0, 1.0, 0.0)


def test_a_fall_ends_on_the_floor() -> None:
    """A second after the fall begins the worker lies, and stays lying until shortly before the end."""
    scene, incident = planted("fall")
    for seconds in (incident.start_seconds + 1.0, incident.end_seconds - 1.2):
        assert accident_stance(scene.seed, incident, seconds).fallen == 1.0


def test_parts_pile_up_behind_the_one_that_sticks() -> None:
    """In a jam the stuck part stands still and those behind it come to touch it."""
    scene, jam = planted("jam")
    early, late = (lying_parts(scene, jam.start_seconds + t) for t in (0.1, 3.2))
    stuck = next(one for one in early if one.turn_radians > 0.0)
    same = next(one for one in late if one.part == stuck.part)
    assert same.x == stuck.x
    follower = late[late.index(same) + 1]
    assert same.x - follower.x == pytest.approx(0.02 + 0.5 * (same.part.length + follower.part.length))


def test_labels_agree_with_intervals() -> None:
    """A frame is labelled 1 from an accident's start until just before its end; conditions are not."""
    scene = accident_scene(2, kinds=["fire", "light_switched", "fall"])
    labels = frame_labels(scene, 900, 10.0, start_seconds=5.0)
    expected = [
        any(one.start_seconds <= 5.0 + n / 10 < one.end_seconds for one in (scene.incidents[0], scene.incidents[2]))
        for n in range(900)
    ]
    assert labels.dtype == np.uint8
    assert labels.tolist() == expected
    assert 0 < labels.sum() < 900


def test_what_the_picture_does_not_show_is_not_labelled() -> None:
    """An accident behind a covered lens, or one that begins while the picture is frozen, is not visible."""
    fire = plant(1, "fire", 10.0)
    assert visible_accidents(Scene(1, (fire, plant(1, "covered", 10.0))), 12.0) == ()
    assert visible_accidents(Scene(1, (fire, plant(1, "frozen", 9.0))), 12.0) == ()
    assert visible_accidents(Scene(1, (fire,)), 12.0) == (fire,)


def test_an_incident_is_visible_from_start_to_just_before_end() -> None:
    """The interval of an incident holds its start and not its end."""
    incident = Incident("fire", 10.0, 12.0)
    assert [is_visible(incident, t) for t in (9.99, 10.0, 11.99, 12.0)] == [False, True, True, False]


def test_a_scene_with_all_accidents() -> None:
    """Each accident is planted once, in order, with boxes in the picture and normal work between."""
    scene = accident_scene(11, first_seconds=20.0, spacing_seconds=9.0)
    assert tuple(one.kind for one in scene.incidents) == ACCIDENTS
    assert scene.incidents[0].start_seconds == 20.0
    for before, after in pairwise(scene.incidents):
        assert after.start_seconds - before.end_seconds >= 9.0 - 0.05  # starts are rounded to 0.1 s
    for one in scene.incidents:
        assert 3.0 <= one.end_seconds - one.start_seconds <= 6.0
        assert 0.0 <= one.box[0] < one.box[2] <= 1.0
        assert 0.0 <= one.box[1] < one.box[3] <= 1.0
    assert scene_duration(scene) > scene.incidents[-1].end_seconds


def test_frozen_repeats_exactly() -> None:
    """A frozen picture repeats itself with its noise, and lives again afterwards."""
    scene, frozen = planted("frozen")
    first = draw(scene, frozen.start_seconds, HEIGHT, WIDTH, 1)
    images: list[Image] = [draw(scene, t, HEIGHT, WIDTH, 1) for t in times_within(frozen)]
    assert all(np.array_equal(first, image) for image in images)
    assert not np.array_equal(first, draw(scene, frozen.end_seconds, HEIGHT, WIDTH, 1))


def test_a_switched_light_changes_the_mean() -> None:
    """With the light switched the whole picture is darker by the step."""
    scene, incident = planted("light_switched")
    ratios = [grey(scene, t).mean() / grey(Scene(7), t).mean() for t in times_within(incident)]
    assert ratios == pytest.approx([LIGHT_STEP] * len(ratios), abs=0.01)  # highlights that were clipped


def test_a_nudged_camera_shifts_the_picture() -> None:
    """A nudged camera sees the same cell some pixels beside."""
    scene, incident = planted("camera_nudged")
    right, down = nudge(scene, incident, WIDTH)
    assert 2 <= abs(right) <= 6
    seconds = times_within(incident)[0]
    moved = np.roll(grey(Scene(7), seconds), (down, right), axis=(0, 1))
    core = np.s_[10:-10, 10:-10]
    shifted = np.abs(grey(scene, seconds) - moved)[core].mean()
    unshifted = np.abs(grey(scene, seconds) - grey(Scene(7), seconds))[core].mean()
    assert shifted < 4.0 < unshifted  # two draws of noise of 2 levels each, and JPEG


def test_a_blurred_picture_loses_its_edges() -> None:
    """Out of focus, neighbouring pixels differ less than half as much."""
    scene, incident = planted("blurred")
    seconds = times_within(incident)[0]
    sharp, soft = (np.abs(np.diff(grey(one, seconds), axis=1)).mean() for one in (Scene(7), scene))
    assert soft < 0.5 * sharp


def test_a_covered_lens_sees_nothing() -> None:
    """A covered lens gives a dark and flat picture with noise."""
    scene, incident = planted("covered")
    image = grey(scene, times_within(incident)[0])
    assert image.mean() < 25.0
    assert 0.2 < image.std() < 5.0


def test_noise_is_new_in_every_frame() -> None:
    """Two frames in a row differ everywhere by a little, even where nothing moves."""
    wall = np.s_[2:12, 20:60]
    difference = (grey(Scene(1), 5.0) - grey(Scene(1), 5.1))[wall]
    assert 0.5 < difference.std() < 6.0


def test_a_source_speaks_the_protocol() -> None:
    """A scene's source is an endless one that is not live, paced by its rate, and ends when closed."""
    source: Source = SceneSource(normal_scene(3), SMALL, start_seconds=2.0)
    assert not source.is_live
    assert source.name == "test://factory?seed=3"
    iterator = source.frames()
    assert [frame.seconds for frame in islice(iterator, 3)] == [2.0, 2.1, 2.2]
    source.close()
    assert next(iterator, None) is None


def test_addresses() -> None:
    """An address names the seed, what is planted and when, and which part of it is played."""
    assert scene_from_url("test://factory") == (Scene(0), 0.0, None)
    assert scene_from_url("test://factory?seed=3&start=1.5&seconds=60") == (Scene(3), 1.5, 60.0)
    scene, _, _ = scene_from_url("test://factory?seed=3&accidents=jam,fire&conditions=frozen&first=7")
    assert scene == accident_scene(3, first_seconds=7.0, kinds=["jam", "fire", "frozen"])
    assert scene_from_url("test://factory?accidents=all")[0] == accident_scene(0)


_NAMES = "fire, jam, fall, slow, no_helmet, no_vest, arm_off_path, arm_halted, all, none"
_KEYS = "seed, accidents, conditions, first, spacing, start, seconds"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("test://farm", "test://farm is not a test scene; expected test://factory, as in test://factory?seed=3"),
        (
            "test://factory/hall",
            "test://factory/hall is not a test scene; expected test://factory, as in test://factory?seed=3",
        ),
        (
            "test://factory?sed=1",
            f"test://factory?sed=1: unknown key sed; expected seed, or another of {_KEYS}",
        ),
        ("test://factory?q=1", f"test://factory?q=1: unknown key q; expected one of {_KEYS}"),
        (
            "test://factory?seed=1&seed=2",
            "test://factory?seed=1&seed=2: seed is given twice; expected it once",
        ),
        (
            "test://factory?seed=-1",
            "test://factory?seed=-1: seed is '-1'; expected a whole number of 0 or above",
        ),
        ("test://factory?seed", "test://factory?seed: seed is ''; expected a whole number of 0 or above"),
        (
            "test://factory?start=-2",
            "test://factory?start=-2: start is '-2'; expected a number of seconds of 0 or above",
        ),
        (
            "test://factory?first=soon",
            "test://factory?first=soon: first is 'soon'; expected a number of seconds of 0 or above",
        ),
        (
            "test://factory?seconds=0",
            "test://factory?seconds=0: seconds is '0'; expected a number of seconds above 0",
        ),
        (
            "test://factory?spacing=inf",
            "test://factory?spacing=inf: spacing is 'inf'; expected a number of seconds above 0",
        ),
        (
            "test://factory?accidents=fier",
            f"test://factory?accidents=fier: accidents has 'fier'; expected fire, or another of {_NAMES}",
        ),
        (
            "test://factory?accidents=fire,",
            f"test://factory?accidents=fire,: accidents has ''; expected one of {_NAMES}",
        ),
        (
            "test://factory?conditions=rain",
            "test://factory?conditions=rain: conditions has 'rain'; expected one of light_switched,"
            " camera_nudged, blurred, covered, frozen, all, none",
        ),
    ],
)
def test_bad_addresses(url: str, message: str) -> None:
    """A wrong address is refused with one sentence: what was found, what is expected."""
    with pytest.raises(UsageError) as refusal:
        scene_from_url(url)
    assert str(refusal.value) == message


def test_a_written_scene_reads_back(tmp_path: Path) -> None:
    """The film has as many frames as there are labels, looks like the scene, and the truth lies beside it."""
    scene = accident_scene(1, first_seconds=1.0, spacing_seconds=1.0, kinds=["fire", "frozen"])
    told: list[tuple[int, int]] = []
    paths = write_scene(
        scene,
        tmp_path / "films" / "one",
        height=64,
        width=80,
        channels=3,
        rate_hz=10.0,
        seconds=4.0,
        progress=lambda done, total: told.append((done, total)),
    )
    assert [path.name for path in paths] == ["scene.mp4", "labels.npy", "incidents.json"]
    with av.open(str(paths[0])) as container:
        images = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == 10
    assert len(images) == 40
    difference = np.abs(images[7].astype(float) - draw(scene, 0.7, 64, 80, 3))
    assert difference.mean() < 8.0  # H.264 at moderate quality, with colour at half resolution
    assert np.load(paths[1]).tolist() == frame_labels(scene, 40, 10.0).tolist()
    records = json.loads(paths[2].read_text())
    assert [record["is_accident"] for record in records] == [True, False]
    assert tuple(records[0]["box"]) == scene.incidents[0].box
    assert told[-1] == (40, 40)
    assert [path.name for path in (tmp_path / "films").iterdir()] == ["one"]


def test_writing_never_leaves_half_a_scene(tmp_path: Path) -> None:
    """An existing directory is not touched, and a size that cannot be encoded leaves nothing behind."""
    with pytest.raises(UsageError, match="exists already"):
        write_scene(Scene(1), tmp_path, height=64, width=80, channels=1, rate_hz=10.0, seconds=1.0)
    with pytest.raises(UsageError, match=r"81x64; H\.264 needs an even width and height"):
        write_scene(Scene(1), tmp_path / "new", height=64, width=81, channels=1, rate_hz=10.0, seconds=1.0)
    assert list(tmp_path.iterdir()) == []


def test_the_package_opens_no_door() -> None:
    """Importing the package loads neither OpenCV nor PyAV."""
    code = "import sys, edge.scene; print([name for name in ('cv2', 'av') if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_impossible_plans_are_refused() -> None:
    """A spacing of nothing is refused at once."""
    with pytest.raises(UsageError, match=r"0 s apart; expected .* a spacing above 0 s"):
        accident_scene(1, spacing_seconds=0.0)
