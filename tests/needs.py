"""What some tests need of their machine: absent on a user's it skips them, absent in CI it fails them."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from types import ModuleType
from typing import NoReturn

import pytest


def need(name: str) -> ModuleType:
    """Return the module; where it is not installed, skip the caller's tests, or fail under CI."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as fault:
        absent(f"{fault.name} is not installed: pip install 'prednet-edge[workstation]'")


def need_program(name: str, package: str = "") -> str:
    """Return the path of a program; where it is not installed, skip the caller's test, or fail it under CI.

    `package` is Debian's, where it has not the program's name.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return found or absent(f"{name} is not installed: apt-get install {package or name}")


def need_root() -> None:
    """Skip the caller's test where it does not run as root, or fail it under CI."""
    if os.geteuid() != 0:
        absent("only root can become another user")


def need_system_python() -> str:
    """Return the system's interpreter of the tests' version, which every user may run; skip, or fail under CI."""
    name = f"python3.{sys.version_info.minor}"
    found = shutil.which(name, path="/usr/bin:/bin")
    return found or absent(f"the system has no {name}, and another user may not run the tests'")


def absent(reason: str) -> NoReturn:
    """Skip what runs now with its reason, or fail it under CI."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have it: {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
