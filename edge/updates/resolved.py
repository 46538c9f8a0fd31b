"""Which bundle a configuration means now, and which calibration of each camera belongs to it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge.builtin import bundle_from_predictor
from edge.bundle import Bundle, read_bundle
from edge.config import Config
from edge.errors import PrednetError
from edge.profiles import judging
from edge.site_calibration import manifest_of_site
from edge.updates.store import BundleStore

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resolved:
    """The bundle in force, and why those were refused that should have been, by digest or path."""

    bundle: Bundle
    refused: Mapping[str, str] = field(default_factory=dict)


def bundle_in_force(config: Config) -> Resolved:
    """Return the bundle that a configuration means now.

    That is the one that was activated, until another file is put where the configuration points; what cannot be used
    is passed over for the one before it. Raises PrednetError where none can be used.
    """
    if config.predictor:
        return Resolved(bundle_from_predictor(config.predictor, config.frame.form))
    store, own, refusals, faults = BundleStore(Path(config.state_directory)), Path(config.bundle), {}, []
    state = store.state
    for path in _candidates(store, own):
        try:
            bundle = read_bundle(path)
        except PrednetError as error:
            refusals[str(path)] = str(error)
            faults.append(error)
            continue
        if bundle.digest not in state.refused:
            return Resolved(bundle, refusals)
        refusals[bundle.digest] = state.refused[bundle.digest]
        faults.append(PrednetError(f"{path}: was refused before: {state.refused[bundle.digest]}"))
    raise faults[0]


def configured_digest(config: Config) -> str:
    """Return the digest of the file that the configuration names; empty where it cannot be read."""
    try:
        return f"sha256:{hashlib.sha256(Path(config.bundle).read_bytes()).hexdigest()}"
    except OSError:
        return ""


def _candidates(store: BundleStore, own: Path) -> list[Path]:
    """The files to try, the one that is wanted first."""
    state = store.state
    kept = [store.path_of(digest) for digest in (state.live, state.previous) if store.holds(digest)]
    try:
        configured = f"sha256:{hashlib.sha256(own.read_bytes()).hexdigest()}"
    except OSError:
        return [*kept, own]
    is_own = not state.live or configured not in (state.configured, "") or configured == state.live
    return [own, *kept] if is_own else [*kept, own]


def normals_in_force(config: Config, bundle: Bundle) -> dict[str, Path | None]:
    """Return the calibration of each camera, or `camera/profile`, for a bundle; None where there is none for it.

    A file that the configuration names counts where it was made for this bundle, otherwise the one that is kept beside
    the bundle. Before a device has run for the first time the named file counts in any case: a wrong one is then told.
    """
    store = BundleStore(Path(config.state_directory))
    is_own = bool(config.predictor) or (str(bundle.path) == config.bundle and not store.state.live)
    return {
        key: _normal(store, key, Path(named), bundle.digest, is_own=is_own)
        for key, named in named_normals(config).items()
    }


def named_normals(config: Config) -> dict[str, str]:
    """Return the `.normal` file that the configuration names for each camera, or `camera/profile`, that has one."""
    named = {}
    for name, camera in config.cameras.items():
        profiles = judging(camera.profiles)
        for key, profile in profiles.items():
            named[f"{name}/{key}"] = profile.normal or camera.normal
        if not profiles:
            named[name] = camera.normal
    return {key: normal for key, normal in named.items() if normal}


def _normal(store: BundleStore, key: str, named: Path, digest: str, *, is_own: bool) -> Path | None:
    kept = store.normal_of(digest, key)
    if not is_own and not named.exists():
        return kept if kept.exists() else None
    if is_own and not kept.exists():
        return named
    try:
        made_for = manifest_of_site(named).bundle
    except PrednetError:
        return kept if kept.exists() else named
    if made_for == digest:
        return named
    return kept if kept.exists() else None


def keep_normals(config: Config, digest: str) -> None:
    """Keep the calibrations that belong to a bundle beside it, before another bundle's take their place."""
    store = BundleStore(Path(config.state_directory))
    for key, named in named_normals(config).items():
        try:
            if manifest_of_site(Path(named)).bundle == digest:
                store.keep_normal(digest, key, Path(named))
        except (PrednetError, OSError) as error:
            log.warning("normal_not_kept key=%s reason=%s", key, error)
