"""Profiles: which is in force when, what is not known holds back, and a switch raises nothing by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from calibration.cli import main as calibrate
from edge.cli import main
from edge.detection import Rules
from edge.frames import Frame
from edge.moments import Judge, Moment, Round
from edge.pipeline import watch
from edge.profile_switch import UNKNOWN_SECONDS, InForce
from edge.profiles import Choice, Known, Profile, chosen
from edge.setup import read_device
from edge.switches import Switches
from tests.films import write_clip
from tests.test_site import restless_images
from tests.test_zones_device import refusal_of
from tests.tiny import normal_images, tiny_runner, with_accident, write_tiny_bundle

SHIFTS = {
    "service": Profile(hold_back=True, hours="02:00-04:00", days=("sun",)),
    "day": Profile(normal="day.normal", hours="06:00-22:00", days=("mon", "tue", "wed", "thu", "fri")),
    "night": Profile(normal="night.normal", hours="22:00-06:00", days=("fri",)),
}
LINE = {
    "cleaning": Profile(hold_back=True, values=("cleaning", "setup")),
    "running": Profile(normal="running.normal", values=("running",)),
}
# 2026-11-23 is a Monday.
TIMES = [
    (SHIFTS, datetime(2026, 11, 23, 6, 0), None, "day"),
    (SHIFTS, datetime(2026, 11, 23, 5, 59), None, None),
    (SHIFTS, datetime(2026, 11, 23, 22, 0), None, None),
    (SHIFTS, datetime(2026, 11, 27, 22, 0), None, "night"),
    (SHIFTS, datetime(2026, 11, 28, 5, 59), None, "night"),  # Saturday morning belongs to Friday's night
    (SHIFTS, datetime(2026, 11, 28, 6, 0), None, None),
    (SHIFTS, datetime(2026, 11, 29, 3, 0), None, "service"),
    (SHIFTS, None, None, None),
    (LINE, datetime(2026, 11, 23, 6, 0), "running", "running"),
    (LINE, None, "setup", "cleaning"),
    (LINE, None, None, None),
    (LINE, None, "Running", None),
    (LINE | {"else": Profile()}, None, "stopped", "else"),
    (LINE | {"else": Profile()}, None, None, None),  # what is not known is nothing else
]


@pytest.mark.parametrize(("profiles", "local", "value", "name"), TIMES)
def test_the_first_profile_of_which_everything_agrees_is_in_force(
    profiles: Mapping[str, Profile], local: datetime | None, value: str | None, name: str | None
) -> None:
    """Hours, days and values by hand; where it hangs on something unknown there is none, and a reason."""
    choice = chosen(profiles, Known(local, value, "nothing has come"))
    assert choice.name == name
    assert bool(choice.reason) == (name is None)


def test_the_reason_says_what_is_not_known() -> None:
    """In words for a person: the clock, the topic, the value, the hour."""
    assert chosen(SHIFTS, Known(None, None)) == Choice(None, "the device's clock was never set")
    assert chosen(LINE, Known(None, None, "nothing has come on a/b yet")).reason == "nothing has come on a/b yet"
    assert chosen(LINE, Known(None, "odd")).reason == "no profile is in force for the line's value 'odd'"
    late = datetime(2026, 11, 23, 5, 59)
    assert chosen(SHIFTS, Known(late, None)).reason == "no profile is in force on mon at 05:59"


MISTAKES = [
    ("profiles: {a: {hours: 6-22}}", "profiles.a.hours: '6-22' is no stretch of a day; write it as 06:00-22:00."),
    ("profiles: {a: {hours: 20:00-24:01}}", "profiles.a.hours: '20:00-24:01' is no stretch"),
    ("profiles: {a: {values: [x]}}", "profiles.a.values: the camera has no line: {topic: …}"),
    ("profiles: {a: {hold_back: true}}", "profiles: all of them hold back"),
    ("profiles: {a: {}, b: {hold_back: true, normal: x}}", "profiles.b: holds back, and judges by a 'normal'"),
    ("profiles: {a: {days: [monday]}}", "invalid enum value 'monday'"),
    ("profiles: {A 1: {}}", "The profile 'A 1' cannot stand in a topic"),
    ("line: {topic: a/+}", "line.topic: 'a/+' is no single topic"),
    ("line: {topic: a/b}", "line: no profile has 'values' of this topic"),
    ("line: {topic: a, lost_seconds: -1}", "line.lost_seconds: -1 is not within 0 seconds to 7 days."),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake[1][:30])
def test_a_profile_that_cannot_be_is_refused_in_its_line(mistake: tuple[str, str], tmp_path: Path) -> None:
    """Key, what was found and what is expected."""
    assert re.match(f":6: .*{re.escape(mistake[1])}", refusal_of(mistake[0], tmp_path))


@dataclass
class Line:
    """A broker as the switch sees it."""

    is_connected: bool = True
    values: dict[str, tuple[bytes, float]] = field(default_factory=dict)

    def value_of(self, topic: str) -> tuple[bytes, float] | None:
        """The last payload."""
        return self.values.get(topic)

    def forget_value(self, topic: str) -> None:
        """Believe it no more."""
        self.values.pop(topic, None)


CAMERA = """\
    line: {topic: plant7/press/state, max_age_seconds: 40, lost_seconds: 20}
    profiles:
      calm: {normal: calm.normal, values: [calm]}
      restless: {normal: restless.normal, values: [restless]}
      cleaning: {hold_back: true, values: [cleaning]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device with one camera whose work is of two kinds, each learned by the command that users type."""
    folder = tmp_path_factory.mktemp("profiles")
    write_tiny_bundle(folder / "tiny.prednet")
    write_clip(folder / "calm.mkv", normal_images(300, seed=2))
    write_clip(folder / "restless.mkv", restless_images(300, 3))
    config = folder / "config.yaml"
    config.write_text(
        "site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\n"
        f"cameras:\n  cam:\n    source: calm.mkv\n{CAMERA}  other: {{source: calm.mkv}}\n"
    )
    for profile in ("calm", "restless"):
        words = ["site", str(folder / f"{profile}.mkv"), "--config", str(config), "--camera", "cam"]
        assert calibrate([*words, "--profile", profile]) == 0
    return folder


class Device:
    """The daemon's loop on a clock of its own: what is held back is not shown, what is in force judges."""

    def __init__(self, folder: Path) -> None:
        self.device = read_device(folder / "config.yaml")
        self.now, self.line = 0.0, Line()
        limits = {camera: model.calibration.limit for camera, model in self.device.models.items()}
        self.switches = Switches(limits, None, wall_clock=lambda: 1.8e9)
        self.judges: dict[str, Judge] = {name: model.judge(Rules()) for name, model in self.device.models.items()}
        self.profiles: list[tuple[float, str]] = []
        self.in_force = InForce(self.device, self.line, self.switches.hold, lambda: self.now, lambda: 1.8e9)

    def say(self, value: str) -> None:
        """The line says what it does."""
        self.line.values["plant7/press/state"] = value.encode(), self.now

    def look(self) -> None:
        """What the daemon does between two frames."""
        for camera, model in self.in_force.changed():
            self.judges[camera] = replace(model.judge(Rules()))
            self.profiles.append((round(self.now, 1), model.profile))

    def wait(self, seconds: float) -> None:
        """Time passes without a frame."""
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.now += 0.1
            self.look()

    def rounds(self, images: np.ndarray, says: Mapping[int, str]) -> Iterator[Round]:
        """Both cameras show the images at ten frames a second; `says` is what the line says before a frame."""
        for number, image in enumerate(images):
            if number in says:
                self.say(says[number])
            self.now += 0.1
            frame = Frame(image, self.now)
            yield from self.switches.admit([Round({"cam": frame, "other": frame})])
            self.look()

    def watch(self, images: np.ndarray, says: Mapping[int, str]) -> list[Moment]:
        """Every moment of `cam` and `other`."""
        return list(watch(self.rounds(images, says), tiny_runner(2), self.judges))


def findings_of(moments: list[Moment], camera: str) -> list[tuple[str, str | None]]:
    """What is told of a camera."""
    return [(one.detection.type, one.detection.end_reason) for m in moments if m.camera == camera for one in m.findings]


def test_each_profile_judges_by_its_own_normality_and_a_switch_raises_nothing(folder: Path) -> None:
    """The line is restless a second before it says so: no event, by neither profile; unsaid, it is one.

    The other camera, which has no profiles, is shown the same and is judged throughout.
    """
    images = np.concatenate([normal_images(100, seed=9), restless_images(300, 8)[20:220]])
    device = Device(folder)
    moments = device.watch(images, {0: "calm", 110: "restless"})
    assert [name for _, name in device.profiles] == ["calm", "restless"]
    assert findings_of(moments, "cam") == []
    scored = [moment.seconds for moment in moments if moment.camera == "cam" and moment.surprise is not None]
    assert max(scored) > 29.0
    told = findings_of(moments, "other")
    assert ("new", None) in told
    unsaid = Device(folder)
    assert findings_of(unsaid.watch(images, {0: "calm"}), "cam")[0] == ("new", None)


def test_an_open_event_ends_as_disabled_when_the_line_is_cleaned(folder: Path) -> None:
    """Nothing is shown to the river while it is held back, and the other camera's event goes on."""
    images = with_accident(normal_images(160, seed=9), 60, 160)
    device = Device(folder)
    moments = device.watch(images, {0: "calm", 100: "cleaning"})
    assert findings_of(moments, "cam") == [("new", None), ("end", "disabled")]
    assert findings_of(moments, "other")[:2] == [("new", None), ("update", None)]
    last = max(moment.seconds for moment in moments if moment.camera == "cam" and moment.sensed)
    assert last == pytest.approx(10.2, abs=0.2)  # the line is looked at five times a second
    assert device.switches.held("cam") == ("profile cleaning holds back", False)
    assert device.switches.held("other") is None


def test_what_is_not_known_holds_back_and_says_why(folder: Path) -> None:
    """Nothing yet, an unknown value, one too old, the broker gone for too long: held back, and soon a fault."""
    device = Device(folder)
    assert device.switches.is_off("cam")
    device.wait(1.0)
    assert device.switches.held("cam") == ("nothing has come on plant7/press/state yet", False)
    device.wait(UNKNOWN_SECONDS)
    assert device.switches.is_unknown("cam")
    device.say("calm")
    device.wait(5.0)
    assert not device.switches.is_off("cam")
    assert not device.switches.is_unknown("cam")
    device.wait(36.0)
    held = device.switches.held("cam")
    assert held is not None
    assert held.reason == "the last value of plant7/press/state is older than 40 s"
    device.say("odd")
    device.wait(1.0)
    assert "for the line's value 'odd'" in str(device.switches.held("cam"))
    device.say("calm")
    device.wait(5.0)
    device.line.is_connected = False
    device.wait(19.0)
    assert not device.switches.is_off("cam")
    device.wait(2.0)
    assert device.switches.held("cam") == ("the broker that brings plant7/press/state is gone", False)
    device.line.is_connected = True
    device.wait(1.0)
    held = device.switches.held("cam")
    assert held is not None
    assert "nothing has come" in held.reason  # what was said before the outage may have changed in it
    assert not device.switches.is_off("other")


def test_a_replaced_file_of_a_profile_is_taken_when_its_turn_comes(folder: Path) -> None:
    """The file of a profile that is not in force changes nothing now, and is what judges later."""
    device = Device(folder)
    device.say("calm")
    device.wait(5.0)
    before = device.device.profiles["cam/restless"].calibration
    (folder / "aside").write_bytes((folder / "calm.normal").read_bytes())
    kept = (folder / "restless.normal").read_bytes()
    (folder / "aside").replace(folder / "restless.normal")
    device.wait(3.0)
    assert [name for _, name in device.profiles] == ["calm"]
    device.say("restless")
    device.wait(5.0)
    (folder / "restless.normal").write_bytes(kept)
    limit = device.judges["cam"].limit
    assert limit == device.device.profiles["cam/calm"].calibration.limit != before.limit


def test_check_says_what_each_profile_judges_by(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a profile that judges, and one for a camera without profiles."""
    assert main(["check", "--config", str(folder / "config.yaml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["other", "cam, profile calm", "cam, profile restless"]
    assert "its own normality" in lines[1]
    assert "the bundle's normality" in lines[0]


def test_site_asks_which_profile_is_meant(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence with the profiles that there are, and exit code 2."""
    words = ["site", str(folder / "calm.mkv"), "--config", str(folder / "config.yaml"), "--camera"]
    assert calibrate([*words, "cam"]) == 2
    assert "cam has profiles; say which with --profile: calm, restless." in capsys.readouterr().err
    assert calibrate([*words, "cam", "--profile", "cleaning"]) == 2
    assert "no profile 'cleaning' that judges; it has calm, restless." in capsys.readouterr().err
    assert calibrate([*words, "other", "--profile", "x", "--show-only"]) == 2
    assert "no profile 'x' that judges; it has none." in capsys.readouterr().err
