"""Engines built beside the daemon: a thread waits for the children, and the river asks it how far they are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from edge.choice import Choice, Engines
from edge.commands import Refused
from edge.engine.making import make_engines
from edge.errors import PrednetError

log = logging.getLogger(__name__)


class EngineWork:
    """Builds what is worth building of a choice's engines; opened by the daemon, which closes it."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._progress = ""
        self._has_news = False

    def begin(self) -> None:
        """Build in the background where something is worth it."""
        engines = self._choice.engines
        if engines is not None and engines.kept.unmade:
            self._start(engines, engines.kept.unmade)

    def rebuild(self) -> dict[str, object]:
        """Build everything anew and say what; what runs goes on until it is done.

        Raises Refused where TensorRT is not usable, or a build is under way.
        """
        engines = self._choice.engines
        if engines is None:
            raise Refused("unsupported", f"This device has no engine to build: {self._choice.told}.")
        if self.is_building:
            raise Refused("busy", f"An engine is being built: {self._progress}.")
        self._start(engines, engines.wish.variants)
        return {"building": list(engines.wish.variants)}

    @property
    def is_building(self) -> bool:
        """Whether a build is under way."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def told(self) -> str:
        """What computes, and the engine's state, in one line: what `info` says of it."""
        if self.is_building:
            return f"{self._served}; building {self._progress}".rstrip()
        return f"{self._served}; no engine is right" if self.has_failed else self._served

    @property
    def has_failed(self) -> bool:
        """Whether TensorRT is usable, and none of its engines answers as it must."""
        return self._choice.engines is not None and self._choice.engines.has_failed

    def take_news(self) -> bool:
        """Return once whether a build has ended with an engine, so that the device is to be read again."""
        if not self._has_news or self.is_building:
            return False
        self._has_news = False
        return True

    def close(self) -> None:
        """End a build that is under way; what it has made so far is kept."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def _served(self) -> str:
        return f"{self._choice.runner} {self._choice.variant}"

    def _start(self, engines: Engines, variants: Sequence[str]) -> None:
        log.info("engine_building variants=%s", ",".join(variants))
        self._thread = threading.Thread(target=self._build, args=(engines, variants), name="engine", daemon=True)
        self._thread.start()

    def _build(self, engines: Engines, variants: Sequence[str]) -> None:
        try:
            records = make_engines(engines.wish, engines.target, self._tell, self._stop, variants)
        except (PrednetError, OSError) as error:
            if not self._stop.is_set():
                log.error("engine_not_built reason=%r", str(error))  # noqa: TRY400 - a whole sentence
            return
        for record in records:
            log.info("engine_built variant=%s failure=%r", record.variant, record.failure)
        self._has_news = bool(records) and not self._stop.is_set()

    def _tell(self, variant: str, phase: str, share: float) -> None:
        self._progress = f"{variant}: {phase} {share:.0%}"
