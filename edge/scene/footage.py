"""Writes a scene to disk as a film with its ground truth beside it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from edge.errors import UsageError
from edge.frames import Image
from edge.scene.drawing import draw
from edge.scene.incidents import Incident, Scene, frame_labels
from edge.scene.video import encode_video

Progress = Callable[[int, int], None]


def write_scene(
    scene: Scene,
    directory: Path,
    *,
    height: int,
    width: int,
    channels: int,
    rate_hz: float,
    seconds: float,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the scene's first seconds to a new directory, and return the paths of its files.

    `scene.mp4` (H.264); `labels.npy` (uint8 per frame, 1 where an accident is visible); `incidents.json`
    (a list of kind, start_seconds, end_seconds, box, is_accident). They are written aside and renamed, so
    that the directory is there whole or not at all. `progress` is called with frames done and in all.
    """
    if directory.exists():
        raise UsageError(f"{directory} exists already; expected the name of a directory to be made")
    count = round(seconds * rate_hz)
    directory.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        images = _images(scene, count, (height, width, channels), rate_hz, progress)
        encode_video(aside / "scene.mp4", images, height, width, rate_hz)
        np.save(aside / "labels.npy", frame_labels(scene, count, rate_hz))
        (aside / "incidents.json").write_text(json.dumps([_record(one) for one in scene.incidents], indent=2))
        aside.chmod(0o755)
        aside.rename(directory)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return [directory / name for name in ("scene.mp4", "labels.npy", "incidents.json")]


def _images(
    scene: Scene, count: int, shape: tuple[int, int, int], rate_hz: float, progress: Progress | None
) -> Iterator[Image]:
    for number in range(count):
        yield draw(scene, number / rate_hz, *shape)
        if progress is not None:
            progress(number + 1, count)


def _record(incident: Incident) -> dict[str, object]:
    return {
        "kind": incident.kind,
        "start_seconds": incident.start_seconds,
        "end_seconds": incident.end_seconds,
        "box": list(incident.box),
        "is_accident": incident.is_accident,
    }
