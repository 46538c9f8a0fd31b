"""What a device installs is pinned and checked by digest, fits what the project asks for, and stands in its bill of materials."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[1]
FILES = ("device-3.10.txt", "device-3.12.txt")
BILL = ROOT / "requirements" / "device.cdx.json"


def pins_of(name: str) -> dict[str, tuple[str, int]]:
    """Return version and number of digests of each package of a file; nothing else may stand in it."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        pin = re.fullmatch(r"([\w.-]+)==([\w.!+-]+)((?:\s+--hash=sha256:[0-9a-f]{64})+)\s*", line)
        assert pin is not None, f"{name}: {line[:80]}"
        found[canonicalize_name(pin[1])] = (pin[2], pin[3].count("sha256:"))
    return found


def asked() -> list[Requirement]:
    """Return what a device needs, as the project says it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(one) for one in project["dependencies"]]


@pytest.mark.parametrize("name", FILES)
def test_every_package_is_pinned_with_its_digests_and_is_what_is_asked_for(name: str) -> None:
    """A dependency that was added, or asked for in another version, needs `requirements/lock.sh` anew."""
    pins = pins_of(name)
    for one in asked():
        version, _ = pins[canonicalize_name(one.name)]
        assert one.specifier.contains(version), f"{one} is pinned at {version}; run requirements/lock.sh"


def test_the_bill_of_materials_lists_what_is_pinned() -> None:
    """CycloneDX, each package at its pinned version, the project as what it is the bill of; no path of any machine."""
    bill = json.loads(BILL.read_text(encoding="utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "prednet-edge"
    listed = {canonicalize_name(one["name"]): one["version"] for one in bill["components"]}
    assert listed == {name: version for name, (version, _) in pins_of("device-3.12.txt").items()}
    assert "file://" not in BILL.read_text(encoding="utf-8")
