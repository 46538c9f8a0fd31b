"""The support bundle: what support needs is in it, and no secret in any form."""

from __future__ import annotations

import base64
import json
import shutil
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli import main
from edge.config_file import read_config
from edge.setup import read_device
from edge.support.redaction import REMOVED, redacted, secrets_of
from edge.updates.desk import took_over
from tests.bundles import write_device

CAMERA, BROKER, HOOK, WORD = "c4m/era p@ss", "br0ker-pass", "h00k-t0ken+/=", "w0rd-secret"
QUERY, UNKNOWN = "qu3ry-secret", "n0b0dy-knew"
SECRETS = (CAMERA, BROKER, HOOK, WORD, QUERY, UNKNOWN)
SEEDED_LOG = f"""\
opening rtsp://admin:{quote(CAMERA, safe="")}@10.0.0.9/stream
error: rtsp://admin:{CAMERA}@10.0.0.9/stream refused
Authorization: Bearer {HOOK}
posting to https://alarms.example/p?token={QUERY}&x=1
Authorization: Basic {base64.b64encode(f"edge:{BROKER}".encode()).decode()}
{{"payload": "{{\\"password\\": \\"{UNKNOWN}\\"}}"}}
password={UNKNOWN} user=edge
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ0c2Fh
-----END PRIVATE KEY-----
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device with secrets in every place that may hold one."""
    folder = tmp_path_factory.mktemp("support")
    path = write_device(folder, 1883, normal=True)
    (folder / "broker.secret").write_text(f"{BROKER}\n")
    (folder / "hook.secret").write_text(f"{HOOK}\n")
    (folder / "camera.secret").write_text(f"{CAMERA}\n")
    text = path.read_text().replace("mqtt: {", "mqtt: {username: edge, password_file: broker.secret, ")
    yard = f"{{source: 'rtsp://10.0.0.9/stream?access_key={QUERY}', username: admin, password_file: camera.secret}}"
    text = text.replace("cameras:\n", f"cameras:\n  yard: {yard}\n")
    text += f"hooks: {{webhook: 'https://alarms.example/p?token={QUERY}', webhook_token_file: hook.secret, "
    text += f"command: [/usr/bin/alarm, --token={WORD}]}}\n"
    path.write_text(text)
    (folder / "state").mkdir()
    (folder / "state" / "audit.jsonl").write_text(json.dumps({"verb": "reload", "payload": SEEDED_LOG}) + "\n")
    (folder / "state" / "alive.json").write_text(SEEDED_LOG)
    took_over(read_device(path))
    return path


def test_no_secret_is_in_any_part_of_it(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither plain nor as an address or base64 has it, in no file, file name, or what the command prints."""
    out = tmp_path / "support.zip"
    assert main(["support-bundle", "--config", str(config), "-o", str(out)]) == 0
    printed = capsys.readouterr()
    with zipfile.ZipFile(out) as archive:
        everything = [*archive.namelist(), *(archive.read(name).decode() for name in archive.namelist())]
    everything += [printed.out, printed.err]
    for secret in SECRETS:
        for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
            assert not [text for text in everything if form in text], form
    assert not [text for text in everything if base64.b64encode(f"edge:{BROKER}".encode()).decode() in text]
    assert not [text for text in everything if "MC4CAQAwBQYDK2VwBCIEIJ0c2Fh" in text]
    assert out.stat().st_mode & 0o777 == 0o600


def test_what_support_needs_is_in_it(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Versions, the configuration with its keys and hosts, the bundle's manifest, the calibration's limits, the index."""
    out = tmp_path / "support.zip"
    assert main(["support-bundle", "--config", str(config), "-o", str(out), "--json"]) == 0
    index = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    with zipfile.ZipFile(out) as archive:
        read = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(read) == {*index, "index.json"}
    assert f"rtsp://10.0.0.9/stream?access_key={REMOVED}" in read["config.yaml"]
    assert f"rtsp://{REMOVED}@10.0.0.9/stream" in read["state/alive.json"]
    assert "password_file: broker.secret" in read["config.yaml"]
    assert json.loads(read["about.json"])["packages"]["numpy"]
    assert "cam: " in read["check.txt"]
    assert json.loads(read["cameras/cam/cam.normal.limits.json"])["highest_level"] == 7.0
    live = json.loads(read["bundles/state.json"])["live"].removeprefix("sha256:")
    assert json.loads(read[f"bundles/{live[:32]}/manifest.json"])["name"] == "a"
    assert "the daemon has not run" in index["state/coverage.json"]["lacking"]
    assert not [name for name in read if name.endswith((".jpg", ".png", ".mkv", ".onnx", ".npz", ".sqlite"))]


def test_it_is_made_of_a_wrong_configuration_too(tmp_path: Path) -> None:
    """That is when it is needed: the text without what is written like a secret, and why it is wrong."""
    config = tmp_path / "config.yaml"
    config.write_text(f"site: plant7\nbundel: x\ncameras: {{a: {{source: 'rtsp://u:{UNKNOWN}@10.0.0.9/s'}}}}\n")
    out = tmp_path / "support.zip"
    assert main(["support-bundle", "--config", str(config), "-o", str(out)]) == 0
    with zipfile.ZipFile(out) as archive:
        assert UNKNOWN not in archive.read("config.yaml").decode()
        assert "unknown key 'bundel'" in archive.read("check.txt").decode()


def test_a_damaged_calibration_is_named_and_stops_nothing(config: Path, tmp_path: Path) -> None:
    """What is damaged is what support is asked about: the file is said not to be had, everything else is there."""
    copy = tmp_path / "device"
    shutil.copytree(config.parent, copy)
    (copy / "cam.normal").write_bytes((copy / "cam.normal").read_bytes()[:200])
    assert main(["support-bundle", "--config", str(copy / "config.yaml"), "-o", str(tmp_path / "s.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert "not to be had" in archive.read("cameras/cam/cam.normal.limits.json").decode()


def test_a_place_that_cannot_be_written_is_told(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code 2 and the remedy."""
    assert main(["support-bundle", "--config", str(config), "-o", "/proc/none/support.zip"]) == 2
    assert "give another place with -o" in capsys.readouterr().err


def test_the_secrets_of_a_configuration_are_found(config: Path) -> None:
    """Each of them, as it is meant: unquoted, and without the line's end."""
    assert {CAMERA, BROKER, HOOK, WORD, QUERY} <= secrets_of(read_config(config))


def test_one_secret_that_cannot_be_read_leaves_no_other_in(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the broker's file those of the page, the evidence's store and the environment are known all the same."""
    copy = tmp_path / "device"
    shutil.copytree(config.parent, copy)
    (copy / "broker.secret").unlink()
    for name in ("page", "store"):
        (copy / f"{name}.secret").write_text(f"{name}-s3cret")
    text = (copy / "config.yaml").read_text() + "page: {token_file: page.secret}\n"
    upload = "bucket: clips, endpoint: 'https://s3.example', access_key_id: id, secret_key_file: store.secret"
    text = text.replace("evidence: {", f"evidence: {{upload: {{{upload}}}, ")
    text = text.replace(", webhook_token_file: hook.secret", "")
    (copy / "config.yaml").write_text(text)
    monkeypatch.setenv("PREDNET_HOOKS_WEBHOOK_TOKEN", "fr0m-the-environment")
    assert {"page-s3cret", "store-s3cret", "fr0m-the-environment"} <= secrets_of(read_config(copy / "config.yaml"))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=6, max_size=30), st.text(max_size=40))
def test_a_known_secret_is_removed_wherever_it_stands(secret: str, around: str) -> None:
    """Plain, in an address, in JSON, and within base64 of a login."""
    forms = [secret, quote(secret, safe=""), json.dumps(secret)[1:-1]]
    clean = redacted(around + f" {around}".join(forms) + around, [secret])
    assert secret not in clean.replace(REMOVED, "") or secret in around
    login = base64.b64encode(f"edge:{secret}".encode()).decode()
    assert login not in redacted(login, [secret])


def test_a_key_of_a_store_is_known_by_its_name() -> None:
    """Also where nobody knew of it."""
    assert redacted(f"PREDNET_STORE_SECRET_KEY={UNKNOWN}") == f"PREDNET_STORE_SECRET_KEY={REMOVED}"


INNOCENT = [
    "secret_key_file: store.secret",
    "webhook_token_file: hook.secret",
    "password_file: broker.secret",
    "camera press3 watching, fps 9.98, drops 0",
    '{"event_id": "01JDA6Q3R8W5Z0M7T9K4C2B1XE", "rev": 4}',
    "https://alarms.example/prednet and rtsp://10.0.0.9/stream",
    "bundle sha256:9d3a77 engine key 5f",
]


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_no_secret_stays(text: str) -> None:
    """Redaction leaves what support needs."""
    assert redacted(text, ["s3cret"]) == text
