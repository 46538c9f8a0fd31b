"""`prednet-edge doctor`: everything that a running camera takes, looked at one by one as the service's user."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from edge import doctor_checks as checks
from edge.doctor_checks import Check, Warned
from edge.engine.key import l4t_release
from edge.errors import DeviceUnavailable, PrednetError
from edge.setup import Device, read_device

SERVICE_USER = "prednet-edge"


def examined(config: Path, service: str = SERVICE_USER) -> Iterator[Check]:
    """Yield a line for each check as it is done; what needs the configuration is skipped where that is not good.

    `service` is the user whose rights the daemon has.
    """
    yield _check("user", partial(checks.user, service))
    needed = _NeedsGpu(None)
    device: Device | None = None
    try:
        device = read_device(config)
    except PrednetError as error:
        yield Check("config", "failed", str(error))
    else:
        needed = _NeedsGpu(device)
        yield Check("config", "ok", f"{config}: {len(device.models)} cameras on {device.bundle.manifest.name}")
    yield needed.check("driver", checks.driver)
    yield needed.check("library", checks.library)
    if device is not None:
        yield from _of_device(device)
    yield _check("clock", checks.clock)
    yield _check("heat", checks.heat)


def _of_device(device: Device) -> Iterator[Check]:
    yield Check("runner", "ok", device.choice.told)
    yield _check("inference", partial(checks.inference, device))
    yield _check("gstreamer", partial(checks.gstreamer, device))
    for name in device.config.cameras:
        yield _check(f"camera {name}", partial(checks.camera, device, name))
    yield _check("broker", partial(checks.broker, device))
    if device.config.evidence.upload.bucket:
        yield _check("store", partial(checks.store, device))
    yield _check("disk", partial(checks.disk, device))


class _NeedsGpu:
    """Checks of the GPU: a failure where the configuration asks for one, otherwise skipped with the reason."""

    def __init__(self, device: Device | None) -> None:
        self._is_needed = device is not None and device.config.runner not in ("auto", "onnxruntime-cpu")

    def check(self, name: str, look: Callable[[], str]) -> Check:
        found = _check(name, look)
        if found.state == "failed" and not self._is_needed and not is_jetson():
            return Check(name, "skipped", f"no Jetson, and the configuration asks for no GPU: {found.told}")
        return found


def is_jetson() -> bool:
    """Return whether this is a Jetson, whose GPU is to be used."""
    return bool(l4t_release())


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", look())
    except Warned as warned:
        return Check(name, "warned", str(warned))
    except PrednetError as error:
        return Check(name, "failed", str(error))


def examined_as(user: str, arguments: list[str]) -> int:
    """Run the command again as another user, whose rights the daemon has, and return its exit code."""
    found = pwd.getpwnam(user)
    command = [sys.executable, "-c", "import sys; from edge.cli import main; sys.exit(main())", *arguments]
    groups = os.getgrouplist(user, found.pw_gid)
    home = {"HOME": found.pw_dir, "USER": user, "LOGNAME": user}
    try:
        return subprocess.run(  # noqa: S603 - our own command
            command, user=found.pw_uid, group=found.pw_gid, extra_groups=groups, env=os.environ | home, check=False
        ).returncode
    except PermissionError as error:
        raise DeviceUnavailable(f"{sys.executable} cannot be run by {user} ({error}); install it for all.") from error


def other_user(asked: str) -> str | None:
    """Return whose rights the checks must have: the service's, where root asks and there is such a user."""
    if os.geteuid() != 0 or not checks.is_user(asked):
        return None
    return asked if pwd.getpwnam(asked).pw_uid != 0 else None
