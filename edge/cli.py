"""The command line of `prednet-edge`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from tqdm import tqdm

from edge.acceptance.cli import add_accept_command
from edge.ack_cli import add_ack_command
from edge.bench_cli import add_bench_command
from edge.collect_cli import add_collect_command
from edge.command import Parser, check_folder_of, parser_for, run_command
from edge.config_cli import add_config_commands
from edge.detection import Rules
from edge.doctor_cli import add_doctor_command
from edge.engine.engine_cli import add_engine_command
from edge.errors import UsageError
from edge.evidence_cli import add_evidence_command
from edge.init_cli import add_init_command
from edge.install_cli import add_install_commands
from edge.mqtt_cli import add_mqtt_commands
from edge.options import frame_format, rate_from_text, size_from_text
from edge.page.page_cli import add_page_command
from edge.report_cli import add_report_command
from edge.self_tests.cli import add_self_test_command
from edge.support.cli import add_support_command
from edge.updates.bundle_cli import add_bundle_command
from edge.watch_cli import add_watch_command
from edge.what_if_cli import WHAT_IF_HELP, add_what_if, run_what_if

RUN_HELP = """Watch the cameras of a configuration and publish what is unexpected on MQTT.

  prednet-edge run --config /etc/prednet-edge/config.yaml

Stops cleanly on Ctrl-C and SIGTERM: open events are ended, the broker is told. SIGHUP reads the configuration anew:
a good one is taken over, with a bad one the last good one goes on. As a service: prednet-edge install-service.
"""

REPLAY_HELP = """Run the daemon's own river over a file: events as JSON lines, and a chart.

  prednet-edge replay shift.mp4 --bundle press.prednet
  prednet-edge replay 'shift.mp4#t=600,900' --bundle press.prednet --normal press3.normal --chart shift.png

The chart shows the error of frame-to-frame prediction beside that of repeating the last frame, the
level of the surprise with its limit, the events, and frame and prediction at each event's peak.
"""


DEMO_HELP = """The main job on your own machine, in a minute and a half: broker, daemon, subscriber, chart.

Plays every accident of the synthetic factory before two cameras, prints the events as a subscriber
receives them, and holds them against what really happened. Needs no camera, no broker, no GPU.

  prednet-edge demo
  prednet-edge demo --video my.mp4 --normal my.normal
"""


SCENE_HELP = """Write the synthetic factory as a video with its ground truth, for your own experiments.

  prednet-edge scene --write factory
  prednet-edge scene 'test://factory?seed=7&accidents=fire,jam&seconds=60' --write fires --size 320x256

DIR then holds scene.mp4, labels.npy (uint8 a frame, 1 = an accident is visible) and incidents.json (kind,
start and end in seconds, box in 0–1 of the picture). Keys of the address: seed, accidents and conditions
(all, none, or names with commas), first, spacing, start, seconds.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `prednet-edge` and return its exit code."""
    parser, commands = parser_for("prednet-edge", "PredNet as an anomaly camera: watch, replay, check.")
    _add_run(commands)
    _add_replay(commands)
    demo = commands.add_parser("demo", help="the main job on this machine", description=DEMO_HELP)
    demo.add_argument("--out", type=Path, default=Path("demo-out"), help="folder of charts (default: %(default)s)")
    demo.add_argument("--video", help="watch this file instead of the synthetic factory")
    demo.add_argument("--normal", type=Path, help="with --video: what is normal there (prednet-calibrate site)")
    demo.set_defaults(run=_demo)
    _add_scene(commands)
    add_collect_command(commands)
    add_config_commands(commands)
    add_init_command(commands)
    add_install_commands(commands)
    add_evidence_command(commands)
    add_accept_command(commands)
    add_ack_command(commands)
    add_bench_command(commands)
    add_bundle_command(commands)
    add_self_test_command(commands)
    add_support_command(commands)
    add_doctor_command(commands)
    add_engine_command(commands)
    add_mqtt_commands(commands)
    add_watch_command(commands)
    add_report_command(commands)
    add_page_command(commands)
    return run_command(parser, arguments)


def _add_run(commands: argparse._SubParsersAction[Parser]) -> None:
    run = commands.add_parser("run", help="watch the cameras of a configuration", description=RUN_HELP)
    run.add_argument("--config", type=Path, required=True, help="the YAML configuration")
    told = "keep the last configuration that worked there, and start with it where CONFIG is not good"
    run.add_argument("--last-good", type=Path, metavar="FILE", help=told)
    run.set_defaults(run=_run)


def _add_replay(commands: argparse._SubParsersAction[Parser]) -> None:
    told = "run the same river over a file, or ask what another limit would have told"
    replay = commands.add_parser("replay", help=told, description=REPLAY_HELP + WHAT_IF_HELP)
    replay.add_argument("video", nargs="?", help="a video, a folder of images, test://…; '#t=START,END' for a stretch")
    replay.add_argument("--bundle", type=Path, help="the bundle to watch a video with")
    replay.add_argument("--variant", default="auto", help="the bundle's variant (default: cpu, else float)")
    replay.add_argument("--normal", type=Path, help="a site calibration, instead of the bundle's own normality")
    replay.add_argument("--chart", type=Path, help="where to write the chart (default: NAME.chart.png here)")
    replay.add_argument("--hold", type=float, default=Rules.hold_seconds, metavar="SECONDS",
                        help="how long a crossing must last to be an event (default: %(default)s)")  # fmt: skip
    add_what_if(replay)
    replay.set_defaults(run=_replay)


def _add_scene(commands: argparse._SubParsersAction[Parser]) -> None:
    scene = commands.add_parser("scene", help="write the synthetic factory as video", description=SCENE_HELP)
    scene.add_argument("address", nargs="?", default="test://factory?accidents=all",
                       help="which day and which accidents (default: %(default)s)")  # fmt: skip
    scene.add_argument("--write", type=Path, required=True, metavar="DIR", help="a new folder")
    scene.add_argument("--size", type=size_from_text, default="640x512", metavar="WIDTHxHEIGHT",
                       help="in pixels (default: %(default)s)")  # fmt: skip
    scene.add_argument("--colour", choices=("grey", "rgb"), default="rgb", help="of its pixels (default: %(default)s)")
    scene.add_argument("--rate", type=rate_from_text, default=10.0, metavar="HZ", help="frames a second (default: 10)")
    scene.set_defaults(run=_scene)


def _run(parsed: argparse.Namespace) -> int:
    from edge.service import run_daemon  # noqa: PLC0415 - only a command opens the doors that it needs

    return run_daemon(parsed.config, parsed.last_good)


def _demo(parsed: argparse.Namespace) -> int:
    try:
        demo = importlib.import_module("edge.demo")  # only a command opens the doors that it needs
    except ImportError as error:
        raise UsageError(f"{error.name} is not installed; run: pip install 'prednet-edge[demo]'.") from error
    if parsed.video:
        demo.demo_video(parsed.out, parsed.video, parsed.normal)
    else:
        demo.demo_scenes(parsed.out, "realtime")
    return 0


def _scene(parsed: argparse.Namespace) -> int:
    from edge.scene import scene_duration, scene_from_url  # noqa: PLC0415 - only a command opens its doors
    from edge.scene.footage import write_scene  # noqa: PLC0415

    form = frame_format(parsed.size, parsed.colour, parsed.rate)
    scene, _, seconds = scene_from_url(parsed.address)
    with tqdm(unit="frame", desc="drawing", disable=None) as bar:
        for path in write_scene(
            scene,
            parsed.write,
            height=form.height,
            width=form.width,
            channels=form.channels,
            rate_hz=form.rate_hz,
            seconds=seconds or scene_duration(scene),
            progress=lambda done, _: bar.update(done - bar.n),
        ):
            print(path)
    return 0


def _replay(parsed: argparse.Namespace) -> int:
    if (parsed.video is None) == (parsed.since is None) or (parsed.since is None and (parsed.what_if or parsed.json)):
        raise UsageError("give a video with --bundle; or --since and --what-if, for what the device kept.")
    if parsed.since is not None:
        return run_what_if(parsed)
    if parsed.bundle is None:
        raise UsageError("give the bundle to watch the video with: --bundle FILE.")
    return _replay_video(parsed)


def _replay_video(parsed: argparse.Namespace) -> int:
    from edge.chart import draw_chart  # noqa: PLC0415 - only a command opens the doors that it needs
    from edge.model import read_model  # noqa: PLC0415
    from edge.replay import replay  # noqa: PLC0415
    from edge.sources import open_source  # noqa: PLC0415
    from edge.trace import Trace  # noqa: PLC0415

    if parsed.hold < 0:
        raise UsageError(f"--hold is {parsed.hold:g}; give 0 seconds or more.")
    if parsed.chart is not None:
        check_folder_of(parsed.chart)
    model = read_model(parsed.bundle, parsed.variant, parsed.normal)
    source = open_source(parsed.video, model.bundle.spec.form)
    if source.is_live:
        source.close()
        raise UsageError(f"{parsed.video} is a live camera; watch it with 'prednet-edge run', or record it first.")
    trace = Trace(source.name)
    chart = parsed.chart or Path(f"{Path(source.name.split('#')[0].split('?')[0]).stem or 'replay'}.chart.png")
    with tqdm(unit="frame", desc="watching", disable=None) as bar:
        events = replay(source, model.runner(1), model, Rules(hold_seconds=parsed.hold), trace, lambda _: bar.update())
        for event in events:
            print(msgspec.json.encode(event).decode(), flush=True)
    source.close()
    draw_chart(trace, chart)
    print(f"{len(trace.spans)} events in {len(trace.seconds)} frames; chart: {chart}", file=sys.stderr)
    return 0
