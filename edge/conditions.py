"""Conditions of a camera: lit anew, moved, blocked, blurred, frozen, or with frames missing; never an anomaly.

Each frame is compared with the camera's own last seconds (`edge/look.py`). One finding is a frame; the same
finding in a few frames running is a condition, decided well within the hold of an event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge.frames import Frame
from edge.look import (
    BLOCK_PIXELS,
    Comparison,
    Look,
    Reference,
    Shift,
    changed_share,
    compared,
    first_reference,
    followed,
    look_from_image,
    registered,
)
from edge.messages import Condition

# Frames of a camera before anything is said of its picture.
LEARNED_FRAMES = 20
# The same finding in this many frames running, and for this long, is a condition.
CONFIRM_FRAMES, CONFIRM_SECONDS = 3, 0.19
# So long without a finding ends a condition of the picture, and so long without a gap ends `frame_gap`.
RELEASE_SECONDS, GAP_RELEASE_SECONDS = 1.0, 10.0
# A new light that stays for so long is what the camera shows from now on, and a new place that stays.
LIGHT_SETTLED_SECONDS, PLACE_SETTLED_SECONDS = 2.0, 10.0
# A picture without a change for so long is no picture of now. Strong compression repeats itself for a second or two.
FROZEN_SECONDS, STILL_SHARE = 5.0, 0.001
# Natural logarithms of brightness ratios: a new light is at least so much (16 %), and so often the usual change.
LEAST_TONE, TONES_OVER_USUAL = 0.15, 3.0
# Shares of what the comparison of normal frames usually gives.
SUSPICIOUS_MATCH, LOST_MATCH, BLURRED_SHARPNESS = 0.88, 0.3, 0.55
# Below this the reference is no picture (everything in it moves): place, sharpness and cover are not judged.
TRUSTED_MATCH = 0.5
LEAST_SHIFT_PIXELS, SHIFT_EXPLAINS, LEAST_SHIFTED_MATCH = 1.0, 1.15, 0.3
BLANK_CONTRAST, BLANK_DETAIL, RICH_DETAIL, SAME_LAYOUT = 0.3, 0.6, 2.0, 0.8
_USUAL_SHARE = 0.05


@dataclass(frozen=True)
class Usual:
    """What the comparison gives while nothing is wrong: slow means."""

    match: float
    sharpness: float
    tone: float


@dataclass(frozen=True)
class Departure:
    """The picture departs from its reference: what it looks like since, and which finding repeats itself.

    `fresh` is the reference of the new look, begun again whenever the picture does not keep to it.
    """

    finding: Condition
    since_seconds: float
    frames: int
    seen_seconds: float
    fresh: Reference
    fresh_seconds: float
    shift_pixels: float = 0.0


@dataclass(frozen=True)
class Watched:
    """What is known of one camera's picture; `active` are its conditions now."""

    active: tuple[Condition, ...] = ()
    reference: Reference | None = None
    usual: Usual | None = None
    departure: Departure | None = None
    last: Look | None = None
    still_since_seconds: float = 0.0
    gap_seconds: float | None = None
    image: Condition | None = None

    @property
    def is_paused(self) -> bool:
        """True while a condition makes the picture unfit to be scored; a gap marks its own frames."""
        return any(found.name != "frame_gap" for found in self.active)


def watched(before: Watched, frame: Frame, *, is_gap: bool) -> Watched:
    """Return what is known after one more frame; `is_gap` where frames are missing before it."""
    look, seconds = look_from_image(frame.image), frame.seconds
    last = before.last if before.last is not None and before.last.grey.shape == look.grey.shape else None
    is_still = last is not None and changed_share(look, last) < STILL_SHARE
    now = replace(
        before,
        last=look,
        still_since_seconds=before.still_since_seconds if is_still else seconds,
        gap_seconds=seconds if is_gap else before.gap_seconds,
    )
    if not is_still or now.departure is not None:  # else a repeated frame says nothing new of the picture
        now = _pictured(now, look, seconds)
    return replace(now, active=_active(now, seconds))


def returned(before: Watched) -> Watched:
    """Return what is still known of a camera that was lost: what its picture looks like, and nothing that lasts."""
    return Watched(reference=before.reference, usual=before.usual)


def _active(now: Watched, seconds: float) -> tuple[Condition, ...]:
    found = [now.image] if now.image is not None else []
    is_blocked = now.image is not None and now.image.name == "blocked"  # a cover may be black without any noise
    if seconds - now.still_since_seconds >= FROZEN_SECONDS and not is_blocked:
        found = [Condition(name="frozen", confidence=1.0)]
    if now.gap_seconds is not None and 0.0 <= seconds - now.gap_seconds < GAP_RELEASE_SECONDS:
        found.append(Condition(name="frame_gap", confidence=1.0))
    return tuple(found)


def _pictured(now: Watched, look: Look, seconds: float) -> Watched:
    """Return what is known after comparing a new picture with the reference."""
    reference = now.reference
    if reference is None or reference.look.grey.shape != look.grey.shape:
        return replace(now, reference=first_reference(look), usual=None, departure=None, image=None)
    comparison = compared(look, reference)
    if reference.count < LEARNED_FRAMES or now.usual is None:
        return replace(now, reference=followed(reference, look), usual=_usual(now.usual, comparison, 0.2))
    shift = _shift(look, reference, comparison, now.usual)
    finding = found_in(comparison, now.usual, shift)
    if finding is None:
        return _undisturbed(now, look, comparison, reference, seconds)
    departure = _departed(now, look, finding, shift, seconds)
    image = now.image
    if departure.frames >= CONFIRM_FRAMES and seconds - departure.since_seconds >= CONFIRM_SECONDS:
        image = finding
    return _settled(replace(now, departure=departure, image=image), seconds)


def _undisturbed(now: Watched, look: Look, comparison: Comparison, reference: Reference, seconds: float) -> Watched:
    """The picture is as it was: the reference follows it, once a condition has been over for long enough."""
    departure = now.departure
    if now.image is not None and departure is not None and seconds - departure.seen_seconds < RELEASE_SECONDS:
        return now
    return replace(
        now,
        reference=followed(reference, look),
        usual=_usual(now.usual, comparison, _USUAL_SHARE),
        departure=None,
        image=None,
    )


def _usual(usual: Usual | None, comparison: Comparison, share: float) -> Usual:
    tone = abs(comparison.tone)
    if usual is None:
        return Usual(comparison.match, comparison.sharpness, tone)
    return Usual(
        usual.match + share * (comparison.match - usual.match),
        usual.sharpness + share * (comparison.sharpness - usual.sharpness),
        usual.tone + share * (tone - usual.tone),
    )


def _shift(look: Look, reference: Reference, comparison: Comparison, usual: Usual) -> Shift | None:
    """Return where the picture stands; None where it matches too well to ask, or its reference says too little."""
    if usual.match < TRUSTED_MATCH or comparison.match >= SUSPICIOUS_MATCH * usual.match:
        return None
    return registered(look, reference)


def found_in(comparison: Comparison, usual: Usual, shift: Shift | None) -> Condition | None:
    """Return what one comparison says, None where the picture is as usual.

    The order is that of explaining: a moved picture also looks unsharp, a covered one also dark.
    """
    if usual.match >= TRUSTED_MATCH:
        lost = comparison.match < LOST_MATCH * usual.match
        if lost and _is_blank(comparison):
            if comparison.layout < SAME_LAYOUT or comparison.contrast < BLANK_CONTRAST:
                return Condition(name="blocked", confidence=_confidence(1.0 - comparison.match / usual.match))
        elif shift is not None and _explains(shift):
            return Condition(name="moved", confidence=_confidence(shift.match - shift.match_unmoved + 0.5))
        if comparison.sharpness < BLURRED_SHARPNESS * usual.sharpness and comparison.layout >= SAME_LAYOUT:
            return Condition(name="blurred", confidence=_confidence(1.0 - comparison.sharpness / usual.sharpness))
        if lost:
            return Condition(name="moved", confidence=0.5)
    if abs(comparison.tone) >= max(LEAST_TONE, TONES_OVER_USUAL * usual.tone):
        return Condition(name="lighting", confidence=_confidence(abs(comparison.tone) / LEAST_TONE / 2))
    return None


def _is_blank(comparison: Comparison) -> bool:
    """Return whether little of the scene is left. What shows twice the scene's detail is a thing, and no cover."""
    if comparison.detail >= RICH_DETAIL:
        return False
    return comparison.contrast < BLANK_CONTRAST or comparison.detail < BLANK_DETAIL


def _explains(shift: Shift) -> bool:
    unmoved = max(shift.match_unmoved, 0.0)
    return shift.pixels >= LEAST_SHIFT_PIXELS and shift.match > max(
        SHIFT_EXPLAINS * unmoved + 0.03, LEAST_SHIFTED_MATCH
    )


def _confidence(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), 2)


def _departed(now: Watched, look: Look, finding: Condition, shift: Shift | None, seconds: float) -> Departure:
    """Return the departure after one more frame that shows it."""
    before, pixels = now.departure, 0.0 if shift is None else shift.pixels
    if before is None:
        return Departure(finding, seconds, 1, seconds, first_reference(look), seconds, pixels)
    fresh, fresh_seconds = followed(before.fresh, look), before.fresh_seconds
    if not _keeps_to(look, before.fresh):
        fresh, fresh_seconds = first_reference(look), seconds
    if finding.name == before.finding.name:
        since, frames = before.since_seconds, before.frames + 1
    else:
        since, frames = seconds, 1
    return Departure(finding, since, frames, seconds, fresh, fresh_seconds, pixels)


def _keeps_to(look: Look, fresh: Reference) -> bool:
    """Return whether a frame shows the same as the last ones did, in light and in place."""
    comparison = compared(look, fresh)
    return abs(comparison.tone) < LEAST_TONE / 2 and comparison.match >= TRUSTED_MATCH


def _settled(now: Watched, seconds: float) -> Watched:
    """Take a new look that has stayed as the camera's own: a new light soon, a new place later, a cover never.

    A place farther off than a cell of the network's grid fits no normality any more, and stays a condition.
    """
    departure = now.departure
    if departure is None:
        return now
    stayed = seconds - departure.fresh_seconds
    name = now.image.name if now.image is not None else None
    is_settled = (
        (name == "lighting" and stayed >= LIGHT_SETTLED_SECONDS)
        or (name == "moved" and stayed >= PLACE_SETTLED_SECONDS and 0 < departure.shift_pixels <= BLOCK_PIXELS)
        or (name is None and stayed >= PLACE_SETTLED_SECONDS)
    )
    if not is_settled:
        return now
    return replace(now, reference=departure.fresh, departure=None, image=None)
