"""Signatures of bundles: ed25519 over the manifest, which has every file's digest."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge.archive import MANIFEST, SIGNATURE, read_members, write_members
from edge.bundle import read_bundle
from edge.errors import JsonError, PrednetError
from edge.signing import Signature, is_signed, public_key_of, signed

# What is signed begins with this, so that no signature of ours stands for anything else.
_PURPOSE = b"prednet-bundle manifest\n"


def sign_bundle(bundle: Path, key: Path, out: Path) -> str:
    """Write the bundle with its signature to `out` and return the public key in hex; an older one is replaced."""
    read_bundle(bundle)
    members = read_members(bundle)
    made = signed(_PURPOSE + members[MANIFEST], key)
    write_members(out, members | {SIGNATURE: msgspec.json.encode(made)})
    return made.public_key


def verify_bundle(bundle: Path, key: Path) -> str:
    """Return the public key in hex where the bundle is whole and signed with it; PrednetError in every other case."""
    read_bundle(bundle)
    members, public = read_members(bundle), public_key_of(key)
    if SIGNATURE not in members:
        raise PrednetError(f"{bundle}: is not signed; sign it with prednet-export sign.")
    try:
        signature = msgspec.json.decode(members[SIGNATURE], type=Signature)
        is_right = is_signed(_PURPOSE + members[MANIFEST], signature, public)
    except (*JsonError, PrednetError) as error:
        raise PrednetError(f"{bundle}: its signature cannot be read ({error}); sign it again.") from error
    if not is_right:
        raise PrednetError(f"{bundle}: its signature is not that of {key}; do not use it.")
    return public
