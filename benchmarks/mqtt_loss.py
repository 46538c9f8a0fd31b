"""Kills and outages at length: the daemon killed 200 times, and a simulated day of 1,440 events with outages.

  python benchmarks/mqtt_loss.py kills [--count 200]
  python benchmarks/mqtt_loss.py day [--events 1440] [--outage-seconds 120]

Against a real Mosquitto on loopback, with Mosquitto's own subscriber as the consumer. Fails (exit 4) if one
message is neither held by the consumer nor named by a gap.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from machine import measured_on
from tqdm import tqdm

from edge.errors import GATE_FAILED
from edge.outbox import Outbox
from tests.brokers import Mosquitto, consumer, mosquitto
from tests.loss import Account, Daemon, account_of, kill_again_and_again, write_lively_config
from tests.publishing import TOPICS, event, publishing, settings_of

EVENTS_A_DAY, OUTAGES = 1440, 3
QUEUE = "allow_anonymous true\nmax_inflight_messages 100\n"


def main() -> int:
    """Run one measurement and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kills", "day"))
    parser.add_argument("--count", type=int, default=200, help="kills of the daemon (default: 200)")
    parser.add_argument("--events", type=int, default=EVENTS_A_DAY, help="of the day (default: 1440)")
    parser.add_argument("--outage-seconds", type=float, default=120.0, help="length of each outage (default: 120)")
    parser.add_argument("--seed", type=int, default=1)
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, mosquitto(Path(folder), QUEUE) as broker:
        began = time.monotonic()
        if parsed.what == "kills":
            account = kills(Path(folder), broker, parsed.count, random.Random(parsed.seed))
        else:
            account = day(Path(folder), broker, parsed.events, parsed.outage_seconds, random.Random(parsed.seed))
        return told(parsed.what, account, time.monotonic() - began)


def kills(folder: Path, broker: Mosquitto, count: int, chance: random.Random) -> Account:
    """Kill the whole daemon at random instants of the life of its events."""
    daemon = Daemon(write_lively_config(folder, broker.port))
    with consumer(broker, TOPICS.full("events"), folder) as lines, tqdm(total=count, desc="kills") as bar:
        return kill_again_and_again(
            daemon, broker, lines, count, chance, progress=lambda done: bar.update(done - bar.n) and None
        )


def day(folder: Path, broker: Mosquitto, count: int, outage_seconds: float, chance: random.Random) -> Account:
    """Publish the events of a day, a minute of it every 0.25 s, through three outages and ten short ones."""
    outages = {chance.randrange(60, count - 60): outage_seconds for _ in range(OUTAGES)}
    outages |= {chance.randrange(count): chance.uniform(0.1, 3.0) for _ in range(10)}
    put: list[tuple[str, int]] = []
    until = 0.0
    with (
        consumer(broker, TOPICS.full("events"), folder) as lines,
        publishing(folder, settings_of(broker)) as (publisher, outbox),
    ):
        for number in tqdm(range(count), desc="events"):
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
    print(f"{measured_on()}; {seconds:.0f} s\n")
    print(table(what, account))
    return GATE_FAILED if account.lost or account.never_ended else 0


def table(what: str, account: Account) -> str:
    """Return the account as a table."""
    columns = ("run", "starts", "messages put", "received", "of them a second time", "told as lost")
    columns += ("lost without a word", "events never ended")
    counts = (account.boots, account.put, account.received, account.duplicates, account.told_lost)
    counts += (len(account.lost), len(account.never_ended))
    return f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|\n| {what} | {' | '.join(map(str, counts))} |"


if __name__ == "__main__":
    sys.exit(main())
