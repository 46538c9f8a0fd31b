"""Inside a machine with the kernel's `vivid` module: what capture makes of a real /dev/video0, one line a check.

    sudo python3 benchmarks/v4l2_vivid.py        (benchmarks/v4l2_vivid.sh makes such a machine and runs this in it)

Both libraries, PyAV and GStreamer: frames of the size, colour and rate that were asked for, times that only grow,
a picture that is now's; then the device is taken away under capture, falls silent, is busy or is not there at all.
`vivid` makes its pictures itself, so what each pixel must be is known. Ends with 1 where a check fails.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from edge.capture import CameraStatus, Mailboxes
from edge.captures import CameraSource, Captures
from edge.errors import DeviceUnavailable
from edge.frames import Frame, FrameFormat
from edge.live_clock import MAX_CLOCK_DRIFT_SECONDS
from edge.sources import Capture, has_gstreamer, open_source

DEVICE = "/dev/video0"
SPEC = f"v4l2://{DEVICE}"
CAMERA_WIDTH, CAMERA_HEIGHT, CAMERA_RATE_HZ = 640, 360, 25
# The driver's numbers of its test pictures, and what they are in RGB.
PICTURES = {
    "black": (5, (0, 0, 0)),
    "white": (6, (255, 255, 255)),
    "red": (7, (255, 0, 0)),
    "green": (8, (0, 255, 0)),
    "blue": (9, (0, 0, 255)),
}
# Y'CbCr in eight bits and the arithmetic of the scalers move a pure colour: by 4 (PyAV) and 6 (GStreamer) as measured.
COLOUR_LEVELS = 8
LIBRARIES: tuple[Capture, ...] = ("pyav", "gstreamer")
# The watchdog speaks after 5 s (faults.md); half a second for an emulated machine's threads.
LOST_SECONDS = 5.5
# Reopening waits 1-4 s, plus opening itself, which an emulated machine does slowly.
BACK_SECONDS = 20.0
# A hanging call is left after 15 s, and its camera goes on in a new process, whose imports are slow here.
BACK_FROM_SILENCE_SECONDS = 45.0

failures = 0


def main() -> int:
    """Run every check for both libraries."""
    # Asked here, GStreamer also makes its registry, which takes longer in an emulated machine than a child may take.
    demand(has_gstreamer(), "GStreamer's Python is missing")
    plug()
    for library in LIBRARIES:
        check(f"{library}: pure colours in RGB and grey", partial(colours, library))
        check(f"{library}: a colour bar's columns stand where they are", partial(columns, library))
        for rate_hz in (5.0, 10.0, float(CAMERA_RATE_HZ)):
            check(f"{library}: {rate_hz:g} frames a second", partial(pace, library, rate_hz))
        check(f"{library}: the picture is now's", partial(freshness, library))
        check(f"{library}: a busy device is refused in a sentence", partial(busy, library))
        check(f"{library}: unplugged and plugged in again", partial(unplugging, library))
        check(f"{library}: silent, and speaking again", partial(silence, library))
        check(f"{library}: no device is refused in a sentence", partial(absence, library))
    print(f"{failures} checks failed")
    return min(failures, 1)


def check(name: str, measured: Callable[[], str]) -> None:
    """Print one line: what was measured, or why it is not as it must be. A check that failed leaves no device away."""
    global failures  # noqa: PLW0603 - a script's count
    try:
        print(f"ok      {name}: {measured()}", flush=True)
    except Exception as error:  # noqa: BLE001 - every check is told, whatever the one before did
        failures += 1
        print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)
        if not Path(DEVICE).exists():
            plug()


def demand(is_so: object, found: str) -> None:
    """Raise with what was found where a demand is not met."""
    if not is_so:
        raise ValueError(found)


def run(*words: str) -> str:
    """Return what a command prints; raises where it fails."""
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    demand(done.returncode == 0, f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def plug() -> None:
    """Load the driver and set its camera up."""
    run("modprobe", "vivid", "n_devs=1", "node_types=0x1", "num_inputs=1", "input_types=0x0")
    demand(Path(DEVICE).is_char_device(), f"{DEVICE} did not appear")
    run("v4l2-ctl", "-d", DEVICE, f"--set-fmt-video=width={CAMERA_WIDTH},height={CAMERA_HEIGHT},pixelformat=YUYV")
    run("v4l2-ctl", "-d", DEVICE, f"--set-parm={CAMERA_RATE_HZ}")
    control("osd_text_mode", 2)  # no text over the picture


def unplug() -> None:
    """Take the device away though it is open, as a drawn plug does, and then the driver as soon as it is free."""
    driver = Path("/sys/bus/platform/drivers/vivid")
    (driver / "unbind").write_text("vivid.0")
    deadline = time.monotonic() + 10.0
    while subprocess.run(["rmmod", "vivid"], check=False, capture_output=True).returncode:
        demand(time.monotonic() < deadline, "capture still held the device 10 s after it was gone")
        time.sleep(0.1)


def control(name: str, value: int) -> None:
    """Set one of the driver's controls."""
    run("v4l2-ctl", "-d", DEVICE, f"--set-ctrl={name}={value}")


def show(picture: str) -> tuple[int, int, int]:
    """Let the camera see a pure colour, and return it."""
    number, colour = PICTURES[picture]
    control("test_pattern", number)
    return colour


def taken(library: Capture, form: FrameFormat, count: int) -> list[Frame]:
    """Return the first frames of the device."""
    with closing(open_source(SPEC, form, library)) as source:
        frames = list(itertools.islice(source.frames(), count))
    shape = (form.height, form.width, form.channels)
    demand({(frame.image.shape, frame.image.dtype.name) for frame in frames} == {(shape, "uint8")}, "another shape")
    demand(len(frames) == count, f"{len(frames)} frames instead of {count}")
    return frames


def colours(library: Capture) -> str:
    """Every pixel of pure colours is that colour; black and white are 0 and 255 in grey too."""
    worst = 0
    for picture in PICTURES:
        colour = show(picture)
        for channels in (3, 1) if len(set(colour)) == 1 else (3,):
            image = taken(library, FrameFormat(128, 160, channels, 10.0), 2)[-1].image
            away = np.abs(image.astype(np.int16) - np.array(colour[:channels])).max(axis=2)
            off, (row, column) = int(away.max()), np.unravel_index(away.argmax(), away.shape)
            demand(off <= COLOUR_LEVELS, f"{picture} is {image[row, column].tolist()} in row {row}, column {column}")
            worst = max(worst, off)
    return f"160x128, at most {worst} levels off"


def columns(library: Capture) -> str:
    """The eight bars of the colour bar picture, from white to black, are in their order and fill the width."""
    control("test_pattern", 1)
    image = taken(library, FrameFormat(96, 160, 3, 10.0), 2)[-1].image
    seen = [tuple(bool(level > 127) for level in image[48, 20 * bar + 10]) for bar in range(8)]
    expected = [(red, green, blue) for green in (True, False) for red in (True, False) for blue in (True, False)]
    demand(seen == expected, f"{seen} instead of {expected}")
    return "white, yellow, cyan, green, magenta, red, blue, black"


def pace(library: Capture, rate_hz: float) -> str:
    """Times grow, lie on this machine's clock, and stand a period apart in the median."""
    frames = taken(library, FrameFormat(128, 160, 1, rate_hz), int(3 * rate_hz))
    late = time.monotonic() - frames[-1].seconds
    steps = [after.seconds - before.seconds for before, after in itertools.pairwise(frames)]
    median = statistics.median(steps)
    demand(min(steps) > 0, f"a step of {min(steps):.4f} s")
    # The first frame's own delay is taken for the camera's: a later, quicker one may seem to come from the future.
    demand(abs(late) < MAX_CLOCK_DRIFT_SECONDS, f"the last frame was {late:.2f} s old")
    # The camera gives one in 40 ms: the nearest frame to the grid is up to half of that away, evenly to both sides.
    demand(abs(median * rate_hz - 1) < 0.25, f"median step {median:.3f} s")
    mean_rate = len(steps) / (frames[-1].seconds - frames[0].seconds)
    spread = f"steps {min(steps):.3f} to {max(steps):.3f} s, median {median:.3f}"
    return f"{mean_rate:.1f} in the mean, {spread}; age {late:.2f} s"


def freshness(library: Capture) -> str:
    """After a second in which nobody took frames, a change of the picture is seen at once."""
    show("black")
    with closing(open_source(SPEC, FrameFormat(128, 160, 1, 10.0), library)) as source:
        frames = source.frames()
        next(frames)
        time.sleep(1.0)
        show("white")
        changed = time.monotonic()
        while next(frames).image.mean() < 200:
            demand(time.monotonic() - changed < 2.0, "still the old picture after 2 s")
        return f"seen {time.monotonic() - changed:.2f} s after it changed"


def busy(library: Capture) -> str:
    """A second one who wants the camera is told so, and the first goes on."""
    form = FrameFormat(128, 160, 1, 10.0)
    with closing(open_source(SPEC, form, library)) as source:
        frames = source.frames()
        next(frames)
        told = refused(library, form)
        next(frames)
    return told


def absence(library: Capture) -> str:
    """Without the device, opening says so."""
    unplug()
    try:
        return refused(library, FrameFormat(128, 160, 1, 10.0))
    finally:
        plug()


def refused(library: Capture, form: FrameFormat) -> str:
    """Return what is said where a device cannot be had."""
    try:
        with closing(open_source(SPEC, form, library)) as source:
            next(source.frames())
    except DeviceUnavailable as error:
        demand("cannot be opened" in str(error) and DEVICE in str(error), str(error))
        return f"«{error}»"
    raise ValueError("it was opened")


def unplugging(library: Capture) -> str:
    """Under the daemon's own capture threads: told as lost when the device goes, and back when it comes."""
    with capturing(library) as (captures, mailboxes):
        unplug_began = time.monotonic()
        unplug()
        status = lost(captures, mailboxes)
        lost_seconds = time.monotonic() - unplug_began
        demand(lost_seconds < LOST_SECONDS, f"told as lost only after {lost_seconds:.1f} s")
        time.sleep(3.0)  # an attempt to reopen fails meanwhile
        plug()
        back_seconds = until_frame(captures, mailboxes, BACK_SECONDS)
    return (
        f"{status.fault_code} and gone within {lost_seconds:.1f} s, back {back_seconds:.1f} s later; «{status.fault}»"
    )


def silence(library: Capture) -> str:
    """A device that gives no frame any more, though it is there, is told as lost; it comes back as it speaks."""
    with capturing(library) as (captures, mailboxes):
        began = time.monotonic()
        control("percentage_of_dropped_buffers", 100)
        status = lost(captures, mailboxes)
        lost_seconds = time.monotonic() - began
        demand(lost_seconds < LOST_SECONDS + 1.0, f"told as lost only after {lost_seconds:.1f} s")
        time.sleep(3.0)
        control("percentage_of_dropped_buffers", 0)
        back_seconds = until_frame(captures, mailboxes, BACK_FROM_SILENCE_SECONDS)
    return f"{status.fault_code} after {lost_seconds:.1f} s, back {back_seconds:.1f} s later; «{status.fault}»"


@contextmanager
def capturing(library: Capture) -> Iterator[tuple[Captures, Mailboxes]]:
    """Capture the device as the daemon does, from the first frame on."""
    form = FrameFormat(128, 160, 1, 10.0)
    mailboxes = Mailboxes(["camera"])
    captures = Captures(form, mailboxes)
    captures.start("camera", CameraSource(SPEC, capture=library))
    try:
        until_frame(captures, mailboxes, BACK_SECONDS)
        yield captures, mailboxes
    finally:
        captures.close()


def lost(captures: Captures, mailboxes: Mailboxes) -> CameraStatus:
    """Wait until the river is told that the camera is lost; return its status then."""
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        captures.look_after()
        for now in mailboxes.take(0.1):
            if "camera" in now.lost:
                demand(now.lost["camera"] == "camera_lost", f"lost as {now.lost['camera']}")
                return mailboxes.status()["camera"]
    raise ValueError("not told as lost for 30 s")


def until_frame(captures: Captures, mailboxes: Mailboxes, timeout_seconds: float) -> float:
    """Return after how many seconds a frame came, with no fault told any more."""
    began = time.monotonic()
    while time.monotonic() - began < timeout_seconds:
        captures.look_after()
        if any("camera" in now.frames for now in mailboxes.take(0.1)):
            demand(mailboxes.status()["camera"].fault is None, "frames come, and yet a fault is told")
            return time.monotonic() - began
    raise ValueError(f"no frame for {timeout_seconds:g} s; «{mailboxes.status()['camera'].fault}»")


if __name__ == "__main__":
    sys.exit(main())
