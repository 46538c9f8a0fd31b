"""Libraries that some tests need: absent on a user's machine they skip, absent in CI they fail."""

from __future__ import annotations

import importlib
import os
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
