"""With what a figure was measured: the machine, the versions of what computes, and the commit of the code."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Whoever imports this finds `edge` and `tests` of this tree, whatever is installed.
sys.path.insert(0, str(ROOT))
DATA = ROOT.parent / "shared" / "data"
# What makes a difference to what is measured; words about it do not.
CODE = ("edge", "calibration", "export", "benchmarks", "tests")
PACKAGES = ("numpy", "onnxruntime", "openvino", "torch", "opencv-python-headless", "av", "scipy", "paho-mqtt")
SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
GSTREAMER = "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst; print(Gst.version_string())"


def commit() -> str:
    """Return the short hash of the commit that is measured, with a plus where the code differs from it."""
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *CODE], check=False, cwd=ROOT).returncode
    return (asked.stdout.strip() or "unknown") + ("+" if changed else "")


def processor() -> str:
    """Return the processor's name and whether it multiplies whole numbers by VNNI."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), "unknown")
    return f"{platform.machine()} {model}{' with VNNI' if '_vnni' in text else ' without VNNI'}"


def machine() -> str:
    """Return processor, cores, memory and system in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        system = platform.system()
    return f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {system}"


def measured_on() -> str:
    """Return the line that every script prints first: commit, machine, and how busy it was."""
    return f"commit {commit()}; {processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def versions() -> dict[str, str]:
    """Return the version of everything that computes, carries or decodes; what is absent says so."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    mosquitto = first_line("mosquitto", "-h").removeprefix("mosquitto version ")
    return found | {
        "mosquitto": mosquitto,
        "gstreamer": first_line("/usr/bin/python3", "-c", GSTREAMER).removeprefix("GStreamer "),
    }


def first_line(name: str, *words: str) -> str:
    """Return the first line that a program of the system prints; `absent` where there is none."""
    path = shutil.which(name, path=SYSTEM_PATH)
    said = subprocess.run([path, *words], capture_output=True, text=True, check=False).stdout if path else ""
    return said.partition("\n")[0].strip() or "absent"
