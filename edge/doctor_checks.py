"""The checks of `prednet-edge doctor`: each looks at one thing for real and says what it found, or what to do."""

from __future__ import annotations

import getpass
import grp
import importlib.util
import os
import pwd
import secrets
import shutil
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from edge.chosen import MOST_SHARE, open_chosen
from edge.clock import clock_state
from edge.command_messages import Reply
from edge.engine.key import l4t_release
from edge.engine.library import open_library, version_of
from edge.engine.making import step_milliseconds
from edge.engine.memory import DeviceFacts, open_memory
from edge.errors import DeviceUnavailable, PrednetError
from edge.hardware import DISK_LOW_BYTES, is_throttled
from edge.kept_secrets import captured
from edge.messages import encode, utc_from_seconds
from edge.mqtt import Subscriber
from edge.places import place_from_spec
from edge.setup import Device
from edge.sources import chosen, has_gstreamer, open_source
from edge.topics import reply_subtopic
from edge.upload_key import access_key

# The first TensorRT that knows a GPU by its compute capability.
FIRST_TENSORRT = {"8.7": (8, 4), "11.0": (10, 13)}
ROOM_BYTES = 2**30
FRAMES = 3
BROKER_SECONDS = 10.0


class Check(msgspec.Struct, frozen=True):
    """One line: `state` is ok, warned, failed or skipped; what was found stands in `told`, with the remedy."""

    name: str
    state: str
    told: str


class Warned(PrednetError):
    """What works, and should be mended all the same."""


def user(service: str) -> str:
    """Who looks, and in which groups; the GPU and cameras need `video` and `render`. Root is to be no stand-in."""
    groups = sorted({grp.getgrgid(number).gr_name for number in os.getgroups() if _is_known(number)})
    told = f"{getpass.getuser()}, groups {', '.join(groups) or 'none'}"
    if os.geteuid() == 0 and not is_user(service):
        raise Warned(
            f"{told}; there is no user {service}, so all below was looked at with root's rights, which the daemon "
            f"will not have: sudo useradd --system --user-group --groups video,render --home-dir /var/lib/{service} "
            f"--create-home {service}; or name the service's user by --user."
        )
    missing = [name for name in ("video", "render") if name not in groups and os.geteuid() != 0 and _has(name)]
    if missing:
        raise Warned(f"{told}; for GPU and cameras: sudo usermod -aG {','.join(missing)} {getpass.getuser()}")
    return told


def is_user(name: str) -> bool:
    """Return whether the machine has this user."""
    try:
        pwd.getpwnam(name)  # asks the directory service too
    except KeyError:
        return False
    return True


def driver() -> str:
    """The GPU and its driver."""
    return told_gpu(gpu())


def gpu() -> DeviceFacts:
    """Return the GPU's facts. Raises DeviceUnavailable with the remedy."""
    memory = open_memory()
    facts = memory.facts
    memory.close()
    return facts


def told_gpu(facts: DeviceFacts) -> str:
    """Return the facts in one line."""
    return f"{facts.name}, SM {facts.compute_capability}, {facts.memory_mib} MiB, CUDA {facts.cuda}"


def library() -> str:
    """TensorRT, and whether this very build knows the GPU."""
    trt, facts = open_library(), gpu()
    first = FIRST_TENSORRT.get(facts.compute_capability, (0, 0))
    if version_of(trt) < first:
        raise DeviceUnavailable(
            f"TensorRT {trt.__version__} does not know SM {facts.compute_capability}; it takes "
            f"{first[0]}.{first[1]} or later: install the TensorRT of this board's JetPack (apt-get install tensorrt)."
        )
    found = importlib.util.find_spec("tensorrt")
    place = "" if found is None or found.origin is None else found.origin
    if l4t_release() and "dist-packages" not in place:
        raise DeviceUnavailable(
            f"TensorRT comes from {place}, a build for servers that refuses SM {facts.compute_capability}: "
            f"pip uninstall tensorrt, and use JetPack's in an environment made with --system-site-packages."
        )
    return f"TensorRT {trt.__version__} for SM {facts.compute_capability}"


def inference(device: Device) -> str:
    """Run the chosen runner: golden answer, then its time beside a frame's."""
    cameras, rate_hz = len(device.config.cameras), device.bundle.spec.form.rate_hz
    runner = open_chosen(device.choice, device.bundle, cameras, device.config.threads)
    milliseconds = step_milliseconds(runner)
    runner.close()
    golden = "right" if device.choice.variant in _with_golden(device) else "none in the bundle"
    told = (
        f"{runner.name}, variant {device.choice.variant}: {milliseconds:.1f} ms a step for {cameras} cameras, a frame "
        f"has {1000.0 / rate_hz:.0f} ms; golden answer {golden}"
    )
    if milliseconds > MOST_SHARE * 1000.0 / rate_hz:
        raise DeviceUnavailable(f"{told}: too slow; watch fewer cameras, or use a smaller network.")
    engines = device.choice.engines
    if engines is not None and engines.kept.ready is None:
        raise Warned(f"{told}; no engine ({engines.kept.told}); build it: prednet-edge engine build --config ...")
    return told


def gstreamer(device: Device) -> str:
    """The elements that the configured cameras take."""
    places = {name: place_from_spec(one.source) for name, one in device.config.cameras.items()}
    wanted = {name for name, one in places.items() if chosen(one, device.config.cameras[name].capture) == "gstreamer"}
    if not has_gstreamer():
        if wanted:
            raise DeviceUnavailable(
                f"{', '.join(sorted(wanted))} need GStreamer's Python: sudo apt-get install python3-gi "
                f"gir1.2-gst-plugins-base-1.0, in an environment made with --system-site-packages."
            )
        return "not installed, and no camera needs it"
    from edge.capture_gst import elements_here  # noqa: PLC0415 - only here is it known to be installed
    from edge.launch import launch_from_place  # noqa: PLC0415

    elements = elements_here()
    for name in sorted(wanted):
        launch_from_place(places[name], device.bundle.spec.form, elements)
    return f"{len(elements)} elements; {len(wanted)} of {len(places)} cameras take them"


def camera(device: Device, name: str) -> str:
    """Open one camera and take some frames."""
    settings, form = device.config.cameras[name], device.bundle.spec.form
    begun = time.monotonic()
    source = open_source(captured(name, settings).spec, form, settings.capture, settings.privacy_masks)
    try:
        for number, _ in enumerate(source.frames(), 1):
            if number == FRAMES:
                seconds = time.monotonic() - begun
                return f"{source.name}: {FRAMES} frames in {seconds:.1f} s by {source.backend}"
    finally:
        source.close()
    raise DeviceUnavailable(f"{source.name}: it ended before {FRAMES} frames; look at it with ffplay.")


def broker(device: Device) -> str:
    """Publish one message of the contract and receive it back."""
    name = f"doctor-{secrets.token_hex(4)}"
    settings = replace(device.broker, client_id=f"{device.broker.client_id}-doctor")
    topic = device.topics.full(reply_subtopic(name))
    now = utc_from_seconds(time.time())
    reply = Reply(request_id=name, verb="self_test", status="ok", code="done", time=now)
    begun = time.monotonic()
    with Subscriber(settings, topic) as subscriber:
        subscriber.send(topic, encode(reply))
        for message in subscriber.messages(BROKER_SECONDS):
            if message.topic == topic:
                where = f"{settings.host}:{settings.port}"
                return f"{where}: there and back in {(time.monotonic() - begun) * 1000.0:.0f} ms"
    raise DeviceUnavailable(
        f"{settings.host}:{settings.port} takes messages and does not deliver {topic}; check its access list "
        f"(docs/mosquitto/acl)."
    )


def store(device: Device) -> str:
    """Put a small object where evidence goes. Raises PrednetError where the store does not take it."""
    from edge.store_s3 import S3Store  # noqa: PLC0415 - opens the door of botocore

    upload, topics = device.config.evidence.upload, device.topics
    opened = S3Store(upload, access_key(upload))
    try:
        return opened.put(f"{upload.prefix}{topics.site}/{topics.device}/doctor.txt", b"prednet-edge doctor\n")
    finally:
        opened.close()


def disk(device: Device) -> str:
    """The state directory: ours to write, with room."""
    folder = Path(device.config.state_directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".doctor.{os.getpid()}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise DeviceUnavailable(
            f"{folder} cannot be written ({error.strerror}); give it to {getpass.getuser()}: sudo chown."
        ) from error
    free = shutil.disk_usage(folder).free
    told = f"{folder}: {free / 1e9:.1f} GB free"
    if free < DISK_LOW_BYTES:
        raise DeviceUnavailable(f"{told}; evidence is not kept any more: make room.")
    if free < ROOM_BYTES:
        raise Warned(f"{told}; make room before evidence is dropped.")
    return told


def clock() -> str:
    """Whether the wall clock was set from a time source."""
    if clock_state() != "synced":
        raise Warned("not set from a time source; events are marked unsynced: sudo timedatectl set-ntp true.")
    return "synced"


def heat() -> str:
    """Whether the machine slows itself down now."""
    found = is_throttled()
    if found:
        raise Warned("the machine is throttled now; look at its cooling and its power mode (nvpmodel -q).")
    return "the kernel does not tell" if found is None else "not throttled"


def _with_golden(device: Device) -> set[str]:
    held = device.bundle.manifest.variants if device.bundle.manifest.files else {}
    return {name for name, variant in held.items() if variant.golden}


def _is_known(group: int) -> bool:
    return any(group == one.gr_gid for one in grp.getgrall())


def _has(group: str) -> bool:
    return any(group == one.gr_name for one in grp.getgrall())
