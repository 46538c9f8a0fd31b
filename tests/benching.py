"""Results of benchmarks for tests: outputs as the scripts print them, and what is kept of a run."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

import cameras  # noqa: E402
from kept import Kept  # noqa: E402

STEPS = """arithmetic limit here: 70 GMAC/s

| candidate | median ms | least ms | processor ms | float ÷ it | by processor time | 4 cameras ÷ 4 × 1 (processor) | of the limit |
|---|---|---|---|---|---|---|---|
| ONNX Runtime, float | 8.0 | 7.5 | 15.0 | 1.00 | 1.00 |  | 50 % |
| the CPU variant | 4.0 | 3.9 | 7.5 | 2.00 | 2.00 |  | 60 % |
| the CPU variant, 4 cameras | 12.0 | 11.0 | 22.0 | 2.00 | 2.00 | 0.75 (0.73) | 60 % |
"""
CAMERAS = "\n".join([
    "commit abc; x86_64", "", cameras.head(),
    cameras.row(1, 10.0, 1.0, 9.6, 1.75, 11.0, 0.17, 160.0),
    cameras.row(8, 9.97, 8.0, 59.2, 1.2, 130.0, 1.28, 370.0),
    cameras.row(16, 5.6, 16.0, 157.0, 1.1, 267.0, 1.59, 580.0),
])  # fmt: skip
LEVELS = """| all, by their level | frame AUC | EER |
|---|---|---|
| ped2-seed0 | 0.9648 | 0.1 |
| last-frame 192x128 | 0.9735 | 0.1 |
| flow 192x128 | 0.9678 | 0.1 |
| flow-light 192x128 | 0.9700 | 0.1 |
"""


def made(name: str, **changed: object) -> Kept:
    """Return a result that ended well, but for what is changed."""
    one = Kept(
        name=name, command=f"python benchmarks/{name}.py", is_quick=False, began="2026-01-02 03:04 UTC", seconds=61.0,
        exit_code=0, commit="abc1234", machine="a machine, 2 cores", versions={"python": "3.11"}, load=0.5,
    )  # fmt: skip
    return msgspec.structs.replace(one, **changed)
