"""The configuration: one YAML file, parsed once at the border into one frozen Config."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import yaml

from edge.builtin import DEFAULT_FORM
from edge.capture import Playback
from edge.captures import CameraSource
from edge.detection import Rules
from edge.errors import ConfigInvalid, UsageError
from edge.evidence_settings import Evidence, evidence_faults
from edge.frames import FrameFormat
from edge.privacy import Shape
from edge.profiles import Line, Profile, judging, profile_faults
from edge.region_faults import region_faults
from edge.runners import RunnerName
from edge.sources import Capture
from edge.topics import checked_name
from edge.yaml_keys import line_of, unknown_keys
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

    `loop` and `playback` are for files: begin again at the end, and play as fast as they are watched.
    `capture`: GStreamer for a camera where the machine has it and PyAV otherwise, or always one of them.
    `privacy_masks` are blanked before anything sees them: each is two opposite corners of a rectangle, or a polygon.
    `ignore_masks` are seen and not judged; `zones` have names, and sensitivities of their own. With `profiles` what is
    normal changes with the time and with what the `line` says; where no profile is known to be in force, none judges.
    """

    source: str
    normal: str = ""
    loop: bool = False
    playback: Playback = "realtime"
    capture: Capture = "auto"
    privacy_masks: tuple[Shape, ...] = ()
    ignore_masks: tuple[Shape, ...] = ()
    zones: dict[str, Zone] = {}
    profiles: dict[str, Profile] = {}
    line: Line = Line()

    @property
    def captured(self) -> CameraSource:
        """The same, as the capture threads take it."""
        return CameraSource(self.source, self.loop, self.playback, self.capture, self.privacy_masks)


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


def read_config(path: Path) -> Config:
    """Return the configuration at `path`. Raises ConfigInvalid with file, line, what was found and the remedy."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path}: cannot be read ({error}); give the path of a YAML configuration.") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigInvalid(f"{path}: not YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(data, dict):
        raise ConfigInvalid(f"{path}: holds no keys; start from the sample in the README.")
    for message in unknown_keys(root, Config, ""):
        raise ConfigInvalid(f"{path}:{message}")
    return _checked(_converted(path, root, data), path, root)


def _converted(path: Path, root: yaml.Node | None, data: object) -> Config:
    try:
        config = msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        told, _, where = str(error).partition(" - at `")
        keys = _keys_from_path(where.rstrip("`"), data)
        name = ".".join(keys) or "the file"
        raise ConfigInvalid(f"{path}:{line_of(root, keys)}: {name}: {told[0].lower()}{told[1:]}.") from error
    folder = path.parent
    cameras = {
        name: msgspec.structs.replace(
            camera,
            source=_from_folder(folder, camera.source),
            normal=_from_folder(folder, camera.normal),
            profiles={
                key: msgspec.structs.replace(profile, normal=_from_folder(folder, profile.normal))
                for key, profile in camera.profiles.items()
            },
        )
        for name, camera in config.cameras.items()
    }
    return msgspec.structs.replace(
        config,
        bundle=_from_folder(folder, config.bundle),
        cameras=cameras,
        hooks=msgspec.structs.replace(
            config.hooks, webhook_token_file=_from_folder(folder, config.hooks.webhook_token_file)
        ),
        state_directory=_from_folder(folder, config.state_directory),
        mqtt=msgspec.structs.replace(
            config.mqtt,
            **{
                key: _from_folder(folder, getattr(config.mqtt, key))
                for key in ("password_file", "ca_file", "certificate_file", "key_file")
            },
        ),
    )


def _checked(config: Config, path: Path, root: yaml.Node | None) -> Config:
    for keys, message in _faults(config):
        raise ConfigInvalid(f"{path}:{line_of(root, keys)}: {'.'.join(keys)}: {message}")
    return config


def _faults(config: Config) -> Iterator[tuple[list[str], str]]:
    names = [(["site"], config.site, "site")]
    names += [(["device"], config.device, "device")] if config.device else []
    names += [(["cameras", name], name, "camera") for name in config.cameras]
    for keys, name, what in names:
        try:
            checked_name(name, what)
        except UsageError as error:
            yield keys, str(error)
    for name, camera in config.cameras.items():
        faults = (*region_faults(camera), *profile_faults(camera.profiles, camera.line))
        yield from ((["cameras", name, *keys], message) for keys, message in faults)
    yield from _predictor_faults(config)
    if not 1 <= len(config.cameras) <= 16:
        yield ["cameras"], f"{len(config.cameras)} cameras; one device watches 1 to 16."
    if not 1 <= config.mqtt.port <= 65535:
        yield ["mqtt", "port"], f"{config.mqtt.port} is no port; MQTT has 1883, with TLS 8883."
    if config.mqtt.keepalive_seconds < 1:
        yield ["mqtt", "keepalive_seconds"], f"{config.mqtt.keepalive_seconds} is below 1."
    yield from _hook_faults(config.hooks)
    yield from ((["evidence", *keys], message) for keys, message in evidence_faults(config.evidence))
    yield from _engine_faults(config.engine)
    if config.threads < 0:
        yield ["threads"], f"{config.threads} is below 0; 0 means one per core."
    asked = config.detection.false_events_per_day
    if asked is not None and not 0.0 < asked <= 10_000.0:
        yield ["detection", "false_events_per_day"], f"{asked:g} is not above 0, 10000 at most."
    if config.detection.most_events_per_hour < 1:
        yield ["detection", "most_events_per_hour"], f"{config.detection.most_events_per_hour} is below 1."
    for key, seconds in dataclasses.asdict(config.detection.rules).items():
        if not 0.0 <= seconds <= 3600.0:
            yield ["detection", key], f"{seconds:g} is not within 0 to 3600 seconds."


def _engine_faults(engine: Engine) -> Iterator[tuple[list[str], str]]:
    if not 1 <= engine.workspace_mib <= MOST_WORKSPACE_MIB:
        yield ["engine", "workspace_mib"], f"{engine.workspace_mib} is not within 1 to {MOST_WORKSPACE_MIB}."
    if not 0 <= engine.level <= 5:
        yield ["engine", "level"], f"{engine.level} is not within 0 to 5."


def _hook_faults(hooks: Hooks) -> Iterator[tuple[list[str], str]]:
    if hooks.webhook and not re.match(r"https?://[^/\s]+", hooks.webhook):
        yield ["hooks", "webhook"], f"{hooks.webhook!r} is no address; write http://… or https://…."
    if not 0.1 <= hooks.timeout_seconds <= 300.0:
        yield ["hooks", "timeout_seconds"], f"{hooks.timeout_seconds:g} is not within 0.1 to 300 seconds."


def _predictor_faults(config: Config) -> Iterator[tuple[list[str], str]]:
    if not config.predictor:
        if not config.bundle:
            yield (
                ["the file"],
                "object missing required field `bundle`. To watch without a network: predictor: flow",
            )
        if config.frame != Frames():
            yield ["frame"], "a bundle says itself what its frames are; leave this out, or set predictor: flow."
        return
    if config.bundle:
        yield ["predictor"], f"{config.predictor} beside a bundle; leave one of the two out."
    for name, camera in config.cameras.items():
        if not camera.normal and not (camera.profiles and all(one.normal for one in judging(camera.profiles).values())):
            yield (
                ["cameras", name],
                f"has no 'normal', and {config.predictor} brings none; make one of an hour of normal work: "
                f"prednet-calibrate site HOUR.mp4 --predictor {config.predictor} -o {name}.normal",
            )
    if not (
        16 <= config.frame.width <= 4096 and 16 <= config.frame.height <= 4096 and 0 < config.frame.rate_hz <= 1000
    ):
        yield ["frame"], "its size is not within 16 to 4096 pixels, or its rate_hz not within 0 to 1000."


def _from_folder(folder: Path, where: str) -> str:
    """A relative path is taken from the configuration's folder; addresses and absolute paths stay."""
    if not where or "://" in where or Path(where).is_absolute():
        return where
    return str(folder / where)


def _keys_from_path(where: str, data: object) -> list[str]:
    """The keys of an error's path such as `$.mqtt.port`; msgspec writes `[...]` for the name of a camera."""
    keys = [key for key in re.split(r"[.\[\]]+", where.lstrip("$").replace("[...]", ".*")) if key]
    return [_wrong_camera(data) if key == "*" else key for key in keys]


def _wrong_camera(data: object) -> str:
    cameras = data.get("cameras") if isinstance(data, dict) else None
    for name, camera in cameras.items() if isinstance(cameras, dict) else ():
        try:
            msgspec.convert(camera, Camera)
        except msgspec.ValidationError:
            return str(name)
    return "?"
