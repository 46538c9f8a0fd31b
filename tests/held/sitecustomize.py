"""Holds what a child process of a test publishes to the contract; Python imports this first where its folder is known."""

import os
from pathlib import Path

if "PREDNET_HELD_TO" in os.environ:
    from tests.holding import hold_publishing

    hold_publishing(Path(os.environ["PREDNET_HELD_TO"]))
