"""The synthetic cell as a source of frames, as a camera or a file is one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from edge.frames import Frame, FrameFormat
from edge.scene.drawing import draw
from edge.scene.incidents import Scene


class SceneSource:
    """Draws a scene's frames in a `FrameFormat`, as fast as they are asked for; their time is media time."""

    is_live = False
    backend = "scene"

    def __init__(
        self,
        scene: Scene,
        frame_format: FrameFormat,
        start_seconds: float = 0.0,
        duration_seconds: float | None = None,
    ) -> None:
        """Begin at `start_seconds` of the scene; without a duration the work goes on for ever."""
        self.name = f"test://factory?seed={scene.seed}"
        self._scene = scene
        self._format = frame_format
        self._start_seconds = start_seconds
        self._duration_seconds = duration_seconds
        self._closed = False

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order, from the start until the duration is over or the source is closed."""
        form = self._format
        for number in self._numbers():
            if self._closed:
                return
            seconds = self._start_seconds + number / form.rate_hz
            yield Frame(draw(self._scene, seconds, form.height, form.width, form.channels), seconds)

    def _numbers(self) -> Iterator[int]:
        if self._duration_seconds is None:
            return count()
        return iter(range(round(self._duration_seconds * self._format.rate_hz)))

    def close(self) -> None:
        """End the iterator."""
        self._closed = True
