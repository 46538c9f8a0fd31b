"""The rooms: imports run one way, and each heavy library is opened in its door alone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {"edge": 0, "calibration": 1, "export": 2}
# The only files or folders that may import each library. A chooser opens a door inside a function.
DOORS = {
    "botocore": {"edge/store_s3.py"},
    "av": {"edge/capture_av.py", "edge/clip.py", "edge/recording.py", "edge/scene/video.py"},
    "cryptography": {"edge/signing.py"},
    "cv2": {"edge/flow.py", "edge/look.py", "edge/scene/canvas.py", "edge/snapshot.py"},
    "gi": {"edge/capture_gst.py"},
    "h5py": {"export/importing/keras_files.py"},
    "iotcore": {"edge/broker.py"},
    "matplotlib": {
        "calibration/curves.py",
        "calibration/masks_chart.py",
        "calibration/parity_chart.py",
        "edge/chart.py",
    },
    "onnx": {"export/step.py", "export/variants/"},
    "onnxruntime": {"edge/runner_onnx.py"},
    "paho": {"edge/mqtt/"},
    "prometheus_client": {"edge/metrics.py"},
    "rich": {"edge/watch_screen.py"},
    "safetensors": {"export/checkpoint.py", "export/importing/safetensors_files.py"},
    "scipy": {"calibration/composition.py", "calibration/labels.py", "calibration/noise.py", "calibration/tail.py"},
    "tensorrt": {"edge/engine/library.py"},
    "tensorrt_rtx": {"edge/engine/library.py"},
    "torch": {"export/learning/"},
    "waitress": {"edge/page/server.py"},
    "werkzeug": {"edge/page/answers.py", "edge/page/app.py", "edge/page/guard.py"},
}
# Every Python file, script and style sheet of the repository, tests and measurements too, and what people edit.
PATHS = [ROOT / "pyproject.toml", ROOT / "Makefile", ROOT / "edge" / "data" / "config.sample.yaml"]
PATHS += [
    path
    for folder in (*ROOMS, "benchmarks", "packaging", "requirements", "samples", "tests")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".sh", ".js", ".css") and "__pycache__" not in path.parts
]
EVERYWHERE = sorted(PATHS)
FOR_PROGRAMS = ("#!", "# yaml-language-server:")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Return every module that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_down_the_stream(path: Path) -> None:
    """Nothing in `edge` knows `calibration` or `export`, and nothing in `calibration` knows `export`."""
    here = ROOMS[path.relative_to(ROOT).parts[0]]
    for module in imported(path):
        assert ROOMS.get(module.split(".")[0], here) <= here, f"imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_libraries_are_imported_in_their_doors_alone(path: Path) -> None:
    """A library that may be missing or is slow to load stands in one door."""
    name = str(path.relative_to(ROOT))
    for module in imported(path):
        doors = DOORS.get(module.split(".")[0], {name})
        assert any(name == door or (door.endswith("/") and name.startswith(door)) for door in doors), module


def test_every_door_exists_and_is_used() -> None:
    """A door that no file stands at any more is taken off the list."""
    for library, doors in DOORS.items():
        for door in doors:
            files = sorted((ROOT / door).rglob("*.py")) if door.endswith("/") else [ROOT / door]
            assert any(module.split(".")[0] == library for path in files for module in imported(path)), door


@pytest.mark.parametrize("path", EVERYWHERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_says_what_it_is_for(path: Path) -> None:
    """A Python file begins, in its very first line, with a sentence about it; others with a comment, after a `#!`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    first = lines[1] if lines[0].startswith(FOR_PROGRAMS) else lines[0]
    if path.suffix == ".py":
        assert re.match(r'r?"""', first)
        assert re.search(r'[.;:](""")?$', first)
    else:
        assert first.startswith(("# ", "// ", "/* "))
    assert len(first.split()) >= 3, first
