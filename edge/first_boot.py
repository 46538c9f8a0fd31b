"""The first boot of a flashed module: host name and identity from its serial number, once and never again.

    /opt/prednet-edge/bin/python3 -m edge.first_boot

The MQTT topics and the client id take the same serial number by themselves (`edge/topics.py`).
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
from pathlib import Path

from edge.errors import DeviceUnavailable, PrednetError
from edge.files import write_whole
from edge.topics import SERIAL_NUMBER_FILE, default_device

IDENTITY = "etc/prednet-edge/identity"
# The line of a Debian machine's own name.
_OWN_NAME = re.compile(r"^127\.0\.1\.1\s.*\n?", re.M)


def device_of(serial_number_file: Path) -> str:
    """Return the device's name in topics. Raises DeviceUnavailable where the module tells no serial number."""
    try:
        serial = serial_number_file.read_bytes().strip(b"\x00 \n")
    except OSError:
        serial = b""
    if not serial:
        raise DeviceUnavailable(
            f"{serial_number_file}: no serial number there, so this module has no identity of its own and does not "
            f"watch; boot the image on a Jetson, or write a name for it into /{IDENTITY} and into `device:`."
        )
    return default_device(serial_number_file)


def host_name_from(device: str) -> str:
    """Return a host name (RFC 1123) that is the MQTT client id, but for the underscores."""
    return f"prednet-{device}".replace("_", "-").rstrip("-")


def hosts_from(hosts: str, name: str) -> str:
    """Return /etc/hosts in which the machine's own name is `name`, and all else as it was."""
    others = _OWN_NAME.sub("", hosts)
    return f"{others}{'' if not others or others.endswith(chr(10)) else chr(10)}127.0.1.1\t{name}\n"


def settle(root: Path, serial_number_file: Path) -> str | None:
    """Give the module below `root` its name and return it; None where it has one. Raises DeviceUnavailable.

    The mark is written last: what a power cut interrupts is done again.
    """
    mark, hosts = root / IDENTITY, root / "etc/hosts"
    if mark.exists():
        return None
    device = device_of(serial_number_file)
    name = host_name_from(device)
    write_whole(root / "etc/hostname", f"{name}\n".encode())
    known = hosts.read_text(encoding="utf-8") if hosts.exists() else "127.0.0.1\tlocalhost\n"
    write_whole(hosts, hosts_from(known, name).encode())
    for path in (root / "etc/hostname", hosts):
        path.chmod(0o644)
    mark.parent.mkdir(parents=True, exist_ok=True)
    write_whole(mark, f"device {device}\nhost {name}\n".encode())
    return name


def main(arguments: list[str] | None = None) -> int:
    """Settle this machine, or the one below --root, and say how."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("/"), help="another root (default: /)")
    parser.add_argument("--serial-number-file", type=Path, default=SERIAL_NUMBER_FILE, help="where the module tells it")
    parsed = parser.parse_args(arguments)
    try:
        name = settle(parsed.root, parsed.serial_number_file)
    except PrednetError as error:
        print(f"first boot: {error}", file=sys.stderr)
        return error.exit_code
    if name is not None and parsed.root == Path("/"):
        socket.sethostname(name)
    print(f"first boot: {'it was before; nothing is changed' if name is None else f'this module is {name}'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
