"""Archives of ours (`.prednet`, `.normal`): a zip whose manifest names every file with size and digest."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from edge.errors import JsonError, PrednetError
from edge.files import write_whole

MANIFEST = "manifest.json"
# May lie beside the manifest without being named in it: it is made of the manifest.
SIGNATURE = "signature.json"
MOST_SIGNATURE_BYTES = 1 << 12
# Unpacked, nothing of ours is larger: the step of the KITTI network has 28 MB.
MOST_BYTES = 1 << 30
MOST_MANIFEST_BYTES = 1 << 20
# Zip entries carry this date, so that the same contents give the same file.
ZIP_DATE = (2026, 1, 1, 0, 0, 0)


class Member(msgspec.Struct, frozen=True):
    """One file of an archive: size in bytes and SHA-256 in hex."""

    size: int
    sha256: str


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What every manifest begins with. Unknown fields are ignored: minor versions only add."""

    format: str
    format_version: int
    files: dict[str, Member]


AnyHeader = TypeVar("AnyHeader", bound=Header)


@dataclass(frozen=True)
class Kind:
    """One format of archive: its name, the version that this release reads, and how to get one."""

    format: str
    format_version: int
    remedy: str


def members_from_files(files: Mapping[str, bytes]) -> dict[str, Member]:
    """Return size and digest of every file, for a manifest."""
    return {name: Member(len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()}


def write_archive(path: Path, manifest: Header, files: Mapping[str, bytes]) -> None:
    """Write the archive in one step; the same contents give the same bytes."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    write_members(path, {MANIFEST: text} | dict(files))


def write_members(path: Path, members: Mapping[str, bytes]) -> None:
    """Write an archive of these members, the manifest among them, in one step."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, ZIP_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    write_whole(path, buffer.getvalue())


def read_archive(path: Path, kind: Kind, header: type[AnyHeader]) -> tuple[AnyHeader, dict[str, bytes], str]:
    """Return the manifest, the files and the `sha256:…` of the whole; everything checked before it is returned.

    Raises PrednetError with what was found and what was expected.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PrednetError(f"{path}: cannot be read ({error.strerror}). {kind.remedy}") from error
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            manifest = _manifest(archive, path, kind, header)
            files = {name: _member(archive, name, member, path) for name, member in manifest.files.items()}
            _refuse_strangers(archive, manifest, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise PrednetError(f"{path}: not a {kind.format} archive, or a damaged one ({error}). {kind.remedy}") from error
    return manifest, files, f"sha256:{hashlib.sha256(data).hexdigest()}"


def read_members(path: Path) -> dict[str, bytes]:
    """Return every member of an archive that `read_archive` has found good, the manifest and a signature included."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _manifest(archive: zipfile.ZipFile, path: Path, kind: Kind, header: type[AnyHeader]) -> AnyHeader:
    if MANIFEST not in archive.namelist():
        raise PrednetError(f"{path}: not a {kind.format} archive, it holds no {MANIFEST}. {kind.remedy}")
    if archive.getinfo(MANIFEST).file_size > MOST_MANIFEST_BYTES:
        raise PrednetError(f"{path}: its manifest is larger than {MOST_MANIFEST_BYTES} bytes; refused.")
    text = archive.read(MANIFEST)
    try:
        head = msgspec.json.decode(text, type=dict[str, object])
    except JsonError as error:
        raise PrednetError(f"{path}: its manifest is not JSON ({error}). {kind.remedy}") from error
    if head.get("format") != kind.format:
        raise PrednetError(f"{path}: its format is {head.get('format')!r}, expected '{kind.format}'. {kind.remedy}")
    if head.get("format_version") != kind.format_version:
        raise PrednetError(
            f"{path}: its format version is {head.get('format_version')!r}; this prednet-edge reads version "
            f"{kind.format_version}. Make it with the same release, or update the device."
        )
    try:
        manifest = msgspec.json.decode(text, type=header)
    except JsonError as error:
        raise PrednetError(f"{path}: its manifest is not complete ({error}). {kind.remedy}") from error
    if sum(max(member.size, 0) for member in manifest.files.values()) > MOST_BYTES:
        raise PrednetError(f"{path}: unpacked it would be larger than {MOST_BYTES >> 20} MB; refused.")
    return manifest


def _member(archive: zipfile.ZipFile, name: str, member: Member, path: Path) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise PrednetError(f"{path}: {name} is missing from it; copy or make it again.") from error
    if info.file_size != member.size:
        raise PrednetError(f"{path}: {name} has {info.file_size} bytes, its manifest says {member.size}; refused.")
    with archive.open(info) as file:
        data = file.read(member.size + 1)
    if len(data) != member.size or hashlib.sha256(data).hexdigest() != member.sha256:
        raise PrednetError(f"{path}: {name} is not what its manifest says (digest differs); copy or make it again.")
    return data


def _refuse_strangers(archive: zipfile.ZipFile, manifest: Header, path: Path) -> None:
    names = archive.namelist()
    for name in names:
        if name not in manifest.files and name not in (MANIFEST, SIGNATURE):
            raise PrednetError(f"{path}: holds {name}, which its manifest does not name; refused.")
        if name == SIGNATURE and archive.getinfo(name).file_size > MOST_SIGNATURE_BYTES:
            raise PrednetError(f"{path}: its signature is larger than {MOST_SIGNATURE_BYTES} bytes; refused.")
    if len(names) != len(set(names)):
        raise PrednetError(f"{path}: holds two files of one name; refused.")
