"""Damaged files of every kind: read, or refused in a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.needs import need

need("h5py")
need("torch")

import torch  # noqa: E402 - after the check that it is there
from safetensors.torch import save_file  # noqa: E402

from tests.foreign import drawn, faithful_state_dict, keras_json, keras_weights, small, write_hdf5  # noqa: E402

SMALL = small()
WEIGHTS = drawn(SMALL)
CONFIG = keras_json(SMALL, "tensorflow")
ROOT = str(Path(__file__).parents[1])


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """The file cut short, with bits turned, a part zeroed, or with other bytes in between."""
    place, content = int(rng.integers(len(whole))), bytearray(whole)
    kind = rng.integers(4)
    if kind == 0:
        return whole[:place]
    if kind == 1:
        for spot in rng.integers(len(whole) if rng.random() < 0.5 else min(2000, len(whole)), size=8):
            content[spot] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        content[place : place + 64] = bytes(len(content[place : place + 64]))
    else:
        content[place:place] = rng.bytes(int(rng.integers(1, 40)))
    return bytes(content)


# Runs in a process of its own: damage can end the HDF5 library, or send it round in circles, which the alarm
# ends as the reading process's time limit does. The next process goes on behind that file.
FUZZ = """
import signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from edge.errors import PrednetError
from export.importing import network, reading
from export.importing.found import Given
network.read_apart = lambda kind, path: reading._reader(kind)(path)
for kind in ("hdf5", "torch"):
    reading._reader(kind)
reading._bound_memory(3 << 30)
for path in map(Path, sys.stdin.read().splitlines()):
    print(path, end=" ", flush=True)
    signal.alarm(2)
    paths = [path, path.parent / "whole.hdf5"] if path.suffix == ".json" else [path]
    try:
        network.read_network(paths, Given() if path.suffix in (".json", ".hdf5") else Given(size=(24, 16)))
        print("read", flush=True)
    except PrednetError as refusal:
        print("refused" if len(str(refusal)) > 40 else "mute", flush=True)
"""


def whole_files(folder: Path) -> dict[str, Path]:
    """One right file of each kind."""
    held = faithful_state_dict(WEIGHTS)
    paths = {kind: folder / f"whole.{kind}" for kind in ("hdf5", "zip.pt", "old.pt", "safetensors", "json")}
    write_hdf5(paths["hdf5"], keras_weights(WEIGHTS, theano=False), config=CONFIG)
    torch.save(held, paths["zip.pt"])
    torch.save(held, paths["old.pt"], _use_new_zipfile_serialization=False)
    save_file(held, paths["safetensors"])
    paths["json"].write_text(json.dumps(CONFIG))
    return paths


def told_of(paths: list[str]) -> dict[str, str]:
    """Return what became of each file: read, refused, mute, or died with its reader."""
    told: dict[str, str] = {}
    while left := [path for path in paths if path not in told]:
        child = subprocess.run(
            [sys.executable, "-c", FUZZ, ROOT], input="\n".join(left), capture_output=True, text=True, check=False
        )
        assert child.returncode <= 0, child.stderr  # a signal is the library's; an exception would be ours
        told |= {path: word or "died" for path, word in (line.split(" ") for line in child.stdout.splitlines())}
    return told


def test_damaged_files_are_read_or_refused_and_never_surprise(tmp_path: Path) -> None:
    """400 damaged files of five kinds: each is a sentence, or harmless damage to numbers; no other exception."""
    whole, rng, paths = whole_files(tmp_path), np.random.default_rng(7), []
    for number in range(400):
        kind = ("hdf5", "hdf5", "zip.pt", "old.pt", "safetensors", "json")[number % 6]
        paths.append(tmp_path / f"{number}.{kind}")
        paths[-1].write_bytes(damaged(whole[kind].read_bytes(), rng))
    words = list(told_of([str(path) for path in paths]).values())
    assert set(words) <= {"read", "refused", "died"}
    assert words.count("refused") > 200
    assert words.count("died") < 8
