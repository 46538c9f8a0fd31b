"""The command line of `prednet-calibrate`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from tqdm import tqdm

from calibration.fit import fit_calibration, observe
from calibration.footage import first_part_of, read_footage
from edge.bundle import read_bundle
from edge.calibrated import Limits
from edge.command import parser_for, run_command
from edge.errors import UsageError
from edge.runners import open_runner
from edge.site_calibration import write_site

SITE_HELP = """Learn what is normal at one camera, from footage of normal work.

The footage must show nothing that you want to be told of. A bundle's own normality belongs to
the footage that it was exported with; a camera elsewhere needs its own.

  prednet-calibrate site monday.mp4 tuesday.mp4 --bundle press.prednet --camera press3 -o press3.normal
  prednet-calibrate site 'shift.mp4#t=0,600' --bundle press.prednet --camera press3 -o press3.normal
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `prednet-calibrate` and return its exit code."""
    parser, commands = parser_for("prednet-calibrate", "Footage of normal work becomes numbers that cameras run on.")
    site = commands.add_parser("site", help="learn what is normal at one camera", description=SITE_HELP)
    site.add_argument("footage", nargs="+", help="videos, folders of images, globs; '#t=START,END' takes a stretch")
    site.add_argument("--bundle", type=Path, required=True, help="the bundle that the camera runs")
    site.add_argument("--variant", default="float", help="the bundle's variant that the camera runs (default: float)")
    site.add_argument("--camera", default="camera", help="the camera's name in the configuration")
    site.add_argument("-o", "--out", type=Path, required=True, help="where to write the .normal file")
    site.add_argument("--first-part", type=float, default=1.0, metavar="SHARE",
                      help="learn from this share (0–1) of each clip's beginning only (default: all)")  # fmt: skip
    site.add_argument("--json", action="store_true", help="print the limits as JSON")
    site.set_defaults(run=_site)
    return run_command(parser, arguments)


def _site(parsed: argparse.Namespace) -> int:
    limits = calibrate_site(parsed.footage, parsed.bundle, parsed.variant, parsed.camera, parsed.out, parsed.first_part)
    print(msgspec.json.encode(limits).decode() if parsed.json else told_limits(limits))
    return 0


def calibrate_site(
    footage: Sequence[str], bundle_path: Path, variant: str, camera: str, out: Path, first_part: float
) -> Limits:
    """Fit a site calibration on the first part (a share) of each clip, write it to `out`, and return its limits."""
    if not 0.0 < first_part <= 1.0:
        raise UsageError(f"--first-part is {first_part:g}; give a share above 0, 1 at most.")
    bundle = read_bundle(bundle_path)
    clips = read_footage(footage, bundle.spec.form, lambda name: print(f"reading {name}", file=sys.stderr))
    clips = [first_part_of(clip, first_part) for clip in clips]
    runner = open_runner(bundle.step(variant), bundle.spec, slots=1)
    with tqdm(total=sum(len(clip.images) for clip in clips), unit="frame", desc="watching", disable=None) as bar:
        observations = observe(clips, runner, lambda done: bar.update(done - bar.n))
    runner.close()
    calibration = fit_calibration(clips, observations, bundle.spec.form.rate_hz)
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
    return f"{told}\nno promise of a rate: the limit is the highest level seen plus its uncertainty"
