"""Kills and outages at length: the daemon killed 200 times, and a simulated day of 1,440 events with outages.

  python benchmarks/mqtt_loss.py kills [--count 200]
  python benchmarks/mqtt_loss.py day [--outage-seconds 120]

Against a real Mosquitto on loopback, with Mosquitto's own subscriber as the consumer. Fails (exit 4) if one
message is neither held by the consumer nor named by a gap.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from edge.outbox import Outbox  # noqa: E402 - the tests are beside the package, not in it
from tests.brokers import Mosquitto, consumer, mosquitto  # noqa: E402
from tests.loss import Account, Daemon, account_of, kill_again_and_again, write_lively_config  # noqa: E402
from tests.publishing import TOPICS, event, publishing, settings_of  # noqa: E402

EVENTS_A_DAY = 1440
QUEUE = "allow_anonymous true\nmax_inflight_messages 100\n"


def main() -> int:
    """Run one measurement and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kills", "day"))
    parser.add_argument("--count", type=int, default=200, help="kills of the daemon (default: 200)")
    parser.add_argument("--outage-seconds", type=float, default=120.0, help="length of each outage (default: 120)")
    parser.add_argument("--seed", type=int, default=1)
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, mosquitto(Path(folder), QUEUE) as broker:
        began = time.monotonic()
        if parsed.what == "kills":
            account = kills(Path(folder), broker, parsed.count, random.Random(parsed.seed))
        else:
            account = day(Path(folder), broker, parsed.outage_seconds, random.Random(parsed.seed))
        return told(parsed.what, account, time.monotonic() - began)


def kills(folder: Path, broker: Mosquitto, count: int, chance: random.Random) -> Account:
    """Kill the whole daemon at random instants of the life of its events."""
    daemon = Daemon(write_lively_config(folder, broker.port))
    with consumer(broker, TOPICS.full("events"), folder) as lines, tqdm(total=count, desc="kills") as bar:
        return kill_again_and_again(
            daemon, broker, lines, count, chance, progress=lambda done: bar.update(done - bar.n) and None
        )


def day(folder: Path, broker: Mosquitto, outage_seconds: float, chance: random.Random) -> Account:
    """Publish the events of a day, a minute of it every 0.25 s, through three outages and ten short ones."""
    outages = {chance.randrange(60, EVENTS_A_DAY - 60): outage_seconds for _ in range(3)}
    outages |= {chance.randrange(EVENTS_A_DAY): chance.uniform(0.1, 3.0) for _ in range(10)}
    put: list[tuple[str, int]] = []
    until = 0.0
    with (
        consumer(broker, TOPICS.full("events"), folder) as lines,
        publishing(folder, settings_of(broker)) as (publisher, outbox),
    ):
        for number in tqdm(range(EVENTS_A_DAY), desc="events"):
            if number in outages and time.monotonic() > until:
                broker.kill()
                until = time.monotonic() + outages[number]
            if 0.0 < until < time.monotonic():
                broker.start()
                until = 0.0
            stored = publisher.publish_event(event(number))
            put.append((stored.boot_id, stored.seq))
            time.sleep(0.25)
        if until:
            time.sleep(max(until - time.monotonic(), 0.0))
            broker.start()
        drain(outbox)
        time.sleep(2.0)
        return account_of(put, [json.loads(line) | {"type": "other"} for line in lines()])


def drain(outbox: Outbox) -> None:
    """Wait until the outbox is empty, four minutes at most."""
    deadline = time.monotonic() + 240.0
    with tqdm(desc="draining", total=outbox.depth().messages) as bar:
        left = outbox.depth().messages
        while left and time.monotonic() < deadline:
            time.sleep(0.5)
            before, left = left, outbox.depth().messages
            bar.update(before - left)


def told(what: str, account: Account, seconds: float) -> int:
    """Print what came out, with machine and commit; return the exit code."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    print(f"{what}: {account.put} messages put in {account.boots} starts, {seconds:.0f} s")
    print(f"  received {account.received}, of them {account.duplicates} a second time; told lost {account.told_lost}")
    print(f"  lost without a word {len(account.lost)}; events never ended {len(account.never_ended)}")
    print(f"  {platform.platform()}, {platform.processor() or platform.machine()}, commit {commit.stdout.strip()}")
    return 4 if account.lost or account.never_ended else 0


if __name__ == "__main__":
    sys.exit(main())
