"""docs/architecture.md says what is: each file and function that it names exists, and nothing that runs or is kept is left out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.memory_diagnosis import FOLDER as DIAGNOSES
from edge.window import WINDOW_FILE
from tests.brokers import mosquitto
from tests.commanding import Operator, running
from tests.daemons import write_config

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PARTS = {part.partition("\n")[0]: part for part in re.split(r"^## ", PAGE, flags=re.M)[1:]}
NAMED = sorted(set(re.findall(r"`([\w/]+\.py):([\w.]+)`", PAGE)))
FILES = sorted(set(re.findall(r"(?:edge|calibration|export|benchmarks|tests|docs)/[\w/.-]+\.\w+", PAGE)))
WORDS_IN_TEN_MINUTES = 2200  # 220 words a minute, tables and names included


def names_of(body: list[ast.stmt], before: str = "") -> Iterator[str]:
    """Yield each function, class, method and constant, as `Class.method`."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield before + node.name
            yield from names_of(node.body, f"{before}{node.name}.") if isinstance(node, ast.ClassDef) else ()
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda value: value)
def test_every_named_function_is_there(file: str, name: str) -> None:
    """As the page writes it: file, colon, name."""
    assert name in set(names_of(ast.parse((ROOT / file).read_text(encoding="utf-8")).body))


def test_every_named_file_is_there() -> None:
    """Of every room."""
    assert len(FILES) > 40
    assert [name for name in FILES if not (ROOT / name).exists()] == []


def test_the_alarm_is_followed_in_the_order_in_which_it_goes() -> None:
    """From capture to the broker, through the river's own functions."""
    steps = re.findall(r"`([\w/]+\.py):[\w.]+`", PARTS["One alarm, from photon to topic"])
    way = ["edge/capture.py", "edge/sources.py", "edge/pipeline.py", "edge/senses.py", "edge/level.py"]
    way += ["edge/detection.py", "edge/announcer.py", "edge/outbox.py", "edge/mqtt/session.py", "edge/recorder.py"]
    assert [steps.index(file) for file in way] == sorted(steps.index(file) for file in way)


def starters() -> Iterator[str]:
    """Yield each file of the device that starts a thread, a pool of threads or a process beside the daemon."""
    for path in sorted((ROOT / "edge").rglob("*.py")):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        called = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}
        if called & STARTING:
            yield str(path.relative_to(ROOT))


STARTING = {
    "Thread",
    "CaptureThread",
    "HookThread",
    "Worker",
    "ThreadPoolExecutor",
    "Popen",
    "ProcessPoolExecutor",
    "start_http_server",
}
# These are no part of a running daemon: the demo runs one in a thread.
BESIDE = {"edge/demo.py"}


def test_every_thread_and_process_of_the_daemon_stands_in_the_table() -> None:
    """Whoever starts one says there what it may block on."""
    found = set(starters())
    assert {"edge/captures.py", "edge/mqtt/publisher.py", "edge/recorder.py"} <= found
    assert sorted(name for name in found - BESIDE if name not in PARTS["Threads and processes"]) == []


def test_whatever_a_daemon_leaves_on_disk_stands_in_the_table(tmp_path: Path) -> None:
    """A daemon that watched, told an event and obeyed a command has left nothing else in its state directory."""
    with mosquitto(tmp_path) as broker:
        config = write_config(tmp_path, broker.port, loop=True)
        with Operator(broker.port) as operator, running(config):
            operator.wait("cam/busy/state", holding=b"watching")
            operator.ask("snooze", {"camera": "quiet", "seconds": 60})
            operator.ask("test_event", {"camera": "busy"})
            operator.wait("events", holding=b'"evidence"')
    left = {path.name for path in (tmp_path / "state").iterdir() if not path.name.startswith(".")}
    assert {"outbox.sqlite", "switches.json", "evidence"} <= left
    assert (
        sorted(name for name in left if not re.search(rf"`{re.escape(re.sub('-(wal|shm)$', '', name))}[/`]", PAGE))
        == []
    )


def test_what_seldom_lies_on_disk_stands_in_the_table_too() -> None:
    """What is there while a daemon runs, when its memory grows, and what the service's unit puts there."""
    unit = (ROOT / "systemd" / "prednet-edge.service").read_text(encoding="utf-8")
    of_the_unit = set(re.findall(r"/var/lib/prednet-edge/([\w.]+)", unit))
    assert {"last_good.yaml", "cache"} <= of_the_unit
    names = of_the_unit | {WINDOW_FILE, DIAGNOSES}
    assert [name for name in names if not re.search(rf"^\| .*`{re.escape(name)}/?`", PARTS["On disk"], re.M)] == []


def test_it_is_read_in_ten_minutes() -> None:
    """Short enough that a newcomer reads it whole."""
    assert len(PAGE.split()) <= WORDS_IN_TEN_MINUTES


def test_every_link_leads_somewhere() -> None:
    """To a file beside it."""
    assert [target for target in re.findall(r"\]\(([^)#]+)", PAGE) if not (ROOT / "docs" / target).exists()] == []
