"""Films for tests: lossless grey ones, H.264 that brightens, and folders of images, each as bright as its number."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def write_clip(path: Path, images: np.ndarray) -> Path:
    """Lossless video of grey images [T, H, W, 1] at 10 frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = images.shape[2], images.shape[1], "gray"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image[..., 0], format="gray")))
        container.mux(stream.encode())
    return path


def write_video(path: Path, count: int) -> Path:
    """A real H.264 file of 80×64 pixels, 30 frames a second, whose brightness rises with time."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height = 80, 64
        for number in range(count):
            image = np.full((64, 80, 3), 20 + 200 * number // count, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_images(folder: Path, count: int) -> Path:
    """A folder of PNG images 0.png, 1.png, …, whose brightness is their number."""
    folder.mkdir(parents=True)
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(np.full((64, 80, 3), number, np.uint8), format="rgb24")
        with av.open(str(folder / f"{number}.png"), "w", format="image2") as container:
            stream = container.add_stream("png", rate=1)
            stream.width, stream.height, stream.pix_fmt = 80, 64, "rgb24"
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return folder


def write_h264(path: Path, images: np.ndarray) -> Path:
    """H.264 of grey images [T, H, W, 1] at 10 a second, a key frame every second, next to without loss."""
    with av.open(str(path), "w") as container:
        options = {"g": "10", "keyint_min": "10", "sc_threshold": "0", "crf": "1"}
        stream = container.add_stream("libx264", rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = images.shape[2], images.shape[1], "yuvj420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image[..., 0], format="gray")))
        container.mux(stream.encode())
    return path
