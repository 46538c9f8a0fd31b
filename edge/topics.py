"""Topic names of the MQTT contract, version 1, and the device's own name in them."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path

from edge.errors import UsageError

PREFIX = "prednet/v1"
NAME_LENGTH_LIMIT = 48
SERIAL_NUMBER_FILE = Path("/proc/device-tree/serial-number")

STATUS = "status"
INFO = "info"
HEALTH = "health"
FAULTS = "faults"
EVENTS = "events"
COMMANDS = "cmd/"
DISCOVERY = "discovery"  # stands outside the device's root
HOME_ASSISTANT_BIRTH = "homeassistant/status"

_NAME = re.compile(rf"[a-z0-9_-]{{1,{NAME_LENGTH_LIMIT}}}")


def checked_name(name: str, what: str) -> str:
    """Return `name` as it is; raises UsageError, naming `what`, where no topic may carry it."""
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"The {what} {name!r} cannot stand in a topic: 1 to {NAME_LENGTH_LIMIT} of the characters "
            f"a-z, 0-9, _ and - are expected. Try {_sanitised(name)!r}."
        )
    return name


def _sanitised(name: str) -> str:
    letters = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")
    return letters[:NAME_LENGTH_LIMIT] or "unnamed"


def default_device(serial_number_file: Path = SERIAL_NUMBER_FILE, host_name: str | None = None) -> str:
    """Return the Jetson module's serial number; off a Jetson the host name, in a topic's characters."""
    try:
        serial = serial_number_file.read_text(encoding="ascii", errors="replace").strip("\x00 \n")
    except OSError:
        serial = ""
    return _sanitised(serial or host_name or socket.gethostname())


@dataclass(frozen=True)
class Topics:
    """The topics of one device; raises UsageError for a site or device that no topic may carry."""

    site: str
    device: str

    def __post_init__(self) -> None:
        checked_name(self.site, "site")
        checked_name(self.device, "device")

    @property
    def root(self) -> str:
        """`prednet/v1/<site>/<device>`."""
        return f"{PREFIX}/{self.site}/{self.device}"

    def full(self, subtopic: str) -> str:
        """Return the whole topic of a subtopic such as `events` or `cam/press3/state`."""
        if subtopic == DISCOVERY:
            return f"homeassistant/device/{self.device}/config"
        return f"{self.root}/{subtopic}"


def camera_subtopic(camera: str, leaf: str) -> str:
    """Return `cam/<camera>/<leaf>`: `state`, `anomaly`, `score`, `condition`, `coverage`, `snapshot`."""
    return f"cam/{checked_name(camera, 'camera')}/{leaf}"


def reply_subtopic(request_id: str) -> str:
    """Return `reply/<request_id>` of a request id that was checked."""
    return f"reply/{request_id}"


def zone_subtopic(camera: str, zone: str) -> str:
    """Return `cam/<camera>/zone/<zone>/anomaly`."""
    return camera_subtopic(camera, f"zone/{checked_name(zone, 'zone')}/anomaly")
