"""The service installed from the package's own files: units, user, folders, credentials; and taken away again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from edge.config import DEFAULT_STATE_DIRECTORY
from edge.config_file import read_config
from edge.config_sample import schema_text
from edge.errors import DeviceUnavailable, PrednetError, UsageError
from edge.files import write_whole
from edge.kept_secrets import secret_files

FILES = Path(__file__).with_name("data") / "systemd"
SERVICE = "prednet-edge.service"
# Where each file of the package goes; a Debian package puts the same ones below /usr/lib, where they are left alone.
PLACES = {
    SERVICE: f"etc/systemd/system/{SERVICE}",
    "prednet-edge-engine.service": "etc/systemd/system/prednet-edge-engine.service",
    "prednet-edge.sysusers": "etc/sysusers.d/prednet-edge.conf",
    "prednet-edge.tmpfiles": "etc/tmpfiles.d/prednet-edge.conf",
}
DROP_IN = f"etc/systemd/system/{SERVICE}.d/of-this-device.conf"
CONFIG = "etc/prednet-edge/config.yaml"
CREDENTIALS = "etc/prednet-edge/credentials"
SCHEMA = "etc/prednet-edge/config.schema.json"
# What the units hide of the machine (ProtectHome, PrivateTmp), and what is emptied now and then.
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - not used, but refused
PROGRAM = "/opt/prednet-edge/bin/prednet-edge"


def program_here() -> str:
    """Return this installation's program. Raises UsageError where the service's user could not run it."""
    program = Path(sys.prefix) / "bin" / "prednet-edge"
    for needed in (program, Path(sys.executable).resolve()):
        hidden = [folder for folder in HIDDEN if needed.is_relative_to(folder)]
        if hidden:
            raise UsageError(
                f"{needed}: the service cannot see {hidden[0]}; install into a folder for all, with "
                f"the system's Python: /usr/bin/python3 -m venv /opt/prednet-edge, "
                f"then /opt/prednet-edge/bin/pip install prednet-edge."
            )
    return str(program)


def install(root: Path, program: str) -> Iterator[str]:
    """Put every file in its place below `root`, make user and folders, enable the service; yield what was done."""
    if is_packaged(root):
        yield f"/usr/lib/systemd/system/{SERVICE} is a package's own: left as it is"
    else:
        for name, place in PLACES.items():
            text = (FILES / name).read_text(encoding="utf-8").replace(PROGRAM, program)
            yield _put(root / place, text)
    _ask(["systemd-sysusers", *_rooted(root), str(FILES / "prednet-edge.sysusers")])
    _ask(["systemd-tmpfiles", *_rooted(root), "--create", str(FILES / "prednet-edge.tmpfiles")])
    yield _put(root / SCHEMA, schema_text())
    yield from _put_drop_in(root)
    _ask(["systemctl", *_rooted(root), "enable", "--quiet", SERVICE])
    yield f"{SERVICE} is enabled: it starts with the machine"


def is_packaged(root: Path) -> bool:
    """Return whether a Debian package has brought the units."""
    return (root / "usr/lib/systemd/system" / SERVICE).exists()


def start(root: Path) -> Iterator[str]:
    """Start the service anew where its configuration is good; yield what was done, or what is to be done first."""
    try:
        read_config(root / CONFIG)
    except PrednetError as error:
        yield f"not started: {error}\nwrite one: sudo prednet-edge init; then: sudo systemctl start prednet-edge"
        return
    _ask(["systemctl", "daemon-reload"])
    _ask(["systemctl", "restart", SERVICE])
    yield f"{SERVICE} runs; look at it: systemctl status prednet-edge"


def remove(root: Path) -> Iterator[str]:
    """Stop the service and take its files away; yield what was done. Configuration, events and the user stay."""
    if root == Path("/"):
        _ask(["systemctl", "disable", "--now", "--quiet", SERVICE])
    else:
        _ask(["systemctl", *_rooted(root), "disable", "--quiet", SERVICE])
    for place in (*PLACES.values(), DROP_IN):
        if (root / place).exists():
            (root / place).unlink()
            yield f"removed {root / place}"
    folder = (root / DROP_IN).parent
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    if root == Path("/"):
        _ask(["systemctl", "daemon-reload"])
    kept = f"/{Path(CONFIG).parent} {DEFAULT_STATE_DIRECTORY}"
    yield f"kept: {kept} and the user prednet-edge; to remove all: rm -r {kept}; userdel prednet-edge"


def drop_in(credentials: Sequence[str], state_directory: str) -> str:
    """Return what of the service hangs on this device: its credentials, and a state directory of its own."""
    lines = [f"LoadCredential={name}:/{CREDENTIALS}/{name}" for name in credentials]
    lines += [] if state_directory == DEFAULT_STATE_DIRECTORY else [f"ReadWritePaths={state_directory}"]
    return "\n".join(["# Written by prednet-edge install-service.", "[Service]", *lines, ""]) if lines else ""


def _put_drop_in(root: Path) -> Iterator[str]:
    folder, place = root / CREDENTIALS, root / DROP_IN
    names = sorted(one.name for one in folder.iterdir() if one.is_file()) if folder.is_dir() else []
    known, state_directory = names, DEFAULT_STATE_DIRECTORY
    with suppress(PrednetError):  # no configuration yet, or one that `start` refuses with its sentence
        config = read_config(root / CONFIG)
        known, state_directory = list(secret_files(config)), config.state_directory
    for name in sorted(set(names) - set(known)):
        yield f"{folder / name}: is no secret of this configuration; those are: {', '.join(known)}"
    text = drop_in(names, state_directory)
    if text:
        yield f"{_put(place, text)}: {', '.join(names) or 'no credentials'}; {state_directory}"
    elif place.exists():
        place.unlink()
        yield f"removed {place}"


def _put(path: Path, text: str) -> str:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except PermissionError as error:
        raise UsageError(f"{path}: cannot be written; run it by root: sudo prednet-edge install-service.") from error
    path.chmod(0o644)
    return str(path)


def _rooted(root: Path) -> list[str]:
    return [] if root == Path("/") else [f"--root={root}"]


def _ask(command: Sequence[str]) -> None:
    """Run a program of systemd's. Raises DeviceUnavailable with what it said."""
    if shutil.which(command[0]) is None:
        raise DeviceUnavailable(f"{command[0]} is not here: this machine has no systemd; run 'prednet-edge run'.")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)  # noqa: S603 - our own
    if done.returncode != 0:
        raise DeviceUnavailable(f"{' '.join(command)} failed: {done.stderr.strip() or done.returncode}.")
