"""A device made ready from its configuration, before the first camera is opened."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from edge.bundle import Bundle
from edge.calibrated import limits_for
from edge.choice import Choice, choose
from edge.config import Camera, Config, Detection
from edge.config_file import read_config
from edge.errors import ConfigInvalid, PrednetError
from edge.model import Model, with_normal
from edge.mqtt import BrokerSettings, TlsFiles
from edge.places import place_from_spec
from edge.profiles import judging
from edge.site_calibration import variant_of_site
from edge.sources import chosen
from edge.topics import Topics, default_device
from edge.updates.resolved import Resolved, bundle_in_force, normals_in_force
from edge.zoning import zoned


@dataclass(frozen=True)
class Device:
    """Everything that `run` needs, read and checked; `choice` says what computes.

    `models` are by camera, those of `profiles` by `key_of_profile`. Of a camera with profiles `models` holds the first,
    which judges nothing before a profile is known to be in force. `refused` says why bundles were passed over that
    should be in force instead.
    """

    config: Config
    topics: Topics
    bundle: Bundle
    models: Mapping[str, Model]
    broker: BrokerSettings
    choice: Choice
    profiles: Mapping[str, Model] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def config_hash(self) -> str:
        """Twelve hex digits that change with the configuration."""
        return hashlib.sha256(msgspec.json.encode(self.config)).hexdigest()[:12]


def read_device(config_path: Path, bundle: Bundle | None = None) -> Device:
    """Return the device of a configuration, with the bundle in force or another one.

    Raises ConfigInvalid with one sentence for what cannot work.
    """
    config = read_config(config_path)
    try:
        return device_from_config(config, bundle_in_force(config) if bundle is None else Resolved(bundle))
    except ConfigInvalid:
        raise
    except PrednetError as error:
        raise ConfigInvalid(f"{config_path}: {error}") from error


def device_from_config(config: Config, resolved: Resolved) -> Device:
    """Return the device of a configuration that is read already, with a bundle; PrednetError for what cannot work."""
    bundle, normals = resolved.bundle, normals_in_force(config, resolved.bundle)
    choice = choose(config, bundle, sorted({variant_of_site(path) for path in normals.values() if path}))
    models: dict[str, Model] = {}
    profiles: dict[str, Model] = {}
    for name, camera in config.cameras.items():
        found = _models(name, bundle, choice.variant, camera, config.detection, normals)
        models[name] = next(iter(found.values()))
        profiles |= {key_of_profile(name, key): model for key, model in found.items() if key}
    for camera in config.cameras.values():
        place = place_from_spec(camera.source)
        if camera.capture != "auto":
            chosen(place, camera.capture)  # says what that library cannot capture
    topics = Topics(config.site, config.device or default_device())
    return Device(config, topics, bundle, models, broker_of(config, topics), choice, profiles, resolved.refused)


def key_of_profile(camera: str, profile: str | None) -> str:
    """Return the key of a camera's profile among the models of profiles."""
    return f"{camera}/{profile}"


def _models(
    name: str,
    bundle: Bundle,
    variant: str,
    camera: Camera,
    detection: Detection,
    normals: Mapping[str, Path | None],
) -> dict[str, Model]:
    """Return a camera's models by profile; of one without profiles its own under the empty name."""
    found = {}
    for key in judging(camera.profiles) or ("",):
        model = with_normal(bundle, variant, normals.get(key_of_profile(name, key) if key else name))
        try:
            found[key] = replace(adapted(model, camera, detection), profile=key)
        except PrednetError as error:
            raise PrednetError(f"cameras.{name}: {error}") from error
    return found


def adapted(model: Model, camera: Camera, detection: Detection) -> Model:
    """Return the model with the limits that the configuration asks for, and with the camera's zones and masks."""
    return zoned(limited(model, detection), camera.zones, camera.ignore_masks, camera.privacy_masks)


def limited(model: Model, detection: Detection) -> Model:
    """Return the model with the limits that the configuration asks for."""
    limits = limits_for(model.calibration.limits, detection.rules, detection.false_events_per_day)
    return replace(model, calibration=replace(model.calibration, limits=limits))


def broker_of(config: Config, topics: Topics) -> BrokerSettings:
    """Return where the broker is, and the login. Raises ConfigInvalid for a password that is not there."""
    mqtt = config.mqtt
    tls = None
    if mqtt.ca_file or mqtt.certificate_file:
        tls = TlsFiles(*(Path(name) if name else None for name in (mqtt.ca_file, mqtt.certificate_file, mqtt.key_file)))
    return BrokerSettings(
        host=mqtt.host,
        port=mqtt.port,
        client_id=mqtt.client_id or f"prednet-{topics.device}",
        username=mqtt.username or None,
        password=read_password(mqtt.password_file),
        tls=tls,
        keepalive_seconds=mqtt.keepalive_seconds,
    )


def read_password(file: str) -> str | None:
    """Return the password in a file, None without a file. Raises ConfigInvalid where it cannot be read."""
    if not file:
        return None
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{file}: the MQTT password cannot be read ({error}).") from error
