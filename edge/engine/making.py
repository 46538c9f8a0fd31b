"""Engines made: every variant built, proved against its golden answer and timed here; the fastest right one kept.

Each is built in a process of its own: a builder that runs out of memory takes nothing with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
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
from edge.engine.store import Found, Missing, Proof, Record, Store
from edge.errors import DeviceUnavailable, PrednetError
from edge.files import write_whole
from edge.golden import check_golden
from edge.runner import Runner
from edge.topics import default_device

# What is built where a bundle has it: INT8 is not always faster than float16, so that both are tried.
FIRST_CHOICE = ("int8.fp16", "int8", "fp16")
LAST_CHOICE = "float"
BUILD_SECONDS = 3600.0
PROVE_SECONDS = 300.0
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


def make_engines(wish: Wish, target: Target, progress: Callable[[str, str, float], None]) -> list[Record]:
    """Make what is not there yet, keep the fastest, and return what is known of each variant.

    `progress` is told variant, phase and share. What cannot be made is a record with its `failure`. The last engine
    of another key stays, in case what changed is changed back.
    """
    keys = wish.keys(target)
    records = [
        _made(wish.order(one), wish.store, key, lambda phase, share, name=one: progress(name, phase, share))  # type: ignore[misc]
        for one, key in keys.items()
    ]
    best = fastest(records)
    kept = [one if one is best or not one.plan_sha256 else wish.store.keep(one) for one in records]
    if best is not None:
        wish.store.clean(keys.values(), spare_last=1)
    return kept


def ready_engine(wish: Wish, target: Target) -> Found | Missing:
    """Return the proven engine that is kept, or why there is none; each variant's reason is logged."""
    found = [wish.store.find(variant, key) for variant, key in wish.keys(target).items()]
    untried = [one for one in found if isinstance(one, Missing) and one.record is None]
    proven = [one for one in found if isinstance(one, Found) and one.record.proof is not None]
    if proven:
        return proven[0]
    return (untried or [one for one in found if isinstance(one, Missing)] or [Missing("nothing to build from")])[0]


def forget_engines(wish: Wish, target: Target) -> None:
    """Let the next `make_engines` build everything anew; what there is stays in use until then."""
    for variant, key in wish.keys(target).items():
        wish.store.forget(variant, key)


def _made(order: Order, store: Store, key: EngineKey, progress: Progress) -> Record:
    found = store.find(order.variant, key)
    if isinstance(found, Found) and found.record.proof is not None:
        return found.record
    if isinstance(found, Missing) and found.record is not None:
        return found.record
    try:
        return asked("edge.engine.making:serve_build", order, Record, progress, BUILD_SECONDS, "the engine's builder")
    except DeviceUnavailable:
        raise  # says nothing of the variant
    except PrednetError as error:
        return store.keep(_begun(order, key, str(error)))


def fastest(records: list[Record]) -> Record | None:
    """Return the record of the fastest proven engine that has a plan; None where there is none."""
    proven = [one for one in records if one.proof is not None and one.plan_sha256]
    return min(proven, key=lambda one: one.proof.step_milliseconds if one.proof else 0.0, default=None)


def prove(order: Order) -> Record:
    """Let a child load an engine that this machine has not run yet and ask it for its golden answer.

    Return the record with its proof, also written. Raises PrednetError where it crashes or answers wrongly.
    """
    return asked("edge.engine.making:serve_proof", order, Record, lambda *_: None, PROVE_SECONDS, "its first load")


def is_foreign(record: Record) -> bool:
    """Return whether this machine has not run the engine yet."""
    return record.proof is None or record.proof.machine != default_device()


def serve_build() -> None:
    """Build and prove the order on stdin: what a child does."""
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


def _begun(order: Order, key: EngineKey, failure: str = "") -> Record:
    now = datetime.now(timezone.utc).isoformat(timespec="microseconds")
    bundle = read_bundle(Path(order.bundle)).digest
    return Record(key=key, variant=order.variant, bundle=bundle, created=now, failure=failure)
