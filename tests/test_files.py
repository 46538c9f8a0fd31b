"""Files written whole, and small ones of JSON: what they hold, or what is given for those that are gone or damaged."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from edge.files import write_whole
from edge.json_files import read_json


class Small(msgspec.Struct, frozen=True):
    """What a file of the state directory may hold."""

    name: str
    count: int = 0


DAMAGED = {
    "empty": b"",
    "cut": b'{"name": "a", "cou',
    "of zeros": bytes(30),
    "of another kind": b"[1, 2]",
    "of another type": b'{"name": 1}',
    "no UTF-8": b'{"name": "\xe1b"}',
    "nested without end": b'{"x":' + b"[" * 100_000,
}


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    """The round trip."""
    write_whole(tmp_path / "small.json", msgspec.json.encode(Small("a", 3)))
    assert read_json(tmp_path / "small.json", Small, None) == Small("a", 3)


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_of_a_damaged_file_the_default_is_given(data: bytes, tmp_path: Path) -> None:
    """Whatever a bad disk makes of it raises nothing."""
    (tmp_path / "small.json").write_bytes(data)
    assert read_json(tmp_path / "small.json", Small, None) is None


def test_of_a_file_that_is_not_there_the_default_is_given(tmp_path: Path) -> None:
    """Nor does what is no file at all."""
    assert read_json(tmp_path / "small.json", Small, None) is None
    assert read_json(tmp_path, list[Small], []) == []


def test_what_lies_in_the_way_changes_neither_who_may_read_a_file_nor_where_it_goes(tmp_path: Path) -> None:
    """What was left or laid where it is written aside is not written into."""
    aside, elsewhere = tmp_path / f".secret.{os.getpid()}.part", tmp_path / "elsewhere"
    aside.touch(0o644)
    write_whole(tmp_path / "secret", b"a", 0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    aside.symlink_to(elsewhere)
    write_whole(tmp_path / "secret", b"b", 0o600)
    assert (tmp_path / "secret").read_bytes() == b"b"
    assert not elsewhere.exists()
