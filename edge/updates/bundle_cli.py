"""The commands `prednet-edge bundle` and `healthy`: what runs on a device, and whether it runs well."""

from __future__ import annotations

import argparse
import shutil
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge.command import Parser
from edge.errors import OK, UsageError

if TYPE_CHECKING:
    from edge.updates.acts import Change

BUNDLE_HELP = """Install, activate and roll back bundles on a device; watch with a second one beside the live one.

  prednet-edge bundle install press-v8.prednet --config config.yaml      checked and kept; nothing else changes
  prednet-edge bundle shadow press-v8 --config config.yaml               beside the live one, at a low rate
  prednet-edge bundle status --config config.yaml                        what is there, where the two disagree
  prednet-edge bundle promote --config config.yaml                       the shadow becomes the live one
  prednet-edge bundle activate press-v8 --config config.yaml             the same for any installed bundle
  prednet-edge bundle rollback --config config.yaml                      back to the one before
  prednet-edge bundle remove press-v7 --config config.yaml               take one away that is not in use
  prednet-edge bundle hooks --write DIR                                  scripts for Mender, balena and others

A running daemon takes the change over within seconds. A new bundle is on trial for an hour (updates.trial_minutes):
where its golden answer is wrong, its scores do not fit its calibration, or the daemon does not last with it, the one
before it is live again by itself, and the fault bundle_refused says so. NAME is the bundle's or its digest's.
"""
HEALTHY_HELP = """Say whether the daemon of the installed version runs and sees: what updaters ask before they commit.

  prednet-edge healthy --config config.yaml --within 120

Exit code 3 where it does not within the time: it is not there, is another version, sees no camera, or has a fault that
an update can bring about. A broker that is away and one lost camera of several are no faults of an update.
"""
HOOKS = "data/updates"


def add_bundle_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `bundle` and `healthy` to the device's commands."""
    bundle = commands.add_parser("bundle", help="install, activate, roll back bundles", description=BUNDLE_HELP)
    bundle.add_argument("what", choices=(*_DOINGS, "hooks"), help="what to do")
    bundle.add_argument("name", nargs="?", help="a file to install; else a name, a digest, or 'off' for shadow")
    bundle.add_argument("--config", type=Path, help="the YAML configuration")
    bundle.add_argument("--uncalibrated", action="store_true", help="activate for cameras without a calibration too")
    bundle.add_argument("--write", type=Path, metavar="DIR", help="of hooks: where to write the scripts")
    bundle.add_argument("--json", action="store_true", help="print JSON")
    bundle.set_defaults(run=_bundle)
    healthy = commands.add_parser("healthy", help="whether the daemon runs and sees", description=HEALTHY_HELP)
    healthy.add_argument("--config", type=Path, required=True, help="the YAML configuration")
    healthy.add_argument("--within", type=float, default=0.0, metavar="SECONDS", help="wait so long (default: 0)")
    healthy.add_argument("--bundle", metavar="DIGEST", help="and that it runs this bundle")
    healthy.add_argument("--json", action="store_true", help="print what the daemon says of itself")
    healthy.set_defaults(run=_healthy)


def _bundle(parsed: argparse.Namespace) -> int:
    if parsed.what == "hooks":
        return _hooks(parsed)
    if parsed.config is None:
        raise UsageError(f"bundle {parsed.what} wants the configuration of the device: --config FILE.")
    needs_name = parsed.what in ("install", "activate", "shadow", "remove")
    if needs_name != (parsed.name is not None):
        raise UsageError(f"bundle {parsed.what} {'wants a NAME' if needs_name else 'takes no NAME'}.")
    told = _DOINGS[parsed.what](parsed)
    print(msgspec.json.encode(told).decode() if parsed.json else told["told"])
    return OK


def _install(parsed: argparse.Namespace) -> dict[str, object]:
    from edge.updates.acts import install  # noqa: PLC0415 - only a command opens the doors that it needs
    from edge.updates.store import told_bundle  # noqa: PLC0415

    bundle = install(parsed.config, Path(parsed.name))
    return {"told": f"installed: {told_bundle(bundle)}", "name": bundle.manifest.name, "digest": bundle.digest}


def _activate(parsed: argparse.Namespace) -> dict[str, object]:
    from edge.updates.acts import activate  # noqa: PLC0415

    return _changed("live", activate(parsed.config, parsed.name, uncalibrated=parsed.uncalibrated))


def _promote(parsed: argparse.Namespace) -> dict[str, object]:
    from edge.updates.acts import promote  # noqa: PLC0415

    return _changed("live", promote(parsed.config, uncalibrated=parsed.uncalibrated))


def _rollback(parsed: argparse.Namespace) -> dict[str, object]:
    from edge.setup import read_device  # noqa: PLC0415
    from edge.updates.acts import roll_back  # noqa: PLC0415

    return _changed("live again", roll_back(read_device(parsed.config)))


def _changed(what: str, change: Change) -> dict[str, object]:
    from edge.updates.store import told_bundle  # noqa: PLC0415

    lacking = ", ".join(change.uncalibrated)
    told = f"{what}: {told_bundle(change.bundle)}; a running daemon takes it over within seconds"
    told += f"\nwithout a calibration of their own: {lacking}" if lacking else ""
    named: dict[str, object] = {"name": change.bundle.manifest.name, "digest": change.bundle.digest}
    return {"told": told, "uncalibrated": list(change.uncalibrated)} | named


def _shadow(parsed: argparse.Namespace) -> dict[str, object]:
    from edge.updates.acts import shadow  # noqa: PLC0415
    from edge.updates.store import told_bundle  # noqa: PLC0415

    bundle = shadow(parsed.config, parsed.name)
    if bundle is None:
        return {"told": "no shadow any more", "digest": None}
    return {"told": f"shadow: {told_bundle(bundle)}; 'bundle status' says where they disagree", "digest": bundle.digest}


def _remove(parsed: argparse.Namespace) -> dict[str, object]:
    from edge.updates.acts import store_of  # noqa: PLC0415
    from edge.updates.store import told_bundle  # noqa: PLC0415

    _, store = store_of(parsed.config)
    bundle = store.find(parsed.name)
    try:
        store.remove(bundle.digest)
    except UsageError as error:
        raise UsageError(f"{told_bundle(bundle)}: {error}") from error
    return {"told": f"removed: {told_bundle(bundle)}", "digest": bundle.digest}


def _status(parsed: argparse.Namespace) -> dict[str, object]:
    from edge.updates.acts import store_of  # noqa: PLC0415
    from edge.updates.told import lines_of_status, status_of  # noqa: PLC0415

    status = status_of(store_of(parsed.config)[0])
    plain: dict[str, object] = msgspec.to_builtins(status)
    return plain if parsed.json else {"told": "\n".join(lines_of_status(status))}


def _hooks(parsed: argparse.Namespace) -> int:
    if parsed.write is None:
        raise UsageError("bundle hooks wants --write DIR.")
    with resources.as_file(resources.files("edge") / HOOKS) as folder:
        for source in sorted(path for path in folder.rglob("*") if path.is_file()):
            target = parsed.write / source.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            if source.read_bytes().startswith(b"#!"):
                target.chmod(0o755)
            print(target)
    return OK


def _healthy(parsed: argparse.Namespace) -> int:
    from edge.config_file import read_config  # noqa: PLC0415
    from edge.updates.alive import wait_until_healthy  # noqa: PLC0415

    state = Path(read_config(parsed.config).state_directory)
    alive = wait_until_healthy(state, parsed.within, _tell_waiting, parsed.bundle or "")
    cameras = ", ".join(f"{name} {state}" for name, state in alive.cameras.items())
    told = f"healthy: {alive.version} on {alive.runner} with {alive.name}; {cameras}"
    print(msgspec.json.encode(alive).decode() if parsed.json else told)
    return OK


def _tell_waiting(wrong: str) -> None:
    print(f"waiting: {wrong}", file=sys.stderr)


_DOINGS = {
    "install": _install,
    "activate": _activate,
    "rollback": _rollback,
    "shadow": _shadow,
    "promote": _promote,
    "status": _status,
    "remove": _remove,
}
