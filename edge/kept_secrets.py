"""Secrets: passwords and tokens from a file, systemd's credential or the environment; never from the configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from edge.captures import CameraSource
from edge.config import Camera, Config
from edge.errors import ConfigInvalid

MQTT_PASSWORD = "mqtt_password"  # noqa: S105 - a name
WEBHOOK_TOKEN = "hooks_webhook_token"  # noqa: S105 - a name
PAGE_TOKEN = "page_token"  # noqa: S105 - a name
STORE_SECRET_KEY = "store_secret_key"  # noqa: S105 - a name
CREDENTIALS = "CREDENTIALS_DIRECTORY"
# Where root keeps what systemd hands to the service.
CREDENTIALS_ON_DISK = Path("/etc/prednet-edge/credentials")


@dataclass(frozen=True)
class Secret:
    """A secret, and where it was found."""

    value: str = field(repr=False)
    origin: str


def camera_password(camera: str) -> str:
    """Return the name of a camera's password."""
    return f"camera_{camera}_password"


def environment_name(secret: str) -> str:
    """Return the environment variable that holds a secret: `PREDNET_MQTT_PASSWORD`."""
    return f"PREDNET_{re.sub('[^a-z0-9]', '_', secret).upper()}"


def read_secret(secret: str, file: str, environment: Mapping[str, str] = os.environ) -> Secret | None:
    """Return a secret from the file that is named, else from the service's credential, else from the environment.

    None where it is nowhere. Raises ConfigInvalid where what is named cannot be read or is empty.
    """
    credential, variable = _credential(secret, environment), environment_name(secret)
    if file:
        return Secret(_read(Path(file), secret), f"file {file}")
    if credential is not None:
        return Secret(_read(credential, secret), f"credential {secret}")
    if environment.get(variable):
        return Secret(environment[variable], f"environment {variable}")
    return None


def _credential(secret: str, environment: Mapping[str, str]) -> Path | None:
    """Return a credential's file: systemd's for the service, root's own for a command that root runs by hand."""
    if folder := environment.get(CREDENTIALS):
        given = Path(folder) / secret
        return given if given.exists() else None
    kept = CREDENTIALS_ON_DISK / secret
    return kept if os.access(kept, os.R_OK) else None


def read_password(file: str) -> str | None:
    """Return the password in a file, None without a file. Raises ConfigInvalid where it cannot be read."""
    return _read(Path(file), MQTT_PASSWORD) if file else None


def secret_files(config: Config) -> dict[str, str]:
    """Return the name of each secret that there can be, with the file that the configuration names for it, or none."""
    files = {MQTT_PASSWORD: config.mqtt.password_file, WEBHOOK_TOKEN: config.hooks.webhook_token_file}
    files |= {PAGE_TOKEN: config.page.token_file, STORE_SECRET_KEY: config.evidence.upload.secret_key_file}
    return files | {camera_password(name): camera.password_file for name, camera in config.cameras.items()}


def secrets_of(config: Config) -> Iterator[tuple[str, Secret]]:
    """Yield the name of each secret that is set, with the secret. Raises ConfigInvalid as `read_secret` does."""
    for name, file in secret_files(config).items():
        if name == STORE_SECRET_KEY and not config.evidence.upload.bucket:
            continue
        found = read_secret(name, file)
        if found is not None:
            yield name, found


def captured(name: str, camera: Camera) -> CameraSource:
    """Return what a camera is captured from, and how; its login stands in the address, for the library alone."""
    found = read_secret(camera_password(name), camera.password_file) if camera.username else None
    login = quote(camera.username, safe="")
    login += f":{quote(found.value, safe='')}" if found else ""
    source = camera.source.replace("://", f"://{login}@", 1) if login else camera.source
    return CameraSource(source, camera.loop, camera.playback, camera.capture, camera.privacy_masks)


def _read(file: Path, secret: str) -> str:
    """Return what a file holds without the end of its line."""
    what = f"the {secret.rsplit('_', maxsplit=1)[-1]}"
    try:
        value = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text in UTF-8"
        raise ConfigInvalid(f"{file}: {what} cannot be read ({reason}); put it there, alone, for {secret}.") from error
    if not value:
        raise ConfigInvalid(f"{file}: is empty; {what} is expected in it, alone, for {secret}.")
    if len(value.splitlines()) > 1:  # a header or a login that held a line break would be told in a log
        raise ConfigInvalid(f"{file}: has several lines; {what} is expected in it, alone, for {secret}.")
    return value
