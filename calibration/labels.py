"""Labels of test clips: which frames are anomalous, and where; the files that datasets keep them in.

The door of `scipy.io`, for MATLAB's label files.
"""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from calibration.footage import read_clip
from edge.arrays import UNREADABLE
from edge.errors import UsageError
from edge.frames import FrameFormat
from edge.places import Place

Labels = NDArray[np.uint8]
Masks = NDArray[np.bool_]
LABEL_SUFFIXES = (".labels.npy", ".labels.txt", ".npy", ".txt")
# What a folder of mask images is read at; a picture of another size is stretched, as frames are.
MASK_FORM = FrameFormat(240, 360, 1, 1.0)
# What numpy, zipfile and scipy raise of files that are damaged or hold something else.
_DAMAGED = (*UNREADABLE, IndexError, TypeError, NameError, RuntimeError, SyntaxError, TokenError, MatReadError)


def read_labels(path: Path) -> Labels:
    """Return one 0 or 1 per frame, uint8 [T], from an .npy or from a text of one number a line.

    A mask file (see `read_masks`) says it too: a frame is anomalous where any pixel is. Raises UsageError.
    """
    if path.is_dir() or path.suffix in (".mat", ".npz"):
        return _anomalous_frames(read_masks(path))
    values = _loaded(path) if path.suffix == ".npy" else _numbers_of_text(path)
    if values.ndim == 3:
        return _anomalous_frames(values.astype(np.bool_))
    if values.ndim != 1 or not len(values) or not np.isin(values, (0, 1)).all():
        raise UsageError(
            f"{path}: holds {values.dtype} {list(values.shape)}; labels are one 0 (normal) or 1 (anomalous) per frame."
        )
    return values.astype(np.uint8)


def read_masks(path: Path) -> Masks:
    """Return where each frame is anomalous, bool [T, H, W].

    From an .npz with the key `mask`, an .npy, Avenue's .mat with `volLabel`, or a folder of mask images.
    Raises UsageError.
    """
    if path.is_dir():
        return read_clip(Place("images", str(path)), MASK_FORM).images[..., 0] > 127
    masks = _masks_of_mat(path) if path.suffix == ".mat" else _loaded(path, "mask")
    if masks.ndim != 3:
        raise UsageError(f"{path}: holds {masks.dtype} {list(masks.shape)}; masks are [frames, rows, columns].")
    return masks.astype(np.bool_)


def _anomalous_frames(masks: Masks) -> Labels:
    return np.asarray(masks.any(axis=(1, 2)), np.uint8)


def _loaded(path: Path, key: str = "") -> NDArray[np.generic]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            return np.asarray(found[key])
    except _DAMAGED as error:
        raise UsageError(
            f"{path}: cannot be read ({' '.join(str(error).split())}); give it as numpy.save does."
        ) from error


def _numbers_of_text(path: Path) -> NDArray[np.generic]:
    try:
        return np.array([int(word) for word in path.read_text(encoding="utf-8").split()])
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); write one 0 or 1 per frame.") from error


def _masks_of_mat(path: Path) -> Masks:
    try:
        cells = np.ravel(loadmat(path)["volLabel"])
        return np.stack([np.asarray(cell) > 0 for cell in cells])
    except _DAMAGED as error:
        raise UsageError(
            f"{path}: not a label file of Avenue ({error}); it holds 'volLabel', a mask per frame."
        ) from error
