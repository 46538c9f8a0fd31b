"""Engines made: every variant built, proved against its golden answer and timed here; the fastest right one kept.

Each is built in a process of its own: a builder that runs out of memory takes nothing with it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from edge.bundle import Bundle, read_bundle
from edge.engine.building import BuildOptions, plan_from_onnx, profile_cameras
from edge.engine.child import Progress, asked, served
from edge.engine.key import EngineKey, engine_key, l4t_release
from edge.engine.library import open_library
from edge.engine.memory import DeviceFacts, open_memory
from edge.engine.runner_tensorrt import TensorRtRunner
from edge.engine.store import LAST_ATTEMPT, Found, Missing, Proof, Record, Store
from edge.errors import DeviceUnavailable, PrednetError
from edge.files import write_whole
from edge.golden import check_golden
from edge.runner import Runner
from edge.topics import default_device

log = logging.getLogger(__name__)

# What is built where a bundle has it: INT8 is not always faster than float16, so that both are tried.
FIRST_CHOICE = ("int8.fp16", "int8", "fp16")
LAST_CHOICE = "float"
BUILD_SECONDS = 3600.0
PROVE_SECONDS = 300.0
_POLITENESS = 10
_WARM_STEPS, _TIMED_STEPS = 10, 50


@dataclass(frozen=True)
class Target:
    """The device that engines are for: TensorRT's version, the GPU, the release of L4T."""

    tensorrt: str
    facts: DeviceFacts
    l4t: str

    def key(self, step: bytes, options: BuildOptions) -> EngineKey:
        """Return the key of a step's engine here."""
        return engine_key(step, options, self.tensorrt, self.facts, self.l4t)


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a child is asked for: a variant of a bundle, for so many cameras, into the store at `folder`."""

    bundle: str
    variant: str
    cameras: int
    folder: str
    options: BuildOptions


def target_here() -> Target:
    """Return this device. Raises DeviceUnavailable with the remedy where TensorRT or a GPU is not to be had."""
    trt = open_library()
    memory = open_memory()
    try:
        return Target(str(trt.__version__), memory.facts, l4t_release())
    finally:
        memory.close()


def candidates(bundle: Bundle) -> tuple[str, ...]:
    """Return the variants that an engine is tried of; float where the bundle has nothing smaller."""
    held = bundle.manifest.variants
    return tuple(name for name in FIRST_CHOICE if name in held) or ((LAST_CHOICE,) if LAST_CHOICE in held else ())


@dataclass(frozen=True)
class Wish:
    """Which engines are wanted: `variants` of a bundle for so many cameras, kept in `folder`."""

    bundle: Bundle
    variants: tuple[str, ...]
    cameras: int
    folder: Path
    workspace_mib: int = BuildOptions().workspace_mib
    level: int = BuildOptions().level

    @property
    def store(self) -> Store:
        """Where they are kept."""
        return Store(self.folder)

    def order(self, variant: str) -> Order:
        """Return what a child is asked for."""
        options = BuildOptions(profile_cameras(self.cameras), self.workspace_mib, self.level)
        return Order(str(self.bundle.path.absolute()), variant, self.cameras, str(self.folder.absolute()), options)

    def keys(self, target: Target) -> dict[str, EngineKey]:
        """Return each variant's key on a device."""
        return {one: target.key(self.bundle.step(one), self.order(one).options) for one in self.variants}


@dataclass(frozen=True)
class Kept:
    """What there is of each variant: the fastest proven engine, what is to be built, and why nothing else is there."""

    found: dict[str, Found | Missing]

    @property
    def ready(self) -> Found | None:
        """The engine to run; None where none is proven."""
        proven = [one for one in self.found.values() if isinstance(one, Found) and one.record.proof is not None]
        return min(proven, key=lambda one: _milliseconds(one.record), default=None)

    @property
    def unmade(self) -> tuple[str, ...]:
        """The variants that are worth building; what failed for good is not."""
        return tuple(variant for variant, one in self.found.items() if isinstance(one, Missing) and self._is_worth(one))

    @property
    def told(self) -> str:
        """Why there is no engine, by variant."""
        return "; ".join(f"{name}: {one.reason}" for name, one in self.found.items() if isinstance(one, Missing))

    def _is_worth(self, missing: Missing) -> bool:
        record = missing.record
        if record is None:
            return True
        if record.failure:
            return record.attempt < LAST_ATTEMPT
        return self.ready is None  # it was slower than one that is gone


def kept_engines(wish: Wish, target: Target) -> Kept:
    """Return what there is of the engines that are wanted; what is missing is logged with its reason."""
    return Kept({variant: wish.store.find(variant, key) for variant, key in wish.keys(target).items()})


def make_engines(
    wish: Wish,
    target: Target,
    progress: Callable[[str, str, float], None],
    stop: threading.Event | None = None,
    anew: Collection[str] = (),
) -> list[Record]:
    """Make what is worth it and the variants `anew`, keep the fastest, and return what is known of each variant.

    `progress` is told variant, phase and share. What cannot be made is a record with its `failure`; an engine that is
    there stays until another takes its place, and the last one of another key stays too, in case what changed is
    changed back. When `stop` is set the build is ended with ChildFailed.
    """
    keys, before = wish.keys(target), kept_engines(wish, target)
    records: dict[str, Record] = {}
    for name, found in before.found.items():
        if name in before.unmade or name in anew or found.record is None:
            tell = partial(progress, name)
            records[name] = _made(wish.order(name), wish.store, keys[name], tell, stop or threading.Event())
        else:
            records[name] = found.record
    best = fastest(list(records.values()))
    kept = [one if one is best or not one.plan_sha256 else wish.store.keep(one) for one in records.values()]
    if best is not None:
        wish.store.clean(keys.values(), spare_last=1)
    return kept


def _made(order: Order, store: Store, key: EngineKey, progress: Progress, stop: threading.Event) -> Record:
    earlier = store.record(order.variant, key)
    attempt = 1 if earlier is None or not earlier.failure else earlier.attempt + 1
    try:
        record = asked(
            "edge.engine.making:serve_build", order, Record, progress, BUILD_SECONDS, "the engine's builder", stop
        )
    except DeviceUnavailable:
        raise  # says nothing of the variant
    except PrednetError as error:
        if stop.is_set():
            raise
        return _failed(order, store, key, str(error))
    store.note(numbered := msgspec.structs.replace(record, attempt=attempt))
    return numbered


def _failed(order: Order, store: Store, key: EngineKey, failure: str) -> Record:
    """Return the record of a build that failed: where an engine is there already it stays, and the log tells."""
    there = store.find(order.variant, key)
    if isinstance(there, Found):
        log.error("engine_not_rebuilt variant=%s reason=%r", order.variant, failure)
        return there.record
    return store.keep(_begun(order, key, failure, LAST_ATTEMPT))


def fastest(records: list[Record]) -> Record | None:
    """Return the record of the fastest proven engine that has a plan; None where there is none."""
    return min((one for one in records if one.proof is not None and one.plan_sha256), key=_milliseconds, default=None)


def _milliseconds(record: Record) -> float:
    return float("inf") if record.proof is None else record.proof.step_milliseconds


def prove(order: Order) -> Record:
    """Let a child load an engine that this machine has not run yet and ask it for its golden answer.

    Return the record with its proof, also written. Raises PrednetError where it crashes or answers wrongly.
    """
    nobody = threading.Event()
    return asked(
        "edge.engine.making:serve_proof", order, Record, lambda *_: None, PROVE_SECONDS, "its first load", nobody
    )


def is_foreign(record: Record) -> bool:
    """Return whether this machine has not run the engine yet."""
    return record.proof is None or record.proof.machine != default_device()


def serve_build() -> None:
    """Build and prove the order on stdin: what a child does, behind those that watch."""
    os.nice(_POLITENESS)
    served(lambda data, progress: _built(msgspec.json.decode(data, type=Order), progress))


def serve_proof() -> None:
    """Prove the engine of the order on stdin: what a child does."""
    served(lambda data, progress: _proved(msgspec.json.decode(data, type=Order)))


def _built(order: Order, progress: Progress) -> Record:
    trt, store, bundle = open_library(), Store(Path(order.folder)), read_bundle(Path(order.bundle))
    key = target_here().key(bundle.step(order.variant), order.options)
    cache = store.timing_cache(key)
    begun = time.monotonic()
    built = plan_from_onnx(
        trt,
        bundle.step(order.variant),
        order.options,
        timing_cache=cache.read_bytes() if cache.exists() else b"",
        progress=progress,
    )
    seconds = round(time.monotonic() - begun, 1)
    progress("proving", 0.0)
    proof = proof_of(built.plan, bundle, order)
    store.folder.mkdir(parents=True, exist_ok=True)
    write_whole(cache, built.timing_cache)
    record = msgspec.structs.replace(_begun(order, key), build_seconds=seconds, typing=built.typing, proof=proof)
    return store.keep(record, built.plan)


def _proved(order: Order) -> Record:
    store, bundle = Store(Path(order.folder)), read_bundle(Path(order.bundle))
    found = store.find(order.variant, target_here().key(bundle.step(order.variant), order.options))
    if isinstance(found, Missing):
        raise PrednetError(f"the engine of {order.variant} is not here: {found.reason}.")
    record = msgspec.structs.replace(found.record, proof=proof_of(found.plan, bundle, order))
    store.note(record)
    return record


def proof_of(plan: bytes, bundle: Bundle, order: Order) -> Proof:
    """Return the proof of a plan, run here. Raises PrednetError where it does not load, fit or answer rightly."""
    runner = TensorRtRunner(plan, bundle.spec_of(order.variant), order.cameras, open_library(), open_memory())
    golden, apart = bundle.golden(order.variant), None
    try:
        if golden is not None:
            apart = check_golden(runner, golden, f"{bundle.path}: variant {order.variant} on {runner.name}")
        return Proof(default_device(), apart, step_milliseconds(runner))
    finally:
        runner.close()


def step_milliseconds(runner: Runner, steps: int = _TIMED_STEPS) -> float:
    """Return the median time of a step with a new frame for every camera; the runner's states are of no use after."""
    form, slots = runner.spec.form, runner.slots
    frames = np.random.default_rng(0).integers(0, 256, (slots, form.height, form.width, form.channels), dtype=np.uint8)
    times = []
    for number in range(_WARM_STEPS + steps):
        begun = time.perf_counter()
        runner.step(frames, np.ones(slots, np.bool_), np.full(slots, number == 0))
        times.append((time.perf_counter() - begun) * 1000.0)
    return round(float(np.median(times[_WARM_STEPS:])), 3)


def _begun(order: Order, key: EngineKey, failure: str = "", attempt: int = 1) -> Record:
    now = datetime.now(timezone.utc).isoformat(timespec="microseconds")
    bundle = read_bundle(Path(order.bundle)).digest
    return Record(key=key, variant=order.variant, bundle=bundle, created=now, failure=failure, attempt=attempt)
