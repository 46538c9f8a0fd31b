"""docs/install.md and the README's first event say what is true: commands, paths, times and bounds are the code's and the units'."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import edge
from edge import install
from edge.config import DEFAULT_STATE_DIRECTORY
from edge.first_config import CAMERA, SYSTEM_FOLDER
from edge.restart_delay import LONGEST_SECONDS, PROVEN_SECONDS
from edge.supervision import ACCOUNT_SECONDS
from tests.test_units import settings
from tests.understood import understood

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    found[1]
    for text in (PAGE, README)
    for line in re.findall(r"^sudo (.*)$", text, re.M)
    if (found := re.match(r"(?:/opt/prednet-edge/bin/)?(prednet-(?:edge|calibrate) .*?)(?: {2,}#.*)?$", line))
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_that_we_understand(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs, commands and options exist as they are written."""
    understood(command, monkeypatch)


def test_the_way_is_the_same_on_both_pages() -> None:
    """Environment, package, three questions, service: in this order."""
    for text in (PAGE, README):
        steps = ["venv --system-site-packages /opt/prednet-edge", "/bin/pip install", "prednet-edge init",
                 "prednet-edge install-service", "mosquitto_sub -t 'prednet/v1/+/+/events'"]  # fmt: skip
        places = [text.index(step) for step in steps]
        assert places == sorted(places)
    assert len(COMMANDS) >= 8


def test_paths_and_the_wheel_are_the_codes() -> None:
    """What the page says lies where is where the code and the units put it."""
    assert f"| `{SYSTEM_FOLDER}/config.yaml` |" in PAGE
    assert f"/{install.CONFIG}" == f"{SYSTEM_FOLDER}/config.yaml"
    assert f"| `/{install.CREDENTIALS}` |" in PAGE
    assert f"| `{DEFAULT_STATE_DIRECTORY}` |" in PAGE
    assert f"| `{Path(install.PROGRAM).parents[1]}` |" in PAGE
    assert f"prednet_edge-{edge.__version__}-py3-none-any.whl" in PAGE
    assert f"--camera {CAMERA} " in PAGE
    assert PAGE.count(f"prednet-edge_{edge.__version__}+py310_arm64.deb") == 2


def test_times_are_those_of_the_units_and_of_the_code() -> None:
    """Watchdog, delays, stop."""
    unit = settings("prednet-edge.service")
    assert f"**Watchdog**, {unit['WatchdogSec'][0]} s" in PAGE
    assert ACCOUNT_SECONDS == 10.0
    assert f"{unit['RestartSec'][0]} s after the first" in PAGE
    assert f"4, 8, 16 … {LONGEST_SECONDS:g} s" in PAGE
    assert PROVEN_SECONDS == 600.0
    assert f"**Stop** within {unit['TimeoutStopSec'][0]} s" in PAGE
