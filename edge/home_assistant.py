"""Home Assistant's device discovery: one retained message that makes every camera an entity there.

A component that is gone is announced once more with its platform alone, which removes it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge import __version__
from edge.errors import JsonError
from edge.files import write_whole
from edge.mqtt import Publisher
from edge.topics import DISCOVERY, STATUS, Topics, camera_subtopic

log = logging.getLogger(__name__)

Components = dict[str, dict[str, Any]]


def discovery(topics: Topics, cameras: Sequence[str], gone: Sequence[str] = ()) -> dict[str, Any]:
    """Return the discovery payload of a device; `gone` are ids of components that were there before."""
    components = {name: part for camera in cameras for name, part in _components(topics, camera).items()}
    components |= {name: {"platform": platform_of(name)} for name in gone if name not in components}
    return {
        "device": {
            "identifiers": [f"prednet_{topics.site}_{topics.device}"],
            "name": f"{topics.site} {topics.device}",
            "manufacturer": "prednet-edge",
            "model": "anomaly camera",
            "sw_version": __version__,
        },
        "origin": {"name": "prednet-edge", "sw_version": __version__},
        "availability": [
            {
                "topic": topics.full(STATUS),
                "value_template": "{{ 'online' if value in ('online', 'degraded') else 'offline' }}",
            }
        ],
        "qos": 1,
        "components": components,
    }


def platform_of(component: str) -> str:
    """Return the platform of a component by its id, which ends with what it shows."""
    return "binary_sensor" if component.endswith("_anomaly") else "sensor"


def _components(topics: Topics, camera: str) -> Components:
    def component(leaf: str, name: str, **options: Any) -> tuple[str, dict[str, Any]]:
        key = f"{camera}_{leaf}"
        return key, {
            "platform": platform_of(key),
            "unique_id": f"prednet_{topics.site}_{topics.device}_{key}",
            "name": f"{camera} {name}",
            "state_topic": topics.full(camera_subtopic(camera, leaf)),
            **options,
        }

    return dict(
        (
            component("anomaly", "anomaly", device_class="problem"),
            component("state", "state", icon="mdi:cctv", entity_category="diagnostic"),
            component(
                "score",
                "score",
                state_class="measurement",
                value_template="{{ value_json.score if value_json.valid else None }}",
                expire_after=60,
            ),
            component(
                "coverage",
                "watched in the last hour",
                device_class="duration",
                unit_of_measurement="s",
                value_template="{{ value_json.hour.watched_seconds }}",
                entity_category="diagnostic",
            ),
        )
    )


def announce(publisher: Publisher, topics: Topics, cameras: Sequence[str], known_file: Path, *, is_on: bool) -> None:
    """Set the discovery as a retained state: with what is gone since the last start removed, or all of it."""
    known = _known(known_file)
    if not is_on and not known:
        return
    payload = discovery(topics, cameras, known) if is_on else None
    publisher.set_state(DISCOVERY, b"" if payload is None else msgspec.json.encode(payload))
    now = [] if payload is None else [name for name in payload["components"] if name.startswith(_own(cameras))]
    try:
        write_whole(known_file, msgspec.json.encode(now))
    except OSError as error:
        log.error("home_assistant_refused file=%s error=%s", known_file, error)  # noqa: TRY400


def _own(cameras: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{camera}_" for camera in cameras)


def _known(file: Path) -> list[str]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[str])
    except FileNotFoundError:
        return []
    except (OSError, *JsonError) as error:
        log.error("home_assistant_unreadable file=%s error=%s", file, error)  # noqa: TRY400
        return []
