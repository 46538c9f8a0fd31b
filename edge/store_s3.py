"""A store of the S3 kind: files in, addresses out. The door of `botocore`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import botocore.session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, SSLError

from edge.errors import PrednetError
from edge.store import BucketMissing, StoreRefused, StoreUnreachable
from edge.upload_key import AccessKey
from edge.upload_settings import Upload

TYPES = {
    ".mp4": "video/mp4", ".mkv": "video/x-matroska", ".jpg": "image/jpeg", ".png": "image/png", ".csv": "text/csv",
    ".json": "application/json",
}  # fmt: skip
_LATER = frozenset({408, 425, 429})  # the store asks for another try


class S3Store:
    """One bucket, for one thread; nothing is sent before the first `put`.

    Raises StoreRefused for an address or a region that cannot be asked.
    """

    def __init__(self, upload: Upload, key: AccessKey) -> None:
        self._bucket = upload.bucket
        self._root = (upload.endpoint or f"https://s3.{upload.region}.amazonaws.com").rstrip("/")
        self._client = _client(upload, key)

    def put(self, name: str, source: Path | bytes) -> str:
        """Put a file or bytes under a name, whole or not at all, and return its address.

        Raises StoreUnreachable, StoreRefused, BucketMissing, and OSError where the file cannot be read.
        """
        kind = TYPES.get(Path(name).suffix, "application/octet-stream")
        with _told_as_ours(f"{self._root}/{self._bucket}"):
            if isinstance(source, bytes):
                self._client.put_object(
                    Bucket=self._bucket, Key=name, Body=source, ContentMD5=_md5([source]), ContentType=kind
                )
            else:
                digest = _md5(_parts(source))
                with source.open("rb") as file:
                    self._client.put_object(
                        Bucket=self._bucket, Key=name, Body=file, ContentMD5=digest, ContentType=kind
                    )
        return f"{self._root}/{self._bucket}/{name}"

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()


def _client(upload: Upload, key: AccessKey) -> BaseClient:
    """Return the library's client, which looks at address and region alone. Raises StoreRefused."""
    settings = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},  # stores in a plant have one host name
        connect_timeout=upload.timeout_seconds,
        read_timeout=upload.timeout_seconds,
        retries={"total_max_attempts": 1},  # the queue is what tries again
        request_checksum_calculation="when_required",  # many stores know no others than MD5
    )
    try:
        return botocore.session.Session().create_client(
            "s3",
            region_name=upload.region,
            endpoint_url=upload.endpoint or None,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            verify=upload.ca_file or None,
            config=settings,
        )
    except (BotoCoreError, ValueError) as error:
        raise StoreRefused(
            f"evidence.upload: the store's client does not take it ({error}); correct endpoint and region. "
            "A host's name is of letters, digits, - and ."
        ) from None


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(2**20):
            yield part


def _md5(parts: Iterator[bytes] | list[bytes]) -> str:
    """The store compares this with what arrived, and refuses what was damaged on the way."""
    digest = hashlib.md5(usedforsecurity=False)
    for part in parts:
        digest.update(part)
    return base64.b64encode(digest.digest()).decode("ascii")


@contextmanager
def _told_as_ours(where: str) -> Iterator[None]:
    """Turn the library's errors into ours; what it says of a request's headers is left out."""
    try:
        yield
    except ClientError as error:
        raise _answered(where, error) from None
    except SSLError as error:
        raise StoreRefused(f"{where}: the store's certificate is not trusted ({error}); set ca_file.") from None
    except BotoCoreError as error:
        raise StoreUnreachable(f"{where}: the store does not answer ({error}).") from None


def _answered(where: str, error: ClientError) -> PrednetError:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code", "")
    if status >= 500 or status in _LATER:
        return StoreUnreachable(f"{where}: the store has trouble ({status} {code}).")
    if code == "NoSuchBucket":
        return BucketMissing(f"{where}: the store knows no such bucket; make it, or correct evidence.upload.bucket.")
    return StoreRefused(
        f"{where}: the store refuses it ({status} {code}); check the key, its rights, the region and the clock."
    )
