"""The errors that a user can meet, each with the exit code that a command returns for it."""

from __future__ import annotations

OK = 0
FAILURE = 1
USAGE = 2
DEVICE_UNAVAILABLE = 3
GATE_FAILED = 4
BROKER_UNREACHABLE = 5
CONFIG_INVALID = 78

# What msgspec raises for bytes that are not the JSON that is expected: its own errors and that of text that is no UTF-8
# are ValueErrors, nesting without end is the other.
JsonError = (ValueError, RecursionError)


class PrednetError(Exception):
    """One sentence for the user: where, what was found, what was expected, what to do."""

    exit_code = FAILURE


class UsageError(PrednetError):
    """The call itself is wrong: an option, a path, a value."""

    exit_code = USAGE


class DeviceUnavailable(PrednetError):
    """A camera, a file of frames or a library of the device cannot be had now."""

    exit_code = DEVICE_UNAVAILABLE
    fault_code = "camera_lost"


class CameraRefused(DeviceUnavailable):
    """A camera refuses the login: asked again seldom, so that it does not lock the account."""

    fault_code = "camera_refused"


class CaptureHung(DeviceUnavailable):
    """The library that captures does not come back from a call."""

    fault_code = "capture_hung"


class GateFailed(PrednetError):
    """A result is worse than what was promised."""

    exit_code = GATE_FAILED


class BrokerUnreachable(PrednetError):
    """A command that needs the MQTT broker now does not reach it."""

    exit_code = BROKER_UNREACHABLE


class ConfigInvalid(PrednetError):
    """A configuration with which `run` cannot start."""

    exit_code = CONFIG_INVALID
