"""Slots: which camera has which of a runner's states; cameras come and go without touching one another."""

from __future__ import annotations

from collections.abc import Iterable

from edge.errors import PrednetError


class Slots:
    """Gives each camera a slot of its own, the lowest that is free."""

    def __init__(self, count: int, cameras: Iterable[str] = ()) -> None:
        self._count = count
        self._taken: dict[str, int] = {}
        for camera in cameras:
            self._taken[camera] = self._lowest_free(camera)

    def __getitem__(self, camera: str) -> int:
        """Return the camera's slot; a new camera takes one. Raises PrednetError where none is free."""
        if camera not in self._taken:
            self._taken[camera] = self._lowest_free(camera)
        return self._taken[camera]

    def free(self, camera: str) -> None:
        """Give a camera's slot back."""
        self._taken.pop(camera, None)

    def _lowest_free(self, camera: str) -> int:
        for slot in range(self._count):
            if slot not in self._taken.values():
                return slot
        raise PrednetError(f"{camera}: all {self._count} slots of the runner are taken; remove another camera first.")
