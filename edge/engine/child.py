"""Work in a process of its own, whose crash costs nothing: an order goes in, progress and an answer come out."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import BinaryIO, TypeVar

import msgspec

from edge.errors import DeviceUnavailable, PrednetError

Progress = Callable[[str, float], None]
_LOOK_SECONDS = 0.1
_Answer = TypeVar("_Answer")


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a child's output: how far a phase is, its answer, or the sentence with which it failed."""

    phase: str = ""
    share: float = 0.0
    answer: msgspec.Raw = msgspec.Raw(b"")
    error: str = ""
    is_unavailable: bool = False


class ChildFailed(PrednetError):
    """The child gave no answer: it died, was killed, or took too long."""


def asked(
    serve: str,
    order: object,
    kind: type[_Answer],
    progress: Progress,
    timeout_seconds: float,
    what: str,
    stop: threading.Event,
) -> _Answer:
    """Return a child's answer to an order. `serve` is a function of ours, as `module:function`; `stop` kills it.

    Raises PrednetError or DeviceUnavailable with the child's own sentence, ChildFailed where it has none.
    """
    module, function = serve.split(":")
    command = [sys.executable, "-c", f"from {module} import {function}; {function}()"]
    with tempfile.TemporaryFile() as talk:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=talk)  # noqa: S603
        answered = threading.Event()
        threading.Thread(target=_guard, args=(child, answered, stop, timeout_seconds), daemon=True).start()
        try:
            last = _heard(child, msgspec.json.encode(order), progress)
        finally:
            answered.set()
            child.kill()
            code = child.wait()
        if last.error:
            raise (DeviceUnavailable if last.is_unavailable else PrednetError)(last.error)
        if not bytes(last.answer):
            talk.seek(0)
            raise ChildFailed(f"{what} ended with {code} ({_last_words(talk.read())}).")
    return msgspec.json.decode(last.answer, type=kind)


def _guard(
    child: subprocess.Popen[bytes], answered: threading.Event, stop: threading.Event, timeout_seconds: float
) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not answered.wait(_LOOK_SECONDS):
        if stop.is_set() or time.monotonic() > deadline:
            child.kill()
            return


def _heard(child: subprocess.Popen[bytes], order: bytes, progress: Progress) -> Line:
    if child.stdin is None or child.stdout is None:
        raise ChildFailed("a process without its pipes")
    last = Line()
    try:
        child.stdin.write(order)
        child.stdin.close()
    except BrokenPipeError:
        return last
    with child.stdout:
        for text in child.stdout:
            line = msgspec.json.decode(text, type=Line)
            if line.phase:
                progress(line.phase, line.share)
            else:
                last = line
    return last


def _last_words(talk: bytes) -> str:
    return (talk.decode(errors="replace").strip().splitlines()[-1:] or ["no word"])[0][:300]


def own_output() -> BinaryIO:
    """Return this process's output for answers alone; what libraries print goes to stderr from now on."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(answers, "wb")


def served(work: Callable[[bytes, Progress], object]) -> None:
    """Do the work that stands on stdin and write what comes of it: the body of a child's function."""
    with own_output() as output:
        lock = threading.Lock()

        def write(line: Line) -> None:
            with lock:  # TensorRT tells its progress from several threads
                output.write(msgspec.json.encode(line) + b"\n")
                output.flush()

        try:
            answer = work(sys.stdin.buffer.read(), lambda phase, share: write(Line(phase=phase, share=share)))
        except PrednetError as error:
            write(Line(error=str(error), is_unavailable=isinstance(error, DeviceUnavailable)))
        else:
            write(Line(answer=msgspec.Raw(msgspec.json.encode(answer))))
