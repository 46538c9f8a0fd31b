"""docs/configuration.md says what is true: its commands are understood, its names are the code's, its example is valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.config_file import config_from_text
from edge.kept_secrets import MQTT_PASSWORD, STORE_SECRET_KEY, WEBHOOK_TOKEN, camera_password, environment_name
from tests.understood import understood

PAGE = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(prednet-edge .*?)(?: >.*|  +#.*)$", PAGE, re.M)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_that_we_understand(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs, commands and options exist as they are written."""
    understood(command, monkeypatch)


def test_the_page_names_the_commands_and_the_places_of_secrets() -> None:
    """Each secret stands in the table with its credential and its variable, as the code makes them."""
    assert len(COMMANDS) == 4
    for secret in (MQTT_PASSWORD, WEBHOOK_TOKEN, STORE_SECRET_KEY, camera_password("press3")):
        assert f"| `{secret}` | `{environment_name(secret)}` |" in PAGE


def test_the_example_is_valid() -> None:
    """A camera with a login."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    config = config_from_text(f"site: a\nbundle: b\n{example}", Path("/etc/prednet-edge/config.yaml"))
    assert config.cameras["press3"].password_file == "/etc/prednet-edge/press3.secret"
