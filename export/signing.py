"""Signatures of bundles: ed25519 over the manifest, which has every file's digest. The door of `cryptography`."""

from __future__ import annotations

from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge.archive import MANIFEST, SIGNATURE, read_members, write_members
from edge.bundle import read_bundle
from edge.errors import PrednetError, UsageError

# What is signed begins with this, so that no signature of ours stands for anything else.
_PURPOSE = b"prednet-bundle manifest\n"
_MAKE_KEY = "openssl genpkey -algorithm ed25519 -out press.key; openssl pkey -in press.key -pubout -out press.pub"


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The signature and the public key that it was made with, 64 and 32 bytes in hex."""

    ed25519: str
    public_key: str


def sign_bundle(bundle: Path, key: Path, out: Path) -> str:
    """Write the bundle with its signature to `out` and return the public key in hex; an older one is replaced."""
    read_bundle(bundle)
    private = _private_key(key)
    members = read_members(bundle)
    public = private.public_key().public_bytes_raw().hex()
    made = Signature(private.sign(_PURPOSE + members[MANIFEST]).hex(), public)
    write_members(out, members | {SIGNATURE: msgspec.json.encode(made)})
    return public


def verify_bundle(bundle: Path, key: Path) -> str:
    """Return the public key in hex where the bundle is whole and signed with it; PrednetError in every other case."""
    read_bundle(bundle)
    members, public = read_members(bundle), _public_key(key)
    if SIGNATURE not in members:
        raise PrednetError(f"{bundle}: is not signed; sign it with prednet-export sign.")
    try:
        signature = msgspec.json.decode(members[SIGNATURE], type=Signature)
        public.verify(bytes.fromhex(signature.ed25519), _PURPOSE + members[MANIFEST])
    except (msgspec.MsgspecError, ValueError) as error:
        raise PrednetError(f"{bundle}: its signature cannot be read ({error}); sign it again.") from error
    except InvalidSignature as error:
        raise PrednetError(f"{bundle}: its signature is not that of {key}; do not use it.") from error
    return public.public_bytes_raw().hex()


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path}: not a private key in PEM without a password; make one: {_MAKE_KEY}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path}: a private key of another kind than ed25519; make one: {_MAKE_KEY}")
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path}: not a public key in PEM; make one: {_MAKE_KEY}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{path}: a public key of another kind than ed25519; make one: {_MAKE_KEY}")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: the key cannot be read ({error.strerror}).") from error
