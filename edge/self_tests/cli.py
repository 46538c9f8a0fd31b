"""The command `prednet-edge self-test`: asks the running daemon, and looks whether its test events arrive."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec
from tqdm import tqdm

from edge.command import Parser
from edge.errors import GATE_FAILED, OK

SELF_TEST_HELP = """Prove that an anomaly would be told: a known one goes through a copy of the live stream.

  prednet-edge self-test --config /etc/prednet-edge/config.yaml

The running daemon copies some seconds of each camera, plants a flickering patch into the copy, and follows it through
the model, the limit, the outbox and the broker; this command subscribes and looks whether the event arrives. The event
says test: true and the kind test; consumers must not act on it. Without the patch the same copy must stay quiet. The
daemon does the same by itself every self_test.every_hours, and a failure is the fault self_test_failed.
Exit codes: 0 passed, 4 lost on the way, 3 no daemon answers, 5 no broker.
"""


def add_self_test_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `self-test` to the device's commands."""
    test = commands.add_parser("self-test", help="prove that an anomaly would be told", description=SELF_TEST_HELP)
    test.add_argument("--config", type=Path, required=True, help="the YAML configuration of the running daemon")
    test.add_argument("--json", action="store_true", help="print the result as JSON")
    test.set_defaults(run=_self_test)


def _self_test(parsed: argparse.Namespace) -> int:
    from edge.self_tests.asking import MOST_SECONDS, asked  # noqa: PLC0415 - only a command opens its doors
    from edge.self_tests.results import lines_of_test  # noqa: PLC0415

    with tqdm(total=round(MOST_SECONDS), unit="s", desc="testing", disable=None, leave=False) as bar:
        test = asked(parsed.config, lambda seconds: bar.update(min(round(seconds), bar.total) - bar.n))
    print(msgspec.json.encode(test).decode() if parsed.json else "\n".join(lines_of_test(test)))
    if not parsed.json:
        print("passed" if test.passed else "FAILED", file=sys.stderr)
    return OK if test.passed else GATE_FAILED
