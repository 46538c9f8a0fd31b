"""The site calibration (`<camera>.normal`): what is normal at one camera, for one bundle and variant."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge.archive import Header, Kind, members_from_files, read_archive, write_archive
from edge.bundle import Bundle
from edge.calibrated import Calibration, limits_from_bytes, normality_from_bytes, normality_to_bytes
from edge.errors import PrednetError
from edge.privacy import Shape

NORMAL = Kind("prednet-normal", 1, "Make one with prednet-calibrate site.")
_NORMALITY, _LIMITS = "normality.npz", "limits.json"


class SiteManifest(Header, frozen=True, kw_only=True):
    """Which camera, bundle, variant and frame rate (frames a second) a calibration belongs to.

    `privacy_masks` are those that the footage was black under; None in files that do not say.
    """

    camera: str
    bundle: str
    variant: str
    rate_hz: float
    created: str
    privacy_masks: tuple[Shape, ...] | None = None


def write_site(
    path: Path, calibration: Calibration, *, camera: str, bundle: Bundle, variant: str, created: str
) -> None:
    """Write a camera's calibration in one step."""
    files = {
        _NORMALITY: normality_to_bytes(calibration.normality),
        _LIMITS: msgspec.json.format(msgspec.json.encode(calibration.limits), indent=1),
    }
    manifest = SiteManifest(
        format=NORMAL.format,
        format_version=NORMAL.format_version,
        files=members_from_files(files),
        camera=camera,
        bundle=bundle.digest,
        variant=variant,
        rate_hz=bundle.spec.form.rate_hz,
        created=created,
        privacy_masks=calibration.privacy_masks,
    )
    write_archive(path, manifest, files)


def manifest_of_site(path: Path) -> SiteManifest:
    """Return what a camera's calibration was made for; PrednetError where the file is damaged."""
    return read_archive(path, NORMAL, SiteManifest)[0]


def read_site(path: Path, bundle: Bundle, variant: str) -> Calibration:
    """Return a camera's calibration. Raises PrednetError where it is damaged or was made for another model."""
    manifest, files, _ = read_archive(path, NORMAL, SiteManifest)
    for what, found, expected in (
        ("bundle", manifest.bundle, bundle.digest),
        ("variant", manifest.variant, variant),
        ("frame rate", manifest.rate_hz, bundle.spec.form.rate_hz),
    ):
        if found != expected:
            raise PrednetError(
                f"{path}: made for the {what} {found}, and {bundle.path} has {expected}. {NORMAL.remedy}"
            )
    if not {_NORMALITY, _LIMITS} <= files.keys():
        raise PrednetError(f"{path}: holds no normality and limits. {NORMAL.remedy}")
    return Calibration(
        normality_from_bytes(files[_NORMALITY], bundle.spec.form, bundle.spec.grid, f"{path}: {_NORMALITY}"),
        limits_from_bytes(files[_LIMITS], f"{path}: {_LIMITS}"),
        manifest.privacy_masks,
    )
