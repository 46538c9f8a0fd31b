"""Modules that need the workstation's libraries, opened where a command uses them."""

from __future__ import annotations

import importlib
from typing import Any

from edge.errors import DeviceUnavailable


def opened(module: str) -> Any:
    """Return a module that needs the workstation's libraries; DeviceUnavailable where one is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as fault:
        raise DeviceUnavailable(
            f"{fault.name} is not installed; run: pip install 'prednet-edge[workstation]'."
        ) from fault
