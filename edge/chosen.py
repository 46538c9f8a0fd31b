"""The runner that was chosen, opened and proved before its first score."""

from __future__ import annotations

import logging

from edge.bundle import Bundle
from edge.choice import Choice, Engines
from edge.engine.library import open_library
from edge.engine.making import is_foreign, prove, step_milliseconds
from edge.engine.memory import open_memory
from edge.engine.runner_tensorrt import TensorRtRunner
from edge.errors import PrednetError
from edge.model import proved, runner_of
from edge.runner import Runner
from edge.runners import RunnerName

log = logging.getLogger(__name__)

# A step that takes more than this share of a frame's time leaves too little for everything else.
MOST_SHARE = 0.8


class EngineUnfit(PrednetError):
    """An engine that was kept is of no use; it is dropped, and the next choice is another one."""


def open_chosen(choice: Choice, bundle: Bundle, slots: int, threads: int) -> Runner:
    """Return the chosen runner, whose golden answer was right.

    Raises EngineUnfit where an engine is not, PrednetError where another runner is not.
    """
    if choice.runner == "tensorrt" and choice.engines is not None:
        return _open_engine(choice.engines, bundle, slots)
    names: dict[str, RunnerName] = {one: one for one in ("onnxruntime-tensorrt", "onnxruntime-cuda")}
    return runner_of(bundle, choice.variant, slots, threads, names.get(choice.runner, "onnxruntime-cpu"))


def _open_engine(engines: Engines, bundle: Bundle, slots: int) -> Runner:
    ready = engines.kept.ready
    if ready is None:
        raise EngineUnfit("no engine is ready.")
    record = ready.record
    try:
        if is_foreign(record):
            record = prove(engines.wish.order(record.variant))
        spec = bundle.spec_of(record.variant)
        runner = TensorRtRunner(ready.plan, spec, slots, open_library(), open_memory())
        return proved(runner, bundle, record.variant)
    except PrednetError as error:
        engines.wish.store.drop(record, str(error))
        log.error("engine_unfit variant=%s reason=%r", record.variant, str(error))  # noqa: TRY400 - a whole sentence
        raise EngineUnfit(str(error)) from error


def keeps_up(runner: Runner, rate_hz: float) -> bool:
    """Return whether a runner's step leaves time between frames; its states are of no use after."""
    return step_milliseconds(runner, steps=5) <= MOST_SHARE * 1000.0 / rate_hz
