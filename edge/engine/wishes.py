"""Which engines a configuration, or a command line, asks for."""

from __future__ import annotations

from pathlib import Path

from edge.bundle import Bundle, read_bundle
from edge.config import MOST_WORKSPACE_MIB, Config
from edge.config_file import read_config
from edge.engine.making import Wish, candidates
from edge.engine.store import FOLDER
from edge.errors import PrednetError, UsageError
from edge.model import AUTO
from edge.updates.resolved import bundle_in_force


def wish_from_config(path: Path, variant: str | None) -> Wish:
    """Return what a device's configuration wants; UsageError where it watches without a bundle."""
    config = read_config(path)
    if not config.bundle:
        raise UsageError(f"{path}: it watches with the predictor {config.predictor}, which needs no engine.")
    return wish_of(config, bundle_in_force(config).bundle, variant)


def wish_of(config: Config, bundle: Bundle, variant: str | None = None) -> Wish:
    """Return what a configuration wants of its bundle, in the state directory."""
    asked = variant or (None if config.variant == AUTO else config.variant)
    folder = Path(config.state_directory) / FOLDER
    variants = _variants(bundle, asked)
    return Wish(bundle, variants, len(config.cameras), folder, config.engine.workspace_mib, config.engine.level)


def wish_from_bundle(
    path: Path, variant: str | None, cameras: int, folder: Path, workspace_mib: int, level: int
) -> Wish:
    """Return what a command line wants of a bundle. Raises UsageError for a number out of bounds."""
    if not 1 <= workspace_mib <= MOST_WORKSPACE_MIB:
        raise UsageError(f"--workspace {workspace_mib} is not within 1 to {MOST_WORKSPACE_MIB} MiB.")
    bundle = read_bundle(path)
    return Wish(bundle, _variants(bundle, variant), cameras, folder, workspace_mib, level)


def _variants(bundle: Bundle, asked: str | None) -> tuple[str, ...]:
    if asked is not None:
        bundle.step(asked)  # says which variants there are where this is none
        return (asked,)
    found = candidates(bundle)
    if not found:
        raise PrednetError(f"{bundle.path}: holds no variant that TensorRT builds from; export it anew.")
    return found
