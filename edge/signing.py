"""Signatures with ed25519: keys in PEM, what they sign, and whether it is right. The door of `cryptography`."""

from __future__ import annotations

from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge.errors import PrednetError, UsageError
from edge.files import write_whole

_MAKE_KEY = "openssl genpkey -algorithm ed25519 -out press.key; openssl pkey -in press.key -pubout -out press.pub"
_RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The signature and the public key that it was made with, 64 and 32 bytes in hex."""

    ed25519: str
    public_key: str


def signed(data: bytes, key: Path) -> Signature:
    """Return the signature of data with the private key in a file. Raises UsageError for a file that is none."""
    try:
        private = serialization.load_pem_private_key(_read(key), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{key}: not a private key in PEM without a password; make one: {_MAKE_KEY}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError(f"{key}: a private key of another kind than ed25519; make one: {_MAKE_KEY}")
    return Signature(private.sign(data).hex(), private.public_key().public_bytes(*_RAW).hex())


def public_key_of(path: Path) -> str:
    """Return the public key in a file, in hex. Raises UsageError for a file that is none."""
    try:
        key = serialization.load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path}: not a public key in PEM; make one: {_MAKE_KEY}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{path}: a public key of another kind than ed25519; make one: {_MAKE_KEY}")
    return key.public_bytes(*_RAW).hex()


def is_signed(data: bytes, signature: Signature, public_key: str) -> bool:
    """Return whether the signature of data is that of a public key in hex. Raises PrednetError for no hex."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature.ed25519), data)
    except InvalidSignature:
        return False
    except ValueError as error:
        raise PrednetError(f"the signature cannot be read ({error})") from error
    return True


def make_key(path: Path) -> None:
    """Write a new private key, for its owner's eyes alone, and its public key beside it as NAME.pub."""
    private = Ed25519PrivateKey.generate()
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path.with_suffix(".pub"), public)  # first: a key that is there has its public one beside it
    write_whole(path, secret, 0o600)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: the key cannot be read ({error.strerror}); give a PEM file that this user may read."
        ) from error
