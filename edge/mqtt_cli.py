"""The commands of `prednet-edge` that belong to the MQTT contract."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import msgspec

from edge.command import Parser
from edge.errors import UsageError
from edge.fleet_cli import add_fleet

SCHEMA_HELP = """Print the MQTT contract in a form for machines, generated from the code's own types.

  prednet-edge schema                  the names of all documents
  prednet-edge schema event            JSON Schema (2020-12) of the payload of R/events
  prednet-edge schema asyncapi         AsyncAPI 3.0: every topic with its payload, QoS and retain flag
  prednet-edge schema --write DIR      all of them as files

The same files are part of the package, in edge/data/schema.
"""

COVERAGE_HELP = """Prove for any hour of the last year what was watched, from the device's own ledger.

  prednet-edge coverage --config config.yaml                            the last 24 hours
  prednet-edge coverage --config config.yaml --from 2026-11-22T06 --to 2026-11-22T14 --camera press3 --json

Hours are of UTC. «off» is the part of an hour in which the daemon did not run: up to a minute before a power cut
counts as off too. A line ends with «clock unsynced» where the device did not know the time, and its label may be wrong.
Over MQTT the same comes with the command `diagnostics`: {"args": {"hour": "2026-11-22T06"}}.
"""


def add_mqtt_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add them to the program's parser."""
    schema = commands.add_parser(
        "schema", help="the MQTT contract as JSON Schema and AsyncAPI", description=SCHEMA_HELP
    )
    schema.add_argument("name", nargs="?", help="a document's name")
    schema.add_argument("--write", type=Path, metavar="DIR", help="write every document there")
    schema.add_argument("--json", action="store_true", help="the names as a JSON list")
    schema.set_defaults(run=_schema)
    coverage = commands.add_parser("coverage", help="what was watched in any past hour", description=COVERAGE_HELP)
    coverage.add_argument("--config", type=Path, required=True, help="the YAML configuration")
    coverage.add_argument("--from", dest="first", metavar="HOUR", help="such as 2026-11-22T06 (default: a day ago)")
    coverage.add_argument("--to", dest="last", metavar="HOUR", help="included (default: this hour)")
    coverage.add_argument("--camera", help="one camera (default: all)")
    coverage.add_argument("--json", action="store_true", help="one JSON object a line")
    coverage.set_defaults(run=_coverage)
    add_fleet(commands)


def _schema(parsed: argparse.Namespace) -> int:
    from edge import schema  # noqa: PLC0415 - generating takes a moment that other commands need not wait

    documents = schema.documents()
    if parsed.write is not None:
        for path in schema.write_documents(parsed.write):
            print(path)
    elif parsed.name is None:
        print(schema.text_of(sorted(documents)).rstrip() if parsed.json else "\n".join(sorted(documents)))
    elif parsed.name in documents:
        print(schema.text_of(documents[parsed.name]), end="")
    else:
        raise UsageError(f"there is no document {parsed.name!r}; there are {', '.join(sorted(documents))}.")
    return 0


def _coverage(parsed: argparse.Namespace) -> int:
    from edge.config_file import read_config  # noqa: PLC0415 - only a command opens the doors that it needs
    from edge.coverage_ledger import line_of_hour, proven_hours  # noqa: PLC0415
    from edge.desk import LEDGER_FILE  # noqa: PLC0415

    config = read_config(parsed.config)
    if parsed.camera is not None and parsed.camera not in config.cameras:
        raise UsageError(f"--camera {parsed.camera}: the configuration has {', '.join(config.cameras)}.")
    cameras = [parsed.camera] if parsed.camera else list(config.cameras)
    now = time.time()
    for hour in proven_hours(Path(config.state_directory) / LEDGER_FILE, cameras, parsed.first, parsed.last, now):
        print(msgspec.json.encode(hour).decode() if parsed.json else line_of_hour(hour))
    return 0
