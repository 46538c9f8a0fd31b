"""docs/jetson.md says what is true: its commands are understood, its configuration is valid, its proofs exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import edge
from edge.config import DEFAULT_STATE_DIRECTORY, Config
from edge.config_file import read_config
from edge.doctor import SERVICE_USER
from edge.engine.building import BuildOptions
from tests.test_conformance import VERSIONS
from tests.understood import understood

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "jetson.md").read_text(encoding="utf-8")
LINES = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.replace("\\\n", " ").splitlines()
]
# Who calls our program on the device, by what path, and the command.
CALLS = re.findall(r"^(.*?)((?:\S*/)?)(prednet-edge [a-z].* --config .*)$", "\n".join(LINES), re.M)
COMMANDS = [command for _, _, command in CALLS]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_that_we_understand(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs, commands and options exist as they are written."""
    understood(command, monkeypatch)


def test_the_whole_way_is_there() -> None:
    """Check, engine, doctor, bench, run, in this order."""
    assert [command.split()[1] for command in COMMANDS] == ["check", "engine", "doctor", "bench", "run"]


def line_with(words: str) -> str:
    """Return the one line of the page's shell blocks that has these words."""
    (found,) = [line for line in LINES if words in line]
    return found


def test_every_command_is_found_as_it_is_typed_and_has_the_rights_of_the_service() -> None:
    """The environment that the page makes is on no PATH; the state directory belongs to the service's user alone."""
    environment = line_with("sudo python3 -m venv").split()[-1]
    for before, folder, command in CALLS:
        assert folder == f"{environment}/bin/", command
        assert before == ("sudo " if command.split()[1] == "doctor" else f"sudo -u {SERVICE_USER} "), command
    made = line_with("useradd").split()
    assert made[-1] == SERVICE_USER
    assert made[made.index("--home-dir") + 1] == DEFAULT_STATE_DIRECTORY
    assert "--create-home" in made


def test_every_file_that_the_commands_read_was_put_there_before() -> None:
    """The folder is made, configuration and bundle are copied into it, and the service's group may read them."""
    folder, copied = line_with("sudo install -d"), line_with("sudo install -m")
    (bundle,) = re.findall(r"^bundle: (\S+)", PAGE, re.M)
    assert folder.endswith(f" -g {SERVICE_USER} {Path(bundle).parent}")
    assert copied.endswith(f" -g {SERVICE_USER} config.yaml {Path(bundle).name} {Path(bundle).parent}/")
    assert all(command.endswith(f"--config {Path(bundle).parent}/config.yaml") for command in COMMANDS)
    assert LINES.index(folder) < LINES.index(copied) < LINES.index("".join(CALLS[0]))


def test_the_package_comes_from_a_wheel_of_this_very_version() -> None:
    """It is on no package index: what is built is copied, and what is copied is installed, both ways."""
    wheel = f"prednet_edge-{edge.__version__}-py3-none-any.whl"
    built, copied = line_with("pip wheel ."), line_with("scp ")
    assert copied.split()[1] == f"{built.split()[-1]}/{wheel}"
    installing = [line for line in LINES if "/bin/pip install" in line and "prednet_edge" in line]
    assert len(installing) == 3  # pycuda, cuda-python, and a workstation
    assert all(f"./{wheel}" in line for line in installing)
    assert LINES.index(built) < LINES.index(copied) < LINES.index(installing[0])


def test_what_pycuda_is_built_with_is_installed() -> None:
    """It has no wheel: Python's headers and a compiler come by apt, before it."""
    packages = line_with("apt-get install").split()
    assert {"python3-dev", "g++", "nvidia-jetpack", "python3-venv"} <= set(packages)


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
    for package in ("python3-libnvinfer", "python3-gi", "gir1.2-gst-plugins-base-1.0", "onnxruntime-gpu>=1.23,<2"):
        assert package in PAGE
        assert package in sources
    assert "prednet-edge[jetson]" in PAGE  # what `gpu_remedies.extra` makes on a Jetson


def test_the_workstations_command_is_understood_as_it_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lies in the environment that was made for it, whose extra is there."""
    folder, command = re.fullmatch(r"(\S*/)(prednet-export engine .*)", line_with("prednet-export engine")).groups()  # type: ignore[union-attr]
    understood(command, monkeypatch)
    assert folder == f"{line_with('python3 -m venv gpu').split()[-1]}/bin/"
    assert line_with(".whl[gpu]'").startswith(f"{folder}pip install ")


def test_the_extra_for_a_workstation_has_all_that_an_engine_takes() -> None:
    """TensorRT, one door to the GPU's memory, and ONNX Runtime's providers."""
    (packages,) = re.findall(r"^gpu = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)
    assert set(re.findall(r'"([a-z-]+)', packages)) == {"cuda-bindings", "onnxruntime-gpu", "tensorrt"}
