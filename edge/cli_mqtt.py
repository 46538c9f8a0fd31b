"""The commands of `prednet-edge` that belong to the MQTT contract."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.command import Parser
from edge.errors import UsageError

SCHEMA_HELP = """Print the MQTT contract in a form for machines, generated from the code's own types.

  prednet-edge schema                  the names of all documents
  prednet-edge schema event            JSON Schema (2020-12) of the payload of R/events
  prednet-edge schema asyncapi         AsyncAPI 3.0: every topic with its payload, QoS and retain flag
  prednet-edge schema --write DIR      all of them as files

The same files are part of the package, in edge/data/schema.
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
