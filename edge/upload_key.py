"""The key that opens the store, and whether evidence can be uploaded at all."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge.errors import ConfigInvalid
from edge.kept_secrets import STORE_SECRET_KEY, environment_name, read_secret
from edge.upload_settings import Upload


@dataclass(frozen=True)
class AccessKey:
    """What the store knows us by; the secret is never printed."""

    id: str
    secret: str = field(repr=False)


def access_key(upload: Upload, environment: Mapping[str, str] = os.environ) -> AccessKey:
    """Return the key, its secret read anew. Raises ConfigInvalid where there is none."""
    found = read_secret(STORE_SECRET_KEY, upload.secret_key_file, environment)
    if found is None:
        raise ConfigInvalid(
            f"evidence.upload: the store's secret key is missing; name its file in secret_key_file, or give it as the "
            f"credential {STORE_SECRET_KEY} of systemd or in {environment_name(STORE_SECRET_KEY)}."
        )
    return AccessKey(upload.access_key_id, found.value.strip())


def check_upload(upload: Upload) -> None:
    """Raise ConfigInvalid where evidence is to be uploaded, and the key or the library is missing."""
    if not upload.bucket:
        return
    if importlib.util.find_spec("botocore") is None:
        raise ConfigInvalid("evidence.upload: the store's client is missing; run: pip install 'prednet-edge[s3]'")
    access_key(upload)
    if upload.ca_file and not Path(upload.ca_file).is_file():
        raise ConfigInvalid(f"{upload.ca_file}: there is no such file; the store's authority is expected in it.")
