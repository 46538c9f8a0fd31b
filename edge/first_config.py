"""A first configuration from three answers: checked, written with what it names, and never over another one."""

from __future__ import annotations

import grp
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import yaml

from edge.config_sample import SCHEMA_FILE
from edge.errors import PrednetError, UsageError
from edge.files import write_whole
from edge.places import LOGIN_WITH_PASSWORD, place_from_spec, without_login
from edge.setup import Device, read_device
from edge.shipped import FALSE_EVENTS_PER_DAY, HOLD_SECONDS
from edge.topics import checked_name

SYSTEM_FOLDER = Path("/etc/prednet-edge")
CAMERA = "camera1"
# The shipped network knows this cell; a fire after half a minute, and after five minutes again.
FACTORY = "test://factory?seed=21&accidents=fire,fall&first=30&spacing=60&seconds=300"
# What is secret in a folder is the owner's, and its group may read it.
_MODE = 0o640
_SERVICE_GROUP = "prednet-edge"


@dataclass(frozen=True)
class Login:
    """An address without its login, and the login."""

    address: str
    username: str = ""
    password: str = ""


@dataclass(frozen=True)
class Answers:
    """What a person says: each checked."""

    site: str
    camera: Login
    broker: Login


def site_from(text: str) -> str:
    """Return the name of a site. Raises UsageError where no topic may carry it."""
    return checked_name(text.strip(), "site")


def camera_from(text: str) -> Login:
    """Return a camera's address and login. Raises UsageError where it is no source, or a file that is not there."""
    login = _login_from(text.strip())
    if "://" not in login.address:
        login = Login(str(Path(login.address).absolute()))
    place_from_spec(login.address)
    return login


def broker_from(text: str) -> Login:
    """Return a broker as HOST:PORT, and the login; `mqtt://USER:PASSWORD@HOST:PORT` and `HOST` are understood."""
    text = text.strip()
    login = _login_from(text if "://" in text else f"mqtt://{text}")
    parts = urlsplit(login.address)
    try:
        port = 1883 if parts.port is None else parts.port
    except ValueError:
        port = 0
    if parts.scheme != "mqtt" or not parts.hostname or not port or parts.path.strip("/"):
        raise UsageError(f"{login.address}: no broker; write HOST, HOST:PORT or mqtt://USER:PASSWORD@HOST:PORT.")
    return Login(f"{parts.hostname}:{port}", login.username, login.password)


def write_first_config(path: Path, answers: Answers, bundle: Path) -> Device:
    """Write a configuration with its bundle, secrets and schema beside it, and return the device that it makes.

    Raises UsageError where there is one, PrednetError where it is not valid; then nothing is left behind.
    """
    if path.exists():
        raise UsageError(f"{path} is there; edit it, or name another file by --config.")
    folder, new = path.parent, []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in _new_beside(folder, _beside(answers, bundle)).items():
            new.append(folder / name)
            _write(folder / name, data)
        text = config_text(answers, bundle.name, is_system=folder == SYSTEM_FOLDER)
        device = read_device(path, text)
        _write(path, text.encode())
    except OSError as error:
        _remove(new)
        where = error.filename or path
        raise UsageError(f"{where}: cannot be written ({error.strerror}); use sudo, or --config.") from error
    except PrednetError:
        _remove(new)
        raise
    return device


def config_text(answers: Answers, bundle: str, *, is_system: bool) -> str:
    """Return the text of the configuration; a system's state lies where its default says."""
    host, _, port = answers.broker.address.rpartition(":")
    camera = {"source": answers.camera.address} | _login_keys(answers.camera, CAMERA)
    broker = {"host": host, "port": int(port)} | _login_keys(answers.broker, "mqtt")
    is_factory = answers.camera.address == FACTORY
    parts = [
        "# yaml-language-server: $schema=config.schema.json\n"
        "# Written by prednet-edge init. Every key that there is: prednet-edge config sample\n",
        _yaml({"site": answers.site}),
        _yaml({"bundle": bundle}),
        "" if is_system else _yaml({"state_directory": "state"}),
        _yaml({"cameras": {CAMERA: camera | ({"loop": True} if is_factory else {})}}),
        _FACTORY_RULES if is_factory else _CALIBRATE,
        _yaml({"mqtt": broker}),
    ]
    return "".join(parts)


_FACTORY_RULES = f"""\
# What the demo asks of the shipped network; leave both out for a bundle of your own.
detection:
  hold_seconds: {HOLD_SECONDS:g}
  false_events_per_day: {FALSE_EVENTS_PER_DAY:g}
"""
_CALIBRATE = f"""\
    # Learn what is normal here, then take the mark from the line below:
    # prednet-calibrate site --config CONFIG --camera {CAMERA} --seconds 300 -o {CAMERA}.normal
    # normal: {CAMERA}.normal
"""


def _login_from(text: str) -> Login:
    """Return an address without user and password, and these."""
    parts = urlsplit(text)
    if "@" not in parts.netloc and re.search(LOGIN_WITH_PASSWORD, text):
        raise UsageError(f"{without_login(text)}: in a login write / as %2F, ? as %3F and # as %23.")
    if "@" not in parts.netloc or parts.scheme not in ("rtsp", "rtsps", "http", "https", "mqtt"):
        return Login(text)
    login, _, host = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    bare = SplitResult(parts.scheme, host, parts.path, parts.query, parts.fragment).geturl()
    return Login(bare, unquote(username), unquote(password))


def _login_keys(login: Login, name: str) -> dict[str, str]:
    keys = {"username": login.username} if login.username else {}
    return keys | ({"password_file": f"{name}.secret"} if login.password else {})


def _beside(answers: Answers, bundle: Path) -> dict[str, bytes]:
    """Return the files that the configuration needs in its folder. Raises UsageError for a bundle that is not there."""
    try:
        files = {SCHEMA_FILE.name: SCHEMA_FILE.read_bytes(), bundle.name: bundle.read_bytes()}
    except OSError as error:
        raise UsageError(f"{bundle}: cannot be read ({error.strerror}); name the network to begin with.") from error
    for name, login in ((CAMERA, answers.camera), ("mqtt", answers.broker)):
        files |= {f"{name}.secret": login.password.encode()} if login.password else {}
    return files


def _new_beside(folder: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """Return those that are not there yet. Raises UsageError where another of that name is: it may be in use."""
    for name, data in files.items():
        file = folder / name
        if name != SCHEMA_FILE.name and file.exists() and file.read_bytes() != data:
            raise UsageError(f"{file} is there and is another one; move it away, or choose another folder by --config.")
    return {name: data for name, data in files.items() if not (folder / name).exists()}


def _write(file: Path, data: bytes) -> None:
    write_whole(file, data, _MODE)
    file.chmod(_MODE)  # whatever the umask: the service's group is to read it
    if os.geteuid() == 0 and file.parent == SYSTEM_FOLDER and _has_group():
        shutil.chown(file, group=_SERVICE_GROUP)


def _has_group() -> bool:
    try:
        grp.getgrnam(_SERVICE_GROUP)
    except KeyError:
        return False
    return True


def _remove(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _yaml(keys: object) -> str:
    return re.sub(r"\n\.\.\.\n$", "\n", yaml.safe_dump(keys, sort_keys=False, width=10**6))
