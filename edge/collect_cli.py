"""The command `prednet-edge collect`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from tqdm import tqdm

from edge.captures import CameraSource
from edge.command import Parser
from edge.errors import DeviceUnavailable, UsageError
from edge.frames import FrameFormat
from edge.options import SIZE, frame_format, number_of, rate_from_text, size_from_text

if TYPE_CHECKING:
    from edge.collect import Tally

MOST_HOURS, MOST_CLIP_SECONDS, MOST_MEGABYTES = 10_000.0, 3600.0, 1e9

COLLECT_HELP = """Record normal footage on the device: what is trained on and calibrated with later.

  prednet-edge collect --config config.yaml --hours 24 --out recordings
  prednet-edge collect rtsp://10.0.0.9/stream --camera press3 --hours 8 --megabytes 500 --out recordings

Short clips, exactly as the network sees them (its size, colour and rate; privacy masks applied), lossless, in
OUT/<camera>/. The day is cut into 48 parts with the same share of the budget; a clip that shows what another one of
its part shows is not kept, what is rare stays, and nothing is kept while the camera has a condition (covered, moved,
lit anew, ...). Stop it with Ctrl-C and start it again as you like: it goes on with what is there.
A CSI or USB camera is open to one program at a time: collect before the daemon runs.

Then: prednet-export train --footage OUT/press3, and prednet-calibrate site OUT/press3 --camera press3 ...
"""


def add_collect_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `collect` to a program's commands."""
    collect = commands.add_parser("collect", help="record normal footage on the device", description=COLLECT_HELP)
    collect.add_argument("source", nargs="?", help="one camera's address, where there is no configuration yet")
    collect.add_argument("--config", type=Path, help="the YAML configuration: all its cameras, or --camera alone")
    collect.add_argument("--camera", help="the camera's name (default without --config: camera)")
    collect.add_argument("--out", type=Path, required=True, help="folder of the recordings")
    collect.add_argument(
        "--hours",
        type=number_of("hours", MOST_HOURS, "24 or 0.5"),
        default=24.0,
        help="how long (default: %(default)g)",
    )
    collect.add_argument("--megabytes", type=number_of("megabytes", MOST_MEGABYTES, "2000"), default=2000.0,
                         help="most to keep a camera (default: %(default)g)")  # fmt: skip
    collect.add_argument(
        "--clip",
        type=number_of("seconds", MOST_CLIP_SECONDS, "10"),
        default=10.0,
        metavar="SECONDS",
        help="of one clip (default: 10)",
    )
    collect.add_argument("--size", type=size_from_text, default=SIZE, metavar="WIDTHxHEIGHT",
                         help="without --config (default: %(default)s)")  # fmt: skip
    collect.add_argument("--colour", choices=("grey", "rgb"), default="grey", help="without --config (default: grey)")
    collect.add_argument(
        "--rate", type=rate_from_text, default=10.0, metavar="HZ", help="without --config (default: 10)"
    )
    collect.add_argument("--json", action="store_true", help="print what was kept as JSON")
    collect.set_defaults(run=_collect)


def _collect(parsed: argparse.Namespace) -> int:
    from edge.collect import Plan, collect  # noqa: PLC0415 - only a command opens the doors that it needs

    cameras, form = _cameras(parsed)
    plan = Plan(parsed.hours * 3600.0, round(parsed.megabytes * 1e6), parsed.clip)
    with tqdm(total=round(plan.seconds), unit="s", desc="collecting", disable=None) as bar:
        tallies = collect(cameras, form, parsed.out, plan, lambda seconds: _advance(bar, seconds))
    if parsed.json:
        print(msgspec.json.encode(tallies).decode())
    else:
        print("\n".join(_told(parsed.out / camera, tally) for camera, tally in tallies.items()))
    if silent := [camera for camera, tally in tallies.items() if not tally.frames]:
        raise DeviceUnavailable(f"{', '.join(silent)}: gave no frame in all the time; the log above says why.")
    return 0


def _told(folder: Path, tally: Tally) -> str:
    return (
        f"{folder}: {tally.kept} clips, {tally.bytes / 1e6:.1f} MB; not kept: {tally.repeated} that repeat others, "
        f"{tally.given_up} for want of room, {tally.unfit} while the camera had a condition"
    )


def _advance(bar: tqdm, seconds: float) -> None:
    bar.update(round(seconds) - bar.n)


def _cameras(parsed: argparse.Namespace) -> tuple[dict[str, CameraSource], FrameFormat]:
    if (parsed.source is None) == (parsed.config is None):
        raise UsageError("give either a camera's address or --config, not both.")
    if parsed.config is None:
        form = frame_format(parsed.size, parsed.colour, parsed.rate)
        return {parsed.camera or "camera": CameraSource(parsed.source)}, form
    from edge.config_file import read_config  # noqa: PLC0415
    from edge.kept_secrets import captured  # noqa: PLC0415
    from edge.updates.resolved import bundle_in_force  # noqa: PLC0415

    config = read_config(parsed.config)
    if parsed.camera and parsed.camera not in config.cameras:
        raise UsageError(f"{parsed.config} has no camera {parsed.camera!r}; it has {', '.join(config.cameras)}.")
    names = [parsed.camera] if parsed.camera else list(config.cameras)
    form = bundle_in_force(config).bundle.spec.form
    return {name: captured(name, config.cameras[name]) for name in names}, form
