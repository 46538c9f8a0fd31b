"""The words of `prednet-edge replay` that ask what would have been told: --since, --what-if."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from tqdm import tqdm

from edge.command import Parser, check_folder_of
from edge.errors import UsageError

if TYPE_CHECKING:
    from edge.ring import Ring, Segment
    from edge.setup import Device
    from edge.what_if_change import Answer
    from edge.what_if_sheet import Shown
    from edge.what_if_wish import Wish

WHAT_IF_HELP = """
What if: which events would have come and which would have vanished, before anything is changed. From the scores and
small frames that the daemon keeps (`ring` of the configuration); it may run meanwhile.

  prednet-edge replay --config config.yaml --since 1d --what-if limit=4.2
  prednet-edge replay --config config.yaml --since 7d --camera press3 --what-if false_per_day=1
  prednet-edge replay --config config.yaml --since 2h --what-if 'mask=[[0.8,0.0],[1.0,0.3]],limit=4'
  prednet-edge replay --config config.yaml --since 2h --what-if mask=aisle --what-if bundle=new.prednet

  limit=LEVEL          the level above which a surprise is an event
  false_per_day=N      the limits that promise it, where the calibration can tell
  mask=SHAPE or ZONE   two corners, a polygon, or a zone's name: not judged; may be given several times
  bundle=FILE          another bundle; normal=FILE another calibration, of it or of the one installed

Limits are tried on scores; masks, bundles and calibrations need the frames, which are kept for a shorter time and are
watched again on the CPU. Without --what-if: what was told. What is not covered is said in seconds.
"""
# Events that are drawn on a sheet; of more, those that stay or come go first.
MOST_PICTURES = 60
DEFAULT_CONFIG = Path("/etc/prednet-edge/config.yaml")


def add_what_if(replay: Parser) -> None:
    """Add the words to the command `replay`."""
    replay.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="with --since (default: %(default)s)")
    replay.add_argument("--since", metavar="SPAN", help="what the device kept since: 2h, 1d, or 2026-11-22T06:00 (UTC)")
    replay.add_argument("--until", metavar="TIME", help="its end: 30m (ago), or 2026-11-22T14:00 (default: now)")
    replay.add_argument("--what-if", action="append", default=[], metavar="CHANGE", help="KEY=VALUE,... as told above")
    replay.add_argument("--camera", help="with --since: one camera (default: all)")
    replay.add_argument("--sheet", type=Path, metavar="FILE", help="the page with pictures (default: what-if.html)")
    replay.add_argument("--json", action="store_true", help="with --since: a JSON object a camera; a page with --sheet")


def run_what_if(parsed: argparse.Namespace) -> int:
    """Answer for each camera, print it, and write the sheet."""
    from edge.ring import ring_of  # noqa: PLC0415 - only a command opens the doors that it needs
    from edge.setup import read_device  # noqa: PLC0415
    from edge.what_if_sheet import write_sheet  # noqa: PLC0415
    from edge.what_if_wish import told_wish, wish_from_texts  # noqa: PLC0415

    wish, device = wish_from_texts(parsed.what_if), read_device(parsed.config)
    ring, stretch = ring_of(device.config.state_directory), _stretch(parsed.since, parsed.until, time.time())
    sheet = parsed.sheet or (None if parsed.json else Path("what-if.html"))
    if sheet is not None:
        check_folder_of(sheet)
    answers = []
    for camera in [parsed.camera] if parsed.camera else list(device.config.cameras):
        answer = _answer(device, ring, camera, stretch, wish)
        answers.append((answer, _shown(device, answer, wish) if sheet is not None else []))
        _print(answer, told_wish(wish), is_json=parsed.json)
    if sheet is not None:
        write_sheet(sheet, told_wish(wish), answers)
        print(f"pictures: {sheet}", file=sys.stderr)
    return 0


def _stretch(since: str, until: str | None, now: float) -> tuple[float, float]:
    first, last = _time(since, now), now if until is None else _time(until, now)
    if first >= last:
        raise UsageError(f"--since {since} --until {until}: it ends before it begins.")
    return first, last


def _time(text: str, now: float) -> float:
    """Unix time of a span before now, or of a time in UTC."""
    from edge.evidence_cli import seconds_from_time  # noqa: PLC0415
    from edge.labels import seconds_from_span  # noqa: PLC0415

    if text[-1:].isalpha() and text[-1:] != "Z":
        return now - seconds_from_span(text)
    return seconds_from_time(text) or 0.0


def _answer(device: Device, ring: Ring, camera: str, stretch: tuple[float, float], wish: Wish) -> Answer:
    from edge.what_if import recorded  # noqa: PLC0415
    from edge.what_if_change import filmed_within, models_under, what_if  # noqa: PLC0415

    models_under(device, camera, wish)  # says what cannot be tried before anything long begins
    frames = _frames(filmed_within(recorded(ring, camera, *stretch), stretch)) if wish.needs_frames else 0
    with tqdm(total=frames, unit="frame", desc=f"{camera}: watching again", disable=None if frames else True) as bar:
        return what_if(device, ring, camera, stretch, wish, lambda _moment, _facts: _advance(bar))


def _frames(segments: Sequence[Segment]) -> int:
    return sum(int(one.rows["has_frame"].sum()) for one in segments)


def _advance(bar: tqdm) -> None:
    bar.update()


def _shown(device: Device, answer: Answer, wish: Wish) -> list[Shown]:
    """The events that are drawn, with their pictures."""
    from edge.what_if_pictures import pictures_of  # noqa: PLC0415

    order = ("stays", "comes", "vanishes", "unknown")
    first = sorted(answer.found.events, key=lambda one: (order.index(one.fate), one.start))[:MOST_PICTURES]
    events = sorted(first, key=lambda one: one.start)
    with tqdm(total=len(events), unit="event", desc="pictures", disable=None) as bar:
        pictures = pictures_of(device, answer.found, events, answer.before, wish, lambda: _advance(bar))
    return list(zip(events, pictures, strict=True))


def _print(answer: Answer, change: str, *, is_json: bool) -> None:
    from edge.what_if_told import headline, told_coverage, told_event  # noqa: PLC0415

    if is_json:
        told = {"what_if": change, **msgspec.to_builtins(answer.found), "notes": answer.notes}
        print(msgspec.json.encode(told).decode())
        return
    print(f"{change}: {headline(answer.found)}")
    for line in (*map(told_event, answer.found.events), *told_coverage(answer.found), *answer.notes):
        print(f"  {line}")
