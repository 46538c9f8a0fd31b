"""What `prednet-calibrate site` is asked for: from options alone, or from a device's configuration."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from calibration.footage import Clip
from calibration.live import read_site_footage
from edge.builtin import bundle_from_predictor, predictor_of
from edge.bundle import Bundle, read_bundle
from edge.calibrated import Calibration
from edge.choice import Choice, choose, variant_in_use
from edge.chosen import open_chosen
from edge.config import Camera, Config
from edge.config_file import read_config
from edge.detection import Rules
from edge.errors import PrednetError, UsageError
from edge.kept_secrets import captured
from edge.model import chosen_variant, runner_of, with_normal
from edge.normality import Map
from edge.options import SIZE, frame_format, number_of, rate_from_text, size_from_text
from edge.privacy import Shape
from edge.profiles import judging
from edge.runner import Runner
from edge.setup import key_of_profile
from edge.slower import at_rate
from edge.sources import Capture
from edge.updates.resolved import bundle_in_force
from edge.updates.store import BundleStore
from edge.zones import sensitivity_of
from edge.zoning import calibration_in_zones

# Live footage is held in memory while it is learned from.
MOST_LIVE_SECONDS = 7 * 86_400.0
# Options that say something of one way to name what is watched: which, and what they say. With another way they are
# refused, since nothing would come of them.
_ONLY_OF = {
    "size": ("predictor", "is of a predictor's frames"),
    "colour": ("predictor", "is of a predictor's frames"),
    "variant": ("bundle", "is of a bundle alone; a device's configuration says its own, and a predictor has none"),
    "profile": ("config", "names a profile of a device's camera"),
    "installed": ("config", "names a bundle of a device"),
}


@dataclass(frozen=True)
class SiteOrder:
    """One camera to be calibrated: on which footage, for which model, where to, and what is in force there before.

    `out` None writes nothing; where it `is_in_force`, the device takes it over as its configuration names it. `before`
    None means that nothing is in force yet. `choice` is the device's runner, `capture` the library that
    it captures the camera through.
    """

    footage: Sequence[str]
    bundle: Bundle
    variant: str
    camera: str
    out: Path | None
    before: Calibration | None = None
    masks: Sequence[Shape] = ()
    rules: Rules = field(default_factory=Rules)
    sensitivity: Map | None = None
    choice: Choice | None = None
    capture: Capture = "auto"
    is_in_force: bool = False


def add_watched_options(parser: argparse.ArgumentParser) -> None:
    """Add what says how a camera is watched: its bundle, configuration or predictor, its name and profile."""
    watched = parser.add_mutually_exclusive_group(required=True)
    watched.add_argument("--bundle", type=Path, help="the bundle that the camera runs")
    watched.add_argument("--config", type=Path, help="the configuration that names --camera, its source and its bundle")
    watched.add_argument("--predictor", choices=("flow", "flow-light"), help="the predictor that it runs instead")
    parser.add_argument("--size", type=size_from_text, metavar="WIDTHxHEIGHT", help=f"of a predictor (default: {SIZE})")
    parser.add_argument("--colour", choices=("grey", "rgb"), help="of a predictor (default: grey)")
    parser.add_argument("--rate", type=rate_from_text, metavar="HZ",
                        help="frames a second: of a predictor (default: 10), or a slower one than the bundle's for "
                        "slow_normal")  # fmt: skip
    parser.add_argument(
        "--variant", help="with --bundle: the variant of it that the camera runs (default: cpu, else float)"
    )
    parser.add_argument("--camera", default="camera", help="the camera's name in the configuration")
    parser.add_argument("--profile", metavar="NAME", help="with --config: the profile of the camera to be learned")
    parser.add_argument("--installed", metavar="NAME",
                        help="with --config: for a bundle that is installed and not yet live")  # fmt: skip
    parser.add_argument("--seconds", type=number_of("seconds", MOST_LIVE_SECONDS, "60"), default=60.0,
                        metavar="SECONDS",
                        help="of a live camera: learn from so much of what it shows now (default: 60)")  # fmt: skip


def clips_of(order: SiteOrder, live_seconds: float) -> list[Clip]:
    """Return the footage of an order, black under its privacy masks; of a live camera its next `live_seconds`."""
    with tqdm(total=round(live_seconds), unit="s", desc="recording", disable=None) as bar:
        return read_site_footage(
            order.footage,
            order.bundle.spec.form,
            live_seconds,
            lambda name: print(f"reading {name}", file=sys.stderr),
            order.masks,
            lambda seconds: bar.update(min(round(seconds), bar.total) - bar.n),
            order.capture,
        )


def site_order(parsed: argparse.Namespace) -> SiteOrder:
    """Return the order of a parsed command line. Raises UsageError or ConfigInvalid for what it lacks."""
    for option, (way, told) in _ONLY_OF.items():
        if getattr(parsed, option) is not None and getattr(parsed, way) is None:
            raise UsageError(f"--{option} {told}; leave it out, or give --{way}.")
    if parsed.config is not None:
        return _order_from_config(parsed)
    if not parsed.footage:
        raise UsageError("no footage; name videos, folders or a camera, or give --config for the camera's own source.")
    if parsed.out is None and not parsed.show_only:
        raise UsageError("no place for the .normal file; give -o FILE, or --show-only.")
    if parsed.predictor:
        size, colour = parsed.size or size_from_text(SIZE), parsed.colour or "grey"
        bundle = bundle_from_predictor(parsed.predictor, frame_format(size, colour, parsed.rate or 10.0))
        variant = parsed.predictor
    else:
        bundle = _at_asked_rate(read_bundle(parsed.bundle), parsed.rate)
        variant = chosen_variant(bundle, parsed.variant or "auto")
    out = None if parsed.show_only else parsed.out
    return SiteOrder(parsed.footage, bundle, variant, parsed.camera, out, _in_force(bundle, variant, parsed.out))


def _order_from_config(parsed: argparse.Namespace) -> SiteOrder:
    config = read_config(parsed.config)
    camera = config.cameras.get(parsed.camera)
    if camera is None:
        raise UsageError(f"{parsed.config} has no camera {parsed.camera!r}; it has {', '.join(config.cameras)}.")
    if parsed.installed is not None and parsed.rate is not None:
        raise UsageError("--rate is of the bundle in force; leave out --installed, or --rate.")
    if parsed.profile is not None and parsed.rate is not None:
        raise UsageError("--rate is of slow_normal, which all profiles share; leave out --profile, or --rate.")
    bundle, normal = _bundle_and_normal(parsed, config, camera)
    if normal is None and not parsed.show_only:
        key, file = ("normal", "") if parsed.rate is None else ("slow_normal", ".slow")
        raise UsageError(
            f"{parsed.config}: {parsed.camera} has no '{key}' file to be replaced; add, for example, "
            f"'{key}: {parsed.camera}{file}.normal' to it, or give -o FILE."
        )
    bundle = _at_asked_rate(bundle, parsed.rate)
    variant, choice = variant_in_use(config, bundle), choose(config, bundle)
    sensitivity = sensitivity_of(camera.zones, camera.ignore_masks, bundle.spec.grid)
    if sensitivity is not None and not sensitivity.any():
        raise UsageError(
            f"{parsed.config}: {parsed.camera} ignores its whole picture, and nothing can be learned there; leave a "
            f"part of it out of 'ignore_masks', or give a zone a sensitivity above 0."
        )
    before = _in_force(bundle, variant, normal)
    if before is not None:
        before = calibration_in_zones(before, camera.zones, camera.ignore_masks, bundle.spec.grid)
    return SiteOrder(
        parsed.footage or [captured(parsed.camera, camera).spec],
        bundle,
        variant,
        parsed.camera,
        None if parsed.show_only else normal,
        before,
        camera.privacy_masks,
        config.detection.rules,
        sensitivity,
        choice,
        camera.capture,
        _is_in_force(parsed, camera, normal),
    )


def _bundle_and_normal(parsed: argparse.Namespace, config: Config, camera: Camera) -> tuple[Bundle, Path | None]:
    """Return the bundle to calibrate for, and the `.normal` file: those in force, or of a bundle that is installed."""
    named = _normal_of(parsed, camera)
    if parsed.installed is None:
        return bundle_in_force(config).bundle, parsed.out or named
    store = BundleStore(Path(config.state_directory))
    bundle = store.find(parsed.installed)
    key = parsed.camera if parsed.profile is None else key_of_profile(parsed.camera, parsed.profile)
    return bundle, parsed.out or (named and store.normal_of(bundle.digest, key))


def _is_in_force(parsed: argparse.Namespace, camera: Camera, normal: Path | None) -> bool:
    """Return whether the device watches by this file: its configuration names it, for the bundle that is live."""
    named = _normal_of(parsed, camera)
    if parsed.installed is not None or normal is None or named is None:
        return False
    return normal.resolve() == named.resolve()


def _normal_of(parsed: argparse.Namespace, camera: Camera) -> Path | None:
    """Return the `.normal` file that the configuration gives the camera, or its profile."""
    profiles = judging(camera.profiles)
    if parsed.rate is not None:
        return Path(camera.slow_normal) if camera.slow_normal else None
    if parsed.profile is None and profiles and not camera.normal:
        raise UsageError(f"{parsed.camera} has profiles; say which with --profile: {', '.join(profiles)}.")
    if parsed.profile is not None and parsed.profile not in profiles:
        has = f"it has {', '.join(profiles)}" if profiles else "it has none"
        raise UsageError(f"{parsed.camera} has no profile {parsed.profile!r} that judges; {has}.")
    normal = (profiles[parsed.profile].normal if parsed.profile else "") or camera.normal
    return Path(normal) if normal else None


def _at_asked_rate(bundle: Bundle, rate_hz: float | None) -> Bundle:
    """Return the bundle at the slower rate that is asked for, or as it is. Raises UsageError for another rate."""
    full_hz = bundle.spec.form.rate_hz
    if rate_hz is None or rate_hz == full_hz:
        return bundle
    if not 0.0 < rate_hz < full_hz:
        raise UsageError(f"--rate is {rate_hz:g}; give a rate below the bundle's {full_hz:g} frames a second.")
    return at_rate(bundle, rate_hz)


def runner_for(order: SiteOrder) -> Runner:
    """Return the device's own runner where it computes the order's variant, otherwise ONNX Runtime's on the CPU."""
    if order.choice is not None and order.choice.variant == order.variant:
        return open_chosen(order.choice, order.bundle, slots=1, threads=0)
    return runner_of(order.bundle, order.variant, slots=1)


def _in_force(bundle: Bundle, variant: str, normal: Path | None) -> Calibration | None:
    """Return what judges the camera now: its own calibration, or the bundle's; None where there is neither."""
    has_own = normal is not None and normal.exists()
    if not has_own and predictor_of(bundle) is not None:
        return None
    try:
        return with_normal(bundle, variant, normal if has_own else None).calibration
    except PrednetError:  # made for another bundle: it judges nothing here
        return None
