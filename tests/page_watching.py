"""A real daemon with its page, and a real browser before it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page, expect, sync_playwright

from edge.detection import Rules
from edge.ring import FOLDER, SCORES, write_scores
from tests.brokers import Mosquitto, mosquitto
from tests.daemons import start
from tests.films import write_h264
from tests.http_camera import http_camera
from tests.page_serving import wait_for_place
from tests.ringing import segment_of
from tests.tiny import normal_images, with_accident, write_tiny_bundle

# As root in a container; nothing but the page is looked for, and no name is looked up.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
WAIT_MILLISECONDS = 40_000


@dataclass(frozen=True)
class Watched:
    """A daemon with its page: `stalled` stops the camera `gate` without a word."""

    port: int
    token: str
    state: Path
    broker: Mosquitto
    stalled: threading.Event

    @property
    def link(self) -> str:
        """What `prednet-edge page` prints."""
        return f"http://127.0.0.1:{self.port}/#token={self.token}"


@contextmanager
def watching(folder: Path) -> Iterator[Watched]:
    """A daemon on a file with an accident, again and again, and on an HTTP camera that can be stopped."""
    stalled = threading.Event()
    normal = np.repeat(normal_images(60, seed=6), 3, axis=3)
    write_tiny_bundle(folder / "tiny.prednet")
    write_h264(folder / "busy.mp4", with_accident(normal_images(80, seed=5), 30, 50))
    with mosquitto(folder) as broker, http_camera(list(normal), 10.0, stalled=stalled) as address:
        lay_down_scores(folder / "state", "gate")  # where nothing else happens
        config = folder / "config.yaml"
        config.write_text(
            f"site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\nthreads: 1\n"
            f"ring: {{free_megabytes: 0}}\nevidence: {{pre_roll_seconds: 1, post_roll_seconds: 0.5, free_megabytes: 0}}\n"
            f"cameras:\n  busy: {{source: busy.mp4, loop: true}}\n  gate: {{source: '{address}', capture: pyav}}\n"
            f"mqtt: {{port: {broker.port}}}\ndetection: {{hold_seconds: 0.5}}\n"
        )
        daemon = start(config)
        try:
            state = folder / "state"
            place = wait_for_place(state, lambda: daemon.poll() is None)
            token = (state / "page.token").read_text().strip()
            yield Watched(place.port, token, state, broker, stalled)
        finally:
            daemon.terminate()
            _, errors = daemon.communicate(timeout=20)
        assert token not in errors, "the token stands in no log"


def lay_down_scores(state: Path, camera: str) -> None:
    """Three hours of recorded scores: every other minute holds two seconds of a level from 1 on, ever higher."""
    folder, begun = state / FOLDER / camera, time.time() - 4 * 3600.0
    folder.mkdir(parents=True)
    for minute in range(180):
        levels = np.full(600, 0.5)
        levels[300:320] = 1.0 + 0.1 * minute * (minute % 2)
        offset = {"wall_offset_seconds": begun, "rules": Rules(hold_seconds=0.5)}
        segment = segment_of(list(levels), start=60.0 * minute, **offset)
        write_scores(folder / f"{round((begun + 60.0 * minute) * 1000)}{SCORES}", segment.facts, segment.rows)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, device: Watched) -> Iterator[Page]:
    """The page, opened by its link; at the end it has asked nothing of anybody else, and no script has failed."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    one = context.new_page()
    one.set_default_timeout(WAIT_MILLISECONDS)
    expect.set_options(timeout=WAIT_MILLISECONDS)
    asked: list[str] = []
    failed: list[str] = []
    one.on("request", lambda request: asked.append(request.url))
    one.on("pageerror", lambda error: failed.append(str(error)))
    one.on("console", lambda told: failed.append(told.text) if told.type == "error" else None)
    one.goto(device.link)
    one.wait_for_selector("[data-camera=busy][data-frame]")
    yield one
    context.close()
    own = (f"http://127.0.0.1:{device.port}/", f"blob:http://127.0.0.1:{device.port}/")
    assert [url for url in asked if not url.startswith(own)] == []
    made_by_tests = (
        "ERR_INTERNET_DISCONNECTED",
        "401 (UNAUTHORIZED)",
    )  # the network taken away; asked after signing out
    assert [told for told in failed if not any(one in told for one in made_by_tests)] == []


def wait_until(page: Page, expression: str) -> None:
    """Wait until JavaScript is true on the page, whose policy lets no text be run within it."""
    deadline = time.monotonic() + WAIT_MILLISECONDS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)
