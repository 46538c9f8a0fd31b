"""Tables of Markdown in what a benchmark printed: found, read, and laid out beside the plain lines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

Row = dict[str, str]


def tables_of(output: str) -> list[list[Row]]:
    """Return the tables of an output in order: each a list of rows, a row by the names of its columns."""
    found = []
    for is_table, lines in blocks(output):
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines] if is_table else []
        if len(cells) >= 2:
            found.append([dict(zip(cells[0], row, strict=False)) for row in cells[2:]])
    return found


def blocks(output: str) -> Iterator[tuple[bool, list[str]]]:
    """Yield runs of lines, each with whether it is a table."""
    for is_table, lines in groupby(output.splitlines(), key=lambda line: line.startswith("|")):
        kept = list(lines)
        if any(line.strip() for line in kept):
            yield is_table, kept


def laid_out(output: str) -> str:
    """Return an output as Markdown: tables as they are, all other lines as they were printed."""
    parts = []
    for is_table, lines in blocks(output):
        text = "\n".join(lines).strip("\n")
        parts.append(text if is_table else f"```text\n{text}\n```")
    return "\n\n".join(parts)


def number_in(cell: str) -> float | None:
    """Return the first number of a cell; None where it holds none."""
    word = cell.replace(",", "").split(" ")[0].rstrip("s%")
    try:
        return float(word)
    except ValueError:
        return None
