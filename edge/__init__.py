"""prednet-edge on the device: capture, predict, decide, publish, keep evidence."""

__version__ = "0.1.0"
