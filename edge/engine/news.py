"""What the river does about a build beside it: `info` tells how far it is, and its end has the device read again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import msgspec

from edge.command_actions import Reload
from edge.engine.work import EngineWork
from edge.errors import PrednetError
from edge.messages import Info
from edge.mqtt import Publisher

log = logging.getLogger(__name__)

TELL_SECONDS = 5.0


class EngineNews:
    """Asked at each round; cheap."""

    def __init__(
        self,
        work: EngineWork,
        reload: Reload,
        publisher: Publisher,
        info: Info,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work, self._reload, self._publisher, self._info, self._clock = work, reload, publisher, info, clock
        self._due_seconds = clock() + TELL_SECONDS

    def tick(self) -> None:
        """Tell what is new of the build; once it has ended, let the device be read again."""
        if self._work.take_news():
            try:
                self._reload.device = self._reload.read()
            except PrednetError as error:
                log.error("engine_not_taken reason=%r", str(error))  # noqa: TRY400 - a whole sentence
        told = self._work.told
        if told != self._info.engine and self._clock() >= self._due_seconds:
            self._due_seconds = self._clock() + TELL_SECONDS
            self._info = msgspec.structs.replace(self._info, engine=told)
            self._publisher.set_info(self._info)
