"""The command line of `prednet-calibrate`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from tqdm import tqdm

from calibration.evaluate_cli import SIZE, add_evaluate_command, form_from_options
from calibration.fit import fit_calibration, observe
from calibration.footage import first_part_of
from calibration.live import read_site_footage
from edge.builtin import bundle_from_predictor
from edge.bundle import Bundle, read_bundle
from edge.calibrated import Limits
from edge.command import parser_for, run_command
from edge.errors import UsageError
from edge.model import chosen_variant, runner_of
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
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `prednet-calibrate` and return its exit code."""
    parser, commands = parser_for("prednet-calibrate", "Footage of normal work becomes numbers that cameras run on.")
    site = commands.add_parser("site", help="learn what is normal at one camera", description=SITE_HELP)
    site.add_argument("footage", nargs="+", help="videos, folders of images, globs; '#t=START,END' takes a stretch")
    watched = site.add_mutually_exclusive_group(required=True)
    watched.add_argument("--bundle", type=Path, help="the bundle that the camera runs")
    watched.add_argument("--predictor", choices=("flow", "flow-light"), help="the predictor that it runs instead")
    site.add_argument("--size", default=SIZE, metavar="WIDTHxHEIGHT", help="of a predictor (default: %(default)s)")
    site.add_argument("--colour", choices=("grey", "rgb"), default="grey", help="of a predictor (default: grey)")
    site.add_argument("--rate", type=float, default=10.0, metavar="HZ", help="of a predictor (default: 10)")
    site.add_argument(
        "--variant", default="auto", help="the bundle's variant that the camera runs (default: cpu, else float)"
    )
    site.add_argument("--camera", default="camera", help="the camera's name in the configuration")
    site.add_argument("-o", "--out", type=Path, required=True, help="where to write the .normal file")
    site.add_argument("--seconds", type=float, default=60.0, metavar="SECONDS",
                      help="of a live camera: learn from so much of what it shows now (default: 60)")  # fmt: skip
    site.add_argument("--first-part", type=float, default=1.0, metavar="SHARE",
                      help="learn from this share (0–1) of each clip's beginning only (default: all)")  # fmt: skip
    site.add_argument("--json", action="store_true", help="print the limits as JSON")
    site.set_defaults(run=_site)
    add_evaluate_command(commands)
    return run_command(parser, arguments)


def _site(parsed: argparse.Namespace) -> int:
    if parsed.predictor:
        form = form_from_options(parsed.size, parsed.colour, parsed.rate)
        bundle, variant = bundle_from_predictor(parsed.predictor, form), parsed.predictor
    else:
        bundle = read_bundle(parsed.bundle)
        variant = chosen_variant(bundle, parsed.variant)
    limits = calibrate_site(
        parsed.footage, bundle, variant, parsed.camera, parsed.out, parsed.first_part, parsed.seconds
    )
    print(msgspec.json.encode(limits).decode() if parsed.json else told_limits(limits))
    return 0


def calibrate_site(
    footage: Sequence[str], bundle: Bundle, variant: str, camera: str, out: Path, first_part: float, live_seconds: float
) -> Limits:
    """Fit a site calibration on the first part (a share) of each clip, write it to `out`, and return its limits.

    `live_seconds` is how long a live camera is looked at.
    """
    if not 0.0 < first_part <= 1.0:
        raise UsageError(f"--first-part is {first_part:g}; give a share above 0, 1 at most.")
    form = bundle.spec.form
    clips = read_site_footage(footage, form, live_seconds, lambda name: print(f"reading {name}", file=sys.stderr))
    clips = [first_part_of(clip, first_part) for clip in clips]
    runner = runner_of(bundle, variant, slots=1)
    with tqdm(total=sum(len(clip.images) for clip in clips), unit="frame", desc="watching", disable=None) as bar:
        observations = observe(clips, runner, lambda done: bar.update(done - bar.n))
    runner.close()
    calibration = fit_calibration(clips, observations, form.rate_hz)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    write_site(out, calibration, camera=camera, bundle=bundle, variant=variant, created=created)
    return calibration.limits


def told_limits(limits: Limits) -> str:
    """Return what the limits are worth, in sentences for a person."""
    told = (
        f"normal footage: {limits.footage_seconds:.0f} s scored ({limits.frames} frames), "
        f"highest level {limits.highest_level:.2f}\n"
        f"limit: {limits.on:.2f} (an event ends below {limits.off:.2f})"
    )
    if limits.is_promise:
        return told
    return f"{told}\nno promise of a rate: the limit is what this footage stayed below, plus its uncertainty"
