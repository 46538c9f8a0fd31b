"""The bundles that a device keeps, and which of them is live: one file says it, and is replaced in one step.

`bundles/state.json` below the state directory names the live bundle, the one before it, and the shadow. A folder for
each bundle, named by its digest, holds it and the site calibrations that were made for it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from edge.bundle import Bundle, read_bundle
from edge.errors import PrednetError, UsageError
from edge.files import write_whole
from edge.json_files import read_json

FOLDER = "bundles"
STATE_FILE = "state.json"
BUNDLE_FILE = "bundle.prednet"
# Beside those in use so many are kept; the oldest go.
MOST_SPARE = 4
REASON_LENGTH = 500


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that has still to prove itself: which, since when (UTC), after how many starts."""

    digest: str
    since: str
    starts: int = 0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a bundle: `passed`, `refused` or `rolled_back`, when (UTC), and why, in a sentence."""

    digest: str
    outcome: str
    time: str
    reason: str


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Digests (`sha256:…`) of the bundles in use; empty where there is none.

    `configured` is that of the configuration's own file when `live` was decided: another one there is a person's newer
    wish. `refused` are not taken again before a person says so, by digest, with the reason.
    """

    live: str = ""
    previous: str = ""
    shadow: str = ""
    configured: str = ""
    trial: Trial | None = None
    verdict: Verdict | None = None
    refused: dict[str, str] = {}


Change = Callable[[State], State]


class BundleStore:
    """The bundles of one state directory. Every change is one rename; daemon and commands may change it at once."""

    def __init__(self, state_directory: Path) -> None:
        self.folder = state_directory / FOLDER

    @property
    def state(self) -> State:
        """What is in use. A file that cannot be read is a device without updates."""
        return read_json(self.folder / STATE_FILE, State, State())

    @property
    def stamp(self) -> tuple[int, int] | None:
        """What changes whenever the state does; None before the first change."""
        try:
            found = (self.folder / STATE_FILE).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def change(self, change: Change) -> State:
        """Replace the state by what `change` makes of it, and return that."""
        self._make(self.folder)
        with self._alone():
            state = change(self.state)
            write_whole(self.folder / STATE_FILE, msgspec.json.format(msgspec.json.encode(state), indent=1))
        return state

    def path_of(self, digest: str) -> Path:
        """Return where the bundle of a digest lies, or would."""
        return self.folder_of(digest) / BUNDLE_FILE

    def folder_of(self, digest: str) -> Path:
        """Return the folder of a bundle."""
        return self.folder / digest.removeprefix("sha256:")[:32]

    def normal_of(self, digest: str, key: str) -> Path:
        """Return where the calibration of a camera, or of `camera/profile`, for a bundle lies, or would."""
        return self.folder_of(digest) / f"{key.replace('/', '@')}.normal"

    def holds(self, digest: str) -> bool:
        """Return whether a bundle is there."""
        return bool(digest) and self.path_of(digest).exists()

    def read(self, digest: str) -> Bundle:
        """Return a bundle that is kept, every digest checked; PrednetError says what is wrong."""
        bundle = read_bundle(self.path_of(digest))
        if bundle.digest != digest:
            raise PrednetError(f"{bundle.path}: is not the bundle that was installed ({digest}); install it anew.")
        return bundle

    def put(self, bundle: Bundle) -> Bundle:
        """Keep a copy of a bundle that was read, and return the copy; what is no longer used makes room."""
        with suppress(PrednetError):  # not there, or damaged since: it is written anew
            return self.read(bundle.digest)
        path = self.path_of(bundle.digest)
        self._make(path.parent)
        write_whole(path, bundle.path.read_bytes())
        self._prune(bundle.digest)
        return self.read(bundle.digest)

    def keep_normal(self, digest: str, key: str, source: Path) -> None:
        """Keep a camera's calibration beside the bundle that it was made for, so that a way back finds it."""
        target = self.normal_of(digest, key)
        if source.resolve() != target.resolve():
            self._make(target.parent)
            write_whole(target, source.read_bytes())

    def installed(self) -> Iterator[Bundle]:
        """Yield the bundles that can be read, the newest last."""
        paths = sorted(self.folder.glob(f"*/{BUNDLE_FILE}"), key=lambda path: path.stat().st_mtime)
        for path in paths:
            try:
                yield read_bundle(path)
            except PrednetError:
                continue

    def find(self, name: str) -> Bundle:
        """Return the bundle of a name or of the first six or more digits of its digest; UsageError for none or many."""
        bundles = list(self.installed())
        short = name.removeprefix("sha256:")
        found = [one for one in bundles if one.manifest.name == name]
        if not found and len(short) >= 6:
            found = [one for one in bundles if one.digest.removeprefix("sha256:").startswith(short)]
        if len(found) == 1:
            return found[0]
        there = ", ".join(told_bundle(one) for one in found or bundles) or "none"
        says = "is the name of several; give the digest" if found else "is not installed"
        raise UsageError(f"{name} {says}: {there}. Install one: prednet-edge bundle install FILE --config CONFIG")

    def remove(self, digest: str) -> None:
        """Remove a bundle and its calibrations. Raises UsageError for one in use."""
        state = self.state
        if digest in (state.live, state.previous, state.shadow):
            raise UsageError("it is in use (live, the one before, or shadow); activate another one first.")
        shutil.rmtree(self.folder_of(digest), ignore_errors=True)
        self.change(lambda now: msgspec.structs.replace(now, refused=_without(now.refused, digest)))

    def _prune(self, spared: str) -> None:
        state = self.state
        used = {spared, state.live, state.previous, state.shadow}
        spare = [one for one in self.installed() if one.digest not in used]
        for bundle in spare[:-MOST_SPARE]:
            shutil.rmtree(bundle.path.parent, ignore_errors=True)

    def _make(self, folder: Path) -> None:
        """Make a folder that belongs to the service's user, also where root makes it."""
        if folder.is_dir():
            return
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            owner = self.folder.parent.stat()
            for made in (self.folder, folder):
                os.chown(made, owner.st_uid, owner.st_gid)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until nobody else changes the state; the lock ends with its process."""
        handle = os.open(self.folder / ".lock", os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def told_bundle(bundle: Bundle) -> str:
    """Return a bundle's name and the beginning of its digest."""
    return f"{bundle.manifest.name} ({short_digest(bundle.digest)})"


def short_digest(digest: str) -> str:
    """Return the first twelve digits of a digest."""
    return digest.removeprefix("sha256:")[:12]


def activated(state: State, digest: str, configured: str, time: str, *, on_trial: bool) -> State:
    """Return the state with another live bundle; the one before it is where a rollback goes."""
    if digest == state.live:
        known = _without(state.refused, digest)
        return msgspec.structs.replace(state, configured=configured, verdict=None, refused=known)
    return msgspec.structs.replace(
        state,
        live=digest,
        previous=state.live,
        shadow="" if state.shadow == digest else state.shadow,
        configured=configured,
        trial=Trial(digest=digest, since=time) if on_trial and state.live else None,
        verdict=None,
        refused=_without(state.refused, digest),
    )


def rolled_back(state: State, time: str, reason: str) -> State:
    """Return the state with the bundle before the live one; what was live can be gone back to in its turn."""
    verdict = Verdict(digest=state.live, outcome="rolled_back", time=time, reason=reason[:REASON_LENGTH])
    return msgspec.structs.replace(state, live=state.previous, previous=state.live, trial=None, verdict=verdict)


def refused(state: State, digest: str, time: str, reason: str) -> State:
    """Return the state without a bundle that is of no use here; where it was live, the one before it is."""
    reason = reason[:REASON_LENGTH]
    is_live = digest == state.live and bool(state.previous)
    verdict = Verdict(digest=digest, outcome="rolled_back" if is_live else "refused", time=time, reason=reason)
    known = _without(state.refused, digest) | {digest: reason}
    state = msgspec.structs.replace(state, verdict=verdict, refused=known)
    state = msgspec.structs.replace(state, shadow="" if state.shadow == digest else state.shadow)
    return msgspec.structs.replace(state, live=state.previous, previous="", trial=None) if is_live else state


def passed(state: State, time: str, reason: str) -> State:
    """Return the state after a trial that went well."""
    verdict = Verdict(digest=state.live, outcome="passed", time=time, reason=reason[:REASON_LENGTH])
    return msgspec.structs.replace(state, trial=None, verdict=verdict)


def _without(refused: dict[str, str], digest: str) -> dict[str, str]:
    return {key: reason for key, reason in refused.items() if key != digest}
