"""What people do with bundles: install, activate, roll back, watch beside the live one, promote."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.bundle import Bundle, read_bundle
from edge.config import Config
from edge.config_file import read_config
from edge.errors import GateFailed, PrednetError, UsageError
from edge.frames import FrameFormat
from edge.messages import utc_from_seconds
from edge.model import AUTO, chosen_variant, runner_of
from edge.setup import Device, device_with, read_device
from edge.updates.resolved import bundle_in_force, configured_digest, keep_normals, named_normals
from edge.updates.store import BundleStore, State, activated, rolled_back, told_bundle


@dataclass(frozen=True)
class Change:
    """What a change of bundles comes to: the live bundle from now on, and cameras that lose their own calibration."""

    bundle: Bundle
    uncalibrated: tuple[str, ...]


def store_of(config_path: Path) -> tuple[Config, BundleStore]:
    """Return a configuration and its store. Raises UsageError where it watches without a bundle."""
    config = read_config(config_path)
    if config.predictor:
        raise UsageError(f"{config_path}: it watches with the predictor {config.predictor}, and has no bundles.")
    return config, BundleStore(Path(config.state_directory))


def install(config_path: Path, file: Path) -> Bundle:
    """Check a bundle, ask it on this machine for its golden answer, and keep it; nothing else changes.

    Raises PrednetError for one that is damaged or of another format, GateFailed where its answer is wrong.
    """
    _, store = store_of(config_path)
    bundle = read_bundle(file)
    _prove(bundle)
    return store.put(bundle)


def activate(config_path: Path, name: str, *, uncalibrated: bool = False) -> Change:
    """Let an installed bundle be the live one; a running daemon takes it over, on trial.

    Raises GateFailed where its golden answer is wrong, or where a camera would lose its calibration and `uncalibrated`
    does not allow it; PrednetError where the configuration cannot run on it.
    """
    config, store = store_of(config_path)
    bundle = store.find(name)
    _prove(bundle)
    lacking = cameras_without(read_device(config_path, other=bundle))
    if lacking and not uncalibrated:
        raise GateFailed(
            f"{told_bundle(bundle)}: no calibration of {', '.join(lacking)} was made for it, and it would be watched "
            f"with the bundle's own normality. Make one: prednet-calibrate site FOOTAGE --config {config_path} "
            f"--camera {lacking[0].split('/')[0]} --installed {bundle.manifest.name}; or say --uncalibrated."
        )
    _begin(config, store)
    keep_normals(config, store.state.live)
    on_trial, own = config.updates.trial_minutes > 0.0, configured_digest(config)
    store.change(lambda state: activated(state, bundle.digest, own, now(), on_trial=on_trial))
    return Change(bundle, lacking)


def roll_back(device: Device, reason: str = "asked for") -> Change:
    """Let the bundle before the live one be live again, with its own calibrations.

    Raises UsageError where there is none, PrednetError where it cannot be used; then nothing has changed.
    """
    config = device.config
    store = BundleStore(Path(config.state_directory))
    state = store.state
    if config.predictor or not store.holds(state.previous):
        raise UsageError("there is no bundle before the live one to go back to.")
    bundle = store.read(state.previous)
    lacking = cameras_without(device_with(device, bundle))
    keep_normals(config, state.live)
    store.change(lambda state: rolled_back(state, now(), reason))
    return Change(bundle, lacking)


def shadow(config_path: Path, name: str) -> Bundle | None:
    """Let an installed bundle run beside the live one, or with `off` none; return it.

    Raises UsageError for the live one, GateFailed where its answer is wrong, PrednetError where its frames are others.
    """
    _, store = store_of(config_path)
    if name == "off":
        store.change(lambda state: msgspec.structs.replace(state, shadow=""))
        return None
    bundle, live = store.find(name), read_device(config_path).bundle
    if bundle.digest == live.digest:
        raise UsageError(f"{told_bundle(bundle)} is the live one; a shadow is another.")
    check_form(bundle, live)
    _prove(bundle)
    store.change(lambda state: msgspec.structs.replace(state, shadow=bundle.digest))
    return bundle


def check_form(bundle: Bundle, live: Bundle) -> None:
    """Raise PrednetError where a bundle cannot look at the frames of the live one."""
    form, other = bundle.spec.form, live.spec.form
    if form != other:
        raise PrednetError(
            f"{told_bundle(bundle)}: its frames are {_told(form)}, and the live bundle's {_told(other)}; a shadow sees "
            f"the live one's. Compare them on recordings: prednet-edge replay."
        )


def promote(config_path: Path, *, uncalibrated: bool = False) -> Change:
    """Let the shadow be the live bundle. Raises UsageError where there is none, otherwise as `activate`."""
    _, store = store_of(config_path)
    digest = store.state.shadow
    if not store.holds(digest):
        raise UsageError("there is no shadow; name one first: prednet-edge bundle shadow NAME --config CONFIG")
    return activate(config_path, digest, uncalibrated=uncalibrated)


def cameras_without(device: Device) -> tuple[str, ...]:
    """Return the cameras, or `camera/profile`, whose `.normal` file the device's bundle has none for."""
    models = {**device.models, **device.profiles}
    return tuple(key for key in named_normals(device.config) if not models[key].is_site)


def now() -> str:
    """Return the time as a label."""
    return utc_from_seconds(time.time())


def _begin(config: Config, store: BundleStore) -> None:
    """Keep what has been watched with so far, where nothing was activated yet: it is what a rollback goes to."""
    if store.state.live:
        return
    before, own = store.put(bundle_in_force(config).bundle), configured_digest(config)
    store.change(lambda state: _first(state, before.digest, own))


def _first(state: State, digest: str, configured: str) -> State:
    return state if state.live else msgspec.structs.replace(state, live=digest, configured=configured)


def _prove(bundle: Bundle) -> None:
    try:
        runner_of(bundle, chosen_variant(bundle, AUTO), slots=1).close()
    except PrednetError as error:
        raise GateFailed(str(error)) from error


def _told(form: FrameFormat) -> str:
    return f"{form.width}×{form.height}×{form.channels} at {form.rate_hz:g} a second"
