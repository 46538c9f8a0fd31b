"""Site calibrations in force: a `.normal` file that is replaced while the device watches is taken over at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from edge.errors import PrednetError
from edge.model import Model, with_normal

log = logging.getLogger(__name__)

# Inode, time and size of a file.
Stamp = tuple[int, int, int]
# How often the files are looked at.
LOOK_SECONDS = 2.0


class Normals:
    """Knows when the `.normal` file of a camera has changed since it was read; `stamps` are of before that."""

    def __init__(
        self, paths: Mapping[str, Path], stamps: Mapping[str, Stamp | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._paths, self._clock = dict(paths), clock
        self._stamps = dict(stamps)
        self._due_seconds = clock() + LOOK_SECONDS

    def changed(self, models: Mapping[str, Model]) -> Iterator[tuple[str, Model]]:
        """Yield each camera whose file was replaced, with the model that it makes.

        A file that cannot be read is told in the log, and what was in force stays.
        """
        if self._clock() < self._due_seconds:
            return
        self._due_seconds = self._clock() + LOOK_SECONDS
        for camera, path in self._paths.items():
            stamp = stamp_of(path)
            if stamp is None or stamp == self._stamps[camera]:
                continue
            self._stamps[camera] = stamp
            before = models[camera]
            try:
                yield camera, with_normal(before.bundle, before.variant, path)
            except PrednetError as error:
                log.warning("normal_refused camera=%s reason=%s", camera, error)


def stamp_of(path: Path) -> Stamp | None:
    """Return what changes when a file is replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
