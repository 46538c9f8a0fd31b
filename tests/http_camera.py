"""A real HTTP camera for tests: JPEGs one after the other, as IP cameras serve them, at a rate of its own."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import numpy as np

from edge.frames import Image


def jpeg(image: Image) -> bytes:
    """Return a colour image as a JPEG."""
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width = image.shape[:2]
    encoder.pix_fmt, encoder.options, encoder.time_base = "yuvj420p", {"qscale": "2"}, 1
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


@contextmanager
def http_camera(
    images: Sequence[Image], rate_hz: float, login: str = "", stalled: threading.Event | None = None
) -> Iterator[str]:
    """Serve the images round and round at /video.mjpg, to who knows the login `user:password`; yield the address.

    While it is `stalled`, connections stay open and nothing comes.
    """
    pictures = [jpeg(image) for image in images]
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if login and self.headers.get("Authorization") != "Basic " + base64.b64encode(login.encode()).decode():
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            began, count = time.monotonic(), 0
            while not stopping.wait(max(began + count / rate_hz - time.monotonic(), 0.0)):
                while stalled is not None and stalled.is_set() and not stopping.wait(0.02):
                    began = time.monotonic() - count / rate_hz
                picture = pictures[count % len(pictures)]
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + picture + b"\r\n")
                except OSError:  # the client has gone
                    return
                count += 1

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/video.mjpg"
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()
