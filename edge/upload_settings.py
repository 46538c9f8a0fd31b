"""The part of the configuration that says to which store evidence is copied."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec


class Upload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An S3-compatible store; without a `bucket` nothing is copied anywhere.

    `endpoint` is the store's address, left out for AWS itself. Objects are `prefix` and
    `<site>/<device>/<camera>/<event id>/<file>`. The secret key stands in a file of its own, a credential or
    the environment; never here. `timeout_seconds` is for one answer, not for a whole file.
    """

    bucket: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    prefix: str = ""
    access_key_id: str = ""
    secret_key_file: str = ""
    ca_file: str = ""
    timeout_seconds: float = 30.0


def upload_faults(upload: Upload) -> Iterator[tuple[list[str], str]]:
    """Yield the keys of what is wrong, and the rest of the sentence."""
    if upload.bucket and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", upload.bucket):
        yield ["bucket"], f"{upload.bucket!r} is no bucket: 3 to 63 of a-z, 0-9, - and . are expected."
    if "@" in upload.endpoint:  # never repeated
        yield (
            ["endpoint"],
            "holds a login; write https://host, access_key_id, and the secret into secret_key_file.",
        )
    elif upload.endpoint and not re.fullmatch(r"https?://[^/\s@]{1,200}/?", upload.endpoint):
        yield ["endpoint"], f"{upload.endpoint!r} is no store's address; write https://host or https://host:port."
    if not re.fullmatch(r"[A-Za-z0-9!_.*'()/-]{0,200}", upload.prefix) or upload.prefix.startswith("/"):
        yield ["prefix"], f"{upload.prefix!r} cannot begin an object's name; write such as factory/west/."
    if not 0.5 <= upload.timeout_seconds <= 600.0:
        yield ["timeout_seconds"], f"{upload.timeout_seconds:g} is not within 0.5 to 600 seconds."
    if bool(upload.bucket) != bool(upload.access_key_id):
        missing = "access_key_id" if upload.bucket else "bucket"
        yield [missing], "is missing; a store takes bucket, access_key_id and a secret key."
