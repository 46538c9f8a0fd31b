"""docs/symptoms.md is complete and true: all that a device can tell stands there, and all that stands there exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from edge.command_actions import ACTIONS
from edge.command_messages import Code
from edge.conditions import Watched, watched
from edge.contract import CameraState, DeviceStatus
from edge.fleet import DeviceLine, table
from edge.frames import Frame, FrameFormat
from edge.hints import HINTS
from edge.messages import ConditionName, EndReason, EventType, Kind
from edge.sources import open_source
from tests.understood import understood

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "symptoms.md").read_text(encoding="utf-8")
SOURCES = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "edge").rglob("*.py")))
QUOTED = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.S))
COMMANDS = sorted({words for words in QUOTED if re.match(r"prednet-\w+ ", words)})
SECTIONS = {part.partition("\n")[0]: part.partition("\n")[2] for part in re.split(r"^### ", PAGE, flags=re.M)[1:]}
TABLES = {"An event ended, and why"}  # sections that explain words instead of telling a symptom
WORDS_OF_USERS = ["It alarms at dusk", "It went silent", "The broker was down", "The engine is being rebuilt"]
WORDS_OF_USERS += ["Too many events", "The camera was moved"]
LABELS = ["You see", "It means", "Look", "Do", "The device"]
MOSQUITTO = {"mosquitto_sub", "max_queued_messages"}
# The words that an outbox gives for a loss stand in its code alone.
GAP_REASONS = set(re.findall(r'(?:Loss\(|\], |expired, |REASON = )"([a-z]+_[a-z]+)"', SOURCES))


@pytest.mark.parametrize("code", HINTS)
def test_every_fault_has_a_symptom(code: str) -> None:
    """Who reads a code in `faults` finds it within a section that says what to do."""
    assert [title for title, text in SECTIONS.items() if f"`{code}`" in text], code


@pytest.mark.parametrize("told", [DeviceStatus, CameraState, ConditionName, EndReason, Kind])
def test_every_word_of_the_contract_is_explained(told: object) -> None:
    """States, conditions, kinds and reasons, as the code's own types list them."""
    assert [word for word in get_args(told) if f"`{word}`" not in PAGE] == []


def test_every_reason_of_a_gap_is_explained() -> None:
    """As the outbox's code names them."""
    assert len(GAP_REASONS) >= 4
    assert [reason for reason in GAP_REASONS if f"`{reason}`" not in PAGE] == []


def test_every_code_of_a_refusal_is_explained() -> None:
    """In the section of those whose command did not work; `done` is none."""
    section = SECTIONS["Commands are refused"]
    assert [code for code in get_args(Code) if f"`{code}`" not in section] == ["done"]


@pytest.mark.parametrize("title", [title for title in SECTIONS if title not in TABLES])
def test_every_symptom_answers_five_questions(title: str) -> None:
    """What is seen, what it means, how to look, what to do, and what the device did by itself, in this order."""
    found = re.findall(r"^- \*\*([A-Z][a-z ]+)\*\*", SECTIONS[title], re.M)
    assert found == LABELS
    look = SECTIONS[title].partition("**Look**")[2].partition("**Do**")[0]
    assert "`" in look, "an exact command, file or topic"


@pytest.mark.parametrize("title", WORDS_OF_USERS)
def test_what_users_say_is_a_heading(title: str) -> None:
    """In their words."""
    assert title in SECTIONS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_that_we_understand(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs, commands and options exist as they are written."""
    if len(command.split()) > 2:
        understood(command, monkeypatch)
    else:
        assert command.split()[1] in SOURCES


def test_every_quoted_word_is_one_of_the_code_s() -> None:
    """Codes, states, fields, keys and log events: a word with an underscore stands in the device's sources."""
    words = {word for quoted in QUOTED for word in re.findall(r"(?<![\w./-])[a-z]+(?:_[a-z]+)+(?![\w/-])", quoted)}
    assert len(words) > 40
    assert sorted(word for word in words - MOSQUITTO if word not in SOURCES) == []


def test_every_verb_is_one_that_a_device_takes() -> None:
    """«the command `snapshot`» can be sent."""
    verbs = set(re.findall(r"command\s+`(\w+)`", PAGE)) | {"enable", "disable", "rebuild_engine", "rollback"}
    assert verbs <= set(ACTIONS)


def test_every_link_leads_somewhere() -> None:
    """To a heading of the page, or to a file beside it."""
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in SECTIONS}
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        path, _, anchor = target.partition("#")
        assert (ROOT / "docs" / path).exists(), target
        assert path or anchor in anchors, target


def test_the_line_of_a_fleet_is_as_it_is_printed() -> None:
    """The example is what `fleet status` makes of such a device."""
    line = DeviceLine(
        site="plant7",
        device="edge1",
        status="degraded",
        faults=("camera_lost:press3",),
        cameras={"press3": "blind", "weld": "watching"},
        outbox_depth=12,
    )
    assert next(table([line])) in PAGE


def test_a_camera_that_was_moved_far_stays_so_until_it_is_disabled_and_enabled() -> None:
    """A place farther off than eight pixels is never taken for its own; who begins to know the camera anew takes it."""
    source = open_source("test://factory?seed=4&seconds=40", FrameFormat(128, 160, 1, 10.0))
    images = [frame.image for frame in source.frames()]
    state = Watched()
    for number, image in enumerate(images):
        elsewhere = image if number < 60 else np.roll(image, 12, axis=1)
        state = watched(state, Frame(elsewhere, number / 10.0), is_gap=False)
    assert [one.name for one in state.active] == ["moved"]
    anew = Watched()  # what the river keeps of a camera that was disabled
    for number, image in enumerate(images[60:], 60):
        anew = watched(anew, Frame(np.roll(image, 12, axis=1), number / 10.0), is_gap=False)
    assert not anew.active


def test_types_of_messages_that_the_page_speaks_of_exist() -> None:
    """`gap` and `evidence` are types of the contract."""
    assert {"gap", "evidence"} <= set(get_args(EventType))
