"""docs/updates.md and docs/acceptance.md say what is true: commands are understood, settings valid, files ship."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.config import Config
from edge.hints import HINTS
from edge.updates.alive import UPDATE_FAULTS
from edge.updates.bundle_cli import _DOINGS, BUNDLE_HELP
from tests.understood import understood

ROOT = Path(__file__).parents[1]
PAGES = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("updates.md", "acceptance.md")}
COMMANDS = [
    line
    for page in PAGES.values()
    for block in re.findall(r"```sh\n(.*?)```", page, re.S)
    for line in block.splitlines()
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_that_we_understand(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs, commands and options exist as they are written."""
    understood(command, monkeypatch)


def test_the_settings_are_the_defaults() -> None:
    """What stands in the blocks is what a device does without them."""
    config = Config(site="x", cameras={})
    blocks = re.findall(r"```yaml\n(.*?)```", PAGES["updates.md"], re.S)
    found = dict(re.findall(r"^  (\w+): ([\d.]+)", "".join(blocks), re.M))
    assert {key: float(value) for key, value in found.items()} == {
        "trial_minutes": config.updates.trial_minutes,
        "shadow_share": config.updates.shadow_share,
        "every_hours": config.self_test.every_hours,
    }


def test_the_help_shows_every_form_of_the_command() -> None:
    """Whatever `bundle` does has a line with an example."""
    assert [what for what in (*_DOINGS, "hooks") if f"  prednet-edge bundle {what} " not in BUNDLE_HELP] == []


def test_the_scripts_that_are_named_ship() -> None:
    """Each file of the table lies in the package, and no other does."""
    folder = ROOT / "edge" / "data" / "updates"
    shipped = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    named = set(re.findall(r"^\| `([\w./-]+)` \|", PAGES["updates.md"], re.M))
    assert named == shipped


def test_the_faults_that_are_named_exist() -> None:
    """Those of this page have a hint, and those that `healthy` looks at are the ones that it names."""
    for code in ("bundle_refused", "calibration_missing", "self_test_failed"):
        assert code in PAGES["updates.md"]
        assert code in HINTS
    assert all(f"`{code}`" in PAGES["updates.md"] for code in UPDATE_FAULTS)
