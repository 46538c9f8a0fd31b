"""The Debian package under a real systemd, without a network: installed, upgraded, removed, back again, purged.

    sudo .venv-test/bin/python benchmarks/boot_deb.py dist/prednet-edge_0.1.0+py311_amd64.deb

Boots a systemd over an overlay of this machine (`booted.py`), whose network is its own loopback alone, and says of each
thing what was seen. The upgrade is the same package under a later version. Ends with 1 where something is not as it
must be. The package must be for this machine's Python (/usr/bin/python3). Needs root, mosquitto and five minutes.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from boot_units import CONFIG, UNIT, check, first_start, put, verdict, write
from booted import Booted, booted, until
from machine import measured_on

SCRIPTS = Path(__file__).parents[1] / "packaging"
sys.path.append(str(SCRIPTS))
import flash  # noqa: E402 - a script, beside the package

FIRST_BOOT = flash.UNIT

# In the machine's own overlay.
PACKAGE, LATER = "/var/tmp/prednet-edge.deb", "/var/tmp/later.deb"  # noqa: S108 - in a machine of its own
KEPT = f"sha256sum {CONFIG}; find /var/lib/prednet-edge/evidence -name event.json | sort"


def main() -> int:
    """Run every check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the package that `make deb` made")
    package = parser.parse_args().package
    print(f"{measured_on()}; {platform.platform()}")
    print(f"{package.name}, {package.stat().st_size / 1e6:.0f} MB")
    with tempfile.TemporaryDirectory() as folder, booted() as machine:
        write(machine, "/etc/broker.conf", "listener 1883 127.0.0.1\nallow_anonymous true\n")
        machine.shell("systemd-run --quiet --unit=broker mosquitto -c /etc/broker.conf")
        put(machine, PACKAGE, package.read_bytes())
        put(machine, LATER, later(package, Path(folder)).read_bytes())
        install(machine)
        first_start(machine)
        upgrade(machine)
        remove(machine)
        back_again(machine)
        first_boot(machine)
        purge(machine)
    return verdict()


def later(package: Path, folder: Path) -> Path:
    """Return the package under a later version, not packed small."""
    tree, out = folder / "tree", folder / "later.deb"
    subprocess.run(["dpkg-deb", "-R", str(package), str(tree)], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 9."))
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(tree), str(out)], check=True, stdout=subprocess.DEVNULL
    )
    return out


def install(machine: Booted) -> None:
    """`dpkg -i` with nothing but a loopback."""
    code, told = machine.run("sh", "-c", "ip -o link | cut -d: -f2 | tr '\\n' ' '; cat /proc/net/route | wc -l")
    check("no network", code == 0 and told.split() == ["lo", "1"], told)
    began = time.monotonic()
    told = machine.shell(f"dpkg -i {PACKAGE}", 400.0)
    seconds = time.monotonic() - began
    check("dpkg -i", "Next: sudo prednet-edge init" in told, f"{seconds:.0f} s; {told.splitlines()[-1]}")
    told = machine.shell("dpkg -V prednet-edge; readlink -f /opt/prednet-edge/bin/python3; prednet-edge --version")
    check("every file is the package's", "missing" not in told and "??5" not in told, told.replace("\n", "; "))


def upgrade(machine: Booted) -> None:
    """A later version over a configuration that was changed by hand."""
    machine.shell(f"sed -i 's/hold_seconds: 0.5/hold_seconds: 0.6/' {CONFIG}")
    until(lambda: "event.json" in machine.shell(KEPT), 120.0, "an event on the disk")
    before, process = machine.shell(f"sha256sum {CONFIG}"), machine.property(UNIT, "MainPID")
    events = machine.shell(KEPT).count("event.json")
    began = time.monotonic()
    machine.shell(f"dpkg -i {LATER}", 400.0)
    seen = machine.shell("dpkg-query -W -f '${Version} ${Status}' prednet-edge")
    is_on = machine.property(UNIT, "ActiveState") == "active" and machine.property(UNIT, "MainPID") != process
    after = machine.shell(KEPT)
    is_kept = before in after and after.count("event.json") >= events
    check("an upgrade", is_on and is_kept, f"{seen}; {time.monotonic() - began:.0f} s; {events} events kept")
    until(lambda: "watching 1 of 1" in machine.property(UNIT, "StatusText"), 60.0, "watching")


def remove(machine: Booted) -> None:
    """The program goes; configuration, events and the user stay."""
    machine.shell(f"systemctl stop {UNIT}; systemctl start {UNIT}")
    machine.shell("dpkg -r prednet-edge", 200.0)
    state = machine.property(UNIT, "ActiveState")
    gone = f"ls -d /opt/prednet-edge /usr/bin/prednet-edge /usr/lib/systemd/system/{UNIT}"
    left = machine.shell(f"{KEPT}; id -un prednet-edge; {gone} 2>&1 || true")
    is_gone = left.count("No such file") == 3 and state == "inactive"
    check("a removal", is_gone and CONFIG in left and "event.json" in left, f"{left.count('event.json')} events kept")


def back_again(machine: Booted) -> None:
    """Installed again over what was kept it watches by itself."""
    machine.shell(f"dpkg -i {PACKAGE}", 400.0)
    seconds = until(lambda: "watching 1 of 1" in machine.property(UNIT, "StatusText"), 60.0, "watching again")
    check("installed again", True, f"watching {seconds:.1f} s after dpkg")


def first_boot(machine: Booted) -> None:
    """The unit that flashing lays: no serial number, no watching; with one the machine has its name, once."""
    for name, place in flash.PLACES.items():
        machine.shell(f"mkdir -p /{Path(place).parent}")
        put(machine, f"/{place}", (SCRIPTS / "first_boot" / name).read_bytes())
    machine.shell(f"systemctl daemon-reload; systemctl enable --quiet {FIRST_BOOT}; systemctl stop {UNIT}")
    code, _ = machine.run("systemctl", "start", UNIT)
    state = machine.property(UNIT, "ActiveState")
    told = machine.shell(f"journalctl -u {FIRST_BOOT} -o cat --no-pager | grep serial | tail -1")
    check("a module without a serial number", code != 0 and state == "inactive", told)
    write(machine, "/etc/serial", "1424921012345")
    program = "/opt/prednet-edge/bin/python3 -m edge.first_boot --serial-number-file /etc/serial"
    machine.shell(f"mkdir /etc/systemd/system/{FIRST_BOOT}.d")
    write(machine, f"/etc/systemd/system/{FIRST_BOOT}.d/x.conf", f"[Service]\nExecStart=\nExecStart={program}\n")
    machine.shell(f"systemctl daemon-reload; systemctl start {UNIT}", 200.0)
    topic = f"prednet/v1/plant7/{machine.shell('hostname')}/status"
    told = machine.shell(f"mosquitto_sub -t {topic} -C 1 -W 30")
    check("a module with one", topic.endswith("prednet-1424921012345/status"), f"{topic}: {told}")
    machine.shell(f"systemctl stop {FIRST_BOOT}; hostname press-hall; systemctl start {FIRST_BOOT} {UNIT}", 200.0)
    is_skipped = machine.property(FIRST_BOOT, "ConditionResult") == "no"
    check("a second boot", is_skipped and machine.shell("hostname") == "press-hall", "skipped; the name stays")
    machine.shell(f"rm -r /etc/systemd/system/{FIRST_BOOT}.d")


def purge(machine: Booted) -> None:
    """Nothing is left."""
    machine.shell("dpkg -P prednet-edge", 200.0)
    where = "/etc /var/lib /opt /usr/lib/systemd /usr/bin /var/lib/dpkg/info"
    left = machine.shell(f"find {where} -name '*prednet*'; id prednet-edge 2>&1 || true")
    check("a purge", left.startswith("id:") and left.endswith("no such user"), left)


if __name__ == "__main__":
    sys.exit(main())
