"""Every benchmark of the repository in one table: what it asks, what stands beside it, how it is called, what it needs.

`{data}` in arguments is the folder of the real footage, `{made}` that of what `before` makes, `{scratch}` one
of its own. A benchmark without `quick` takes no part in a quick run. What measures nothing by itself is in `OTHERS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: its script with arguments, minutes on two quiet cores, and what it needs of the machine.

    `needs` are folders of the footage (`ped2`, `clips`), programs (`mosquitto`) and modules (`gi`). `before` is a
    command of ours that makes `{made}/NAME` for it once.
    """

    name: str
    chapter: str
    question: str
    script: str
    minutes: float
    arguments: str = ""
    quick: str | None = None
    quick_minutes: float = 0.0
    needs: tuple[str, ...] = ()
    before: str = ""


CHAPTERS: Mapping[str, str] = {
    "step": "The step",
    "paper": "What a Jetson would do: on paper, not measured",
    "capture": "From the camera to small frames",
    "device": "The whole device",
    "loss": "Events lost",
    "detection": "Detection",
    "promise": "Limits, filters, conditions and drift",
    "long": "Over a long time",
}

# What a device without a package or a broker lacks, and how it is had.
REMEDIES: Mapping[str, str] = {
    "ped2": "name the folder that holds it with --data",
    "clips": "name the folder that holds it with --data",
    "root": "run it as root",
    "mosquitto": "apt-get install mosquitto mosquitto-clients",
    "gi": "apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly",
    "qemu-system-x86_64": "apt-get install qemu-system-x86",
    "strace": "apt-get install strace",
    "mmdebstrap": "apt-get install mmdebstrap",
}

_VARIANTS = (
    "prednet-export bundle benchmarks/weights/ped2-seed0.safetensors --footage {data}/ped2/train/* "
    "-o {made}/ped2.prednet"
)

BENCHMARKS = (
    Benchmark(
        "step", "step",
        "How long does one step take on this CPU, beside eager and compiled PyTorch, plain ONNX Runtime and OpenVINO?",
        "step.py", 8.0, "--rounds 15", "--rounds 3", 3.5,
    ),
    Benchmark(
        "int8-ped2", "step", "What do whole numbers and float16 cost in frame AUC on Ped2, beside the float step?",
        "int8.py", 12.0, "{made}/ped2.prednet --ped2 {data}/ped2", needs=("ped2",), before=_VARIANTS,
    ),
    Benchmark(
        "int8-stream", "step", "Do the variants keep the order of the surprise over 100,000 steps?",
        "int8.py", 70.0, "{made}/ped2.prednet", needs=("ped2",), before=_VARIANTS,
    ),
    Benchmark(
        "roofline-edge", "paper", "How fast could the edge network be at best on each Jetson?",
        "roofline.py", 0.1, "--network edge", "--network edge", 0.1,
    ),
    Benchmark(
        "roofline-kitti", "paper", "How fast could the KITTI network be at best on each Jetson?",
        "roofline.py", 0.1, "--network kitti", "--network kitti", 0.1,
    ),
    Benchmark(
        "capture", "capture",
        "What do small frames of 1080p30 H.264 cost, beside a loop of OpenCV; and the way from there to the decision?",
        "capture.py", 2.0, "--frames 300 --repeat 5", "--frames 90 --repeat 3", 0.6,
    ),
    Benchmark(
        "v4l2", "capture", "Does a real /dev/video0 (the kernel's vivid, emulated) keep its frames and rate?",
        "v4l2_vivid.sh", 2.0,  # and up to 10 the first time
        needs=("root", "qemu-system-x86_64", "mmdebstrap"),
    ),
    Benchmark(
        "cameras", "device", "How many cameras keep 10 frames a second, and what does each cost?",
        "cameras.py", 3.0, "--seconds 20", "--seconds 6", 1.2, needs=("gi",),
    ),
    Benchmark(
        "latency", "device", "How long from a frame's arrival to its event at a subscriber?",
        "latency.py", 3.0, "--seconds 60", "--seconds 15", 0.9, needs=("mosquitto",),
    ),
    Benchmark(
        "glass", "device", "How long from the picture before the lens to the frame's arrival, over real RTSP?",
        "glass.py", 1.5, "--flashes 60", "--flashes 15", 0.6, needs=("gi",),
    ),
    Benchmark(
        "recovery", "device", "How soon is the camera watched after a start, a kill, a stall, and a broker's death?",
        "recovery.py", 14.0, "--repeat 5", "--repeat 2 --skip-long", 1.5, needs=("mosquitto", "gi"),
    ),
    Benchmark(
        "quiet-clips", "device", "How many false events an hour on real clips of normal work?",
        "quiet_clips.py", 2.0, "--data {data}", "--data {data}", 2.0, needs=("clips",),
    ),
    Benchmark(
        "evidence", "device", "What does recording cost the river, beside the same river without?",
        "evidence.py", 2.2, "--seconds 120", "--seconds 40", 0.8,
    ),
    Benchmark(
        "page", "device", "What does the open page cost the river, beside the same river with the page closed?",
        "page.py", 5.0, "--seconds 240",
    ),
    Benchmark(
        "what-if", "device", "What does the score ring cost the river, and how fast does a day of it answer what-if?",
        "what_if.py", 3.0, "--seconds 120",
    ),
    Benchmark(
        "upload", "device", "What does copying evidence to a store cost the river, beside the same river without?",
        "upload.py", 2.0, "--seconds 60",
    ),
    Benchmark(
        "shadow", "device", "What does a shadow bundle cost the river, beside the same river without?",
        "shadow.py", 2.5, "--seconds 120",
    ),
    Benchmark(
        "boot-units", "device", "Is the service as it should be under a real systemd, from installation to removal?",
        "boot_units.py", 6.0, needs=("root", "mosquitto"),
    ),
    Benchmark(
        "units-under", "device", "Do other releases of systemd take the units without a word?",
        "units_under.sh", 1.0, needs=("root", "mmdebstrap"),
    ),
    Benchmark(
        "first-event", "device", "How long does a new user take from nothing to the first event?",
        "first_event.sh", 3.0, needs=("mosquitto",),
    ),
    Benchmark(
        "loss-kills", "loss", "Is an event lost where daemon and broker are killed at random moments?",
        "mqtt_loss.py", 12.0, "kills --count 200", "kills --count 8", 0.8, needs=("mosquitto",),
    ),
    Benchmark(
        "loss-day", "loss", "Is one of a day's 1,440 events lost through three long outages and ten short ones?",
        "mqtt_loss.py", 14.0, "day", "day --events 200 --outage-seconds 5", 1.5, needs=("mosquitto",),
    ),
    Benchmark(
        "power-cuts", "loss", "Is an event lost where power is cut within any change of the disk?",
        "power_cuts.py", 4.0, "--cuts 500", needs=("strace",),
    ),
    Benchmark(
        "fleet", "loss", "What do 1,000 devices ask of one broker, and does it drop a message?",
        "fleet_load.py", 1.0, "--devices 1000", "--devices 200 --seconds 10", 0.4, needs=("mosquitto",),
    ),
    Benchmark(
        "ped2", "detection", "What does the network find on Ped2, beside frame differencing and optical flow?",
        "ped2.py", 6.0, "--dataset {data}/ped2",
        "benchmarks/weights/ped2-seed0.safetensors --dataset {data}/ped2 --clips 01 04 06", 3.2, needs=("ped2",),
    ),
    Benchmark(
        "planted", "detection", "Which witness sees which kind of planted anomaly?",
        "planted.py", 2.5, "--dataset {data}/ped2", needs=("ped2",),
    ),
    Benchmark(
        "real-clips", "detection", "Trained from nothing on a real clip for two minutes: is what is not normal found?",
        "real_clips.py", 5.0, "--clips {data}/clips --out {made}", needs=("clips",),
    ),
    Benchmark(
        "cell", "detection", "Which accidents of the synthetic factory are found, and how many false events come?",
        "cell.py", 15.0, "", "--days 1 --normal-seconds 300", 2.0,
    ),
    Benchmark(
        "kalman", "promise", "Does the Kalman filter find more, or sooner, than simpler filters at equal false events?",
        "kalman.py", 27.0, "--ped2 {data}/ped2",
    ),
    Benchmark(
        "limits", "promise", "Do stated rates of false events hold against counted ones?",
        "limits.py", 32.0, "--minutes 25",
    ),
    Benchmark(
        "conditions", "promise", "Are 27 known changes of a picture found as conditions, and never told as anomalies?",
        "conditions.py", 3.0, "--data {data}", needs=("ped2", "clips"),
    ),
    Benchmark(
        "drift", "promise", "When is drift said over normal days, and after light, camera or crowd changed?",
        "drift.py", 15.0,
    ),
    Benchmark(
        "drift-simulated", "promise", "How often is drift said falsely, and how soon a real shift?",
        "drift.py", 2.0, "--simulated", "--simulated --days 4", 0.5,
    ),
    Benchmark(
        "soak", "long", "Does anything of the whole daemon grow, leak or drift over hours, with outages and events?",
        "soak.py", 75.0, "--hours 1 --out {scratch}", needs=("mosquitto",),
    ),
    Benchmark(
        "long-stream", "long", "Is a camera that runs for hours like one just switched on, after 100,000 steps?",
        "long_stream.py", 45.0,
    ),
)  # fmt: skip

# Files of this folder that measure nothing by themselves, and what they are for.
OTHERS: Mapping[str, str] = {
    "all.py": "runs every benchmark and writes docs/benchmarks.md",
    "arm64.sh": "tries a package that was built, on arm64 under emulation",
    "boot_deb.py": "tries a package that was built, under a real systemd",
    "booted.py": "the machine of boot_units.py",
    "demo_bundle.sh": "makes the bundle of `make demo`",
    "entries.py": "this table",
    "figures.py": "the whole device's figures",
    "glass_server.py": "the camera of glass.py",
    "kept.py": "what is kept of a run",
    "machine.py": "machine, versions, commit",
    "markdown.py": "tables in what was printed",
    "document.py": "the page",
    "page_browsers.py": "the browsers of page.py",
    "ped2_weights.py": "makes the networks of `weights/`",
    "planting.py": "the anomalies of planted.py",
    "plots.py": "the plots of the page",
    "step_candidates.py": "what step.py measures",
    "turns.py": "the river of evidence.py, shadow.py, upload.py and what_if.py",
    "v4l2_vivid.py": "runs in the machine that v4l2_vivid.sh makes",
}
