"""Supervision: systemd's watchdog is fed by the river's progress, in which every camera is accounted for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge.capture import SILENCE_SECONDS, CameraStatus
from edge.notify import Notifier, reloading
from edge.setup import Device

log = logging.getLogger(__name__)

# A camera that is not declared blind, disabled or rebuilding must have been judged within so long. Silence is declared
# after 5 s, so that this much shows a fault of ours, not of the camera.
ACCOUNT_SECONDS = 2 * SILENCE_SECONDS
# While one configuration takes over from another nothing is watched, and a GPU may need its time to load an engine.
SWAP_SECONDS = 180.0
FEED_SECONDS = 1.0
DECLARED = ("disabled", "rebuilding")


@dataclass(frozen=True)
class Account:
    """What is known of one camera: the state that was declared, and seconds since its last moment and last frame."""

    state: str
    moment_seconds: float
    frame_seconds: float | None

    @property
    def is_good(self) -> bool:
        """Whether the camera was judged lately, or is declared to give nothing and gives nothing."""
        if self.moment_seconds <= ACCOUNT_SECONDS or self.state in DECLARED:
            return True
        is_silent = self.frame_seconds is None or self.frame_seconds > SILENCE_SECONDS
        return self.state == "blind" and is_silent


class Supervisor:
    """What the service manager wants of the running daemon. All but `reload_is_wanted` belongs to the river's thread.

    `good` is the last device that came to watch; `refused` is why another was not taken, empty where none was.
    `on_ready` is called with each device that watches.
    """

    def __init__(
        self,
        notifier: Notifier | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_ready: Callable[[Device], None] = lambda _: None,
    ) -> None:
        self._notifier, self._clock, self._on_ready = notifier or Notifier(), clock, on_ready
        self.reload_is_wanted = threading.Event()
        self.good: Device | None = None
        self.refused = ""
        self._moments: dict[str, float] = {}
        self._feed_due = 0.0
        self._missed: tuple[str, ...] = ()

    def waits(self, seconds: float, failures: int) -> None:
        """Say that the start is put off after so many failed ones."""
        self._notifier.tell(f"STATUS=waiting {seconds:.0f} s: {failures} starts have failed")

    def swaps(self) -> None:
        """Say that another configuration is taken over, which may take its time."""
        self._notifier.tell(*reloading(), self._notifier.allow(SWAP_SECONDS), "WATCHDOG=1")

    def ready(self, device: Device) -> None:
        """Say that a device watches: from now on each of its cameras is to be accounted for."""
        self.good = device
        self._moments = dict.fromkeys(device.models, self._clock())
        self._on_ready(device)
        self._notifier.tell("READY=1", self._notifier.allow(None), "WATCHDOG=1", f"STATUS={self._told({})}")

    def stops(self) -> None:
        """Say that the daemon was asked to end."""
        self._notifier.tell("STOPPING=1", "STATUS=stopping")

    def saw(self, camera: str) -> None:
        """Note that a camera was judged, or told lost."""
        self._moments[camera] = self._clock()

    def tick(self, states: Mapping[str, str], statuses: Mapping[str, CameraStatus]) -> None:
        """Feed the watchdog where every camera is accounted for. Call it in the river, once a round; it is cheap."""
        now = self._clock()
        if now < self._feed_due:
            return
        self._feed_due = now + FEED_SECONDS
        missed = tuple(camera for camera in self._moments if not self._account(camera, states, statuses, now).is_good)
        if missed and missed != self._missed:
            log.error("cameras_unaccounted cameras=%s seconds=%g", ",".join(missed), ACCOUNT_SECONDS)
        self._missed = missed
        fed = () if missed else ("WATCHDOG=1",)
        self._notifier.tell(*fed, f"STATUS={self._told(states)}")

    def _account(
        self, camera: str, states: Mapping[str, str], statuses: Mapping[str, CameraStatus], now: float
    ) -> Account:
        status = statuses.get(camera)
        last = None if status is None else status.frame_seconds
        return Account(states[camera], now - self._moments[camera], None if last is None else now - last)

    def _told(self, states: Mapping[str, str]) -> str:
        watched = sum(state in ("watching", "degraded") for state in states.values())
        because = f"; with the last good configuration: {self.refused}" if self.refused else ""
        return f"watching {watched} of {len(self._moments)} cameras{because}"
