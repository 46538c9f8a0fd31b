"""What every command line of ours does alike: parse, call, print, return a code."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from edge import __version__
from edge.errors import FAILURE, USAGE, PrednetError, UsageError
from edge.journal import formatter_for

INTERRUPTED = 130
STDERR = 2


class Parser(argparse.ArgumentParser):
    """An argument parser that keeps the line breaks of its texts and exits with the project's usage code."""

    def __init__(self, *args: object, **options: object) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def error(self, message: str) -> None:  # type: ignore[override]
        """Print one sentence and exit with code 2."""
        self.exit(USAGE, f"{self.prog}: {message}. See '{self.prog} --help'.\n")


def parser_for(program: str, description: str) -> tuple[Parser, argparse._SubParsersAction[Parser]]:
    """Return a program's parser and the place where its commands are added."""
    parser = Parser(prog=program, description=description)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser, parser.add_subparsers(dest="command", metavar="COMMAND", required=True)


def check_folder_of(path: Path) -> None:
    """Raise UsageError where no file can be written for want of a folder, or over one: before long work, not after."""
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; give the name of a file in it.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.absolute().parent}; make it first.")


def run_command(parser: Parser, arguments: Sequence[str] | None) -> int:
    """Run the command that the arguments name and return its exit code; an error of ours is one sentence."""
    parsed = parser.parse_args(arguments)
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter_for(STDERR))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    command: Callable[[argparse.Namespace], int] = parsed.run
    try:
        return command(parsed)
    except PrednetError as error:
        print(f"{parser.prog} {parsed.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{parser.prog} {parsed.command}: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILURE
