"""The part of the configuration that says to which store evidence is copied, and the key that opens it."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edge.errors import ConfigInvalid

ID_VARIABLE, SECRET_VARIABLE = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"  # as every S3 tool calls them


class Upload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An S3-compatible store; without a `bucket` nothing is copied anywhere.

    `endpoint` is the store's address, left out for AWS itself. Objects are `prefix` and
    `<site>/<device>/<camera>/<event id>/<file>`. The secret key stands in a file of its own, or key and secret in the
    environment; never here. `timeout_seconds` is for one answer, not for a whole file.
    """

    bucket: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    prefix: str = ""
    access_key_id: str = ""
    secret_key_file: str = ""
    ca_file: str = ""
    timeout_seconds: float = 30.0


@dataclass(frozen=True)
class AccessKey:
    """What the store knows us by; the secret is never printed."""

    id: str
    secret: str = field(repr=False)


def upload_faults(upload: Upload) -> Iterator[tuple[list[str], str]]:
    """Yield the keys of what is wrong, and the rest of the sentence."""
    if upload.bucket and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", upload.bucket):
        yield ["bucket"], f"{upload.bucket!r} is no bucket: 3 to 63 of a-z, 0-9, - and . are expected."
    if upload.endpoint and not re.fullmatch(r"https?://[^/\s@]{1,200}/?", upload.endpoint):
        yield ["endpoint"], f"{upload.endpoint!r} is no store's address; write https://host or https://host:port."
    if not re.fullmatch(r"[A-Za-z0-9!_.*'()/-]{0,200}", upload.prefix) or upload.prefix.startswith("/"):
        yield ["prefix"], f"{upload.prefix!r} cannot begin an object's name; write such as factory/west/."
    if not 0.5 <= upload.timeout_seconds <= 600.0:
        yield ["timeout_seconds"], f"{upload.timeout_seconds:g} is not within 0.5 to 600 seconds."
    if bool(upload.access_key_id) != bool(upload.secret_key_file):
        missing = "secret_key_file" if upload.access_key_id else "access_key_id"
        yield [missing], f"is missing; give access_key_id and secret_key_file, or {ID_VARIABLE} and {SECRET_VARIABLE}."


def access_key(upload: Upload, environment: Mapping[str, str] = os.environ) -> AccessKey:
    """Return the key, read anew. Raises ConfigInvalid where there is none."""
    if not upload.secret_key_file:
        found = [environment.get(name, "") for name in (ID_VARIABLE, SECRET_VARIABLE)]
        if not all(found):
            raise ConfigInvalid(
                f"evidence.upload: no key of the store; set access_key_id and secret_key_file, or {ID_VARIABLE} and "
                f"{SECRET_VARIABLE} in the service's environment."
            )
        return AccessKey(*found)
    try:
        secret = Path(upload.secret_key_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{upload.secret_key_file}: the store's secret key cannot be read ({error}).") from error
    return AccessKey(upload.access_key_id, secret)


def check_upload(upload: Upload) -> None:
    """Raise ConfigInvalid where evidence is to be uploaded, and the key or the library is missing."""
    if not upload.bucket:
        return
    if importlib.util.find_spec("botocore") is None:
        raise ConfigInvalid("evidence.upload: the store's client is missing; run: pip install 'prednet-edge[s3]'")
    access_key(upload)
    if upload.ca_file and not Path(upload.ca_file).is_file():
        raise ConfigInvalid(
            f"{upload.ca_file}: there is no such file; it is to hold the store's certificate authority."
        )
