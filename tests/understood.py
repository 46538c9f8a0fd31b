"""Commands of the documents, parsed by the programs that they name, and not carried out."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence

import pytest

import calibration.cli
import edge.cli
import export.cli
from edge.command import Parser

PROGRAMS = {"prednet-edge": edge.cli, "prednet-calibrate": calibration.cli, "prednet-export": export.cli}


def understood(command: str, monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """Return what a program makes of a command line; the test fails where it does not understand it."""
    program, *words = shlex.split(command)
    parsed = []

    def parse_only(parser: Parser, arguments: Sequence[str] | None) -> int:
        parsed.append(parser.parse_args(arguments))
        return 0

    monkeypatch.setattr(PROGRAMS[program], "run_command", parse_only)
    assert PROGRAMS[program].main(words) == 0
    assert parsed[0].command == words[0]
    return parsed[0]
