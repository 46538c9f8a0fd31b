"""Updates beside the river: what people activate is taken over and tried, a shadow runs, a file says how it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from edge.announcer import Announcer
from edge.command_actions import Reload
from edge.config import Config
from edge.config_file import read_config
from edge.errors import PrednetError
from edge.moments import Moment
from edge.setup import Device, device_with
from edge.updates.acts import check_form, now
from edge.updates.alive import Alive, write_alive
from edge.updates.resolved import bundle_in_force, configured_digest, named_normals
from edge.updates.shadow import Shadow
from edge.updates.store import BundleStore, Change, State, Trial, activated, passed, refused, told_bundle
from edge.updates.trial import TrialWatch, told_unjudged

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
ALIVE_SECONDS = 10.0
# A bundle on trial with which the daemon starts so often has brought it down.
MOST_STARTS = 3


class UpdateDesk:
    """What the river calls, in its own thread.

    A tick is cheap until people have changed something. Then the bundles in question are read and digested, and
    for another live one what computes it is chosen, while frames wait; a shadow computes in a thread of its own.
    """

    def __init__(self, device: Device, announcer: Announcer, reload: Reload, runner: str, boot_id: str) -> None:
        self._device, self._announcer, self._reload = device, announcer, reload
        self._runner, self._boot_id = runner, boot_id
        self._store = BundleStore(Path(device.config.state_directory))
        self._stamp, self._due, self._alive_due = self._store.stamp, 0.0, 0.0
        self._trial: TrialWatch | None = None
        self._shadow: Shadow | None = None
        self._has_changed, self._is_refusal = True, False

    def see(self, moment: Moment) -> None:
        """Take in a moment of the live bundle."""
        if self._trial is not None:
            self._trial.see(moment, self._device.models[moment.camera].calibration)
        if self._shadow is not None:
            self._shadow.see(moment)

    def tick(self) -> None:
        """Look at what people have changed, and at the trial. Call it often; it is cheap while they change nothing."""
        now_seconds = time.monotonic()
        if now_seconds >= self._alive_due:
            self._alive_due = now_seconds + ALIVE_SECONDS
            self._tell_alive()
        if now_seconds < self._due:
            return
        self._due = now_seconds + LOOK_SECONDS
        if self._store.stamp != self._stamp or self._has_changed:
            self._stamp, self._has_changed = self._store.stamp, False
            self._follow(self._store.state)
        self._judge(now_seconds)
        self._announcer.set_fault("bundle_refused", self._is_refusal or self._reload.is_refused)
        for camera in {key.split("/")[0] for key in named_normals(self._device.config)}:
            self._announcer.set_fault("calibration_missing", not self._device.models[camera].is_site, camera)

    def close(self) -> None:
        """End the shadow."""
        if self._shadow is not None:
            self._shadow.close()

    def _follow(self, state: State) -> None:
        """Do what the state says: another live bundle, a trial, another shadow."""
        digest = self._device.bundle.digest
        if state.live and state.live != digest and self._take_over(state.live):
            return
        self._is_refusal, self._reload.is_refused = _is_refusal(state), _passes_over(self._device.config)
        minutes = self._device.config.updates.trial_minutes
        is_on_trial = state.trial is not None and state.trial.digest == digest and minutes > 0.0
        if not is_on_trial:
            self._trial = None
        elif self._trial is None:
            self._trial = TrialWatch(minutes, time.monotonic())
        self._follow_shadow(state.shadow)

    def _take_over(self, digest: str) -> bool:
        """Return whether the device is about to be read with another bundle; one that cannot be used is refused."""
        try:
            device = self._reload.read()
        except PrednetError as error:
            self._refuse(digest, str(error))
            return False
        if device.bundle.digest != self._device.bundle.digest:
            self._reload.device = device
        return self._reload.device is not None

    def _judge(self, now_seconds: float) -> None:
        if self._trial is None:
            return
        finding = self._trial.finding(self._device.models, now_seconds)
        if finding.failed:
            self._trial = None
            self._refuse(self._device.bundle.digest, finding.failed)
        elif finding.is_over:
            self._trial = None
            told = told_unjudged(finding.unjudged)
            log.info("bundle_passed bundle=%s reason=%r", told_bundle(self._device.bundle), told)
            change_kept(self._store, lambda state: passed(state, now(), told))

    def _refuse(self, digest: str, reason: str) -> None:
        refuse(self._store, digest, reason)
        self._has_changed = True

    def _follow_shadow(self, digest: str) -> None:
        running = None if self._shadow is None else self._shadow.report.digest
        if digest == (running or ""):
            return
        if self._shadow is not None:
            self._shadow.close()
            self._shadow = None
        if not digest:
            return
        config = self._device.config
        try:
            bundle = self._store.read(digest)
            check_form(bundle, self._device.bundle)
            models = device_with(self._device, bundle).models
        except PrednetError as error:
            self._refuse(digest, str(error))
            return
        judges = {camera: model.judge(config.detection.rules) for camera, model in models.items()}
        self._shadow = Shadow(models, judges, config.updates.shadow_share, self._store.folder_of(digest))

    def _tell_alive(self) -> None:
        announcer, bundle = self._announcer, self._device.bundle
        alive = Alive(
            boot_id=self._boot_id,
            bundle=bundle.digest,
            name=bundle.manifest.name,
            runner=self._runner,
            is_on_trial=self._trial is not None,
            cameras={camera: announcer.state_of(camera) for camera in self._device.models},
            faults=tuple(f"{one.code}:{one.camera}" if one.camera else one.code for one in announcer.faults),
        )
        write_alive(Path(self._device.config.state_directory), alive)


def _passes_over(config: Config) -> bool:
    """Whether a bundle that should be in force still cannot be."""
    try:
        return bool(bundle_in_force(config).refused)
    except PrednetError:
        return True


def _is_refusal(state: State) -> bool:
    return state.verdict is not None and state.verdict.digest in state.refused


def refuse(store: BundleStore, digest: str, reason: str) -> bool:
    """Note that a bundle is of no use here; where it was live, the one before it is live again.

    Return whether that was kept: a disk that refuses leaves everything as it is.
    """
    log.error("bundle_refused bundle=%s reason=%r", digest, reason)
    return change_kept(store, lambda state: refused(state, digest, now(), reason))


def change_kept(store: BundleStore, change: Change) -> bool:
    """Change the state as the daemon does, which no disk may stop; return whether it was kept."""
    try:
        store.change(change)
    except OSError as error:
        log.error("bundle_state_not_kept error=%s", error)  # noqa: TRY400
        return False
    return True


def note_start(config_path: Path) -> None:
    """Count a start of the daemon with a bundle on trial; one that has brought it down too often is rolled back."""
    try:
        config = read_config(config_path)
    except PrednetError:  # the start itself says what is wrong
        return
    store = BundleStore(Path(config.state_directory))
    trial = store.state.trial
    if trial is None or config.updates.trial_minutes == 0.0:
        return
    if trial.starts >= MOST_STARTS:
        refuse(store, trial.digest, f"the daemon started {trial.starts} times with it, and did not last its trial.")
        return
    change_kept(store, lambda state: msgspec.structs.replace(state, trial=_started(state.trial)))


def _started(trial: Trial | None) -> Trial | None:
    return None if trial is None else msgspec.structs.replace(trial, starts=trial.starts + 1)


def took_over(device: Device) -> None:
    """Note that a device runs, with which bundle: it is kept, and what a rollback goes to is the one before it."""
    config, digest = device.config, device.bundle.digest
    if config.predictor:
        return
    store = BundleStore(Path(config.state_directory))
    state = store.state
    if state.live == digest and store.holds(digest):
        return
    with suppress(OSError):  # a full disk keeps no second bundle, and stops no camera
        store.put(device.bundle)
        own, on_trial = configured_digest(config), config.updates.trial_minutes > 0.0
        if state.live != digest and not device.refused:
            store.change(lambda state: activated(state, digest, own, now(), on_trial=on_trial))


def fallen_back(device: Device, error: PrednetError) -> bool:
    """Return whether another bundle is live now, because this one cannot be opened; False where there is none."""
    store = BundleStore(Path(device.config.state_directory))
    state = store.state
    others = {state.live, state.previous} - {device.bundle.digest, *state.refused}
    if device.config.predictor or not any(store.holds(one) for one in others):
        return False
    return refuse(store, device.bundle.digest, str(error))


@contextmanager
def open_updates(
    device: Device, announcer: Announcer, reload: Reload, runner: str, boot_id: str
) -> Iterator[UpdateDesk]:
    """Follow what people do with bundles, until the end."""
    desk = UpdateDesk(device, announcer, reload, runner, boot_id)
    try:
        yield desk
    finally:
        desk.close()
