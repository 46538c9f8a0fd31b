"""What an event looks like that recorded scores tell of: its frame and heat map, from the frames before its peak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from edge.frames import Image
from edge.labels import seconds_from_utc
from edge.moments import Moment
from edge.normality import Map
from edge.ring import Facts, Segment
from edge.runner import Runner
from edge.setup import Device
from edge.what_if import Judged, WhatIf
from edge.what_if_change import masked, models_under
from edge.what_if_frames import ModelOf, clipped, watched_again
from edge.what_if_wish import Wish

# So long before a peak a network is begun anew: it settles within half a second. What stands still takes longer.
LOOK_BACK_SECONDS = {"surprise": 3.0, "stall": 30.0}
# Labels are rounded down to the millisecond.
LABEL_SECONDS = 0.0015


class Picture(NamedTuple):
    """The frame [H, W, C] at an event's peak; `cells` [Gh, Gw] are what stood out, None where nothing was scored."""

    image: Image
    cells: Map | None


def pictures_of(
    device: Device,
    found: WhatIf,
    events: Sequence[Judged],
    segments: Sequence[Segment],
    wish: Wish,
    progress: Callable[[], None] = lambda: None,
) -> list[Picture | None]:
    """Return a picture of each event, None where its frames are gone.

    What stays or comes is shown as the wish sees it, what vanishes as it was seen; `progress` is called once for each.
    """
    tried, known = models_under(device, found.camera, wish), models_under(device, found.camera, Wish())
    pictures = []
    with ExitStack() as stack:
        opened: dict[ModelOf, Runner] = {}
        for event in events:
            model_of = tried if wish.needs_frames and event.fate in ("stays", "comes") else known
            near = _near(event, segments, model_of)
            if near and model_of not in opened:
                opened[model_of] = model_of(near[0].facts.profile).runner(1, device.config.threads)
                stack.callback(opened[model_of].close)
            pictures.append(_picture(device, found.camera, event, near, opened[model_of], model_of) if near else None)
            progress()
    return pictures


def _near(event: Judged, segments: Sequence[Segment], model_of: ModelOf) -> list[Segment]:
    """The kept frames up to an event's peak that its network can see."""
    peak = seconds_from_utc(event.peak)
    near = clipped(segments, peak - LOOK_BACK_SECONDS[event.kind], peak + LABEL_SECONDS)
    return [
        one for one in near if one.film is not None and one.facts.form == model_of(one.facts.profile).bundle.spec.form
    ]


def _picture(
    device: Device, camera: str, event: Judged, near: Sequence[Segment], runner: Runner, model_of: ModelOf
) -> Picture | None:
    peak, shown = seconds_from_utc(event.peak), []

    def see(moment: Moment, facts: Facts) -> None:
        if moment.sensed is not None and abs(moment.seconds + facts.wall_offset_seconds - peak) <= LABEL_SECONDS:
            stalled = None if moment.stall is None else moment.stall.cells
            shown.append(Picture(moment.sensed.frame.image, stalled if event.kind == "stall" else moment.cells))

    watched_again(camera, near, runner, model_of, masked(device, camera, runner.spec.form), see)
    return shown[-1] if shown else None
