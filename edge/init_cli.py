"""The command `prednet-edge init`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edge.command import Parser
from edge.errors import UsageError
from edge.shipped import BUNDLE

INIT_HELP = """Three questions, and a first configuration that is valid: the site, a camera, the broker.

  prednet-edge init                           writes config.yaml here; as root /etc/prednet-edge/config.yaml
  prednet-edge init --site plant7 --camera rtsp://viewer:PASSWORD@10.0.0.9/stream --broker 10.0.0.2

What is given is not asked. Enter takes the answer in brackets; as a camera it is a synthetic factory in which fire
breaks out after half a minute, so that everything can be seen at work before a camera hangs. A login in an address
goes into a file of its own. The shipped network lies beside the configuration until there is one of your own: --bundle.
"""
_Value = TypeVar("_Value")


def add_init_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `init` to the device's commands."""
    init = commands.add_parser("init", help="three questions, and a first configuration", description=INIT_HELP)
    init.add_argument("--config", type=Path, help="the file to write (default: as above); never over another one")
    init.add_argument("--site", help="the plant or hall: the first part of every topic")
    init.add_argument("--camera", help="rtsp://, http://, /dev/video0, csi://0, a file, test://factory")
    init.add_argument("--broker", help="HOST, HOST:PORT or mqtt://USER:PASSWORD@HOST:PORT")
    init.add_argument("--bundle", type=Path, help="the network to begin with (default: the shipped one)")
    init.set_defaults(run=_init)


def _init(parsed: argparse.Namespace) -> int:
    from edge import first_config as first  # noqa: PLC0415 - only a command opens the rooms that it needs

    path = parsed.config or (first.SYSTEM_FOLDER if os.geteuid() == 0 else Path()) / "config.yaml"
    path = path.absolute()
    if path.exists():
        raise UsageError(f"{path} is there; edit it, or name another file by --config.")
    answers = first.Answers(
        _answer(parsed.site, "1 of 3. Site, the first part of every topic", "site1", first.site_from, "--site"),
        _answer(parsed.camera, "2 of 3. Camera", first.FACTORY, first.camera_from, "--camera"),
        _answer(parsed.broker, "3 of 3. MQTT broker", "127.0.0.1:1883", first.broker_from, "--broker"),
    )
    device = first.write_first_config(path, answers, parsed.bundle or BUNDLE)
    print(path)
    topic = f"{device.topics.root}/events"
    print(f"It is valid. Events will come on {topic}. Next:\n{_next(path, topic, answers.broker.address)}",
          file=sys.stderr)  # fmt: skip
    return 0


def _next(path: Path, topic: str, broker: str) -> str:
    from edge.first_config import SYSTEM_FOLDER  # noqa: PLC0415 - as above

    host, _, port = broker.rpartition(":")
    is_system = path == SYSTEM_FOLDER / "config.yaml"
    run = "sudo prednet-edge install-service" if is_system else f"prednet-edge run --config {path}"
    return f"  {run}\n  mosquitto_sub -h {host} -p {port} -t '{topic}' -v"


def _answer(given: str | None, question: str, usual: str, read: Callable[[str], _Value], option: str) -> _Value:
    """Return what was given, or what is answered, asked again until it means something."""
    if given is not None:
        return read(given)
    while True:
        print(f"{question} [{usual}]: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise UsageError(f"no answer; give it as {option}.")
        try:
            return read(line.strip() or usual)
        except UsageError as error:
            print(f"  {error}", file=sys.stderr)
