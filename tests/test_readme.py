"""The README says what is true: its commands parse, its claims are those that the demo enforces."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge import demo
from edge.config_file import read_config
from tests.understood import understood

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("   #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.startswith("prednet-")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_is_one_that_we_understand(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs, commands and options exist as they are written."""
    understood(command, monkeypatch)


def test_the_readme_names_commands() -> None:
    """The pattern above found them."""
    assert len(COMMANDS) >= 7


def test_the_configuration_of_the_readme_is_valid(tmp_path: Path) -> None:
    """A user can copy it."""
    (sample,) = re.findall(r"```yaml\n(.*?)```", README, re.S)
    path = tmp_path / "config.yaml"
    path.write_text(sample)
    assert read_config(path).cameras["press3"].source.startswith("rtsp://")


def test_the_demo_enforces_what_the_readme_claims() -> None:
    """«finds N of 8 accidents with M false events» stands in the README with the numbers that fail the demo below them."""
    (claim,) = re.findall(r"finds (\d) of 8 accidents with (\d+) false events", README)
    assert tuple(map(int, claim)) == (demo.CLAIMED_FOUND, demo.CLAIMED_FALSE)


def test_every_make_target_of_the_readme_exists() -> None:
    """`make NAME` in the README is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make (\w+)", README, re.M)):
        assert re.search(rf"^{target}:", makefile, re.M), target
