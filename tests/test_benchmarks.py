"""`make bench`: every script stands in the table, and runs are kept as they were."""

from __future__ import annotations

import argparse
import ast
import os
import re
import runpy
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

import all as bench  # noqa: E402 - scripts, imported to be held to their word
import document  # noqa: E402
import entries  # noqa: E402
import kept as keeping  # noqa: E402
from entries import BENCHMARKS, OTHERS, Benchmark  # noqa: E402
from kept import Choice, Kept  # noqa: E402

from tests.benching import STEPS, made  # noqa: E402
from tests.understood import understood  # noqa: E402


def fake(name: str, code: str, folder: Path, **changed: object) -> Benchmark:
    """Return a benchmark whose script is a line of Python."""
    script = folder / f"{name}.py"
    script.write_text(code, encoding="utf-8")
    path = os.path.relpath(script, ROOT / "benchmarks")
    options = {"quick": "--quick", "minutes": 1.0, "question": "Why?", **changed}
    return Benchmark(name, "step", script=path, **options)  # type: ignore[arg-type]


def test_every_file_of_the_folder_stands_in_the_table() -> None:
    """A script is measured by `make bench`, or is named with what it is for instead."""
    files = {path.name for path in (ROOT / "benchmarks").iterdir() if path.suffix in (".py", ".sh")}
    measured = {one.script for one in BENCHMARKS}
    assert measured | OTHERS.keys() == files
    assert not measured & OTHERS.keys()


def test_the_folders_own_page_names_every_file() -> None:
    """benchmarks/README.md has a line for each script that measures."""
    told = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert [one.script for one in BENCHMARKS if f"`{one.script}" not in told] == []


def test_names_chapters_and_needs_are_known() -> None:
    """Names are unique anchors, every chapter has a title, every need a remedy."""
    assert len({one.name for one in BENCHMARKS}) == len(BENCHMARKS)
    assert {one.chapter for one in BENCHMARKS} == entries.CHAPTERS.keys()
    assert {need for one in BENCHMARKS for need in one.needs} <= entries.REMEDIES.keys()


def test_a_quick_run_ends_within_twenty_minutes() -> None:
    """By the table's own minutes, and with time to start each of them."""
    assert sum(one.quick_minutes for one in BENCHMARKS if one.quick is not None) <= 20.0
    assert all(one.quick_minutes > 0.0 for one in BENCHMARKS if one.quick is not None)


PARSED = sorted({one.script for one in BENCHMARKS if one.script.endswith(".py")} | {"boot_deb.py"})


class Understood(Exception):
    """The script's own parser took its words; nothing is run."""


def started(script: str, words: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Start a script as a user does, up to where it has understood its words."""
    path = ROOT / "benchmarks" / script
    assert "parse_args" in path.read_text(encoding="utf-8"), f"{script} would run, whatever it is asked"
    monkeypatch.setattr(sys, "argv", [str(path), *words])
    runpy.run_path(str(path), run_name="__main__")


@pytest.mark.parametrize("script", PARSED)
def test_every_script_says_what_it_measures_where_it_is_asked(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--help` prints what stands in its first lines, and measures nothing."""
    with pytest.raises(SystemExit) as left:
        started(script, ["--help"], monkeypatch)
    assert left.value.code == 0
    assert (ast.get_docstring(ast.parse((ROOT / "benchmarks" / script).read_text())) or "?").splitlines()[
        0
    ] in capsys.readouterr().out


@pytest.mark.parametrize("is_quick", [True, False], ids=["quick", "full"])
@pytest.mark.parametrize("one", [one for one in BENCHMARKS if one.script.endswith(".py")], ids=lambda one: one.name)
def test_every_command_of_the_table_is_understood(
    one: Benchmark, is_quick: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the table passes, with its folders filled in, is taken by the script's own parser."""

    def parse_args(self: argparse.ArgumentParser, words: None = None) -> None:
        left, unknown = self.parse_known_args(words)
        raise Understood(left, unknown)

    words = keeping.words_of(one, Choice(is_quick and one.quick is not None, tmp_path / "data", tmp_path / "out"))
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    with pytest.raises(Understood) as found:
        started(one.script, words[2:], monkeypatch)
    assert found.value.args[1] == []


def test_every_command_of_the_page_and_the_makefile_exists() -> None:
    """`make bench`, its QUICK and DATA, and the options of all.py that the documents name."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^bench:.*\n\t(.*)", makefile, re.M)
    assert "benchmarks/all.py" in recipe
    assert {"QUICK", "DATA"} <= set(re.findall(r"\$\(if \$\((\w+)\)", recipe))
    pages = [document.HEAD, document.QUICK, (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8"), recipe]
    options = {
        one
        for text in pages
        for line in re.findall(r"benchmarks/all\.py(.*)", text)
        for one in re.findall(r"--\w+", line)
    }
    known = {option for action in bench.arguments()._actions for option in action.option_strings}
    assert {"--quick", "--data", "--only"} <= options <= known


def test_what_is_made_before_is_a_command_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its folders filled in, the program understands it; what it makes is what the benchmark is given."""
    befores = [one for one in BENCHMARKS if one.before]
    assert befores
    for one in befores:
        command = one.before.format(data="data", made="made")
        made_file = Path(understood(command, monkeypatch).out)
        assert str(made_file) in one.arguments.format(data="data", made="made").split()


def test_a_run_is_kept_as_it_was(tmp_path: Path) -> None:
    """Output, exit code, command, commit, machine and versions; what came on stderr of a good run is not."""
    choice = Choice(True, tmp_path / "data", tmp_path / "out")
    code = "import sys; print('| a |\\n|---|\\n| ' + sys.argv[1] + ' |'); print('talk', file=sys.stderr); sys.exit(4)"
    keeping.write_kept(keeping.run(fake("one", code, tmp_path, quick_minutes=0.1), choice), choice.out)
    (one,) = keeping.read_kept(choice.out).values()
    assert (one.exit_code, one.output, one.said) == (4, "| a |\n|---|\n| --quick |", "")
    assert one.command.endswith("one.py --quick")
    assert one.is_measured
    assert one.machine
    assert one.versions["numpy"] == np.__version__
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert one.commit.rstrip("+") == (head.stdout.strip() or "unknown")


def test_a_failed_run_keeps_what_it_complained_of(tmp_path: Path) -> None:
    """Exit code and the end of stderr."""
    choice = Choice(False, tmp_path / "data", tmp_path / "out")
    one = keeping.run(fake("one", "raise ValueError('no such thing')", tmp_path), choice)
    assert (one.exit_code, one.is_measured) == (1, False)
    assert one.said.endswith("ValueError: no such thing")


def is_alive(process_id: int) -> bool:
    """Return whether a process still runs; one that only waits to be reaped does not."""
    return psutil.pid_exists(process_id) and psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE


def test_a_run_that_hangs_is_ended(tmp_path: Path) -> None:
    """With all that it started, after its patience, and said so."""
    started = "import subprocess; one = subprocess.Popen(['sleep', '60']); print(one.pid, flush=True); one.wait()"
    code, output, said = keeping.called(["python", "-c", started], tmp_path / "one.log", 2.0, 0.0, lambda _: None)
    assert code == -1
    assert "without a result" in said
    deadline = time.monotonic() + 20.0
    while is_alive(int(output)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(int(output))


def test_a_folder_of_its_own_is_empty_at_each_start(tmp_path: Path) -> None:
    """What an earlier run left there is gone, so that it can be run again."""
    choice = Choice(False, tmp_path / "data", tmp_path / "out")
    code = "import os, sys; os.makedirs(sys.argv[1]); print('made')"
    one = fake("one", code, tmp_path, arguments="{scratch}")
    assert [keeping.run(one, choice).output for _ in range(2)] == ["made", "made"]


def test_what_is_made_for_a_benchmark_is_no_result(tmp_path: Path) -> None:
    """A bundle's report is JSON too: it lies apart, and the page is written all the same."""
    choice = Choice(False, tmp_path / "data", tmp_path / "out")
    code = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('{\"seconds\": {}}'); print('made')"
    result = keeping.run(fake("one", code, tmp_path, arguments="{made}/one.report.json"), choice)
    assert result.output == "made"
    keeping.write_kept(result, choice.out)
    assert (choice.out / "made" / "one.report.json").exists()
    assert list(keeping.read_kept(choice.out)) == ["one"]


def test_what_is_missing_is_said_and_is_no_error(tmp_path: Path) -> None:
    """Footage that is not here, a program that is not here, and a benchmark that is no part of a quick run."""
    choice = Choice(False, tmp_path, tmp_path / "out")
    assert "ped2 is not here: name the folder" in keeping.run(fake("a", "", tmp_path, needs=("ped2",)), choice).reason
    absent = fake("b", "print('skipped: nothing is here')", tmp_path)
    assert keeping.run(absent, choice).reason == "skipped: nothing is here"
    long = fake("c", "", tmp_path, quick=None, minutes=40.0)
    assert "no part of a quick run (40 minutes)" in keeping.run(long, Choice(True, tmp_path, tmp_path)).reason


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured at this commit is left out; a full result serves a quick run, and not the other way round."""
    monkeypatch.setattr(bench, "commit", lambda: "abc1234")
    keeping.write_kept(made("step"), tmp_path)
    keeping.write_kept(made("capture", commit="older"), tmp_path)
    keeping.write_kept(made("cameras", exit_code=1), tmp_path)
    keeping.write_kept(made("latency", is_quick=True), tmp_path)
    left = {
        is_quick: {one.name for one in bench.chosen(None, Choice(is_quick, tmp_path, tmp_path))}
        for is_quick in (True, False)
    }
    assert {"capture", "cameras"} <= left[True] == {one.name for one in BENCHMARKS} - {"step", "latency"}
    assert left[False] == left[True] | {"latency"}
    assert [one.name for one in bench.chosen(["step"], Choice(False, tmp_path, tmp_path))] == ["step"]


def test_that_nothing_was_measured_does_not_replace_what_was(tmp_path: Path) -> None:
    """A quick run does not take a long measurement off the page."""
    bench.keep(made("long-stream", output="| a |\n|---|\n| 1 |"), tmp_path)
    bench.keep(made("long-stream", exit_code=None, reason="no part of a quick run"), tmp_path)
    assert keeping.read_kept(tmp_path)["long-stream"].exit_code == 0


def test_what_is_stopped_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends with a sentence and leaves the page as it was."""

    def stop(*_: object) -> Kept:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "run", stop)
    assert bench.main(["--only", "step", "--out", str(tmp_path), "--write", str(tmp_path / "page.md")]) == 130
    assert "what was measured is kept" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


def test_the_whole_command_measures_keeps_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is good and one that fails: a line for each, both on the page, exit code 1; and then the page alone."""
    ran: list[str] = []

    def run(benchmark: Benchmark, choice: Choice, progress: object) -> Kept:
        ran.append(benchmark.name)
        return made(benchmark.name, exit_code=0 if benchmark.name == "step" else 1, output=STEPS, said="it broke")

    monkeypatch.setattr(bench, "run", run)
    words = ["--out", str(tmp_path / "out"), "--write", str(tmp_path / "page.md")]
    assert bench.main([*words, "--only", "step", "fleet"]) == 1
    assert ran == ["step", "fleet"]
    assert "2/2 fleet: failed in 61 s: it broke" in capsys.readouterr().err
    written = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert bench.main([*words, "--page"]) == 1
    assert ran == ["step", "fleet"]
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == written


def names_of(path: Path) -> set[str]:
    """Return what a file defines or imports at its top."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.ClassDef)}
    for one in tree.body:
        if isinstance(one, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in one.names}
        targets = one.targets if isinstance(one, ast.Assign) else [one.target] if isinstance(one, ast.AnnAssign) else []
        found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.name)
def test_what_a_script_takes_from_another_is_there(path: Path) -> None:
    """Scripts import from one another by name; one that was renamed or moved breaks none in silence."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            other = path.with_name(f"{node.module}.py")
            if other.exists():
                assert {alias.name for alias in node.names} <= names_of(other), node.module
