"""How soon the camera is watched: after a start, a camera's death and stall, a broker's death, and a SIGKILL.

    python benchmarks/recovery.py [--repeat 5] [--skip-long]

The daemon as users run it, with the shipped network, before a real Mosquitto and a real RTSP server on loopback, which
sends normal work of the synthetic factory; told is what a subscriber sees. «Frames again» is the first state that is
not `blind`; five more frames are warm-up. --skip-long leaves out the camera that stays away for more than a minute. The
broker dies again before its connection has settled, so that the waits between attempts grow from time to time, as
before a broker that comes and goes. Nothing restarts the daemon but this script, at once; systemd adds its own delay.
Exits with 4 where the largest of a row is beyond its target, or the daemon's memory is.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest
from figures import MOST_MEMORY_MB, RECOVERIES
from latency import filmed
from machine import measured_on
from tqdm import tqdm

from edge.errors import GATE_FAILED
from edge.mqtt import BrokerSettings, Received, Subscriber
from edge.shipped import BUNDLE
from tests.brokers import Mosquitto, mosquitto
from tests.daemons import start
from tests.rtsp_cameras import RtspServer

TOPIC = "prednet/v1/bench/edge1"
FILM_SECONDS = 240.0  # more than lies between two starts of the camera
LONG_AWAY_SECONDS, SHORT_AWAY_SECONDS, PATIENCE_SECONDS = 65.0, 5.0, 120.0
USED_SECONDS = 15.0
SEEN = ("warming_up", "watching", "degraded")
Times = dict[str, list[float]]


@dataclass
class Scene:
    """A daemon with one camera before a broker, and what a subscriber heard of its state, each with its moment."""

    config: Path
    broker: Mosquitto
    camera: RtspServer
    film: Path
    daemon: subprocess.Popen[str] | None = None
    times: Times = field(default_factory=dict)
    used: tuple[float, float] = (0.0, 0.0)

    def start(self) -> float:
        """Start the daemon and return the moment."""
        began = time.monotonic()
        self.daemon = start(self.config)
        return began

    def end(self, number: signal.Signals) -> None:
        """End the daemon by a signal, and wait for it."""
        if self.daemon is not None:
            self.daemon.send_signal(number)
            self.daemon.communicate()
            self.daemon = None

    @contextmanager
    def heard(self) -> Iterator[Subscriber]:
        """Listen to the camera's states and scores."""
        settings = BrokerSettings("127.0.0.1", self.broker.port, client_id="recovery")
        with Subscriber(settings, f"{TOPIC}/cam/+/state", f"{TOPIC}/cam/+/score") as subscriber:
            yield subscriber

    def note(self, what: str, began: float, subscriber: Subscriber, good: Callable[[Received], bool]) -> Received:
        """Return the message that was waited for, and note how long after `began` it came."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            for message in subscriber.messages(0.5):
                if not message.retained and good(message):
                    self.times.setdefault(what, []).append(time.monotonic() - began)
                    return message
        raise SystemExit(f"{what}: nothing of it was heard in {PATIENCE_SECONDS:g} s")


def told_state(*states: str) -> Callable[[Received], bool]:
    """Return whether a message tells one of these states of the camera."""

    def good(message: Received) -> bool:
        return message.topic.endswith("/state") and message.payload.decode() in states

    return good


def starts(scene: Scene, is_first: bool) -> None:
    """Start the daemon on an empty state directory, or on what is there, and end it as systemd does."""
    name = "first start to watching" if is_first else "later start to watching"
    with scene.heard() as subscriber:
        scene.note(name, scene.start(), subscriber, told_state("watching"))
    scene.end(signal.SIGTERM)


def killed_daemon(scene: Scene, subscriber: Subscriber) -> None:
    """Kill the daemon and start it at once."""
    forget(subscriber)
    began = time.monotonic()
    scene.end(signal.SIGKILL)
    scene.start()
    scene.note("daemon killed and started at once: watching", began, subscriber, told_state("watching"))


def killed_camera(scene: Scene, subscriber: Subscriber, away_seconds: float) -> None:
    """Kill the camera, and bring it back after some seconds."""
    is_long = away_seconds > LONG_AWAY_SECONDS - 5.0
    forget(subscriber)
    began = time.monotonic()
    scene.camera.kill()
    scene.note("killed camera noticed", began, subscriber, told_state("blind"))
    time.sleep(max(began + away_seconds - time.monotonic(), 0.0))
    scene.camera.start(str(scene.film))
    how_long = "after more than a minute" if is_long else "within a minute"
    back = time.monotonic()
    first = scene.note(f"camera back {how_long}: frames again", back, subscriber, told_state(*SEEN))
    settle(first, subscriber)


def stalled_camera(scene: Scene, subscriber: Subscriber) -> None:
    """Halt the camera without a word, and let it go on."""
    forget(subscriber)
    began = time.monotonic()
    scene.camera.send(signal.SIGSTOP)
    scene.note("stalled camera noticed", began, subscriber, told_state("blind"))
    time.sleep(SHORT_AWAY_SECONDS)
    scene.camera.send(signal.SIGCONT)
    back = time.monotonic()
    first = scene.note("stalled camera goes on: frames again", back, subscriber, told_state(*SEEN))
    settle(first, subscriber)


def killed_broker(scene: Scene) -> None:
    """Kill the broker for some seconds, and wait for the first score after its return."""
    scene.broker.kill()
    time.sleep(SHORT_AWAY_SECONDS)
    scene.broker.start()
    back = time.monotonic()
    with scene.heard() as subscriber:
        scene.note("broker back: live messages again", back, subscriber, lambda one: one.topic.endswith("/score"))


def forget(subscriber: Subscriber) -> None:
    """Take what came before the fault, so that it is not taken for what follows it."""
    for _ in subscriber.messages(0.0):
        pass


def settle(first: Received | None, subscriber: Subscriber) -> None:
    """Wait until the camera is watched, so that the next fault finds it so; `first` is what told that frames came."""
    until = time.monotonic() + PATIENCE_SECONDS
    is_watched = told_state("watching")
    done = first is not None and is_watched(first)
    while not done and time.monotonic() < until:
        done = any(is_watched(message) for message in subscriber.messages(0.5))


def measured(scene: Scene, repeat: int, aways: list[float]) -> Times:
    """Make every fault so many times, and return the seconds of each."""
    with tqdm(total=repeat * (5 + len(aways)), unit="fault", disable=None) as bar:
        for _ in range(repeat):
            shutil.rmtree(scene.config.parent / "state", ignore_errors=True)
            starts(scene, is_first=True)
            bar.update()
            starts(scene, is_first=False)
            bar.update()
        with scene.heard() as subscriber:
            scene.start()
            settle(None, subscriber)
            scene.used = used_by(scene.daemon, USED_SECONDS)
            for _ in range(repeat):
                killed_daemon(scene, subscriber)
                stalled_camera(scene, subscriber)
                for away in aways:
                    killed_camera(scene, subscriber, away)
                bar.update(2 + len(aways))
        for _ in range(repeat):
            killed_broker(scene)
            bar.update()
    return scene.times


def used_by(daemon: subprocess.Popen[str] | None, seconds: float) -> tuple[float, float]:
    """Return the resident megabytes of the daemon with its children, and its share of one core over some seconds."""
    if daemon is None:
        raise SystemExit("the daemon does not run")
    main = psutil.Process(daemon.pid)
    before, began = processor_seconds(main), time.monotonic()
    time.sleep(seconds)
    share = (processor_seconds(main) - before) / (time.monotonic() - began)
    return sum(one.memory_info().rss for one in family(main)) / 1e6, share


def family(main: psutil.Process) -> list[psutil.Process]:
    """Return a process and its children."""
    return [main, *main.children(recursive=True)]


def processor_seconds(main: psutil.Process) -> float:
    """Return the processor time that a process and its children have used."""
    return sum(sum(one.cpu_times()[:2]) for one in family(main))


def used_table(used: tuple[float, float]) -> str:
    """Return what the daemon takes of the machine, as a table."""
    head = "| daemon | memory MB | target MB | processor, of one core |\n|---|---|---|---|"
    return f"{head}\n| one RTSP camera, watched | {used[0]:.0f} | {MOST_MEMORY_MB:g} | {100 * used[1]:.0f} % |"


def table(times: Times) -> str:
    """Return the rows of all that was measured, with their targets."""
    lines = ["| what | times | median s | largest s | target s |", "|---|---|---|---|---|"]
    for what, target in RECOVERIES.items():
        if what in times:
            median, largest = np.median(times[what]), max(times[what])
            bound = "–" if target is None else f"{target:g}"
            lines.append(f"| {what} | {len(times[what])} | {median:.1f} | {largest:.1f} | {bound} |")
    return "\n".join(lines)


def has_missed(times: Times, memory_mb: float) -> bool:
    """Return whether a target was missed: of a time, or of the daemon's memory."""
    is_late = any(max(found) > (RECOVERIES[what] or np.inf) for what, found in times.items())
    return is_late or memory_mb > MOST_MEMORY_MB


def configured(folder: Path, camera: RtspServer, broker: Mosquitto) -> Path:
    """Write the configuration of one camera."""
    path = folder / "config.yaml"
    path.write_text(
        f"site: bench\ndevice: edge1\nbundle: {BUNDLE}\nstate_directory: state\nmqtt: {{port: {broker.port}}}\n"
        f"cameras: {{cam: {{source: '{camera.url}'}}}}\n",
        encoding="utf-8",
    )
    return path


def main() -> int:
    """Measure, print the table, and return 4 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="of each fault (default: 5)")
    parser.add_argument("--skip-long", action="store_true", help="without a camera away for more than a minute")
    parsed = parser.parse_args()
    print(f"{measured_on()}\n", flush=True)
    camera = RtspServer()
    aways = [SHORT_AWAY_SECONDS] if parsed.skip_long else [SHORT_AWAY_SECONDS, LONG_AWAY_SECONDS]
    try:
        with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as broker:
            film = filmed(Path(name) / "film", FILM_SECONDS)
            camera.start(str(film))
            scene = Scene(configured(Path(name), camera, broker), broker, camera, film)
            try:
                times = measured(scene, parsed.repeat, aways)
            finally:
                scene.end(signal.SIGKILL)
    except pytest.skip.Exception as reason:
        print(f"skipped: {reason}")
        return 0
    finally:
        camera.kill()
    print(f"{table(times)}\n\n{used_table(scene.used)}")
    return GATE_FAILED if has_missed(times, scene.used[0]) else 0


if __name__ == "__main__":
    sys.exit(main())
