"""`prednet-calibrate masks`: which regions of a camera are never predictable, and what ignoring them would save."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

import msgspec
from tqdm import tqdm

from calibration.fit import observe
from calibration.masks import Suggestions, suggest_masks
from calibration.normality import held_out_maps
from calibration.parts import Seen
from calibration.site_order import add_watched_options, clips_of, runner_for, site_order
from edge.command import Parser, check_folder_of

MASKS_HELP = """Suggest masks for regions that are always unpredictable: a screen, a tree, a reflection, steam.

From footage of normal work: which places carry the highest scores again and again, all through the footage, and what
level all else stays below. For each mask it is told how many false events a day the region alone makes at that limit.
Ready to be pasted under the camera; then learn the site anew, and the limit falls.

  prednet-calibrate masks recordings/press3 --config config.yaml --camera press3 --chart masks.png
  prednet-calibrate masks monday.mp4 --bundle press.prednet

What happens under a mask is never told: look at the picture before you paste it. An hour of footage says more than
ten minutes; a region must stand out in 3 of 8 stretches of it.
"""


def add_masks_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `masks` to the commands of `prednet-calibrate`."""
    masks = commands.add_parser("masks", help="suggest masks for what is never predictable", description=MASKS_HELP)
    masks.add_argument("footage", nargs="*", help="videos, folders of images, globs; '#t=START,END' takes a stretch")
    add_watched_options(masks)
    masks.add_argument("--chart", type=Path, default=Path("masks.png"), help="the picture (default: %(default)s)")
    masks.add_argument("--json", action="store_true", help="print what was found as JSON")
    masks.set_defaults(run=_masks, out=None, show_only=True)


def _masks(parsed: argparse.Namespace) -> int:
    check_folder_of(parsed.chart)
    order = site_order(parsed)
    clips = clips_of(order, parsed.seconds)
    count = sum(len(clip.images) for clip in clips)
    with closing(runner_for(order)) as runner, tqdm(total=count, unit="frame", desc="watching", disable=None) as bar:
        seen = observe(clips, runner, lambda done: bar.update(done - bar.n), order.sensitivity)
    held = held_out_maps([Seen(one.seconds, one.senses) for one in seen], order.sensitivity)
    found = suggest_masks(held, order.bundle.spec.form.rate_hz, order.rules)
    from calibration.masks_chart import draw_masks  # noqa: PLC0415 - only what draws opens its door

    draw_masks(found, clips[0].images[len(clips[0].images) // 2], parsed.chart)
    print(msgspec.json.encode(found).decode() if parsed.json else told_masks(found))
    print(f"picture: {parsed.chart}", file=sys.stderr)
    return 0


def told_masks(found: Suggestions) -> str:
    """Return what to paste, and what it is worth, in lines for a person."""
    if not found.masks:
        return f"# no mask: no region carries many of the {found.events} highest events all through this footage"
    lines = [
        f"# This footage stays below a limit of {found.limit:.2f}, all but these regions below "
        f"{found.limit_with_masks:.2f}.",
        f"# At that one, work like it makes {found.events_per_day:.3g} false events a day without the masks.",
        "    ignore_masks:",
    ]
    for one in found.masks:
        corners = ", ".join(f"[{x:g}, {y:g}]" for x, y in one.mask)
        lines.append(f"      - [{corners}]  # saves {one.saves_per_day:.3g} false events a day")
    return "\n".join([*lines, "# then: prednet-calibrate site"])
