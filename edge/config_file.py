"""The configuration's file: YAML, parsed once at the border into one frozen Config."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import yaml

from edge.config import MOST_WORKSPACE_MIB, Camera, Config, Engine, Frames, Hooks, Mqtt
from edge.errors import ConfigInvalid, UsageError
from edge.evidence_settings import evidence_faults
from edge.page.settings import page_faults
from edge.profiles import judging, profile_faults
from edge.region_faults import region_faults
from edge.ring_settings import ring_faults
from edge.runner import MOST_CAMERAS
from edge.secret_faults import secret_faults
from edge.self_tests.settings import schedule_faults
from edge.slower import slow_normal_faults
from edge.topics import checked_name
from edge.updates.settings import update_faults
from edge.upload_settings import Upload
from edge.yaml_keys import composed, double_keys, known_values, line_of, loaded, unknown_keys


def read_config(path: Path) -> Config:
    """Return the configuration at `path`. Raises ConfigInvalid with file, line, what was found and the remedy."""
    return config_from_text(read_text(path), path)


def read_text(path: Path) -> str:
    """Return what a configuration's file holds. Raises ConfigInvalid where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ConfigInvalid(f"{path}: cannot be read ({reason}); give the path of a YAML configuration.") from error


def config_from_text(text: str, path: Path) -> Config:
    """Return the configuration that stands in a text; relative paths are taken from the folder of `path`."""
    root = composed(text, path)
    data = loaded(text, path)
    if not isinstance(data, dict):
        raise ConfigInvalid(f"{path}: holds no keys; start from a sample: prednet-edge config sample")
    for message in (*unknown_keys(root, Config, ""), *double_keys(root, "")):
        raise ConfigInvalid(f"{path}:{message}")
    return _checked(_converted(path, root, data), path, root)


def _converted(path: Path, root: yaml.Node | None, data: object) -> Config:
    try:
        config = msgspec.convert(data, Config)
    except msgspec.ValidationError as error:
        told, _, where = str(error).partition(" - at `")
        keys = _keys_from_path(where.rstrip("`"), data)
        name = ".".join(keys) or "the file"
        told = f"{told[0].lower()}{told[1:]}{known_values(Config, keys) if 'enum' in told else ''}"
        raise ConfigInvalid(f"{path}:{line_of(root, keys)}: {name}: {told}.") from error
    return _resolved(config, path.parent)


def _resolved(config: Config, folder: Path) -> Config:
    """Return the configuration with every path as it is seen from anywhere."""
    cameras = {
        name: msgspec.structs.replace(
            camera,
            source=_from_folder(folder, camera.source),
            normal=_from_folder(folder, camera.normal),
            password_file=_from_folder(folder, camera.password_file),
            slow_normal=_from_folder(folder, camera.slow_normal),
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
        page=msgspec.structs.replace(config.page, token_file=_from_folder(folder, config.page.token_file)),
        evidence=msgspec.structs.replace(config.evidence, upload=_upload_from_folder(folder, config.evidence.upload)),
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
    yield from secret_faults(config)
    yield from _predictor_faults(config)
    yield from slow_normal_faults(config.cameras)
    if not 1 <= len(config.cameras) <= MOST_CAMERAS:
        yield ["cameras"], f"{len(config.cameras)} cameras; one device watches 1 to {MOST_CAMERAS}."
    yield from ((["mqtt", key], message) for key, message in _mqtt_faults(config.mqtt))
    yield from _hook_faults(config.hooks)
    if not 0 <= config.metrics.port <= 65535:
        yield ["metrics", "port"], f"{config.metrics.port} is no port; 9640 is a good one, 0 is off."
    yield from ((["evidence", *keys], message) for keys, message in evidence_faults(config.evidence))
    yield from ((["page", *keys], message) for keys, message in page_faults(config.page))
    yield from ((["ring", *keys], message) for keys, message in ring_faults(config.ring))
    yield from ((["updates", *keys], message) for keys, message in update_faults(config.updates))
    yield from ((["self_test", *keys], message) for keys, message in schedule_faults(config.self_test))
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


def _mqtt_faults(mqtt: Mqtt) -> Iterator[tuple[str, str]]:
    if not re.fullmatch(r"[^\s/@]+", mqtt.host) or mqtt.host.count(":") == 1:  # IPv6 has more
        yield "host", "is no host; write a name or an address alone, and its port into 'port'."
    if not 1 <= mqtt.port <= 65535:
        yield "port", f"{mqtt.port} is no port; MQTT has 1883, with TLS 8883."
    if mqtt.keepalive_seconds < 1:
        yield "keepalive_seconds", f"{mqtt.keepalive_seconds} is below 1."
    if mqtt.key_file and not mqtt.certificate_file:
        yield "key_file", "is there without a 'certificate_file'; the broker takes both or none."


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


def _upload_from_folder(folder: Path, upload: Upload) -> Upload:
    paths = {key: _from_folder(folder, getattr(upload, key)) for key in ("secret_key_file", "ca_file")}
    return msgspec.structs.replace(upload, **paths)


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
