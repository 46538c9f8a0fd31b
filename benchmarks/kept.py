"""What a benchmark said, kept as JSON beside commit, machine, versions, load and time; and how one is run for it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from glob import glob
from pathlib import Path

import msgspec
from entries import REMEDIES, Benchmark
from machine import ROOT, SYSTEM_PATH, commit, machine, versions

from edge.errors import GATE_FAILED, OK

# What counts as measured: all is well, or a bound was missed.
MEASURED = (OK, GATE_FAILED)
PATIENCE, LEAST_PATIENCE_MINUTES = 8.0, 10.0
SAID_LINES = 12


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A result: `exit_code` is None where it was not run, for the `reason`; `said` is the end of what it complained."""

    name: str
    command: str
    before: str = ""
    is_quick: bool
    began: str
    seconds: float = 0.0
    exit_code: int | None = None
    reason: str = ""
    output: str = ""
    said: str = ""
    commit: str
    machine: str
    versions: Mapping[str, str] = {}
    load: float = 0.0

    @property
    def is_measured(self) -> bool:
        """Whether it ran to its end; a missed bound is a result, too."""
        return self.exit_code in MEASURED


@dataclass(frozen=True)
class Choice:
    """How benchmarks are to be run: quickly or in full, with which footage, and where results are kept."""

    is_quick: bool
    data: Path
    out: Path


def read_kept(folder: Path) -> dict[str, Kept]:
    """Return what is kept by name; a damaged file is an error that names it."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = msgspec.json.decode(path.read_bytes(), type=Kept)
        except msgspec.DecodeError as error:
            raise SystemExit(
                f"{path} is no result of a benchmark: {error}. Remove it, and run {path.stem} again."
            ) from error
    return found


def write_kept(kept: Kept, folder: Path) -> None:
    """Keep a result; it is written aside first."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{kept.name}.part"
    aside.write_bytes(msgspec.json.format(msgspec.json.encode(kept)))
    aside.replace(folder / f"{kept.name}.json")


def words_of(benchmark: Benchmark, choice: Choice) -> list[str]:
    """Return the command as a user types it from the repository's folder."""
    arguments = (benchmark.quick or "") if choice.is_quick else benchmark.arguments
    interpreter = "bash" if benchmark.script.endswith(".sh") else "python"
    return [interpreter, f"benchmarks/{benchmark.script}", *filled(arguments, benchmark, choice)]


def filled(arguments: str, benchmark: Benchmark, choice: Choice) -> list[str]:
    """Return the words of arguments, with their folders and with what stars stand for."""
    words = shlex.split(written(arguments, benchmark, choice))
    return [one for word in words for one in (sorted(glob(word, root_dir=ROOT)) if "*" in word else [word])]


def written(arguments: str, benchmark: Benchmark, choice: Choice) -> str:
    """Return arguments with their folders, as a user types them."""
    folders = {"data": choice.data, "made": made(choice), "scratch": scratch(benchmark, choice)}
    return arguments.format(**{name: told_path(folder) for name, folder in folders.items()})


def scratch(benchmark: Benchmark, choice: Choice) -> Path:
    """Return the folder of a benchmark's own, which is not there when it starts."""
    return choice.out / f"{benchmark.name}-scratch"


def made(choice: Choice) -> Path:
    """Return the folder of what benchmarks make for one another, apart from the results: bundles have reports."""
    return choice.out / "made"


def told_path(path: Path) -> str:
    """Return a path as it is seen from the repository's folder."""
    return os.path.relpath(path.resolve(), ROOT)


def lacking(benchmark: Benchmark, choice: Choice) -> str:
    """Return why a benchmark cannot run here, with the remedy; empty where it can."""
    if choice.is_quick and benchmark.quick is None:
        again = f"python benchmarks/all.py --only {benchmark.name}"
        return f"no part of a quick run ({benchmark.minutes:g} minutes): {again}"
    for need in benchmark.needs:
        if not _is_here(need, choice):
            what = told_path(choice.data / need) if need in ("ped2", "clips") else need
            return f"{what} is not here: {REMEDIES[need]}"
    return ""


def _is_here(need: str, choice: Choice) -> bool:
    if need in ("ped2", "clips"):
        return (choice.data / need).is_dir()
    if need == "root":
        return os.geteuid() == 0
    return importlib.util.find_spec(need) is not None or shutil.which(need, path=SYSTEM_PATH) is not None


def run(benchmark: Benchmark, choice: Choice, progress: Callable[[float], None] = lambda _: None) -> Kept:
    """Run a benchmark to its end and return what came of it; `progress` hears its seconds, once a second."""
    began, started, load = time.monotonic(), datetime.now(timezone.utc), os.getloadavg()[0]
    words = words_of(benchmark, choice)
    kept = Kept(
        name=benchmark.name, command=shlex.join(words), before=written(benchmark.before, benchmark, choice),
        is_quick=choice.is_quick, commit=commit(), machine=machine(),
        began=started.strftime("%Y-%m-%d %H:%M UTC"), versions=versions(), load=round(load, 1),
        reason=lacking(benchmark, choice),
    )  # fmt: skip
    if kept.reason:
        return kept
    made(choice).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(scratch(benchmark, choice), ignore_errors=True)
    minutes = max(
        PATIENCE * (benchmark.quick_minutes if choice.is_quick else benchmark.minutes), LEAST_PATIENCE_MINUTES
    )
    stages = [prepared(benchmark, choice), words]
    for stage in filter(None, stages):
        code, output, said = called(stage, choice.out / f"{benchmark.name}.log", 60.0 * minutes, began, progress)
        if code not in MEASURED:
            break
    seconds = round(time.monotonic() - began, 1)
    reason = output.partition("\n")[0] if output.startswith("skipped: ") else ""
    code = None if reason else code
    return msgspec.structs.replace(kept, seconds=seconds, exit_code=code, reason=reason, output=output, said=said)


def prepared(benchmark: Benchmark, choice: Choice) -> list[str]:
    """Return the command that makes what a benchmark needs; nothing where it was made already."""
    words = filled(benchmark.before, benchmark, choice)
    return [] if not words or (ROOT / words[-1]).exists() else words


def called(
    words: Sequence[str], log: Path, patience_seconds: float, began: float, progress: Callable[[float], None]
) -> tuple[int, str, str]:
    """Return exit code, output, and the last lines of the log of a command; it is ended when patience is over."""
    program = [sys.executable, *words[1:]] if words[0] == "python" else list(words)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    output = log.with_suffix(".out")
    with output.open("wb") as out, log.open("wb") as talk:
        process = subprocess.Popen(program, cwd=ROOT, env=environment, stdout=out, stderr=talk, start_new_session=True)
        try:
            code = waited(process, patience_seconds, began, progress)
        finally:
            if process.poll() is None:
                ended(process)
    lines = told(log).strip().splitlines()[-SAID_LINES:]
    if code is None:
        lines.append(f"ended after {patience_seconds / 60:.0f} minutes without a result")
    text = told(output).strip()
    output.unlink()
    is_good = code in MEASURED
    return -1 if code is None else code, text, "" if is_good else "\n".join(lines)


def waited(
    process: subprocess.Popen[bytes], seconds: float, began: float, progress: Callable[[float], None]
) -> int | None:
    """Return the exit code, or None where the process did not end in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(1.0)
        progress(time.monotonic() - began)
    return None


def ended(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10.0)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def told(path: Path) -> str:
    """Return a file's text with paths as they are seen from the repository's folder."""
    text = path.read_text(encoding="utf-8", errors="replace")
    text = "\n".join(line.rpartition("\r")[2] for line in text.splitlines())
    return text.replace(f"{ROOT}/", "").replace(f"{ROOT.parent}/", "../")
