"""What a wish comes to: its limits and models in place of those in force, and the events that they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from edge.bundle import read_bundle
from edge.calibrated import limit_of, limits_for
from edge.detection import Rules
from edge.errors import UsageError
from edge.frames import FrameFormat
from edge.model import AUTO, Model, with_normal
from edge.moments import Moment
from edge.privacy import Mask, Shape, mask_from_shapes
from edge.promise import told_promise
from edge.ring import Facts, Ring, Segment
from edge.ring_events import LimitsOf
from edge.setup import Device, adapted, key_of_profile
from edge.site_calibration import manifest_of_site
from edge.what_if import Change, Limits, WhatIf, compared, limits_under, recorded
from edge.what_if_frames import ModelOf, clipped, watched_again
from edge.what_if_wish import Wish
from edge.zoning import zoned

# Frames from before the stretch, by which a network warms up.
WARM_SECONDS = 10.0


class Answer(NamedTuple):
    """What was found; the scores as they were recorded and under the wish; its limits; what else is to be known."""

    found: WhatIf
    before: Sequence[Segment]
    after: Sequence[Segment]
    limits_of: LimitsOf
    notes: tuple[str, ...]


def what_if(
    device: Device,
    ring: Ring,
    camera: str,
    stretch: tuple[float, float],
    wish: Wish,
    see: Callable[[Moment, Facts], None] = lambda _moment, _facts: None,
) -> Answer:
    """Return what a wish makes of a camera's events; `see` is shown every frame that is watched again.

    `stretch` is Unix time. Raises PrednetError for a camera, zone, file or promise that is not to be had.
    """
    segments = after = recorded(ring, camera, *stretch)
    model_of = models_under(device, camera, wish)
    limits_of = limits_under(change_from(wish, segments, model_of))
    if wish.needs_frames:
        filmed = filmed_within(segments, stretch)
        check_form(filmed, model_of)
        after = frames_again(device, camera, filmed, model_of, see)
    found = compared(camera, stretch, segments, after, limits_of, is_filmed=wish.needs_frames)
    rules = {one.facts.profile: one.facts.rules for one in segments}
    notes = (told_promise_of(model_of(profile), rules[profile], wish) for profile in rules)
    return Answer(found, segments, after, limits_of, tuple(filter(None, notes)))


def filmed_within(segments: Sequence[Segment], stretch: tuple[float, float]) -> list[Segment]:
    """Return the segments of a stretch whose frames are kept, and what a network needs before it to warm up."""
    return [one for one in clipped(segments, stretch[0] - WARM_SECONDS, stretch[1]) if one.film is not None]


def frames_again(
    device: Device,
    camera: str,
    segments: Sequence[Segment],
    model_of: ModelOf,
    see: Callable[[Moment, Facts], None] = lambda _moment, _facts: None,
) -> list[Segment]:
    """Return segments watched again on the CPU; what is behind a privacy mask today is black in all of them."""
    if not segments:
        return []
    runner = model_of(segments[0].facts.profile).runner(1, device.config.threads)
    try:
        return watched_again(camera, segments, runner, model_of, masked(device, camera, runner.spec.form), see)
    finally:
        runner.close()


def masked(device: Device, camera: str, form: FrameFormat) -> Mask | None:
    """Return which pixels are black under a camera's privacy masks, bool [H, W]; None where it has none."""
    return mask_from_shapes(device.config.cameras[camera].privacy_masks, form.height, form.width)


def models_under(device: Device, camera: str, wish: Wish) -> ModelOf:
    """Return the model of each profile under a wish. Raises UsageError for a camera that the configuration lacks."""
    if camera not in device.config.cameras:
        raise UsageError(f"the configuration has no camera {camera!r}; it has {', '.join(device.config.cameras)}.")
    settings, detection = device.config.cameras[camera], device.config.detection
    masks = (*settings.ignore_masks, *(_shape(device, camera, mask) for mask in wish.masks))
    other = _other_model(device, wish)

    @cache
    def model_of(profile: str) -> Model:
        model = other or device.profiles.get(key_of_profile(camera, profile), device.models[camera])
        if other is None and not wish.masks:
            return model
        if other is not None:
            model = adapted(model, settings, detection)
        return zoned(model, settings.zones, masks, settings.privacy_masks)

    return model_of


def _shape(device: Device, camera: str, mask: Shape | str) -> Shape:
    zones = device.config.cameras[camera].zones
    if not isinstance(mask, str):
        return mask
    if mask not in zones:
        raise UsageError(f"--what-if mask={mask}: {camera} has no zone {mask!r}; it has {', '.join(zones) or 'none'}.")
    return zones[mask].polygon


def _other_model(device: Device, wish: Wish) -> Model | None:
    """The other bundle or normality that is tried, None where neither is."""
    if not wish.bundle and not wish.normal:
        return None
    bundle = read_bundle(Path(wish.bundle)) if wish.bundle else device.bundle
    normal = Path(wish.normal) if wish.normal else None
    return with_normal(bundle, AUTO if normal is None else manifest_of_site(normal).variant, normal)


def check_form(segments: Sequence[Segment], model_of: ModelOf) -> None:
    """Raise UsageError where kept frames are not what a network sees."""
    for segment in segments:
        kept, wanted = segment.facts.form, model_of(segment.facts.profile).bundle.spec.form
        if kept != wanted:
            raise UsageError(
                f"{segment.film}: its frames are {_told_form(kept)}, and the bundle sees {_told_form(wanted)}; "
                "frames of another size, colour or rate can be kept only from its installation on."
            )


def _told_form(form: FrameFormat) -> str:
    return f"{form.width}x{form.height} {'grey' if form.channels == 1 else 'rgb'} at {form.rate_hz:g} a second"


def change_from(wish: Wish, segments: Sequence[Segment], model_of: ModelOf) -> Change:
    """Return the limits of a wish: a promise's, another model's, or those that were in force."""
    if wish.false_per_day is None and not wish.bundle and not wish.normal:
        return Change(wish.limit)
    rules = {one.facts.profile: one.facts.rules for one in segments}
    return Change(wish.limit, {key: _limits(model_of(key), rules[key], wish.false_per_day) for key in rules})


def _limits(model: Model, rules: Rules, per_day: float | None) -> Limits:
    limits = model.calibration.limits
    if per_day is not None:
        if limits.rates is None or limits.promise is None:
            raise UsageError(
                f"--what-if false_per_day={per_day:g}: the calibration does not say how often normal work reaches a "
                "level; make it anew with prednet-calibrate site, or give limit=LEVEL."
            )
        limits = limits_for(limits, rules, per_day)
    return limit_of(limits), None if limits.stall is None else limit_of(limits.stall)


def told_promise_of(model: Model, rules: Rules, wish: Wish) -> str | None:
    """Return what the promise of a wish is worth, in sentences; None where none is asked for."""
    if wish.false_per_day is None:
        return None
    if model.is_outdated:
        return "no promise of a rate: the limits were fitted with other zones or masks"
    limits = limits_for(model.calibration.limits, rules, wish.false_per_day)
    return None if limits.promise is None else told_promise(limits.promise, limits.is_promise)
