"""The command `prednet-edge bench`."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge.command import Parser
from edge.errors import OK, UsageError

if TYPE_CHECKING:
    from edge.config import Config

BENCH_HELP = """Time the step on this device, with the runner that watches here; the golden answer is asked for first.

  prednet-edge bench --config /etc/prednet-edge/config.yaml
  prednet-edge bench --bundle press.prednet --cameras 4 --runner onnxruntime-cpu --json

'fit' is how many cameras at the bundle's frame rate such steps are enough for. benchmarks/roofline.py prints the same
line for each Jetson as a plan. With TensorRT the engine must be built first: prednet-edge engine build.
"""


def add_bench_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `bench` to the device's commands."""
    bench = commands.add_parser("bench", help="time the step on this device", description=BENCH_HELP)
    bench.add_argument("--config", type=Path, help="the YAML configuration: all of the following stands in it")
    bench.add_argument("--bundle", type=Path, help="without --config: the bundle")
    bench.add_argument("--cameras", type=int, default=1, help="without --config (default: %(default)s)")
    bench.add_argument("--runner", default="auto", help="without --config (default: %(default)s)")
    bench.add_argument("--variant", default="auto", help="without --config (default: %(default)s)")
    bench.add_argument("--threads", type=int, default=0, help="without --config; 0: one per core")
    bench.add_argument("--folder", type=Path, default=Path(), help="without --config: holds engines/ (default: here)")
    bench.add_argument("--json", action="store_true", help="print the line as JSON")
    bench.set_defaults(run=_bench)


def _bench(parsed: argparse.Namespace) -> int:
    from edge.bench import measured, told_speeds  # noqa: PLC0415 - a command opens its rooms
    from edge.choice import choose  # noqa: PLC0415
    from edge.updates.resolved import bundle_in_force  # noqa: PLC0415

    config = _config(parsed)
    bundle = bundle_in_force(config).bundle
    choice = choose(config, bundle)
    device = choice.engines.target.facts.name if choice.runner == "tensorrt" and choice.engines else platform.machine()
    speed = measured(choice, bundle, len(config.cameras), config.threads, device)
    print(msgspec.json.encode(speed).decode() if parsed.json else "\n".join(told_speeds([speed])))
    return OK


def _config(parsed: argparse.Namespace) -> Config:
    from edge.config import Config  # noqa: PLC0415
    from edge.config_file import read_config  # noqa: PLC0415
    from edge.runner import MOST_CAMERAS  # noqa: PLC0415

    if (parsed.config is None) == (parsed.bundle is None):
        raise UsageError("bench wants --config, or --bundle, and not both.")
    if parsed.config is not None:
        config = read_config(parsed.config)
        if not config.bundle:
            raise UsageError(f"{parsed.config}: it watches with the predictor {config.predictor}, which has no step.")
        return config
    if not 1 <= parsed.cameras <= MOST_CAMERAS:
        raise UsageError(f"--cameras {parsed.cameras}: give 1 to {MOST_CAMERAS}.")
    given = {name: getattr(parsed, name) for name in ("runner", "variant", "threads")}
    given |= {"site": "bench", "bundle": str(parsed.bundle), "state_directory": str(parsed.folder)}
    cameras = {f"camera{number}": {"source": "test://factory"} for number in range(parsed.cameras)}
    try:
        return msgspec.convert(given | {"cameras": cameras}, Config)
    except msgspec.ValidationError as error:
        raise UsageError(f"{error}; see 'prednet-edge bench --help'.") from error
