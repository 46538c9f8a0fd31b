"""Every command of the README is accounted for: run here as it is written, or held by a test that is named."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from edge.errors import DEVICE_UNAVAILABLE, OK
from edge.frames import FrameFormat
from edge.sources import open_source
from tests.brokers import Mosquitto, mosquitto
from tests.films import write_clip
from tests.needs import need, need_program
from tests.publishing import wait_until
from tests.tiny import normal_images, with_accident
from tests.understood import PROGRAMS

need("torch")
need("h5py")

import torch  # noqa: E402 - after the check that it is there
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: E402

from tests.foreign import drawn, keras_json, keras_weights, leido_tensors, small, torch_tensors, write_hdf5  # noqa: E402

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [line for block in re.findall(r"```sh\n(.*?)```", README, re.S) for line in block.splitlines()]
COMMANDS = [words for words in (re.split(r"\s+#|^#", line)[0].strip() for line in LINES) if words]


class Run(NamedTuple):
    """A command that is run as it is written; `more` words make it small, `leaves` is the file that it must write."""

    command: str
    leaves: str = ""
    more: str = ""
    codes: tuple[int, ...] = (OK,)
    says: str = ""


NO_GPU = (OK, DEVICE_UNAVAILABLE)  # without TensorRT these say so, and what to install
SMALL = "--steps 2 --size 40x32 --channels 1,4 --r-channels 2,4 --sequence-length 5"
BUNDLE = "prednet-export bundle press.safetensors --footage recordings/tuesday -o press.prednet"
# In the order of a user who begins with footage. The gate over all variants, which takes a minute, is that of tests/test_making.py.
STORY = [
    Run(
        "prednet-export train --footage recordings/monday --out press.safetensors --minutes 30",
        "press.safetensors",
        SMALL,
    ),
    Run(BUNDLE, "press.report.html", "--variants float,cpu --gate-steps 100"),
    Run("prednet-export inspect press.prednet --report press.html", "press.html", says="sha256:"),
    Run("prednet-edge replay recordings/accident.mp4 --bundle press.prednet --chart accident.png", "accident.png"),
    Run("prednet-calibrate site normal.mp4 --bundle press.prednet --camera press3 -o press3.normal", "press3.normal"),
    Run("prednet-edge check --config config.yaml", says="config.yaml: good; 1 cameras"),
    Run("prednet-edge run --config config.yaml", "state/outbox.sqlite"),
    Run(
        "prednet-edge replay --config config.yaml --since 1d --what-if limit=4.2",
        "what-if.html",
        says="limit 4.2: press3:",
    ),
    Run("prednet-edge doctor --config config.yaml", codes=NO_GPU, says="ok    inference"),
    Run("prednet-edge engine build --config config.yaml", codes=NO_GPU, says="tensorrt"),
    Run("prednet-export engine press.prednet --cameras 4", codes=NO_GPU, says="tensorrt"),
    Run(
        "prednet-edge collect --config config.yaml --hours 24 --out recordings",
        "recordings/press3/collected.json",
        "--clip 3",
    ),
    Run("prednet-calibrate site --config config.yaml --camera press3 --seconds 3600", says="in force at press3"),
    Run("prednet-calibrate site recordings/press3 --config config.yaml --camera press3", says="in force at press3"),
    Run("prednet-export sign press.prednet --key press.key"),
    Run("prednet-export verify press.prednet --key press.pub", says="whole, signed with"),
    Run("prednet-export diff press.prednet press2.prednet", codes=(1,), says="signature"),  # one of them is signed
    Run(
        "prednet-export import MODEL.json WEIGHTS.hdf5 -o press.safetensors --footage recordings/monday",
        "press.png",
        "--kernels rotated",
    ),
]
HERE = "tests/test_readme_commands.py"
# What is run as it is written elsewhere, or cannot be run within a test: by whom it is held.
HELD = {
    "make demo": ".ci/run",
    "make test": ".ci/run",
    "make demo VIDEO=my.mp4": f"{HERE}::test_the_demo_of_an_own_video_runs_as_make_runs_it",
    "sudo apt-get install python3-venv mosquitto mosquitto-clients": f"{HERE}::test_the_packages_can_be_had",
    "sudo /usr/bin/python3 -m venv --system-site-packages /opt/prednet-edge": f"{HERE}::test_the_environment_can_be_made",
    "sudo /opt/prednet-edge/bin/pip install .": f"{HERE}::test_the_package_is_installed_from_a_clone",
    "python3 -m venv venv && . venv/bin/activate": f"{HERE}::test_the_environment_of_a_workstation_can_be_made",
    "pip install '.[workstation]'": f"{HERE}::test_the_package_is_installed_from_a_clone",
    "sudo /opt/prednet-edge/bin/prednet-edge init": "tests/test_first_config.py::test_three_times_enter_is_a_configuration_that_runs",
    "sudo /opt/prednet-edge/bin/prednet-edge install-service": "tests/test_units.py::test_installation_makes_the_user_its_groups_and_its_folders",
    "mosquitto_sub -t 'prednet/v1/+/+/events' -v": f"{HERE}::test_events_come_out_as_the_readme_says",
    "mosquitto_sub -t 'prednet/v1/plant7/+/events' -v": f"{HERE}::test_events_come_out_as_the_readme_says",
    "prednet-calibrate masks recordings/press3 --config config.yaml --camera press3": "tests/test_masks.py::test_the_command_prints_yaml_to_paste_and_draws_the_picture",
    "prednet-export bundle training.pt --size 160x128 --footage recordings/monday -o press.prednet": "tests/test_import_cli.py::test_another_programs_network_goes_straight_to_a_bundle",
    f"{BUNDLE} --variants float,cpu": f"{HERE}::test_the_story_of_the_readme",
    "python3 samples/subscriber.py 127.0.0.1": "tests/test_samples.py::test_every_message_is_kept_once",
    "sh samples/subscriber.sh 127.0.0.1": "tests/test_samples.py::test_every_message_is_kept_once",
}


def test_every_command_has_an_account() -> None:
    """A command that is new in the README fails here until it is run or held, and so does an account of none."""
    accounted = [one.command for one in STORY] + list(HELD)
    assert sorted(COMMANDS) == sorted(accounted)


@pytest.mark.parametrize("holder", sorted(set(HELD.values())))
def test_every_holder_is_there(holder: str) -> None:
    """The named test is one of its file; what CI runs holds the command itself."""
    file, _, name = holder.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    wanted = [f"def {name}("] if name else [command for command, by in HELD.items() if by == holder]
    assert [words for words in wanted if words not in text] == []


INLINE = sorted(set(re.findall(r"`(prednet-(?:edge|calibrate|export) [^`]+)`", README)))


@pytest.mark.parametrize("command", INLINE)
def test_every_command_in_a_sentence_exists(command: str) -> None:
    """What stands between the lines is a command of its program too."""
    program, *words = shlex.split(command)
    with pytest.raises(SystemExit) as left:
        PROGRAMS[program].main([*[word for word in words if not word.startswith("-")][:2], "--help"])
    assert left.value.code == OK


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: footage, keys, networks of other programs, and the README's configuration on a recorded camera."""
    folder = tmp_path_factory.mktemp("readme")
    for name, seed in (("monday", 1), ("tuesday", 2), ("press3", 3)):
        (folder / "recordings" / name).mkdir(parents=True)
        write_clip(folder / "recordings" / name / "work.mkv", normal_images(120, seed=seed))
    write_film(folder / "normal.mp4", normal_images(120, seed=4))
    write_film(folder / "recordings" / "accident.mp4", with_accident(normal_images(80, seed=5), 35, 70))
    (folder / "MODEL.json").write_text(json.dumps(keras_json(small(height=32, width=40))))
    write_hdf5(folder / "WEIGHTS.hdf5", keras_weights(drawn(small(height=32, width=40)), theano=True))
    torch.save(torch_tensors(leido_tensors((1, 4), (2, 3))), folder / "training.pt")
    private = ed25519.Ed25519PrivateKey.generate()
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "press.key").write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    public = private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "press.pub").write_bytes(public)
    return folder


def write_film(path: Path, images: np.ndarray) -> None:
    """Write grey images [T, H, W, 1] at 10 frames a second as an MP4 that any player shows."""
    import av  # noqa: PLC0415 - a test's own recorder

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10, options={"qscale": "2"})
        stream.width, stream.height, stream.pix_fmt = images.shape[2], images.shape[1], "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.repeat(image, 3, axis=2), format="rgb24")))
        container.mux(stream.encode())


def write_config(folder: Path, port: int) -> None:
    """Write the README's own configuration, with the recording in the camera's place and a broker that is there."""
    (sample,) = re.findall(r"```yaml\n(.*?)```", README, re.S)
    for before, after in (
        ("rtsp://10.0.0.9/stream", "recordings/accident.mp4"),
        ("host: 127.0.0.1", f"host: 127.0.0.1\n  port: {port}"),
    ):
        assert before in sample
        sample = sample.replace(before, after)
    (folder / "config.yaml").write_text(sample)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A real Mosquitto."""
    with mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def heard(broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """What the README's subscribers print, one file each, from before the story begins."""
    need_program("mosquitto_sub", "mosquitto-clients")
    folder, listening = tmp_path_factory.mktemp("heard"), []
    commands = [words for words in COMMANDS if words.startswith("mosquitto_sub")]
    for number, words in enumerate(commands):
        with (folder / f"{number}.txt").open("wb") as out:
            listening.append(subprocess.Popen([*shlex.split(words), "-p", str(broker.port)], stdout=out))
    yield sorted(folder.iterdir())
    for process in listening:
        process.terminate()
        process.wait(10.0)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("step", STORY, ids=lambda step: " ".join(step.command.split()[:2]))
def test_the_story_of_the_readme(
    step: Run, folder: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each command does what it is for, in the order of the README, in a folder that has what it names."""
    write_config(folder, broker.port)
    if not (folder / "press2.prednet").exists() and (folder / "press.prednet").exists():
        shutil.copy(folder / "press.prednet", folder / "press2.prednet")
    monkeypatch.chdir(folder)
    program, *words = shlex.split(f"{step.command} {step.more}")
    code = PROGRAMS[program].main(words)
    told = "".join(capfd.readouterr())
    assert code in step.codes, told
    assert step.says in told
    assert (folder / step.leaves).exists()


def test_events_come_out_as_the_readme_says(broker: Mosquitto, heard: list[Path]) -> None:
    """`mosquitto_sub` with the README's words (and the test's port) printed topic and JSON of the accident of `run`."""
    assert len(heard) == 2
    for told in heard:
        wait_until(lambda told=told: "prednet.event" in told.read_text())  # type: ignore[misc]
        topic, _, payload = told.read_text().splitlines()[0].partition(" ")
        assert re.fullmatch(r"prednet/v1/plant7/[a-z0-9_-]+/events", topic)
        assert json.loads(payload)["camera"] == "press3"


def test_the_packages_can_be_had() -> None:
    """The distribution knows each of them by this name; nothing is installed."""
    need_program("apt-get")
    (command,) = [words for words in COMMANDS if words.startswith("sudo apt-get")]
    words = [*shlex.split(command)[1:], "--simulate", "--quiet"]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


def test_the_environment_can_be_made(tmp_path: Path) -> None:
    """The README's words, at another place and without pip, which is a package of its own in Debian."""
    (command,) = [words for words in COMMANDS if " -m venv --system" in words]
    words = shlex.split(command)[1:]
    need_program(words[0])
    subprocess.run([*words[:-1], "--without-pip", str(tmp_path / "environment")], check=True)
    assert "include-system-site-packages = true" in (tmp_path / "environment" / "pyvenv.cfg").read_text()


def test_the_environment_of_a_workstation_can_be_made(tmp_path: Path) -> None:
    """The README's line leaves a shell whose Python is the new environment's."""
    (command,) = [words for words in COMMANDS if "activate" in words]
    line = f"{command.replace('-m venv', '-m venv --without-pip')} && python -c 'import sys; print(sys.prefix)'"
    made = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert made.stdout.strip() == str(tmp_path / "venv")


def test_the_package_is_installed_from_a_clone() -> None:
    """As this environment was: it is on no index, its programs are those of the README, and so is its extra."""
    found = metadata.distribution("prednet-edge")
    programs = {one.name for one in found.entry_points if one.group == "console_scripts"}
    assert {word for words in COMMANDS for word in re.findall(r"prednet-\w+$|prednet-\w+(?= )", words)} - {
        "prednet-edge"
    } <= programs
    extras = re.findall(r"pip install '\.\[(\w+)\]'", README)
    assert extras
    assert set(extras) <= set(found.metadata.get_all("Provides-Extra"))
    assert not re.search(r"pip install '?prednet-edge", "\n".join(LINES)), "it is on no index yet"


def test_the_demo_of_an_own_video_runs_as_make_runs_it(tmp_path: Path) -> None:
    """`make demo VIDEO=my.mp4` learns from the first third, watches the rest, and leaves chart and normality."""
    (command,) = [words for words in COMMANDS if "VIDEO=" in words]
    source = open_source("test://factory?seed=4&seconds=9", FrameFormat(128, 160, 1, 10.0))
    write_film(tmp_path / "my.mp4", np.stack([frame.image for frame in source.frames()]))
    (tmp_path / "edge").symlink_to(ROOT / "edge")
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    for name, module in PROGRAMS.items():  # the test's environment stands for the one that make would install
        words = f'#!/bin/sh\nexec {sys.executable} -c "import sys; from {module.__name__} import main; sys.exit(main())" "$@"\n'
        (programs / name).write_text(words)
        (programs / name).chmod(0o755)
    (tmp_path / "venv" / ".ready").touch()
    make = [need_program("make"), "-f", str(ROOT / "Makefile"), "-o", "pyproject.toml", *command.split()[1:]]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [*make, f"VENV_DEMO={tmp_path / 'venv'}"]
    made = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert made.returncode == 0, made.stderr
    assert "learning what is normal from the first third of my.mp4" in made.stdout
    assert (tmp_path / "demo-out" / "video.normal").exists()
    assert list((tmp_path / "demo-out").glob("*.png"))
