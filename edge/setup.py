"""A device made ready from its configuration, before the first camera is opened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import msgspec
import yaml

from edge.bundle import Bundle
from edge.calibrated import limits_for
from edge.captures import CameraSource
from edge.choice import Choice, choose
from edge.config import Camera, Config, Detection
from edge.config_file import config_from_text, read_text
from edge.errors import ConfigInvalid, PrednetError
from edge.in_force import Stamp, stamp_of
from edge.kept_secrets import MQTT_PASSWORD, WEBHOOK_TOKEN, captured, read_secret
from edge.model import Model, chosen_variant, with_normal
from edge.mqtt import BrokerSettings, TlsFiles, check_tls
from edge.page.token import configured_token
from edge.places import place_from_spec
from edge.profiles import judging
from edge.site_calibration import manifest_of_site
from edge.slower import has_slower, slower_bundle, slower_config
from edge.sources import chosen
from edge.topics import Topics, default_device
from edge.updates.resolved import Resolved, bundle_in_force, named_normals, normals_in_force
from edge.upload_key import check_upload
from edge.yaml_keys import composed, line_of
from edge.zoning import zoned


@dataclass(frozen=True)
class Device:
    """Everything that `run` needs, read and checked; `choice` says what computes, `text` is its file's.

    `models` are by camera, those of `profiles` by `key_of_profile`. Of a camera with profiles `models` holds the first,
    which judges nothing before a profile is known to be in force. `refused` says why bundles were passed over that
    should be in force instead. `stamps` are of the `.normal` files that the configuration names, of before they were
    read, by the same keys.
    """

    config: Config
    topics: Topics
    bundle: Bundle
    models: Mapping[str, Model]
    broker: BrokerSettings
    choice: Choice
    captured: Mapping[str, CameraSource]
    profiles: Mapping[str, Model] = field(default_factory=dict)
    text: str = field(default="", repr=False)
    refused: Mapping[str, str] = field(default_factory=dict)
    stamps: Mapping[str, Stamp | None] = field(default_factory=dict)

    def runs_as(self, other: Device) -> bool:
        """Return whether nothing differs that a running device would show: settings, secrets, bundle, what computes."""
        return (self.config, self.broker, self.captured, self.bundle.digest, self.choice.told) == (
            other.config, other.broker, other.captured, other.bundle.digest, other.choice.told
        )  # fmt: skip

    @property
    def config_hash(self) -> str:
        """Twelve hex digits that change with the configuration."""
        return hashlib.sha256(msgspec.json.encode(self.config)).hexdigest()[:12]


def read_device(
    config_path: Path, text: str | None = None, *, slower: bool = False, other: Bundle | None = None
) -> Device:
    """Return the device of a configuration; `text` stands in for what its file holds, `other` for the bundle in force.

    It watches at the `slower` rate where that is asked for and every camera was calibrated for one too.

    Raises ConfigInvalid with one sentence for what cannot work.
    """
    text = read_text(config_path) if text is None else text
    config = config_from_text(text, config_path)
    blamed = partial(_blamed, config_path, composed(text, config_path))
    with blamed("mqtt"):
        topics = Topics(config.site, config.device or default_device())
        broker = broker_of(config, topics)
        check_tls(broker)
    with blamed("hooks"):
        read_secret(WEBHOOK_TOKEN, config.hooks.webhook_token_file)  # says why it cannot be read
    with blamed("page"):
        if config.page.serve:
            configured_token(config.page)
    with blamed("evidence", "upload"):
        check_upload(config.evidence.upload)
    with blamed("predictor" if config.predictor else "bundle"):
        resolved = bundle_in_force(config) if other is None else Resolved(other)
        bundle = resolved.bundle
    with blamed("cameras"):
        if has_slower(config):
            slow = slower_bundle(config, bundle)  # read in any case: a fault in it is told at the start
            config, bundle = (slower_config(config), slow) if slower else (config, bundle)
    with blamed("variant"):
        if not config.predictor:
            bundle.step(chosen_variant(bundle, config.variant))  # says which there are
    stamps = {key: stamp_of(Path(path)) for key, path in named_normals(config).items()}
    with blamed("runner"):
        normals = normals_in_force(config, bundle)
        choice = _chosen(config, bundle, normals)
    sources: dict[str, CameraSource] = {}
    found: dict[str, dict[str, Model]] = {}
    for name, camera in config.cameras.items():
        with blamed("cameras", name):
            found[name] = _models(name, bundle, choice.variant, camera, config.detection, normals)
            sources[name] = captured(name, camera)
            chosen(place_from_spec(camera.source), camera.capture)  # says what that library cannot capture
    models, profiles = _by_key(found)
    return Device(config, topics, bundle, models, broker, choice, sources, profiles, text, resolved.refused, stamps)


def device_with(device: Device, bundle: Bundle) -> Device:
    """Return the same device with another bundle, and the calibrations that belong to it.

    Raises PrednetError for one that cannot work.
    """
    config, normals = device.config, normals_in_force(device.config, bundle)
    choice = _chosen(config, bundle, normals)
    models, profiles = _by_key(
        {
            name: _models(name, bundle, choice.variant, camera, config.detection, normals)
            for name, camera in config.cameras.items()
        }
    )
    return replace(device, bundle=bundle, choice=choice, models=models, profiles=profiles, refused={})


def _chosen(config: Config, bundle: Bundle, normals: Mapping[str, Path | None]) -> Choice:
    return choose(config, bundle, sorted({manifest_of_site(path).variant for path in normals.values() if path}))


def _by_key(found: Mapping[str, Mapping[str, Model]]) -> tuple[dict[str, Model], dict[str, Model]]:
    """Return each camera's first model, and those of its profiles by `key_of_profile`."""
    models = {name: next(iter(one.values())) for name, one in found.items()}
    profiles = {key_of_profile(name, key): model for name, one in found.items() for key, model in one.items() if key}
    return models, profiles


@contextmanager
def _blamed(path: Path, root: yaml.Node | None, *keys: str) -> Iterator[None]:
    """Say at which key of the file the mistake lies that an error tells of."""
    try:
        yield
    except PrednetError as error:
        name, told = ".".join(keys), str(error)
        raise ConfigInvalid(
            f"{path}:{line_of(root, list(keys))}: {told if told.startswith(f'{name}:') else f'{name}: {told}'}"
        ) from error


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
    mqtt, password = config.mqtt, read_secret(MQTT_PASSWORD, config.mqtt.password_file)
    tls = None
    if mqtt.ca_file or mqtt.certificate_file:
        tls = TlsFiles(*(Path(name) if name else None for name in (mqtt.ca_file, mqtt.certificate_file, mqtt.key_file)))
    return BrokerSettings(
        host=mqtt.host,
        port=mqtt.port,
        client_id=mqtt.client_id or f"prednet-{topics.device}",
        username=mqtt.username or None,
        password=None if password is None else password.value,
        tls=tls,
        keepalive_seconds=mqtt.keepalive_seconds,
    )
