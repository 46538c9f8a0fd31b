"""Hours of the whole daemon with eight synthetic cameras: what grows, leaks or drifts.

    python benchmarks/soak.py [--hours 1] [--cameras 8] [--rate 2] [--out soak-out]

The daemon as users run it, with the shipped network, before a real Mosquitto. What it watches is drawn as it goes:
half of the cameras show endless normal work, the others days of 300 s with accidents, after which they are lost and
opened again; so events, evidence, its budget and reopening all happen all the time. Every quarter of an hour the
broker is killed for a minute. Frames come at --rate a second (2 keep it within a third of one core for eight cameras):
the shipped bundle is written anew for that rate, and what is normal is learned at that rate first.

Printed at the end, for each tenth of the time: resident and private memory, file descriptors, threads, children,
latency from a frame to its score, outbox, disk, frames dropped, processor; then the slope of memory in the second half
with its 95 % interval, and whether a consumer holds every message. All readings are in `readings.csv` of --out. Exits
with 4 where a message is missing, descriptors or threads rose, latency doubled, or memory surely grows by more than
1 MB a day.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

import numpy as np
import psutil
from machine import ROOT, measured_on
from tqdm import tqdm

from edge.errors import GATE_FAILED
from edge.shipped import BUNDLE
from tests.brokers import Mosquitto, consumer, mosquitto
from tests.loss import account_of

READING_SECONDS = 15.0
OUTAGE_EVERY_SECONDS, OUTAGE_SECONDS = 900.0, 60.0
DAY_SECONDS = 300.0
NORMAL_SECONDS = 900.0
# The first half is warming up: libraries load, buffers, caches and the last thousand messages fill.
TENTHS, BLOCKS = 10, 12
TOPIC = "prednet/v1/soak/edge1"
MOST_MB_A_DAY = 1.0
# Twelve stretches of the second half with two readings each, and the minute before the first.
LEAST_HOURS = 0.25


@dataclass(frozen=True)
class Reading:
    """The daemon at one moment; bytes, seconds, milliseconds; latency is the mean of the cameras'."""

    seconds: float
    resident: int
    private: int
    descriptors: int
    threads: int
    children: int
    processor_seconds: float
    latency_ms: float
    outbox: int
    disk: int
    dropped: int


def main() -> int:
    """Soak, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--rate", type=float, default=2.0, help="frames a second of each camera (default: 2)")
    parser.add_argument(
        "--out", type=Path, default=Path("soak-out"), help="readings, log and state (default: soak-out)"
    )
    parsed = parser.parse_args()
    if parsed.hours < LEAST_HOURS:
        parser.error(f"--hours {parsed.hours:g}: below {LEAST_HOURS:g} there are too few readings for a slope")
    parsed.out.mkdir(parents=True)
    print(f"{measured_on()}; "
          f"{parsed.cameras} cameras at {parsed.rate:g} frames a second, {parsed.hours:g} h", flush=True)  # fmt: skip
    with mosquitto(parsed.out.resolve()) as broker:
        config = configuration(parsed.out, parsed.cameras, parsed.rate, broker.port)
        readings, messages = soaked(config, broker, parsed.hours * 3600.0)
    return told(readings, messages)


def configuration(folder: Path, cameras: int, rate_hz: float, port: int) -> Path:
    """Write the slow bundle, what is normal at its rate, and a configuration with so many cameras."""
    write_slow_bundle(folder / "slow.prednet", rate_hz)
    command = [*program("calibration"), "site", f"test://factory?seed=900&seconds={NORMAL_SECONDS:g}"]
    command += ["--bundle", str(folder / "slow.prednet"), "--camera", "c0", "-o", str(folder / "soak.normal")]
    subprocess.run([*command, "--false-per-day", "240"], check=True, env=environment(), stdout=subprocess.DEVNULL)
    normal, busy = (
        "test://factory?seed={}",
        "test://factory?seed={}&accidents=all&spacing=15&seconds=" + f"{DAY_SECONDS:g}",
    )
    sources = {
        f"c{number}": {"source": (busy if number % 2 else normal).format(number), "normal": "soak.normal"}
        | ({"loop": True} if number % 2 else {})
        for number in range(cameras)
    }
    whole = {"site": "soak", "device": "edge1", "bundle": "slow.prednet", "state_directory": "state", "threads": 1,
             "cameras": sources, "mqtt": {"port": port}, "evidence": {"megabytes": 20}}  # fmt: skip
    path = folder / "config.yaml"
    path.write_text(json.dumps(whole))  # JSON is YAML
    return path


def write_slow_bundle(path: Path, rate_hz: float) -> None:
    """Write the shipped bundle as one for another rate; its own normality is not used then."""
    with zipfile.ZipFile(BUNDLE) as whole, zipfile.ZipFile(path, "w") as slow:
        for name in whole.namelist():
            data = whole.read(name)
            if name == "manifest.json":
                manifest = json.loads(data)
                manifest["frame"]["rate_hz"] = rate_hz
                data = json.dumps(manifest).encode()
            slow.writestr(name, data)


def program(room: str) -> list[str]:
    """Return the words that start a room's program from this tree."""
    return [sys.executable, "-c", f"import sys; from {room}.cli import main; sys.exit(main(sys.argv[1:]))"]


def environment() -> dict[str, str]:
    """Return the environment of the daemon: this tree, one thread a library."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def soaked(config: Path, broker: Mosquitto, seconds: float) -> tuple[list[Reading], list[dict[str, object]]]:
    """Run the daemon for so long; return what was read and every event message that the consumer holds."""
    folder = config.parent
    command = [*program("edge"), "run", "--config", str(config)]
    with (
        consumer(broker, f"{TOPIC}/events", folder, name="events") as events,
        consumer(broker, f"{TOPIC}/health", folder, name="health") as health,
        (folder / "daemon.log").open("ab") as log,
    ):
        process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log)
        try:
            readings = list(kept(read_until(process, broker, health, folder / "state", seconds), folder, seconds))
        finally:
            process.terminate()
            code = process.wait(30.0)
        time.sleep(5.0)  # what was in flight reaches the consumer
        if code != 0:
            raise RuntimeError(f"the daemon ended with {code}; see {folder / 'daemon.log'}")
        return readings, [json.loads(line) for line in events()]


def read_until(
    process: subprocess.Popen[bytes], broker: Mosquitto, health: Callable[[], list[str]], state: Path, seconds: float
) -> Iterator[Reading]:
    """Yield a reading every READING_SECONDS, and kill the broker for a minute every now and then."""
    watched, began, is_away = psutil.Process(process.pid), time.monotonic(), False
    while (now := time.monotonic() - began) < seconds:
        if process.poll() is not None:
            raise RuntimeError(f"the daemon ended with {process.returncode} after {now:.0f} s")
        is_time = now > OUTAGE_EVERY_SECONDS / 2 and (now % OUTAGE_EVERY_SECONDS) < OUTAGE_SECONDS
        should_be_away = is_time and now < seconds - OUTAGE_SECONDS  # what waits has time to reach the consumer
        if should_be_away != is_away:
            (broker.kill if should_be_away else broker.start)()
            is_away = should_be_away
        if len(lines := health()) > 1:  # the first was said before the first frame
            yield reading(watched, now, json.loads(lines[-1]), state)
        time.sleep(READING_SECONDS)


def reading(process: psutil.Process, now: float, health: dict[str, dict[str, object]], state: Path) -> Reading:
    """Return the daemon's state now."""
    memory, cpu = process.memory_full_info(), process.cpu_times()
    latencies = [camera["latency_ms"] for camera in health["cameras"].values() if "latency_ms" in camera]  # type: ignore[operator,index]
    return Reading(
        seconds=now,
        resident=memory.rss,
        private=memory.uss,
        descriptors=process.num_fds(),
        threads=process.num_threads(),
        children=len(process.children(recursive=True)),
        processor_seconds=cpu.user + cpu.system,
        latency_ms=float(np.mean(latencies)) if latencies else float("nan"),
        outbox=int(health["outbox"]["depth"]),  # type: ignore[call-overload]
        disk=sum(path.stat().st_size for path in list(state.rglob("*")) if path.is_file()),
        dropped=sum(health["drops"][camera] for camera in health["cameras"]),  # type: ignore[misc]
    )


def kept(readings: Iterator[Reading], folder: Path, seconds: float) -> Iterator[Reading]:
    """Yield the readings, write each down, and show how far it is."""
    with (folder / "readings.csv").open("w", newline="") as file, tqdm(total=round(seconds), unit="s") as bar:
        rows = csv.writer(file)
        rows.writerow(field.name for field in fields(Reading))
        for one in readings:
            rows.writerow(astuple(one))
            file.flush()
            bar.update(round(one.seconds) - bar.n)
            bar.set_postfix(MB=one.resident // 1_000_000, fds=one.descriptors, threads=one.threads)
            yield one


def slope(seconds: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Return the slope a second and half the width of its 95 % interval, from the medians of BLOCKS stretches.

    Readings that follow each other are alike, so that their scatter says little; that of the stretches counts.
    """
    parts = [part for part in np.array_split(np.arange(len(values)), BLOCKS) if len(part)]
    times, levels = (np.array([np.median(of[part]) for part in parts]) for of in (seconds, values))
    centred = times - times.mean()
    found = float(centred @ levels / (centred @ centred))
    rest = levels - levels.mean() - found * centred
    return found, 2.228 * float(np.sqrt(rest @ rest / (len(parts) - 2) / (centred @ centred)))  # t, 10 degrees


def told(readings: list[Reading], messages: list[dict[str, object]]) -> int:
    """Print the table and the verdict; return the exit code."""
    every = {name: np.array([asdict(one)[name] for one in readings], float) for name in asdict(readings[0])}
    tenths = np.array_split(np.arange(len(readings)), TENTHS)
    print("| minutes | resident MB | private MB | descriptors | threads | children "
          "| latency ms | outbox | disk MB | dropped | cores |\n" + "|---" * 11 + "|")  # fmt: skip
    for tenth in tenths:
        middle, first, last = {name: np.median(of[tenth]) for name, of in every.items()}, tenth[0], tenth[-1]
        span = [max(first - 1, 0), max(last, 1)]
        cores = np.diff(every["processor_seconds"][span]) / np.diff(every["seconds"][span])
        latency, outbox = np.nanmedian(every["latency_ms"][tenth]), every["outbox"][tenth].max()
        numbers = [every["seconds"][first] / 60, every["seconds"][last] / 60, middle["resident"] / 1e6]
        numbers += [middle["private"] / 1e6, middle["descriptors"], middle["threads"], middle["children"]]
        numbers += [latency, outbox, middle["disk"] / 1e6, every["dropped"][last], cores[0]]
        digits = (0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 2)
        cells = [f"{number:.{places}f}" for number, places in zip(numbers[1:], digits, strict=True)]
        print(f"| {numbers[0]:.0f}–{' | '.join(cells)} |")
    account = account_of([], messages)  # type: ignore[arg-type]
    warm = np.concatenate(tenths[TENTHS // 2 :])
    growth, margin = (86400.0 / 1e6 * one for one in slope(every["seconds"][warm], every["private"][warm]))
    print(f"memory (private) {growth:+.1f} ± {margin:.1f} MB a day in the second half; "
          f"{account.received} messages, {account.duplicates} a second time, {len(account.lost)} lost, "
          f"{len(account.never_ended)} events never ended")  # fmt: skip
    second, last = tenths[1], tenths[-1]
    faults = {
        "messages are missing": bool(account.lost or account.never_ended),
        "memory grows": growth - margin > MOST_MB_A_DAY,
        "latency doubled": np.nanmedian(every["latency_ms"][last]) > 2.0 * np.nanmedian(every["latency_ms"][second]),
    } | {
        f"{name} rose": np.median(every[name][last]) > np.median(every[name][second])
        for name in ("descriptors", "threads")
    }
    print("; ".join(name for name, is_so in faults.items() if is_so) or "nothing grows")
    return GATE_FAILED if any(faults.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
