"""The command line of `prednet-calibrate`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
from tqdm import tqdm

from calibration.asked import Asked, add_asked, asked_from
from calibration.evaluate_cli import add_evaluate_command
from calibration.fit import fit_calibration, observe
from calibration.footage import first_part_of
from calibration.masks_cli import add_masks_command
from calibration.site_order import SiteOrder, add_watched_options, clips_of, runner_for, site_order
from calibration.told import told_limits
from calibration.would_fire import Fired, Named, told_fired, would_fire
from edge.calibrated import Limits
from edge.command import check_folder_of, parser_for, run_command
from edge.errors import UsageError
from edge.site_calibration import write_site

SITE_HELP = """Learn what is normal at one camera, from footage of normal work.

The footage must show nothing that you want to be told of. A bundle's own normality belongs to
the footage that it was exported with; a camera elsewhere needs its own.

  prednet-calibrate site monday.mp4 tuesday.mp4 --bundle press.prednet --camera press3 -o press3.normal
  prednet-calibrate site 'shift.mp4#t=0,600' --bundle press.prednet --camera press3 -o press3.normal
  prednet-calibrate site monday.mp4 --predictor flow --camera press3 -o press3.normal

With --predictor the camera is watched by optical flow, before any network is trained. Nothing recorded yet?
Let the camera itself show a stretch of normal work, now:

  prednet-calibrate site rtsp://10.0.0.9/stream --seconds 120 --predictor flow --camera press3 -o press3.normal

--false-per-day asks for at most so many false events a day on the camera. A promise of one needs 8 hours of normal
work for each of its limits: 16 for surprises and stalls, which every camera has once its footage is longer than nine
minutes. From less footage comes the limit of the lowest rate that it supports, and how much is lacking.
On the device, everything is in the configuration: the camera's source, masks, bundle, and its `normal` file. It is
replaced, and a running `prednet-edge run` takes it over within seconds. What it and the calibration before it would
have fired on this footage is shown; --show-only shows it and replaces nothing. A CSI or USB camera is open to one
program at a time: stop the daemon, or give footage that prednet-edge collect has recorded.

  prednet-calibrate site --config config.yaml --camera press3 --seconds 3600
  prednet-calibrate site recordings/press3 --config config.yaml --camera press3

For a bundle that is installed and not yet live, so that it begins with a calibration of its own:

  prednet-calibrate site recordings/press3 --config config.yaml --camera press3 --installed press-v8

The camera's zones and ignore masks are in its limit. A camera with profiles learns each from footage of that work:

  prednet-calibrate site running.mp4 --config config.yaml --camera press3 --profile running
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `prednet-calibrate` and return its exit code."""
    parser, commands = parser_for("prednet-calibrate", "Footage of normal work becomes numbers that cameras run on.")
    site = commands.add_parser("site", help="learn what is normal at one camera", description=SITE_HELP)
    site.add_argument("footage", nargs="*", help="videos, folders of images, globs; '#t=START,END' takes a stretch")
    add_watched_options(site)
    site.add_argument("-o", "--out", type=Path, help="the .normal file (default with --config: the camera's)")
    site.add_argument("--show-only", action="store_true", help="show what would have fired, and write nothing")
    site.add_argument("--first-part", type=float, default=1.0, metavar="SHARE",
                      help="learn from this share (0–1) of each clip's beginning only (default: all)")  # fmt: skip
    add_asked(site, otherwise=", or what --config says")
    site.add_argument("--json", action="store_true", help="print the limits as JSON")
    site.set_defaults(run=_site)
    add_masks_command(commands)
    add_evaluate_command(commands)
    return run_command(parser, arguments)


def _site(parsed: argparse.Namespace) -> int:
    order = site_order(parsed)
    if order.out is not None:
        check_folder_of(order.out)
    limits, fired = calibrate_site(order, parsed.first_part, parsed.seconds, asked_from(parsed, order.rules))
    if parsed.json:
        print(msgspec.json.encode(msgspec.to_builtins(limits) | {"would_fire": fired}).decode())
        return 0
    print(told_limits(limits))
    print(told_fired(fired, limits.footage_seconds))
    if order.out is not None:
        print(f"in force at {order.camera}: {order.out}" if order.is_in_force else f"written: {order.out}")
    return 0


def calibrate_site(
    order: SiteOrder, first_part: float, live_seconds: float, asked: Asked
) -> tuple[Limits, Mapping[str, Sequence[Fired]]]:
    """Fit a site calibration on the first part (a share) of each clip, and write it where the order says.

    Returns its limits, and what it and the calibration before it would have fired on this footage. `live_seconds`
    is how long a live camera is looked at; `asked` is asked of its limits.
    """
    if not 0.0 < first_part <= 1.0:
        raise UsageError(f"--first-part is {first_part:g}; give a share above 0, 1 at most.")
    bundle, form = order.bundle, order.bundle.spec.form
    clips = [first_part_of(clip, first_part) for clip in clips_of(order, live_seconds)]
    count = sum(len(clip.images) for clip in clips)
    with closing(runner_for(order)) as runner:
        with tqdm(total=count, unit="frame", desc="watching", disable=None) as bar:
            observations = observe(clips, runner, lambda done: bar.update(done - bar.n), order.sensitivity)
        calibration = fit_calibration(clips, observations, form.rate_hz, asked, order.sensitivity)
        calibration = replace(calibration, privacy_masks=tuple(order.masks))
        judged = [Named("the calibration in force", order.before)] if order.before is not None else []
        judged.append(Named("this calibration", calibration))
        with tqdm(total=count, unit="frame", desc="judging", disable=None) as bar:
            fired = would_fire(clips, runner, judged, asked.rules, lambda done: bar.update(done - bar.n))
    if order.out is not None:
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_site(order.out, calibration, camera=order.camera, bundle=bundle, variant=order.variant, created=created)
    return calibration.limits, fired
