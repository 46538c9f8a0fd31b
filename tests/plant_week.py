"""A device's state directory as a week in a plant leaves it: hours, events with pictures, answers, faults; all known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edge.coverage_ledger import Ledger
from edge.desk import LEDGER_FILE
from edge.event_ledger import EVENTS_FILE, EventLedger
from edge.evidence_store import EVENT_FILE, FOLDER
from edge.fault_ledger import FAULTS_FILE, FaultLedger
from edge.heat import heat_map, strip
from edge.messages import Event, EventScore, EventTime, EventZone, Fault, new_event_id, utc_from_seconds
from edge.scene import Scene, scene_from_url
from edge.scene.drawing import draw
from edge.snapshot import jpeg_from_image, png_from_image
from tests.films import write_clip
from tests.tiny import normal_images, write_tiny_bundle

DAY, HOUR = 86400.0, 3600.0


@dataclass(frozen=True)
class Week:
    """Where it lies, and what is in it: ids of surprises and stalls, the newest last."""

    config: Path
    state: Path
    ids: list[str]
    seconds_watched: dict[str, float]


def write_week(folder: Path, now_seconds: float, *, events: int = 6) -> Week:
    """Lay down a week that ends now: `press3` was blind for a night, `gate` came two days ago; then events and faults."""
    write_tiny_bundle(folder / "tiny.prednet")
    write_clip(folder / "clip.mkv", normal_images(20, seed=6))
    config = folder / "config.yaml"
    config.write_text(
        "site: plant7\ndevice: edge1\nbundle: tiny.prednet\nstate_directory: state\ncameras:\n"
        "  press3: {source: clip.mkv}\n  gate: {source: clip.mkv}\n"
    )
    state = folder / "state"
    state.mkdir()
    watched = _hours(state, now_seconds)
    ids = _events(state, now_seconds, events)
    _faults(state, now_seconds)
    return Week(config, state, ids, watched)


def _hours(state: Path, now_seconds: float) -> dict[str, float]:
    watched = {"press3": 0.0, "gate": 0.0}
    first = now_seconds - now_seconds % HOUR - 6 * DAY
    with Ledger(state / LEDGER_FILE) as ledger:
        for number in range(int((now_seconds - first) // HOUR)):
            end = first + (number + 1) * HOUR - 1.0
            night = 50 <= number < 58
            hour = {"blind_seconds": 3599.0} if night else {"watched_seconds": 3500.0, "warming_seconds": 40.0}
            hour |= {"degraded_seconds": 59.0} if number % 7 == 3 and not night else {}
            ledger.add("press3", end, hour, is_clock_synced=True)
            watched["press3"] += hour.get("watched_seconds", 0.0)
            if number >= 4 * 24:
                ledger.add("gate", end, {"watched_seconds": 3599.0}, is_clock_synced=True)
                watched["gate"] += 3599.0
    return watched


def _events(state: Path, now_seconds: float, count: int) -> list[str]:
    scene, _, _ = scene_from_url("test://factory?accidents=fire&first=5&seed=3")
    verdicts = ("real", "false", None, "unsure", "real", None)
    ids = []
    with EventLedger(state / EVENTS_FILE) as ledger:
        for number in range(count):
            begun = now_seconds - (count - number) * 0.7 * DAY
            event = _event(begun, number, ("press3", "gate")[number % 3 == 2], ("surprise", "stall")[number % 4 == 3])
            ledger.note(msgspec.structs.replace(event, type="new"))
            ledger.note(event)
            verdict = verdicts[number % 6]
            if verdict is not None:
                ledger.acknowledge(event.event_id, verdict, now_seconds)  # type: ignore[arg-type]
            _pictures(state, event, scene, 5.0 + number)
            ids.append(event.event_id)
        moved = _event(now_seconds - 1.5 * DAY, 99, "gate", "condition")
        moved = msgspec.structs.replace(moved, conditions=("moved",), score=None, zones=())
        ledger.note(moved)
        _write(state, moved)
        ledger.note(_event(now_seconds - 1.2 * DAY, 98, "gate", "test"))
    return ids


def _event(begun: float, number: int, camera: str, kind: str) -> Event:
    return Event(
        type="end", event_id=new_event_id(begun, number.to_bytes(10, "big")), rev=2, site="plant7", device="edge1",
        camera=camera, kind=kind, severity="alert", zones=(EventZone(id="ram", peak=8.0, share=0.8),) * (number % 2),
        time=EventTime(clock="synced", start=utc_from_seconds(begun), end=utc_from_seconds(begun + 12.0)),
        score=EventScore(peak=8.0 + number, mean=5.0, threshold_on=4.0, threshold_off=3.0, valid_frames=99),
    )  # type: ignore[arg-type] # fmt: skip


def _pictures(state: Path, event: Event, scene: Scene, seconds: float) -> None:
    frame, before = (draw(scene, at, 128, 160, 3) for at in (seconds + 2.0, 1.0))
    cells = np.zeros((8, 10), np.float32)
    cells[3:5, 4:6] = 1.0
    folder = _write(state, event)
    (folder / "strip.jpg").write_bytes(jpeg_from_image(strip(frame, before)) or b"")
    (folder / "heatmap.png").write_bytes(png_from_image(heat_map(frame, cells)))


def _write(state: Path, event: Event) -> Path:
    folder = state / FOLDER / str(event.camera) / event.event_id
    folder.mkdir(parents=True)
    (folder / EVENT_FILE).write_bytes(msgspec.json.encode(event))
    return folder


def _faults(state: Path, now_seconds: float) -> None:
    """A camera that was lost for eight hours, a full disk that a restart cut, and drift that is active now."""
    clock = [now_seconds - 5 * DAY]
    lost = Fault(code="camera_lost", since=utc_from_seconds(now_seconds - 4 * DAY), hint="x.", camera="press3")
    full = Fault(code="disk_low", since=utc_from_seconds(now_seconds - 2 * DAY), hint="x.")
    drift = Fault(code="drift", since=utc_from_seconds(now_seconds - HOUR), hint="x.", camera="gate")
    with FaultLedger(state / FAULTS_FILE, lambda: clock[0]) as ledger:
        ledger.note((lost,))
        clock[0] = now_seconds - 4 * DAY + 8 * HOUR
        ledger.note(())
        ledger.note((full,))
        clock[0] = now_seconds - 2 * DAY + 600.0
    FaultLedger(state / FAULTS_FILE, lambda: clock[0]).note((drift,))  # left open, as a running daemon has it
