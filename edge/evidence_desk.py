"""Evidence beside the river: what the daemon opens, shows every moment, and asks what is ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edge.announcer import Announcer
from edge.moments import Moment
from edge.setup import Device
from edge.tape import Tape
from edge.upload_key import access_key
from edge.uploader import UPLOAD_FAULTS, Uploader

# An event is announced after its hold, or after the rest that follows the event before it; and the queue has a length.
MARGIN_SECONDS = 1.5


@dataclass(frozen=True)
class EvidenceDesk:
    """What the river calls; nothing of it waits. `tapes` are for the capture threads, by camera."""

    tapes: Mapping[str, Tape] = field(default_factory=dict)
    see: Callable[[Moment], None] = lambda _: None
    tick: Callable[[], None] = lambda: None


@contextmanager
def open_evidence(device: Device, announcer: Announcer) -> Iterator[EvidenceDesk]:
    """Keep evidence of what the announcer publishes, until the end; what is open then is finished and told."""
    settings = device.config.evidence
    if not settings.record:
        yield EvidenceDesk()
        return
    from edge.recorder import Recorder  # noqa: PLC0415 - opens the doors of av and cv2

    rules = device.config.detection.rules
    look_back = rules.hold_seconds + rules.refractory_seconds + MARGIN_SECONDS
    tapes = {camera: Tape(settings.pre_roll_seconds + look_back) for camera in device.models}
    recorder = Recorder(Path(device.config.state_directory), settings, tapes, look_back)

    uploader = _uploader(device)

    def tick() -> None:
        for event in recorder.told():
            stored = announcer.publish(event)
            if uploader is not None:
                uploader.add(stored)
        _tell_uploads(uploader, announcer)
        announcer.set_fault("evidence_stopped", not recorder.has_room)
        for name, count in recorder.drops.items():
            announcer.counts[name] = count

    announcer.listeners.append(recorder.hear)
    try:
        yield EvidenceDesk(tapes, recorder.see, tick)
    finally:
        recorder.close()
        tick()
        if uploader is not None:
            uploader.close()


def _uploader(device: Device) -> Uploader | None:
    """Return what copies evidence to the store of the configuration, None where it names none."""
    upload = device.config.evidence.upload
    if not upload.bucket:
        return None
    from edge.store_s3 import S3Store  # noqa: PLC0415 - opens the door of botocore

    return Uploader(Path(device.config.state_directory), upload.prefix, lambda: S3Store(upload, access_key(upload)))


def _tell_uploads(uploader: Uploader | None, announcer: Announcer) -> None:
    if uploader is None:
        return
    for event in uploader.told():
        announcer.publish(event)
        uploader.published(event)
    for code in UPLOAD_FAULTS:
        announcer.set_fault(code, uploader.fault == code)
    announcer.uploads_waiting = uploader.waiting
    announcer.counts["evidence_not_uploaded"] = uploader.lost
