"""What the uploader asks of a store, and the three ways in which a store can fail."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from edge.errors import PrednetError


class Store(Protocol):
    """Where files go; for one thread."""

    def put(self, name: str, source: Path | bytes) -> str:
        """Put it there whole or not at all; return its address. Raises the errors below, and the file's OSError."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class StoreUnreachable(PrednetError):
    """The store does not answer, or asks for another try: time mends it."""


class StoreRefused(PrednetError):
    """The store does not take what we bring: a person must act."""

    fault_code = "upload_refused"


class BucketMissing(StoreRefused):
    """The store knows no such bucket."""

    fault_code = "upload_bucket_missing"
