"""What is said of a source that cannot be opened or that stops, alike for every capture library."""

from __future__ import annotations

from edge.errors import CameraRefused, DeviceUnavailable, UsageError
from edge.places import Place, without_login


def refusal(place: Place, reason: str, frames_read: int, *, is_login: bool) -> DeviceUnavailable | UsageError:
    """Return the error of a place after so many frames; `is_login` where the camera does not accept the user."""
    reason = without_login(reason)
    if place.is_live and is_login:
        return CameraRefused(f"{place.name}: the camera refuses the login; correct its username and password.")
    if place.is_live:
        told = "stopped sending" if frames_read else "cannot be opened"
        return DeviceUnavailable(f"{place.name}: the camera {told} ({reason}); check its power, address and password.")
    if frames_read:
        return UsageError(f"{place.name}: damaged after {frames_read} frames ({reason}); cut it there or give another.")
    return UsageError(f"{place.name}: not a video that can be read ({reason}); give a file that ffplay can show.")
