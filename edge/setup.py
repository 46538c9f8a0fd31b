"""A device made ready from its configuration, before the first camera is opened."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from edge.builtin import bundle_from_predictor
from edge.bundle import Bundle, read_bundle
from edge.calibrated import limits_for
from edge.choice import Choice, choose
from edge.config import Config, Detection, read_config
from edge.errors import ConfigInvalid, PrednetError
from edge.model import Model, with_normal
from edge.mqtt import BrokerSettings, TlsFiles
from edge.places import place_from_spec
from edge.site_calibration import variant_of_site
from edge.topics import Topics, default_device


@dataclass(frozen=True)
class Device:
    """Everything that `run` needs, read and checked; `models` by camera, `choice` of what computes."""

    config: Config
    topics: Topics
    bundle: Bundle
    models: Mapping[str, Model]
    broker: BrokerSettings
    choice: Choice

    @property
    def config_hash(self) -> str:
        """Twelve hex digits that change with the configuration."""
        return hashlib.sha256(msgspec.json.encode(self.config)).hexdigest()[:12]


def read_device(config_path: Path) -> Device:
    """Return the device of a configuration. Raises ConfigInvalid with one sentence for what cannot work."""
    config = read_config(config_path)
    try:
        bundle = _bundle(config)
        normals = [Path(camera.normal) for camera in config.cameras.values() if camera.normal]
        choice = choose(config, bundle, sorted({variant_of_site(path) for path in normals}))
        models = {
            name: limited(
                with_normal(bundle, choice.variant, Path(camera.normal) if camera.normal else None), config.detection
            )
            for name, camera in config.cameras.items()
        }
        for camera in config.cameras.values():
            place_from_spec(camera.source)
        topics = Topics(config.site, config.device or default_device())
        return Device(config, topics, bundle, models, _broker(config, topics), choice)
    except ConfigInvalid:
        raise
    except PrednetError as error:
        raise ConfigInvalid(f"{config_path}: {error}") from error


def limited(model: Model, detection: Detection) -> Model:
    """Return the model with the limits that the configuration asks for."""
    limits = limits_for(model.calibration.limits, detection.rules, detection.false_events_per_day)
    return replace(model, calibration=replace(model.calibration, limits=limits))


def _bundle(config: Config) -> Bundle:
    if config.predictor:
        return bundle_from_predictor(config.predictor, config.frame.form)
    return read_bundle(Path(config.bundle))


def _broker(config: Config, topics: Topics) -> BrokerSettings:
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
