"""`prednet-edge replay --since --what-if`: what may be asked, what is printed, and the page of pictures."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edge.calibrated import limit_of, limits_for
from edge.cli import main
from edge.detection import Rules
from edge.errors import PrednetError, UsageError
from edge.heat import heat_map
from edge.promise import Promise
from edge.rates import Rates
from edge.ring import Ring, ring_of, write_scores
from edge.setup import Device, read_device
from edge.what_if import Change, preview
from edge.what_if_change import change_from, models_under, told_promise_of, what_if
from edge.what_if_pictures import pictures_of
from edge.what_if_wish import Wish, told_wish, wish_from_texts
from tests.daemons import ACCIDENT
from tests.ringing import ALL_TIME, ZONES, segment_of, watched
from tests.tiny import normal_images, tiny_architecture, with_accident, write_tiny_bundle
from tests.understood import understood

ROOT = Path(__file__).parents[1]
COMMANDS = [
    line.split("   #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "what-if.md").read_text(encoding="utf-8"), re.S)
    for line in block.splitlines()
    if line.startswith("prednet-")
]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of a daemon that watched one accident."""
    images = with_accident(normal_images(140, seed=5), *ACCIDENT)
    return watched(tmp_path_factory.mktemp("device"), images, ZONES)[0]


@pytest.fixture(scope="module")
def device(config: Path) -> Device:
    """The same device, read."""
    return read_device(config)


@pytest.fixture(scope="module")
def ring(device: Device) -> Ring:
    """Its score ring."""
    return ring_of(device.config.state_directory)


WISHES = [
    ([], Wish(), "nothing changed"),
    (["limit=4.2"], Wish(limit=4.2), "limit 4.2"),
    (["limit=false_per_day=1"], Wish(false_per_day=1.0), "at most 1 false events a day"),
    (
        ["mask=[[0.8,0],[1,0.3]],limit=3, mask=aisle", "bundle=a/new.prednet"],
        Wish(limit=3.0, masks=(((0.8, 0.0), (1.0, 0.3)), "aisle"), bundle="a/new.prednet"),
        "limit 3, mask [[0.8,0.0],[1.0,0.3]], mask aisle, bundle new.prednet",
    ),
    (["mask=[[0,0],[1,0],[1,1]],normal=x.normal"], Wish(masks=(((0, 0), (1, 0), (1, 1)),), normal="x.normal"), None),
]


@pytest.mark.parametrize(("texts", "wish", "told"), WISHES, ids=[str(texts) for texts, *_ in WISHES])
def test_what_is_tried_is_read_as_it_is_written(texts: list[str], wish: Wish, told: str | None) -> None:
    """Commas part changes, and not the points of a mask; several words add up."""
    assert wish_from_texts(texts) == wish
    assert told is None or told_wish(wish) == told


MISTAKES = [
    ("limit", "write KEY=VALUE, with a key of limit, false_per_day, mask, bundle, normal"),
    ("limt=3", "write KEY=VALUE"),
    ("limit=high", "'high' is no number"),
    ("limit=0", "0 is not above 0"),
    ("limit=nan", "nan is not above 0"),
    ("limit=3,limit=4", "limit stands twice"),
    ("mask=[[0.8", "is no shape; write two corners"),
    ("mask=[[\udcff", "is no shape; write two corners"),  # what Python makes of an argument that is no UTF-8
    ("mask=[[0.8,0]]", "has 1 points"),
    ("mask=[[0.8,0],[2,1]]", "has the point (2, 1)"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_in_what_is_tried_is_named(text: str, message: str) -> None:
    """One sentence says what was found and what is expected."""
    with pytest.raises(UsageError, match=re.escape(message)):
        wish_from_texts([text])


def test_what_the_device_lacks_is_named(device: Device, ring: Ring, tmp_path: Path) -> None:
    """A camera, a zone, a promise, a bundle and frames of another size."""
    with pytest.raises(UsageError, match="has no camera 'press'; it has busy"):
        what_if(device, ring, "press", ALL_TIME, Wish())
    with pytest.raises(UsageError, match="has no zone 'aisle'; it has left, right"):
        what_if(device, ring, "busy", ALL_TIME, Wish(masks=("aisle",)))
    with pytest.raises(PrednetError, match="leave no cell to be watched"):
        what_if(device, ring, "busy", ALL_TIME, Wish(masks=("left", "right")))
    with pytest.raises(UsageError, match="does not say how often normal work reaches a level"):
        what_if(device, ring, "busy", ALL_TIME, Wish(false_per_day=1.0))
    with pytest.raises(PrednetError, match=r"none\.prednet: cannot be read"):
        what_if(device, ring, "busy", ALL_TIME, Wish(bundle=str(tmp_path / "none.prednet")))
    with pytest.raises(UsageError, match="there are no scores"):
        ring_of(tmp_path)


def test_frames_of_another_form_are_refused(
    device: Device, ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle of another frame rate cannot be tried on these frames, and both are told."""
    architecture = tiny_architecture(rate_hz=20.0)
    monkeypatch.setattr("tests.tiny.tiny_architecture", lambda: architecture)
    monkeypatch.setattr("tests.tiny.tiny_calibration", lambda _: device.models["busy"].calibration)
    other = write_tiny_bundle(tmp_path / "other.prednet")
    with pytest.raises(
        UsageError, match="are 40x32 grey at 10 a second, and the bundle sees 40x32 grey at 20 a second"
    ):
        what_if(device, ring, "busy", ALL_TIME, Wish(bundle=str(other)))


def test_another_bundle_is_judged_by_its_own_limits(device: Device, ring: Ring, tmp_path: Path) -> None:
    """The same network fitted on more footage: its limit, not the old one, decides."""
    other = write_tiny_bundle(tmp_path / "other.prednet", frames=300)
    answer = what_if(device, ring, "busy", ALL_TIME, Wish(bundle=str(other)))
    limit = limit_of(models_under(device, "busy", Wish(bundle=str(other)))("").calibration.limits)
    assert limit.on != device.models["busy"].calibration.limit.on
    assert {one.threshold_on for one in answer.found.events if one.fate != "vanishes"} == {round(limit.on, 3)}
    assert answer.found.stay == 1


RATES = Rates(
    level=1.0, rate_per_hour=10.0, scale=1.0, shape=0.0, dispersion=1.0, watched_hours=20.0,
    levels=(1.0, 3.0, 5.0, 7.0), low_per_hour=(8.0, 1.0, 0.1, 0.01), high_per_hour=(12.0, 2.0, 0.2, 0.02),
)  # fmt: skip
PROMISE = Promise(asked_per_day=10.0, limits=1, hours_needed=0.0, rules=Rules())


def test_a_promise_becomes_the_limits_that_the_daemon_would_take(device: Device) -> None:
    """`false_per_day` is what `detection.false_events_per_day` would make of the same calibration; what it lacks is said."""
    model = device.models["busy"]
    limits = msgspec.structs.replace(model.calibration.limits, rates=RATES, promise=PROMISE, on=3.0, off=2.0)
    model = replace(model, calibration=replace(model.calibration, limits=limits), is_outdated=False)
    expected = limit_of(limits_for(limits, Rules(), 5.0))
    change = change_from(Wish(false_per_day=5.0), [segment_of([0.0])], lambda _: model)
    assert change.limits == {"": (expected, None)}
    assert expected.on == 5.0, "the lowest level whose rate is, at the upper end, 4.8 a day"
    assert "promise: at most 5 false events a day" in str(told_promise_of(model, Rules(), Wish(false_per_day=5.0)))
    lacking = told_promise_of(model, Rules(), Wish(false_per_day=0.1))
    assert "60.0 hours more of normal footage are needed" in str(lacking)
    outdated = told_promise_of(replace(model, is_outdated=True), Rules(), Wish(false_per_day=5.0))
    assert str(outdated) == "no promise of a rate: the limits were fitted with other zones or masks"


def test_the_command_says_what_stays_and_writes_the_page(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer in a line, each event in one, coverage in seconds; a page with frame, heat map and score of the event."""
    sheet = tmp_path / "sheet.html"
    words = ["replay", "--config", str(config), "--since", "1h", "--until", "2100-01-01", "--sheet", str(sheet)]
    assert main([*words, "--what-if", "limit=8"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "limit 8: busy: 1 instead of 1; this one stays"
    assert re.match(
        r"  stays     20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  surprise    \d\.\d s  peak \d+\.\d\d  in right", out[1]
    )
    assert re.match(r"  scored: 1[34] of \d+ s", out[2])
    assert any("s before the oldest score that is kept" in line for line in out[3:])
    page = sheet.read_text()
    assert page.count("<article>") == page.count("<svg") == 1
    assert page.count("data:image/png;base64,") == 2
    assert "busy: 1 instead of 1; this one stays" in page
    assert not re.search(r'(src|href)="(?!data:)', page), "the page needs nothing from elsewhere"


def test_json_is_one_object_a_camera_and_without_a_change_tells_what_was_told(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No page unless it is named; the same numbers as the entry for programs."""
    monkeypatch.chdir(tmp_path)
    assert main(["replay", "--config", str(config), "--since", "2020-01-01", "--until", "2100-01-01", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["what_if"], told["camera"], told["before"], told["after"]) == ("nothing changed", "busy", 1, 1)
    assert not list(tmp_path.iterdir())
    found = preview(ring_of(read_device(config).config.state_directory), "busy", *ALL_TIME, Change())
    assert told["events"] == json.loads(msgspec.json.encode(found.events))


def test_the_picture_of_an_event_shows_its_peak_and_where_it_stood_out(device: Device, ring: Ring) -> None:
    """The frame is the one at the peak, bit for bit; what is red in the heat map is the corner that flickers."""
    answer = what_if(device, ring, "busy", ALL_TIME, Wish())
    (event,) = answer.found.events
    (picture,) = pictures_of(device, answer.found, [event], answer.before, Wish())
    assert picture is not None
    assert picture.cells is not None
    images = with_accident(normal_images(140, seed=5), *ACCIDENT)
    assert any(np.array_equal(picture.image, image) for image in images[ACCIDENT[0] : ACCIDENT[1] + 5])
    drawn = cv2.cvtColor(heat_map(picture.image, picture.cells), cv2.COLOR_RGB2HSV)
    red = drawn[..., 1] > 100
    assert red[18:, 24:].mean() > 0.5
    assert red[:12, :20].mean() == 0.0


CALLS = [
    ([], "give a video with --bundle; or --since"),
    (["a.mp4"], "give the bundle to watch the video with"),
    (["a.mp4", "--since", "1d"], "give a video with --bundle; or --since"),
    (["a.mp4", "--what-if", "limit=3"], "give a video with --bundle; or --since"),
    (["--since", "soon", "--config", "CONFIG"], "'soon' is no span of time"),
    (["--since", "1h", "--until", "2h", "--config", "CONFIG"], "it ends before it begins"),
    (["--since", "1h", "--camera", "x", "--config", "CONFIG"], "has no camera 'x'"),
    (["--since", "1h", "--sheet", "/none/a.html", "--config", "CONFIG"], "/none/a.html: there is no folder /none"),
]


@pytest.mark.parametrize(("words", "message"), CALLS, ids=[" ".join(words) or "nothing" for words, _ in CALLS])
def test_a_wrong_call_is_told_in_a_sentence(
    config: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what to give instead."""
    assert main(["replay", *[str(config) if word == "CONFIG" else word for word in words]]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_is_one_that_we_understand(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs, options and changes exist as they are written in docs/what-if.md."""
    parsed = understood(command, monkeypatch)
    wish_from_texts(parsed.what_if)
    assert parsed.since or parsed.video


def test_a_day_of_scores_is_answered_fast_enough_for_a_slider(tmp_path: Path) -> None:
    """A tenth of a day, which takes 0.05 s here: 2 s leave room for a busy machine, and none for a loop over frames."""
    levels = np.random.default_rng(0).normal(0.0, 1.0, 600)
    levels[100:140] = 5.0
    for minute in range(144):
        one = segment_of(levels.tolist(), start=60.0 * minute)
        (tmp_path / "a").mkdir(exist_ok=True)
        write_scores(tmp_path / "a" / f"{round((1e9 + 60 * minute) * 1000):014d}.scores", one.facts, one.rows)
    began = time.monotonic()
    found = preview(Ring(tmp_path), "a", 1e9, 1e9 + 8640.0, Change(limit=4.0))
    assert (found.before, found.after) == (144, 144) or found.suppressed_after > 0
    assert time.monotonic() - began < 2.0
