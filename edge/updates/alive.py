"""How the daemon is, in a file: for a health check on the device itself, which asks no broker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge import __version__
from edge.errors import DeviceUnavailable
from edge.json_files import read_json

log = logging.getLogger(__name__)

ALIVE_FILE = "alive.json"
# The daemon writes every 10 s.
MOST_AGE_SECONDS = 35.0
# What an update can bring about; a camera without power is no fault of one.
UPDATE_FAULTS = frozenset({"bundle_refused", "config_invalid", "engine_mismatch", "inference_failed", "outbox_damaged"})
SEEING = frozenset({"watching", "degraded", "disabled"})
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def machine_boot() -> str:
    """Return what names this boot of the machine; empty where the kernel does not say."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


class Alive(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon says of itself. `seconds` is the machine's monotonic clock, of the boot `machine_boot`."""

    boot_id: str
    bundle: str
    name: str
    runner: str
    is_on_trial: bool
    cameras: dict[str, str]
    faults: tuple[str, ...]
    version: str = __version__
    seconds: float = msgspec.field(default_factory=time.monotonic)
    machine_boot: str = msgspec.field(default_factory=machine_boot)


def write_alive(state_directory: Path, alive: Alive) -> None:
    """Replace the file. It is not synced: after a power cut an old one is as good as none."""
    path, aside = state_directory / ALIVE_FILE, state_directory / f".{ALIVE_FILE}.part"
    try:
        aside.write_bytes(msgspec.json.encode(alive))
        aside.replace(path)
    except OSError as error:
        log.warning("alive_not_written error=%s", error)


def read_alive(state_directory: Path) -> Alive | None:
    """Return what the daemon last said; None where it never has."""
    return read_json(state_directory / ALIVE_FILE, Alive, None)


def unhealthy(alive: Alive | None, now_seconds: float, version: str = __version__, boot: str | None = None) -> str:
    """Return what is wrong in a sentence, empty where nothing is: the daemon of this version runs, and sees.

    A fault that no update brings about, a camera of several that is lost, or a broker that is away, is not wrong here.
    """
    if alive is None:
        return "the daemon has not run here yet"
    if alive.machine_boot != (machine_boot() if boot is None else boot):
        return "the daemon has not run since the machine was started"
    if now_seconds - alive.seconds > MOST_AGE_SECONDS:
        return f"the daemon was last alive {now_seconds - alive.seconds:.0f} s ago"
    if alive.version != version:
        return f"the daemon that runs is {alive.version}, and {version} is installed; restart it"
    return _unwell(alive)


def _unwell(alive: Alive) -> str:
    bad = [one for one in alive.faults if one.split(":")[0] in UPDATE_FAULTS]
    if bad:
        return f"it has the fault {', '.join(bad)}"
    if not any(state in SEEING for state in alive.cameras.values()):
        return f"it sees nothing: {', '.join(f'{name} is {state}' for name, state in alive.cameras.items())}"
    return ""


def wait_until_healthy(
    state_directory: Path, within_seconds: float, told: Callable[[str], None], bundle: str = ""
) -> Alive:
    """Return what the daemon says once it is healthy, with the bundle of a digest where one is given.

    Raises DeviceUnavailable with what is wrong after the time.
    """
    began, last, wanted = time.monotonic(), "", bundle.removeprefix("sha256:")
    while True:
        alive = read_alive(state_directory)
        wrong = unhealthy(alive, time.monotonic())
        if alive is not None and not wrong and not alive.bundle.removeprefix("sha256:").startswith(wanted):
            wrong = f"it runs the bundle {alive.name} ({alive.bundle}), not {bundle}"
        if alive is not None and not wrong:
            return alive
        if wrong != last:
            told(wrong)
            last = wrong
        if time.monotonic() - began >= within_seconds:
            raise DeviceUnavailable(f"not healthy within {within_seconds:g} s: {wrong}.")
        time.sleep(min(1.0, max(within_seconds, 0.05)))
