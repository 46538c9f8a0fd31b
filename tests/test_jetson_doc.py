"""docs/jetson.md says what is true: its commands are understood, its configuration is valid, its proofs exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge.config import Config, read_config
from edge.engine.building import BuildOptions
from tests.test_conformance import VERSIONS
from tests.understood import understood

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "jetson.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(?:sudo (?:-u \S+ )?\S*/)?(prednet-\w+ .*)$", PAGE, re.M)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_that_we_understand(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs, commands and options exist as they are written."""
    understood(command, monkeypatch)


def test_the_whole_way_is_there() -> None:
    """Check, engine, doctor, bench, run, in this order."""
    assert [command.split()[1] for command in COMMANDS] == ["check", "engine", "doctor", "bench", "run"]


def test_the_configuration_is_valid_and_names_the_defaults(tmp_path: Path) -> None:
    """Runner and builder are set to what they would be without it."""
    (sample,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
    path = tmp_path / "config.yaml"
    path.write_text(sample)
    config, usual = read_config(path), Config(site="x", cameras={})
    assert (config.runner, config.engine) == (usual.runner, usual.engine)
    options = BuildOptions()
    assert (usual.engine.workspace_mib, usual.engine.level) == (options.workspace_mib, options.level)


def test_what_is_called_proven_has_its_tests() -> None:
    """Every file of the table is there, and every release of TensorRT that it names is held."""
    files = set(re.findall(r"`(tests/\w+\.py)`", PAGE))
    assert len(files) >= 8
    assert [name for name in sorted(files) if not (ROOT / name).exists()] == []
    assert all(version in PAGE for version in VERSIONS)
    assert "Nobody has run this on a Jetson yet" in PAGE


def test_packages_that_the_page_installs_are_those_that_the_errors_name() -> None:
    """Who follows an error's remedy installs what the page does."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "edge").rglob("*.py"))
    for package in ("python3-libnvinfer", "python3-gi", "gir1.2-gst-plugins-base-1.0", "prednet-edge[jetson]"):
        assert package in PAGE
        assert package in sources
