"""Datasets: folders in a layout that others know, as normal clips and labelled test clips."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from calibration.labels import LABEL_SUFFIXES, Labels, read_labels
from edge.errors import UsageError
from edge.places import IMAGE_SUFFIXES, VIDEO_SUFFIXES, Place

VIDEO_LABELS = "video_labels.txt"
KNOWN_LAYOUTS = (
    "Ped2 (train/, test/, test_labels/ or UCSD's own Train/, Test/), Avenue (training_videos/, testing_videos/, "
    "testing_label_mask/), ShanghaiTech (training/, testing/frames/, testing/test_frame_mask/) and plain folders "
    f"(normal/, test/ with NAME.labels.npy beside each clip, or test/{VIDEO_LABELS})"
)


@dataclass(frozen=True)
class LabelledClip:
    """One test clip. `labels` uint8 [T], None where only the whole clip is labelled (`is_anomalous`).

    `masks` is what `calibration.labels.read_masks` reads, None where the dataset has none.
    """

    place: Place
    is_anomalous: bool
    labels: Labels | None
    masks: Path | None = None


@dataclass(frozen=True)
class Dataset:
    """Normal clips to learn from, and test clips; `rate_hz` is that of its images and labels, None if unknown."""

    name: str
    layout: str
    normal: tuple[Place, ...]
    test: tuple[LabelledClip, ...]
    rate_hz: float | None


def read_dataset(path: Path, rate_hz: float | None = None) -> Dataset:
    """Return the dataset in the folder `path`, its labels read; `rate_hz` overrides the rate of its layout.

    Raises UsageError where the layout is not known, or a clip has no labels.
    """
    if not path.is_dir():
        raise UsageError(f"{path}: no such folder; give the folder of a dataset.")
    for marks, read in _LAYOUTS:
        if all((path / mark).is_dir() for mark in marks):
            dataset = read(path, rate_hz)
            if not dataset.test:
                raise UsageError(f"{path}: its {dataset.layout} layout holds no test clip below {marks[-1]}/.")
            return dataset
    found = ", ".join(sorted(entry.name for entry in path.iterdir())[:6]) or "nothing"
    raise UsageError(f"{path}: holds {found}; known layouts are {KNOWN_LAYOUTS}.")


def _ped2(path: Path, rate_hz: float | None) -> Dataset:
    rate = rate_hz or 10.0
    test = [
        _labelled(clip, path / "test_labels" / f"{clip.name}.npy", path / "test_masks" / f"{clip.name}.npz", rate)
        for clip in _clips(path / "test")
    ]
    return Dataset(path.name, "Ped2", _places(path / "train", rate), tuple(test), rate)


def _ucsd(path: Path, rate_hz: float | None) -> Dataset:
    rate = rate_hz or 10.0
    clips = [clip for clip in _clips(path / "Test") if not clip.name.endswith("_gt")]
    masks = [clip.with_name(f"{clip.name}_gt") for clip in clips]
    test = [_labelled(clip, mask, mask, rate) for clip, mask in zip(clips, masks, strict=True) if mask.is_dir()]
    return Dataset(path.name, "UCSD", _places(path / "Train", rate), tuple(test), rate)


def _avenue(path: Path, rate_hz: float | None) -> Dataset:
    rate = rate_hz or 25.0
    folders = [path / "testing_label_mask", path / "ground_truth_demo" / "testing_label_mask"]
    labels = next((folder for folder in folders if folder.is_dir()), folders[0])
    masks = [labels / f"{int(clip.stem)}_label.mat" for clip in _numbered(path / "testing_videos")]
    clips = zip(_numbered(path / "testing_videos"), masks, strict=True)
    test = tuple(_labelled(clip, mask, mask, rate) for clip, mask in clips)
    return Dataset(path.name, "Avenue", _places(path / "training_videos", rate), test, rate)


def _shanghaitech(path: Path, rate_hz: float | None) -> Dataset:
    rate, testing = rate_hz or 24.0, path / "testing"
    test = [
        _labelled(
            clip,
            testing / "test_frame_mask" / f"{clip.name}.npy",
            testing / "test_pixel_mask" / f"{clip.name}.npy",
            rate,
        )
        for clip in _clips(testing / "frames")
    ]
    folders = [path / "training" / name for name in ("videos", "frames")]
    normal = next((folder for folder in folders if folder.is_dir()), None)
    return Dataset(path.name, "ShanghaiTech", _places(normal, rate) if normal else (), tuple(test), rate)


def _plain(path: Path, rate_hz: float | None) -> Dataset:
    normal = _places(path / "normal", rate_hz) if (path / "normal").is_dir() else ()
    clips = _clips(path / "test")
    whole = path / "test" / VIDEO_LABELS
    if whole.is_file():
        flags = _video_labels(whole)
        test = [LabelledClip(_place(clip, rate_hz), _flag(flags, clip, whole), None) for clip in clips]
        return Dataset(path.name, "video-level labels", normal, tuple(test), rate_hz)
    labelled = [_labelled(clip, _label_file(clip), None, rate_hz) for clip in clips]
    return Dataset(path.name, "plain folders", normal, tuple(labelled), rate_hz)


_Reader = Callable[[Path, "float | None"], Dataset]
_LAYOUTS: tuple[tuple[tuple[str, ...], _Reader], ...] = (
    (("train", "test", "test_labels"), _ped2),
    (("Train", "Test"), _ucsd),
    (("training_videos", "testing_videos"), _avenue),
    (("testing/test_frame_mask", "testing/frames"), _shanghaitech),
    (("test",), _plain),
)


def _labelled(clip: Path, labels: Path, masks: Path | None, rate_hz: float | None) -> LabelledClip:
    if not labels.exists():
        raise UsageError(f"{clip}: has no labels; they were expected at {labels}.")
    found = read_labels(labels)
    has_masks = masks is not None and masks.exists()
    return LabelledClip(_place(clip, rate_hz), bool(found.any()), found, masks if has_masks else None)


def _label_file(clip: Path) -> Path:
    stem = clip.name if clip.is_dir() else clip.stem
    candidates = [clip.with_name(stem + suffix) for suffix in LABEL_SUFFIXES]
    return next((path for path in candidates if path.is_file()), candidates[0])


def _video_labels(path: Path) -> dict[str, bool]:
    flags = {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); write it as UTF-8.") from error
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        words = re.fullmatch(r"\s*(\S.*?)[\s,]+([01])\s*", line)
        if words is None:
            raise UsageError(f"{path}:{number}: '{line}' is not understood; write a clip's name and 0 or 1.")
        flags[words[1]] = words[2] == "1"
    return flags


def _flag(flags: dict[str, bool], clip: Path, where: Path) -> bool:
    for name in (clip.name, clip.stem):
        if name in flags:
            return flags[name]
    raise UsageError(f"{where}: says nothing of {clip.name}; write a line '{clip.name} 0' or '{clip.name} 1'.")


def _clips(folder: Path) -> list[Path]:
    """Videos and folders of images right below a folder, in the order of their names."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    return [entry for entry in entries if entry.suffix.lower() in VIDEO_SUFFIXES or _holds_images(entry)]


def _numbered(folder: Path) -> list[Path]:
    return [clip for clip in _clips(folder) if clip.stem.isdigit()]


def _holds_images(entry: Path) -> bool:
    return entry.is_dir() and any(path.suffix.lower() in IMAGE_SUFFIXES for path in entry.iterdir())


def _places(folder: Path, rate_hz: float | None) -> tuple[Place, ...]:
    return tuple(_place(clip, rate_hz) for clip in _clips(folder))


def _place(clip: Path, rate_hz: float | None) -> Place:
    if clip.is_dir():
        return Place("images", str(clip), rate_hz=rate_hz)
    return Place("video", str(clip))
