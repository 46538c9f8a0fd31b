"""Finds pictures on a device's disk, whatever files they lie in, and shows them as pixels."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from edge.frames import Image

# How a JPEG, a PNG, a WebP and a BMP begin; H.264 and other films would need a decoder of their own.
_BEGINNINGS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP|BM", re.DOTALL)
FILMS = frozenset({".mp4", ".mkv", ".avi", ".mov", ".ts", ".webm", ".h264", ".mjpeg"})


def pictures_below(folder: Path) -> Iterator[tuple[Path, Image]]:
    """Yield every picture that decodes, grey [H, W], from anywhere in any file and any cell of any database."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        for data in _contents(path):
            for begin in _BEGINNINGS.finditer(data):
                picture = cv2.imdecode(np.frombuffer(data[begin.start() :], np.uint8), cv2.IMREAD_GRAYSCALE)
                if picture is not None:
                    yield path, np.asarray(picture, np.uint8)


def _contents(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes; of a database each cell instead, whose pages lie apart in the file and in its log."""
    data = path.read_bytes()
    if not data.startswith(b"SQLite format 3"):
        yield data
        return
    with closing(sqlite3.connect(path)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - names of our own tables
                yield from (cell if isinstance(cell, bytes) else str(cell).encode() for cell in row)
