"""Arrays in a file, as ours are written and anybody's are read: no pickle, and no more memory than ours need."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

# All arrays of one file together are never larger than this, unpacked.
MOST_BYTES = 1 << 28
# What opening and reading a damaged or hostile file raises; a header may ask for more memory than there is.
UNREADABLE = (ValueError, OSError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error)


def opened_arrays(data: bytes) -> Any:
    """Return an npz opened for reading arrays by name, with `files` as their names. Raises one of UNREADABLE."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(info.file_size for info in archive.infolist())
    if size > MOST_BYTES:
        raise ValueError(f"unpacked it would have more than {MOST_BYTES >> 20} MB")
    return np.load(io.BytesIO(data), allow_pickle=False)


def arrays_to_bytes(**arrays: NDArray[np.generic]) -> bytes:
    """Return arrays as an npz without pickles; the same bytes for the same arrays."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
