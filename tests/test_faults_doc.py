"""The pages on faults and security are true of the tests: each that they name is there; each fault stands in its table."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from edge.hints import HINTS

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")
# Faults that are told and have a page of their own.
ELSEWHERE = {
    "page_unavailable": "page.md",
    "calibration_missing": "updates.md",
    "self_test_failed": "updates.md",
    "zones_changed": "zones.md",
    "profile_unknown": "zones.md",
    "drift": "limits.md",
    "metrics_refused": "watch.md",
    "upload_unreachable": "evidence.md",
    "upload_refused": "evidence.md",
    "upload_bucket_missing": "evidence.md",
}


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of each row of the first table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def functions_of(file: str) -> set[str]:
    """Return the names of a test file's functions."""
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_test_that_the_table_names_is_there() -> None:
    """Every row has a test that makes the fault and says what was seen; no name has gone stale."""
    rows = rows_of((DOCS / "faults.md").read_text(encoding="utf-8"))
    assert len(rows) >= 21
    for fault, does, tests, seen in rows:
        named = NAMED.findall(tests)
        assert named, f"{fault}: no test"
        assert does, fault
        assert re.match(r"(real|model)\b", seen), f"{fault}: how real is it?"
        for file, name in named:
            assert name in functions_of(file), f"{fault}: {file} has no {name}"


def test_each_test_that_the_security_page_names_is_there() -> None:
    """What is said to have been tried is tried; a file that is named alone has tests."""
    text = (DOCS / "security.md").read_text(encoding="utf-8")
    named = NAMED.findall(text)
    assert len(named) > 20
    for file, name in named:
        assert name in functions_of(file), f"{file} has no {name}"
    for file in re.findall(r"`(test_\w+\.py)`", text):
        assert any(name.startswith("test_") for name in functions_of(file)), file


def test_each_fault_that_a_device_tells_stands_in_the_table() -> None:
    """A code that integrators may see is explained there, or on the page that it belongs to."""
    text = (DOCS / "faults.md").read_text(encoding="utf-8")
    for code in HINTS.keys() - ELSEWHERE.keys():
        assert f"`{code}`" in text, code
    for code, page in ELSEWHERE.items():
        assert f"`{code}`" in (DOCS / page).read_text(encoding="utf-8"), code
