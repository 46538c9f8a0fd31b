"""What support needs: versions, configuration, states, ledgers, logs of a device, each as a text that is redacted."""

from __future__ import annotations

import io
import platform
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from importlib import metadata
from pathlib import Path

import msgspec

from edge import __version__
from edge.archive import MANIFEST
from edge.audit import AUDIT_FILE
from edge.checked import told_models
from edge.config import Config
from edge.config_file import read_config
from edge.coverage_ledger import Ledger, hour_of
from edge.desk import LEDGER_FILE
from edge.engine.key import l4t_release
from edge.engine.store import FOLDER as ENGINES
from edge.errors import PrednetError
from edge.event_ledger import EVENTS_FILE, EventLedger
from edge.files import write_whole
from edge.hardware import free_bytes, is_throttled, temperatures_celsius
from edge.setup import read_device
from edge.small_database import open_to_read
from edge.support.redaction import redacted, secrets_of
from edge.topics import EVENTS, default_device
from edge.updates.store import BundleStore
from edge.window import seen_through

# Of each file the end is kept, which is what happened last.
MOST_BYTES = 2 * 2**20
DAY_SECONDS = 86400.0
DAYS = 7
LOG_LINES = "5000"
SERVICE = "prednet-edge"
PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "av", "opencv-python-headless", "paho-mqtt", "msgspec", "scipy",
            "PyYAML", "cryptography", "pycuda", "cuda-bindings", "tensorrt")  # fmt: skip
# Small files of the state directory that say how it is; none of them holds a picture.
STATE_FILES = ("alive.json", "self_tests.json", "switches.json", AUDIT_FILE, f"{AUDIT_FILE}.1", "home_assistant.json")
# Events stand in their ledger; a snapshot is a picture.
NO_TEXT = (f"/{EVENTS}", "/snapshot")
Part = Callable[[], str]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a support bundle: its bytes, and where it lacks something, what."""

    name: str
    bytes: int
    lacking: str | None = None


def collect_support(
    config_path: Path, out: Path, progress: Callable[[int, int], None] = lambda _, __: None
) -> list[Member]:
    """Write the bundle and return what is in it; a part that cannot be had is named with the reason.

    Works with a configuration that is wrong, too. `progress` is told how many parts of how many are done.
    """
    config, secrets = _known(config_path)
    parts = dict(_parts(config_path, config))
    members, buffer = [], io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, part) in enumerate(parts.items(), 1):
            text, lacking = _text_of(part)
            clean = redacted(text, secrets).encode()[-MOST_BYTES:]
            archive.writestr(name, clean)
            lacking = None if lacking is None else redacted(lacking, secrets)
            members.append(Member(name=name, bytes=len(clean), lacking=lacking))
            progress(number, len(parts))
        archive.writestr("index.json", msgspec.json.format(msgspec.json.encode(members), indent=1))
    write_whole(out, buffer.getvalue(), 0o600)
    return members


def _known(config_path: Path) -> tuple[Config | None, frozenset[str]]:
    try:
        config = read_config(config_path)
    except PrednetError:
        return None, frozenset()
    return config, secrets_of(config)


def _text_of(part: Part) -> tuple[str, str | None]:
    try:
        return part(), None
    except Exception as error:  # noqa: BLE001 - what is damaged, in whatever way, is what support is asked about
        return f"not to be had: {error}\n", str(error)


def _parts(config_path: Path, config: Config | None) -> Iterator[tuple[str, Part]]:
    yield "about.json", lambda: _json(_about(config))
    yield "config.yaml", lambda: config_path.read_text(encoding="utf-8", errors="replace")
    yield "check.txt", lambda: "\n".join(told_models(read_device(config_path), str(config_path)))
    for name in ("/etc/os-release", "/etc/nv_tegra_release", "/proc/meminfo", "/proc/uptime", "/proc/loadavg"):
        yield f"system/{Path(name).name}", Path(name).read_text
    yield "logs/service.txt", lambda: _output("journalctl", "-u", SERVICE, "-n", LOG_LINES, "-o", "short-iso")
    yield "logs/kernel.txt", lambda: _output("journalctl", "-k", "-n", "1000", "-o", "short-iso")
    if config is not None:
        yield from _of_state(config, Path(config.state_directory))


def _of_state(config: Config, state: Path) -> Iterator[tuple[str, Part]]:
    for name in STATE_FILES:
        if (state / name).exists():
            yield f"state/{name}", lambda name=name: _tail(state / name)  # type: ignore[misc]
    yield "state/coverage.json", lambda: _json(_coverage(state))
    yield "state/events.json", lambda: _json(_events(state))
    yield "state/told.json", lambda: _json(_told(state))
    yield "state/outbox.json", lambda: _json(_outbox(state))
    yield "bundles/state.json", lambda: _json(BundleStore(state).state)
    for bundle in BundleStore(state).installed():
        folder = bundle.path.parent
        yield f"bundles/{folder.name}/manifest.json", lambda path=bundle.path: _member(path, MANIFEST)  # type: ignore[misc]
        for report in folder.glob("shadow.json"):
            yield f"bundles/{folder.name}/shadow.json", lambda report=report: _tail(report)  # type: ignore[misc]
    for name, camera in config.cameras.items():
        for path in {camera.normal, *(one.normal for one in camera.profiles.values())} - {""}:
            for member in (MANIFEST, "limits.json"):
                where = f"cameras/{name}/{Path(path).name}.{member}"
                yield where, lambda path=path, member=member: _member(Path(path), member)  # type: ignore[misc]
    for record in sorted((state / ENGINES).glob("*.json")):
        yield f"engines/{record.name}", lambda record=record: _tail(record)  # type: ignore[misc]


def _about(config: Config | None) -> Mapping[str, object]:
    found: dict[str, object] = {
        "prednet-edge": __version__,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "device": default_device(),
        "python": sys.version,
        "platform": platform.platform(),
        "l4t": l4t_release(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "temperatures_celsius": temperatures_celsius(),
        "throttled": is_throttled(),
    }
    if config is not None:
        found["disk_free_bytes"] = free_bytes(Path(config.state_directory))
    return found


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _coverage(state: Path) -> list[object]:
    if not (state / LEDGER_FILE).exists():
        raise FileNotFoundError(f"{LEDGER_FILE} is not there; the daemon has not run")
    now = time.time()
    with Ledger(state / LEDGER_FILE, open_to_read) as ledger:
        return [msgspec.to_builtins(hour) for hour in ledger.hours(hour_of(now - DAYS * DAY_SECONDS), hour_of(now))]


def _events(state: Path) -> list[object]:
    if not (state / EVENTS_FILE).exists():
        raise FileNotFoundError(f"{EVENTS_FILE} is not there; the daemon has not run")
    now = time.time()
    with EventLedger(state / EVENTS_FILE, open_to_read) as ledger:
        return [msgspec.to_builtins(event) for event in ledger.events(now - DAYS * DAY_SECONDS, now)]


def _told(state: Path) -> dict[str, str]:
    """What the running daemon says now on each topic: states, faults, health with the outbox's depth."""
    seen = seen_through(state)
    return {one.topic: one.payload.decode("utf-8", "replace") for one in seen if not one.topic.endswith(NO_TEXT)}


def _outbox(state: Path) -> dict[str, int]:
    """How much waits in the outbox of a daemon that does not run; one that does owns the file, and tells it itself."""
    with closing(sqlite3.connect(f"file:{state / 'outbox.sqlite'}?mode=ro", uri=True, timeout=2.0)) as database:
        try:
            (count, size), *_ = database.execute("SELECT count(*), coalesce(sum(length(payload)), 0) FROM messages")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise PrednetError("the running daemon owns it; what waits stands in told.json, in its health") from error
    return {"messages": count, "bytes": size}


def _member(path: Path, name: str) -> str:
    with zipfile.ZipFile(path) as archive, archive.open(name) as member:
        return member.read(MOST_BYTES).decode("utf-8", "replace")


def _tail(path: Path) -> str:
    return path.read_bytes()[-MOST_BYTES:].decode("utf-8", "replace")


def _output(*command: str) -> str:
    found = subprocess.run(command, capture_output=True, timeout=60.0, check=True)  # noqa: S603 - our own words
    return found.stdout[-MOST_BYTES:].decode("utf-8", "replace")


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode()
