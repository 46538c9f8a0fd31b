"""The browsers of page.py: they ask what page.js asks in every second turn, and print how long answers took."""

from __future__ import annotations

import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple

TURN_SECONDS = 15.0
LIVE_SECONDS, PICTURE_SECONDS, SLIDER_SECONDS = 0.5, 0.2, 2.0


class Look(NamedTuple):
    """What the browsers are told: where the page is, how many they are, and when they look."""

    port: int
    token: str
    cameras: list[str]
    count: int
    began: float
    seconds: float


def browse(look: Look) -> None:
    """Look at the page in every second turn, and print how long each kind of answer took, in milliseconds."""
    waits: dict[str, list[float]] = {"live": [], "picture": [], "slider": []}
    numbers = dict.fromkeys(["live", *look.cameras], 0)
    chance = random.Random(2)

    def asked(path: str) -> tuple[bytes, str | None]:
        connection = http.client.HTTPConnection("127.0.0.1", look.port, timeout=30)
        connection.request("GET", path, headers={"Authorization": f"Bearer {look.token}"})
        answer = connection.getresponse()
        found = answer.read(), answer.headers["X-Frame-Number"]
        connection.close()
        return found

    def live() -> None:
        numbers["live"] = json.loads(asked(f"/api/live?after={numbers['live']}")[0])["number"]

    def picture(camera: str) -> None:
        _, number = asked(f"/api/cameras/{camera}/live.jpg?after={numbers[camera]}")
        numbers[camera] = int(number or numbers[camera])

    def slider() -> None:
        where = f"/api/cameras/{look.cameras[0]}/limit"
        bounds = json.loads(asked(where)[0])
        asked(f"{where}?on={chance.uniform(bounds['low'], bounds['high']):.4f}")

    tasks: list[tuple[str, float, Callable[[], None]]] = [
        ("live", LIVE_SECONDS, live),
        ("slider", SLIDER_SECONDS, slider),
    ]
    tasks += [("picture", PICTURE_SECONDS, partial(picture, camera)) for camera in look.cameras]
    threads = [
        threading.Thread(target=again, args=(look, waits[name], pause, task))
        for _ in range(look.count)
        for name, pause, task in tasks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(waits))


def again(look: Look, waits: list[float], pause: float, task: Callable[[], None]) -> None:
    """Ask again and again while the page is open."""
    while (since := time.time() - look.began) < look.seconds:
        if since < 0 or int(since // TURN_SECONDS) % 2 == 0:
            time.sleep(0.05)
            continue
        asked = time.monotonic()
        with suppress(OSError):
            task()
            waits.append(1000 * (time.monotonic() - asked))
        time.sleep(pause)


if __name__ == "__main__":
    browse(Look(**json.loads(sys.argv[1])))
