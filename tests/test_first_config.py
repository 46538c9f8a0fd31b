"""`prednet-edge init`: three questions, asked until they are answered; what is written is valid, and nothing is overwritten."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest

from edge.cli import main
from edge.config_file import read_config
from edge.config_sample import SCHEMA_FILE
from edge.errors import USAGE, UsageError
from edge.first_config import FACTORY, Login, broker_from, camera_from
from edge.setup import read_device
from edge.shipped import FALSE_EVENTS_PER_DAY, HOLD_SECONDS
from tests.tiny import write_tiny_bundle


def answered(text: str, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """Run `init` with what a person types."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    return main(["init", *options])


def test_three_times_enter_is_a_configuration_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the shipped network and a factory in which something happens; stdout is the path, the next commands are talk."""
    path = tmp_path / "new" / "config.yaml"
    assert answered("\n\n\n", monkeypatch, "--config", str(path)) == 0
    told = capsys.readouterr()
    assert told.out == f"{path}\n"
    assert [f"{number} of 3. " in told.err for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert f"prednet-edge run --config {path}" in told.err
    device = read_device(path)
    assert device.config.cameras["camera1"].source == FACTORY
    rules = device.config.detection
    assert (rules.hold_seconds, rules.false_events_per_day) == (HOLD_SECONDS, FALSE_EVENTS_PER_DAY)
    assert device.models[
        "camera1"
    ].calibration.limits.is_promise  # the limits are those that the network was fitted with
    assert (path.parent / "config.schema.json").read_text() == SCHEMA_FILE.read_text()
    assert path.read_text().startswith("# yaml-language-server: $schema=config.schema.json\n")


def test_a_wrong_answer_is_explained_and_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each question on its own; what was good is not asked again."""
    path = tmp_path / "config.yaml"
    typed = "Plant 7\nplant7\nftp://a\ntest://factory\nbroker:x\nbroker.plant:1884\n"
    assert answered(typed, monkeypatch, "--config", str(path)) == 0
    config, told = read_config(path), capsys.readouterr().err
    assert (config.site, config.mqtt.host, config.mqtt.port) == ("plant7", "broker.plant", 1884)
    for sentence in ("Try 'plant-7'.", "the address scheme 'ftp' is not known", "mqtt://broker:x: no broker"):
        assert sentence in told
    assert [told.count(f"{number} of 3. ") for number in (1, 2, 3)] == [2, 2, 2]


def test_a_login_in_an_address_goes_into_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration holds no password; its file is no other user's to read."""
    path = tmp_path / "config.yaml"
    camera, broker = "rtsp://viewer:s3%40cret@10.0.0.9/stream", "mqtt://edge:t0ken@10.0.0.2"
    options = ("--config", str(path), "--site", "a", "--camera", camera, "--broker", broker)
    assert answered("", monkeypatch, *options) == 0
    assert not any(secret in path.read_text() for secret in ("s3%40cret", "s3@cret", "t0ken"))
    device = read_device(path)
    assert device.captured["camera1"].spec == camera
    assert (device.broker.username, device.broker.password, device.broker.port) == ("edge", "t0ken", 1883)
    assert stat.S_IMODE((tmp_path / "camera1.secret").stat().st_mode) & stat.S_IRWXO == 0
    assert "prednet-calibrate site" in path.read_text()


def test_another_configuration_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said before anything is asked."""
    path = tmp_path / "config.yaml"
    path.write_text("site: mine\n")
    assert answered("\n\n\n", monkeypatch, "--config", str(path)) == USAGE
    assert (
        capsys.readouterr().err == f"prednet-edge init: {path} is there; edit it, or name another file by --config.\n"
    )
    assert path.read_text() == "site: mine\n"


def test_what_is_not_valid_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that is none: no configuration, no copy of it, no secret."""
    bundle, folder = tmp_path / "broken.prednet", tmp_path / "new"
    bundle.write_bytes(b"no bundle")
    options = ("--config", str(folder / "config.yaml"), "--bundle", str(bundle), "--site", "a")
    assert answered("rtsp://a:b@c/d\n\n", monkeypatch, *options) != 0
    assert list(folder.iterdir()) == []


def test_what_another_configuration_may_use_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second one beside it: neither its password nor its network is replaced, nor is another taken for the one asked for."""
    assert answered("a\nrtsp://a:first@c/d\n\n", monkeypatch, "--config", str(tmp_path / "one.yaml")) == 0
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    two = ("--config", str(tmp_path / "two.yaml"), "--site", "b", "--broker", "h")
    assert answered("", monkeypatch, *two, "--camera", "rtsp://a:second@c/d") == USAGE
    assert "camera1.secret is there and is another one" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    bundle = write_tiny_bundle(tmp_path / "other" / "demo.prednet")
    assert answered("", monkeypatch, *two, "--camera", "test://factory", "--bundle", str(bundle)) == USAGE
    assert "demo.prednet is there and is another one" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert answered("", monkeypatch, *two, "--camera", "rtsp://a:first@c/e") == 0


def test_a_network_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not taken for a folder that cannot be written."""
    options = ("--config", str(tmp_path / "config.yaml"), "--bundle", "none.prednet")
    assert answered("\n\n\n", monkeypatch, *options) == USAGE
    assert "none.prednet: cannot be read (No such file or directory)" in capsys.readouterr().err


@pytest.mark.parametrize("password", ["hun/ter2", "hun?ter2", "hun#ter2"])
def test_a_password_that_ends_the_address_is_asked_for_in_other_words(password: str) -> None:
    """It would stand in the configuration otherwise; it is not repeated."""
    with pytest.raises(UsageError, match=r"rtsp://10\.0\.0\.9/s: in a login write / as %2F") as refused:
        camera_from(f"rtsp://me:{password}@10.0.0.9/s")
    assert "ter2" not in str(refused.value)
    with pytest.raises(UsageError, match="in a login write"):
        broker_from(f"me:{password}@10.0.0.2")


def test_a_secret_is_at_no_moment_everyones_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file has its mode before its first byte."""
    seen: list[int] = []
    replace = Path.replace

    def note(self: Path, target: Path) -> Path:
        seen.append(self.stat().st_mode)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", note)
    options = ("--config", str(tmp_path / "config.yaml"), "--site", "a", "--broker", "mqtt://a:b@h")
    assert answered("\n", monkeypatch, *options) == 0
    assert seen
    assert [mode for mode in seen if mode & stat.S_IRWXO] == []


def test_a_bundle_of_ones_own_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is copied beside the configuration."""
    bundle = write_tiny_bundle(tmp_path / "tiny.prednet")
    options = ("--config", str(tmp_path / "new" / "config.yaml"), "--bundle", str(bundle))
    assert answered("\n\n\n", monkeypatch, *options) == 0
    assert read_device(tmp_path / "new" / "config.yaml").bundle.path == tmp_path / "new" / "tiny.prednet"


def test_no_answer_is_an_error_that_names_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that has no terminal does not wait, and nothing is guessed."""
    assert answered("plant7\n", monkeypatch, "--config", str(tmp_path / "config.yaml")) == USAGE
    assert "no answer; give it as --camera." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "broker"),
    [
        ("10.0.0.2", Login("10.0.0.2:1883")),
        ("10.0.0.2:1884", Login("10.0.0.2:1884")),
        ("mqtt://a:b%2Fc@h", Login("h:1883", "a", "b/c")),
        ("mqtt://a@h:1", Login("h:1", "a")),
    ],
)
def test_brokers_are_understood_as_they_are_written(text: str, broker: Login) -> None:
    """Host, port and login."""
    assert broker_from(text) == broker


@pytest.mark.parametrize("text", ["h:0", "h:99999", "mqtt://", "http://h", "h/topic"])
def test_what_is_no_broker_is_refused(text: str) -> None:
    """With what is understood."""
    with pytest.raises(UsageError, match="write HOST, HOST:PORT or mqtt://USER:PASSWORD@HOST:PORT"):
        broker_from(text)


def test_a_file_as_camera_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the configuration will lie."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").touch()
    assert camera_from("a.mp4") == Login(str(tmp_path / "a.mp4"))
    with pytest.raises(UsageError, match="no such file or folder"):
        camera_from("none.mp4")
