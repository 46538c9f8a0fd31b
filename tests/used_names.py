"""Which names of a library a file of ours uses, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path


def chains(path: Path, root: str) -> set[str]:
    """Return the dotted names below a module's name: `cuda.CUresult.CUDA_SUCCESS` gives `CUresult.CUDA_SUCCESS`."""
    found = {_dotted(node) for node in ast.walk(_tree(path)) if isinstance(node, ast.Attribute)}
    names = {name.removeprefix(f"{root}.") for name in found if name.startswith(f"{root}.")}
    return {name for name in names if not any(other.startswith(f"{name}.") for other in names)}


def members(path: Path, owners: Mapping[str, str]) -> set[str]:
    """Return `Class.member` for each member used of a variable whose name stands for an object of that class.

    `self._contexts[0].execute_async_v3` counts for `_contexts`.
    """
    found = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Attribute):
            owner = node.value.value if isinstance(node.value, ast.Subscript) else node.value
            name = getattr(owner, "attr", getattr(owner, "id", None))
            if name in owners:
                found.add(f"{owners[name]}.{node.attr}")
    return found


def overridden(path: Path, root: str) -> set[str]:
    """Return `Class.method` for each public method of ours in a class that derives from one of the library."""
    return {
        f"{_dotted(base).removeprefix(f'{root}.')}.{one.name}"
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if _dotted(base).startswith(f"{root}.")
        for one in node.body
        if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")
    }


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"
