"""Libraries that some tests need: absent on a user's machine they skip, absent in CI they fail."""

from __future__ import annotations

import importlib
import os
import shutil
from types import ModuleType

import pytest


def need(name: str) -> ModuleType:
    """Return the module; where it is not installed, skip the caller's tests, or fail under CI."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as fault:
        reason = f"{fault.name} is not installed: pip install 'prednet-edge[workstation]'"
        if os.environ.get("CI"):
            pytest.fail(f"CI must have it: {reason}", pytrace=False)
        pytest.skip(reason, allow_module_level=True)


def need_program(name: str) -> None:
    """Skip the caller's test where a program is not installed, or fail it under CI."""
    if shutil.which(name) is None:
        reason = f"{name} is not installed: apt-get install {name}"
        if os.environ.get("CI"):
            pytest.fail(f"CI must have it: {reason}", pytrace=False)
        pytest.skip(reason)
