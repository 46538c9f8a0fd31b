"""Log lines: with their time for a person, with their priority for systemd's journal."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from edge.journal import formatter_for


def record(level: int, text: str) -> logging.LogRecord:
    """Return what a logger would hand over."""
    return logging.LogRecord("edge", level, __file__, 1, text, (), None)


@pytest.mark.parametrize(
    ("level", "line"),
    [
        (logging.DEBUG, "<7>a b=c"),
        (logging.INFO, "<6>a b=c"),
        (logging.WARNING, "<4>a b=c"),
        (logging.ERROR, "<3>a b=c"),
        (logging.CRITICAL, "<2>a b=c"),
    ],
)
def test_the_journal_gets_a_priority_on_every_line(tmp_path: Path, level: int, line: str) -> None:
    """By syslog's numbers; the journal stamps the time itself."""
    with (tmp_path / "journal").open("w") as stream:
        found = os.fstat(stream.fileno())
        layout = formatter_for(stream.fileno(), {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
    assert layout.format(record(level, "a b=c")) == line
    assert layout.format(record(logging.ERROR, "a\nb")) == "<3>a\n<3>b"


def test_another_file_gets_the_time(tmp_path: Path) -> None:
    """Also where a daemon of systemd's was told to write elsewhere, or the file is closed."""
    with (tmp_path / "log").open("w") as stream:
        layouts = [formatter_for(stream.fileno(), one) for one in ({}, {"JOURNAL_STREAM": "1:1"})]
    layouts.append(formatter_for(987_654, {"JOURNAL_STREAM": "1:1"}))
    for layout in layouts:
        assert layout.format(record(logging.INFO, "a b=c")).endswith(" INFO a b=c")
