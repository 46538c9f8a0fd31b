"""The datagrams that systemd is told in: readiness, progress, reloading (sd_notify(3)); without its socket nothing."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import MutableMapping

log = logging.getLogger(__name__)

SOCKET, WATCHDOG, WATCHDOG_PROCESS = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class Notifier:
    """Tells the service manager whose socket is at `address` (a path, or `@name`); empty: tells nobody."""

    def __init__(self, address: str = "", watchdog_seconds: float | None = None) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_seconds = watchdog_seconds
        self._has_failed = False

    def tell(self, *assignments: str) -> None:
        """Send assignments such as `READY=1` in one datagram. It never waits; a socket that fails is logged once."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(filter(None, assignments)).encode(), self._address)
        except OSError as error:
            if not self._has_failed:
                log.error("notify_failed socket=%s error=%s", self._address.lstrip("\0"), error)  # noqa: TRY400
            self._has_failed = True

    def allow(self, seconds: float | None) -> str:
        """Return the assignment by which the watchdog waits so long from now on; None: as the unit says."""
        chosen = self.watchdog_seconds if seconds is None else seconds
        return "" if self.watchdog_seconds is None or chosen is None else f"WATCHDOG_USEC={chosen * 1e6:.0f}"


def notifier_from(environment: MutableMapping[str, str] = os.environ) -> Notifier:
    """Return the notifier that systemd asks for, and take its variables away, so that no child answers for us."""
    address, usec, process = (environment.pop(name, "") for name in (SOCKET, WATCHDOG, WATCHDOG_PROCESS))
    is_ours = usec.isdigit() and process in ("", str(os.getpid()))
    return Notifier(address, int(usec) / 1e6 if is_ours else None)


def reloading() -> tuple[str, str]:
    """Return the assignments that say that another configuration is taken over; READY=1 ends it."""
    return "RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}"
