"""`--help` teaches: every command says what it does, and every argument what it is."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from types import ModuleType

import pytest

from edge.command import Parser
from tests.understood import PROGRAMS


def commands_of(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of all commands below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from commands_of(below)


def parser_of(program: ModuleType, monkeypatch: pytest.MonkeyPatch) -> argparse.ArgumentParser:
    """Return a program's parser, which it makes anew at each call."""
    found: list[Parser] = []

    def keep(parser: Parser, _: Sequence[str] | None) -> int:
        found.append(parser)
        return 0

    monkeypatch.setattr(program, "run_command", keep)
    assert program.main([]) == 0
    return found[0]


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_command_and_argument_is_explained(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command has a text of its own, and an argument more than the value that it has when it is left out."""
    commands = list(commands_of(parser_of(PROGRAMS[name], monkeypatch)))
    assert len(commands) > 3
    for command in commands:
        assert command.description, command.prog
        for action in command._actions:
            if not isinstance(action, argparse._SubParsersAction):
                told = action.help or ""
                assert told, (command.prog, action.dest)
                assert not told.startswith("("), (command.prog, action.dest)


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_argument_is_explained_by_options_that_its_command_has(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """«without --config» stands at no command that takes no --config."""
    for command in commands_of(parser_of(PROGRAMS[name], monkeypatch)):
        options = {option for action in command._actions for option in action.option_strings}
        for action in command._actions:
            named = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", action.help or ""))
            assert named <= options, (command.prog, action.dest)
