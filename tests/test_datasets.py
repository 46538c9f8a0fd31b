"""Dataset layouts, on samples of them that are made here: none of these files comes from a published set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from calibration.datasets import read_dataset
from calibration.labels import read_labels, read_masks
from edge.errors import UsageError
from tests.films import write_clip
from tests.tiny import normal_images

FRAMES = 12
LABELS = np.array([0] * 6 + [1] * 4 + [0] * 2, np.uint8)


def write_images(folder: Path, images: NDArray[np.uint8], suffix: str = ".png") -> Path:
    """A folder of numbered images [T, H, W, 1]."""
    import cv2  # noqa: PLC0415 - a test's own recorder

    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number:03}{suffix}"), image)
    return folder


def masks_of(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """A square in every anomalous frame; bool [T, 32, 40]."""
    masks = np.zeros((len(labels), 32, 40), bool)
    masks[labels > 0, 8:16, 8:24] = True
    return masks


def save(path: Path, values: NDArray[np.generic]) -> None:
    """numpy.save, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


def ped2(root: Path) -> None:
    """Folders of images, labels and masks beside them."""
    write_images(root / "train" / "01", normal_images(FRAMES), ".jpg")
    write_images(root / "test" / "01", normal_images(FRAMES), ".jpg")
    save(root / "test_labels" / "01.npy", LABELS)
    (root / "test_masks").mkdir()
    np.savez(root / "test_masks" / "01.npz", mask=masks_of(LABELS))


def ucsd(root: Path) -> None:
    """As UCSD publishes it: TIFF, and folders of mask images; a clip without masks is not scored."""
    write_images(root / "Train" / "Train001", normal_images(FRAMES), ".tif")
    write_images(root / "Test" / "Test001", normal_images(FRAMES), ".tif")
    write_images(root / "Test" / "Test001_gt", 255 * masks_of(LABELS)[..., None].astype(np.uint8), ".bmp")
    write_images(root / "Test" / "Test002", normal_images(FRAMES), ".tif")


def avenue(root: Path) -> None:
    """Videos, and a MATLAB cell of masks for each."""
    for folder in ("training_videos", "testing_videos", "testing_label_mask"):
        (root / folder).mkdir(parents=True)
    write_clip(root / "training_videos" / "01.avi", normal_images(FRAMES))
    write_clip(root / "testing_videos" / "01.avi", normal_images(FRAMES))
    cells = np.empty((1, FRAMES), object)
    for number, mask in enumerate(masks_of(LABELS)):
        cells[0, number] = mask.astype(np.uint8)
    savemat(root / "testing_label_mask" / "1_label.mat", {"volLabel": cells})


def shanghaitech(root: Path) -> None:
    """Training videos, test frames, frame and pixel masks."""
    (root / "training" / "videos").mkdir(parents=True)
    write_clip(root / "training" / "videos" / "01_001.avi", normal_images(FRAMES))
    write_images(root / "testing" / "frames" / "01_0014", normal_images(FRAMES), ".jpg")
    save(root / "testing" / "test_frame_mask" / "01_0014.npy", LABELS)
    save(root / "testing" / "test_pixel_mask" / "01_0014.npy", masks_of(LABELS))


def plain(root: Path) -> None:
    """The user's own: a video with .npy labels, a folder of images with a text."""
    (root / "normal").mkdir(parents=True)
    (root / "test").mkdir()
    write_clip(root / "normal" / "monday.mkv", normal_images(FRAMES))
    write_clip(root / "test" / "a.mkv", normal_images(FRAMES))
    np.save(root / "test" / "a.labels.npy", LABELS)
    write_images(root / "test" / "b", normal_images(FRAMES))
    (root / "test" / "b.txt").write_text("\n".join(map(str, LABELS)))


LAYOUTS = {
    "Ped2": (ped2, 1, 10.0, True),
    "UCSD": (ucsd, 1, 10.0, True),
    "Avenue": (avenue, 1, 25.0, True),
    "ShanghaiTech": (shanghaitech, 1, 24.0, True),
    "plain folders": (plain, 2, None, False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_recognised_and_read(tmp_path: Path, layout: str) -> None:
    """Normal clips, test clips, the rate of the set, labels frame by frame, and masks that agree with them."""
    write, clips, rate_hz, has_masks = LAYOUTS[layout]
    write(tmp_path / "set")
    dataset = read_dataset(tmp_path / "set")
    assert (dataset.layout, dataset.rate_hz) == (layout, rate_hz)
    assert len(dataset.normal) == 1
    assert len(dataset.test) == clips
    for clip in dataset.test:
        assert clip.labels is not None
        assert clip.labels.tolist() == LABELS.tolist()
        assert clip.is_anomalous
        assert (clip.masks is not None) == has_masks
        if clip.masks is not None:
            assert read_masks(clip.masks).any(axis=(1, 2)).tolist() == (LABELS > 0).tolist()


def test_whole_videos_are_labelled_by_a_text(tmp_path: Path) -> None:
    """A line a clip, with or without its suffix; no labels of frames."""
    (tmp_path / "test").mkdir()
    for name in ("fight 1", "quiet"):
        write_clip(tmp_path / "test" / f"{name}.mkv", normal_images(FRAMES))
    (tmp_path / "test" / "video_labels.txt").write_text("fight 1.mkv 1\n\nquiet, 0\n")
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "video-level labels"
    assert [(clip.place.name, clip.is_anomalous, clip.labels) for clip in dataset.test] == [
        ("fight 1.mkv", True, None),
        ("quiet.mkv", False, None),
    ]


def test_the_rate_of_images_can_be_given(tmp_path: Path) -> None:
    """It stands in each place, for the river to pace by."""
    ped2(tmp_path / "set")
    assert read_dataset(tmp_path / "set", 5.0).test[0].place.rate_hz == 5.0


def test_masks_are_labels_too(tmp_path: Path) -> None:
    """A frame is anomalous where any of its pixels is."""
    save(tmp_path / "masks.npy", masks_of(LABELS))
    assert read_labels(tmp_path / "masks.npy").tolist() == LABELS.tolist()


def test_bad_layouts_are_one_clear_sentence(tmp_path: Path) -> None:
    """What was found and what was expected."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cats").mkdir()
    (tmp_path / "empty" / "test").mkdir(parents=True)
    for folder, message in (
        ("none", "none: no such folder; give the folder of a dataset."),
        ("photos", "photos: holds cats; known layouts are Ped2"),
        ("empty", "empty: its plain folders layout holds no test clip below test/."),
    ):
        with pytest.raises(UsageError) as refused:
            read_dataset(tmp_path / folder)
        assert message in str(refused.value)


BAD_LABELS = [
    ("a.labels.npy", np.array([0, 2]), "labels are one 0 (normal) or 1 (anomalous) per frame"),
    ("a.labels.npy", np.array([[0, 1]]), "holds int64 [1, 2]; labels are"),
    ("a.labels.npy", b"no array", "cannot be read"),
    ("a.labels.txt", b"0 1 maybe", "cannot be read"),
    ("video_labels.txt", b"a.mkv yes", "video_labels.txt:1: 'a.mkv yes' is not understood; write a clip's name and"),
    ("video_labels.txt", b"b.mkv 1", "says nothing of a.mkv; write a line 'a.mkv 0' or 'a.mkv 1'."),
    ("video_labels.txt", "a.mkv 1".encode("utf-16"), "video_labels.txt: cannot be read"),
    ("none", b"", "has no labels; they were expected at"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD_LABELS, ids=[row[2][:30] for row in BAD_LABELS])
def test_bad_labels_are_one_clear_sentence(tmp_path: Path, name: str, content: object, message: str) -> None:
    """File, finding and remedy."""
    (tmp_path / "test").mkdir()
    write_clip(tmp_path / "test" / "a.mkv", normal_images(FRAMES))
    path = tmp_path / "test" / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(UsageError) as refused:
        read_dataset(tmp_path)
    assert message in str(refused.value)


@pytest.mark.parametrize(("name", "content"), [("m.mat", b"no matlab"), ("m.npz", b"PK\3\4"), ("m.npy", b"")])
def test_bad_masks_are_one_clear_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    """No traceback of a library."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=name):
        read_masks(tmp_path / name)


@pytest.mark.parametrize("name", ["m.mat", "m.npz", "m.npy"])
def test_damaged_masks_are_read_or_refused(tmp_path: Path, name: str) -> None:
    """Cut short, or with another byte, in a file that is compressed where it can be; only our own error comes."""
    path, refused = tmp_path / name, 0
    masks = masks_of(LABELS)
    if name == "m.mat":
        cells = np.empty((1, FRAMES), object)
        cells[0] = [mask.astype(np.uint8) for mask in masks]
        savemat(path, {"volLabel": cells}, do_compression=True)
    else:
        np.savez_compressed(path, mask=masks) if name == "m.npz" else np.save(path, masks)
    whole = path.read_bytes()
    places = range(0, min(len(whole), 400), 5)
    turned = [whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :] for place in places]
    for content in [*turned, *(whole[:place] for place in places)]:
        path.write_bytes(content)
        try:
            read_masks(path)
        except UsageError:
            refused += 1
    assert refused
