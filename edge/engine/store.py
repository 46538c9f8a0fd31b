"""The engines that a device keeps: a plan and its record beside it, both written aside and renamed.

A record says what was tried, also where nothing came of it, so that nobody builds for minutes what failed before.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.engine.building import Typing
from edge.engine.key import EngineKey, changed_parts
from edge.errors import JsonError
from edge.files import write_whole
from edge.golden import Tolerance

log = logging.getLogger(__name__)

FOLDER = "engines"
LAST_ATTEMPT = 2
# A plan or its record, and what a kill left of writing one or the timings.
_OURS = re.compile(r"[^.].*\.[0-9a-f]{16}\.(plan|json)|\..+\.[0-9a-f]{16}\.(plan|json|cache)\.[0-9]+\.part")


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That an engine answers as it must: on which machine, how far it was off, and its step's median time there."""

    machine: str
    apart: Tolerance | None
    step_milliseconds: float


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of an engine. `failure` says why there is none; without `proof` it has not run yet.

    `plan_sha256` is empty where no plan is kept: it failed, or another variant is faster. `attempt` counts how often it
    was built: an engine that was right and turns out not to be is built once more.
    """

    key: EngineKey
    variant: str
    bundle: str
    created: str
    build_seconds: float = 0.0
    typing: Typing = "strong"
    plan_sha256: str = ""
    plan_bytes: int = 0
    proof: Proof | None = None
    failure: str = ""
    attempt: int = 1


@dataclass(frozen=True)
class Found:
    """A plan whose digest is right, and its record."""

    plan: bytes
    record: Record


@dataclass(frozen=True)
class Missing:
    """Why there is no engine for a key; `record` where this very key was tried."""

    reason: str
    record: Record | None = None


class Store:
    """The engines in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, variant: str, key: EngineKey) -> Found | Missing:
        """Return a variant's engine for a key, or why there is none, which is logged too."""
        found = self._looked_up(variant, key)
        if isinstance(found, Missing):
            log.info("engine_miss variant=%s reason=%r", variant, found.reason)
        return found

    def _looked_up(self, variant: str, key: EngineKey) -> Found | Missing:
        record = self.record(variant, key)
        if record is None:
            return Missing(self._why_missing(variant, key))
        if record.failure:
            return Missing(record.failure, record)
        if not record.plan_sha256:
            return Missing("another variant is faster here, and was kept", record)
        try:
            plan = self._plan(variant, key).read_bytes()
        except OSError as error:
            return Missing(f"its file cannot be read ({error.strerror})")
        if hashlib.sha256(plan).hexdigest() != record.plan_sha256:
            return Missing(f"its file is damaged: {len(plan)} bytes, not the {record.plan_bytes} that were written")
        return Found(plan, record)

    def record(self, variant: str, key: EngineKey) -> Record | None:
        """Return what is known of a variant's engine for a key; None where it was never tried."""
        found = _record_at(self._sidecar(variant, key))
        return found if found is not None and (found.variant, found.key) == (variant, key) else None

    def keep(self, record: Record, plan: bytes = b"") -> Record:
        """Write a plan and then its record; a reader sees the old pair, no pair, or the new one. Return the record."""
        self.folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(plan).hexdigest() if plan else ""
        record = msgspec.structs.replace(record, plan_sha256=digest, plan_bytes=len(plan))
        if plan:
            write_whole(self._plan(record.variant, record.key), plan)
        else:
            self._plan(record.variant, record.key).unlink(missing_ok=True)
        self.note(record)
        return record

    def note(self, record: Record) -> None:
        """Write a record anew; its plan stays as it is."""
        write_whole(self._sidecar(record.variant, record.key), msgspec.json.format(msgspec.json.encode(record)))

    def drop(self, record: Record, failure: str) -> None:
        """Forget a plan that turned out to be of no use, and note why; before the last attempt it is built again."""
        self.keep(msgspec.structs.replace(record, failure=failure, proof=None))

    def records(self) -> list[Record]:
        """Return every record that can be read, the newest last."""
        found = [_record_at(path) for path in sorted(self.folder.glob("*.json"))]
        return sorted((one for one in found if one is not None), key=lambda one: one.created)

    def clean(self, keys: Iterable[EngineKey] = (), *, spare_last: int = 0) -> list[Path]:
        """Remove engines for no key of `keys`, but for the last `spare_last`, and return what was removed.

        Whatever else lies in the folder stays.
        """
        digests = {key.digest for key in keys}
        others = [one for one in self.records() if one.key.digest not in digests]
        spared = [one for one in others if one.plan_sha256][-spare_last:] if spare_last else []
        digests |= {one.key.digest for one in spared}
        removed = [path for path in sorted(self.folder.glob("*")) if _is_ours(path) and not _is_of(path, digests)]
        for path in removed:
            path.unlink(missing_ok=True)
        return removed

    def timing_cache(self, key: EngineKey) -> Path:
        """Return where the builder's timings of this device and TensorRT are kept."""
        part = msgspec.structs.replace(key, onnx="", options=msgspec.structs.replace(key.options, cameras=1))
        return self.folder / f"timing.{part.digest}.cache"

    def _plan(self, variant: str, key: EngineKey) -> Path:
        return self.folder / f"{variant}.{key.digest}.plan"

    def _sidecar(self, variant: str, key: EngineKey) -> Path:
        return self.folder / f"{variant}.{key.digest}.json"

    def _why_missing(self, variant: str, key: EngineKey) -> str:
        earlier = [changed_parts(one.key, key) for one in self.records() if one.variant == variant]
        nearest = sorted(earlier, key=len)[0] if earlier else []
        return f"changed: {', '.join(nearest)}" if nearest else "none was built yet"


def _is_ours(path: Path) -> bool:
    return _OURS.fullmatch(path.name) is not None and not path.is_dir()


def _is_of(path: Path, digests: set[str]) -> bool:
    return any(path.name.endswith((f".{one}.plan", f".{one}.json")) for one in digests)


def _record_at(path: Path) -> Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except OSError:
        return None
    except JsonError as error:
        log.warning("engine_record_damaged file=%s error=%s", path, error)
        return None
