"""The configuration: every key of the one YAML file, with its default (`edge/config_file.py` reads it)."""

from __future__ import annotations

from typing import Literal

import msgspec

from edge.builtin import DEFAULT_FORM
from edge.capture import Playback
from edge.detection import Rules
from edge.evidence_settings import Evidence
from edge.frames import FrameFormat
from edge.page.settings import Page
from edge.privacy import Shape
from edge.profiles import Line, Profile
from edge.ring_settings import RingSettings
from edge.runners import RunnerName
from edge.self_tests.settings import Schedule
from edge.sources import Capture
from edge.updates.settings import Updates
from edge.zones import Zone

DEFAULT_STATE_DIRECTORY = "/var/lib/prednet-edge"
MOST_WORKSPACE_MIB = 65536


class Mqtt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The broker. Passwords stand in a file of their own, never here.

    `allow_admin` lets commands rebuild the engine and roll back; `home_assistant` announces the device there.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    username: str = ""
    password_file: str = ""
    client_id: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    keepalive_seconds: int = 30
    allow_admin: bool = False
    home_assistant: bool = False


class Camera(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One camera: where its frames come from, and what is normal there.

    `username` and the password, which stands in a file of its own, are the login of an rtsp or http camera.
    `loop` and `playback` are for files: begin again at the end, and play as fast as they are watched.
    `capture`: GStreamer for a camera where the machine has it and PyAV otherwise, or always one of them.
    `slow_normal`: what is normal at a slower rate, to which a device goes down that is too hot or too slow for its own.
    `privacy_masks` are blanked before anything sees them: each is two opposite corners of a rectangle, or a polygon.
    `ignore_masks` are seen and not judged; `zones` have names, and sensitivities of their own. With `profiles` what is
    normal changes with the time and with what the `line` says; where no profile is known to be in force, none judges.
    """

    source: str
    username: str = ""
    password_file: str = ""
    normal: str = ""
    slow_normal: str = ""
    loop: bool = False
    playback: Playback = "realtime"
    capture: Capture = "auto"
    privacy_masks: tuple[Shape, ...] = ()
    ignore_masks: tuple[Shape, ...] = ()
    zones: dict[str, Zone] = {}
    profiles: dict[str, Profile] = {}
    line: Line = Line()


class Hooks(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who gets every event beside the broker: an address that it is posted to, a program that reads it.

    A program is started without a shell and reads one event as JSON from its standard input.
    """

    webhook: str = ""
    webhook_token_file: str = ""
    command: tuple[str, ...] = ()
    timeout_seconds: float = 10.0


class Detection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a crossing of the limit is an event; seconds of the camera's time.

    `false_events_per_day` is asked of each camera, over all its limits; left out, it is what its calibration was
    made with. Of a camera `most_events_per_hour` are told one by one; what exceeds them is counted, in one `flood`.
    """

    hold_seconds: float = 1.5
    release_seconds: float = 1.0
    refractory_seconds: float = 3.0
    update_seconds: float = 5.0
    false_events_per_day: float | None = None
    most_events_per_hour: int = 60

    @property
    def rules(self) -> Rules:
        """The seconds, as the river takes them."""
        return Rules(self.hold_seconds, self.release_seconds, self.refractory_seconds, self.update_seconds)


class Frames(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a predictor without a network looks at: pixels, colour, frames a second."""

    width: int = DEFAULT_FORM.width
    height: int = DEFAULT_FORM.height
    colour: Literal["grey", "rgb"] = "grey"
    rate_hz: float = DEFAULT_FORM.rate_hz

    @property
    def form(self) -> FrameFormat:
        """The same, as the river takes it."""
        return FrameFormat(self.height, self.width, 1 if self.colour == "grey" else 3, self.rate_hz)


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How TensorRT engines are built on this device: memory for trying out kernels, and effort 0–5."""

    workspace_mib: int = 512
    level: int = 3


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where Prometheus finds the numbers of `health`; 0 is no port: off."""

    address: str = "127.0.0.1"
    port: int = 0


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole device. Paths that are not absolute are taken from the configuration's own folder.

    It watches with a `bundle`, or with a `predictor` that needs no network, on frames as `frame` says.
    """

    site: str
    cameras: dict[str, Camera]
    bundle: str = ""
    predictor: Literal["", "flow", "flow-light"] = ""
    frame: Frames = Frames()
    device: str = ""
    variant: str = "auto"
    threads: int = 0
    runner: RunnerName = "auto"
    engine: Engine = Engine()
    state_directory: str = DEFAULT_STATE_DIRECTORY
    mqtt: Mqtt = Mqtt()
    hooks: Hooks = Hooks()
    detection: Detection = Detection()
    evidence: Evidence = Evidence()
    updates: Updates = Updates()
    self_test: Schedule = Schedule()
    page: Page = Page()
    ring: RingSettings = RingSettings()
    metrics: Metrics = Metrics()
