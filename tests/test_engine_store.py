"""The engines that a device keeps: their key, their files, and what is said where one is missing."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from edge.engine.building import BuildOptions
from edge.engine.key import EngineKey, changed_parts, engine_key, l4t_release
from edge.engine.memory import DeviceFacts
from edge.engine.store import Found, Missing, Proof, Record, Store

ORIN = DeviceFacts("Orin", "8.7", 8, 7620, "12.6", is_integrated=True)
KEY = engine_key(b"a step", BuildOptions(), "10.3.0", ORIN, "36.4.3")
OTHERS = {
    "onnx": "0" * 64, "options": BuildOptions(cameras=2), "tensorrt": "10.16.2", "cuda": "13.2",
    "compute_capability": "11.0", "multiprocessors": 20, "device": "Thor", "l4t": "38.2.0", "memory_mib": 125_000,
    "builder": KEY.builder + 1,
}  # fmt: skip


def record(key: EngineKey = KEY, **changes: object) -> Record:
    """A record of a proven engine."""
    given: dict[str, object] = {"created": "2026-11-26T00:00:00.000000+00:00", "proof": Proof("here", None, 2.5)}
    return Record(key=key, variant="int8", bundle="sha256:1", **(given | changes))  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "engines")


def test_every_part_of_the_key_changes_it() -> None:
    """No part is forgotten: the table above has them all, and each gives another digest and its own sentence."""
    assert OTHERS.keys() == set(EngineKey.__struct_fields__)
    for part, value in OTHERS.items():
        other = msgspec.structs.replace(KEY, **{part: value})
        assert other.digest != KEY.digest
        (told,) = changed_parts(KEY, other)
        assert told.startswith("cameras 1 -> 2" if part == "options" else f"{part} ")


def test_what_is_kept_is_found_with_its_digest_checked(store: Store) -> None:
    """The very bytes come back."""
    kept = store.keep(record(), b"engine")
    assert store.find("int8", KEY) == Found(b"engine", kept)
    assert kept.plan_bytes == 6


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.write_bytes(b"enginE"), "its file is damaged: 6 bytes, not the 6 that were written"),
        (lambda path: path.write_bytes(b"eng"), "its file is damaged: 3 bytes, not the 6 that were written"),
        (lambda path: path.unlink(), "its file cannot be read (No such file or directory)"),
    ],
)
def test_a_damaged_engine_is_missing_and_not_loaded(store: Store, change, told: str) -> None:  # type: ignore[no-untyped-def]
    """A flipped byte, a cut file and none at all are found before anything reads it as an engine."""
    store.keep(record(), b"engine")
    change(next(store.folder.glob("*.plan")))
    assert store.find("int8", KEY) == Missing(told)


@pytest.mark.parametrize("damaged", [b"{", b'{"key": {"device": "\xff"}}'])
def test_a_damaged_record_is_as_if_nothing_was_built(
    store: Store, caplog: pytest.LogCaptureFixture, damaged: bytes
) -> None:
    """It is logged, and the engine is built anew."""
    store.keep(record(), b"engine")
    next(store.folder.glob("*.json")).write_bytes(damaged)
    assert store.find("int8", KEY) == Missing("none was built yet")
    assert "engine_record_damaged" in caplog.text


def test_another_keys_record_under_this_name_is_not_believed(store: Store) -> None:
    """A file copied from another device keeps its own key inside."""
    other = msgspec.structs.replace(KEY, device="Thor")
    store.keep(record(other), b"engine")
    for path in list(store.folder.iterdir()):
        path.rename(path.with_name(path.name.replace(other.digest, KEY.digest)))
    assert store.find("int8", KEY) == Missing("changed: device Thor -> Orin")


def test_a_miss_logs_what_changed(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """An upgrade of JetPack is told by its parts, against the nearest engine that is there."""
    caplog.set_level(logging.INFO)
    now = msgspec.structs.replace(KEY, tensorrt="10.16.2", cuda="13.2")
    store.keep(record(), b"engine")
    store.keep(record(msgspec.structs.replace(KEY, tensorrt="9", cuda="11", device="Nano")), b"older")
    assert store.find("int8", now) == Missing("changed: tensorrt 10.3.0 -> 10.16.2, cuda 12.6 -> 13.2")
    assert "engine_miss variant=int8 reason='changed: tensorrt 10.3.0 -> 10.16.2, cuda 12.6 -> 13.2'" in caplog.text


def test_a_failure_is_remembered_with_its_reason(store: Store) -> None:
    """Nobody builds for minutes what failed before."""
    store.drop(store.keep(record(), b"engine"), "its golden answer is missed")
    found = store.find("int8", KEY)
    assert isinstance(found, Missing)
    assert (found.reason, list(store.folder.glob("*.plan"))) == ("its golden answer is missed", [])


def test_cleaning_spares_what_fits_and_the_last_good_engine(store: Store) -> None:
    """Of two engines for other keys the newer one stays; without sparing both go, the timings stay."""
    keys = [msgspec.structs.replace(KEY, tensorrt=f"10.{number}") for number in (1, 2)]
    for number, key in enumerate(keys):
        store.keep(record(key, created=f"2026-11-2{number}"), b"old")
    store.keep(record(), b"new")
    store.timing_cache(KEY).write_bytes(b"timings")
    store.clean([KEY], spare_last=1)
    assert isinstance(store.find("int8", keys[1]), Found)
    assert isinstance(store.find("int8", keys[0]), Missing)
    store.clean([KEY])
    assert isinstance(store.find("int8", keys[1]), Missing)
    assert isinstance(store.find("int8", KEY), Found)
    assert store.timing_cache(KEY).exists()


def test_cleaning_leaves_what_is_not_the_stores(store: Store) -> None:
    """Files and folders of others stay, whatever they are called; what a kill left half written goes."""
    old = store.keep(record(), b"old")
    others = ["press.prednet", "config.yaml", "notes.json", "a.plan", ".hidden", "int8.0123456789abcdef.plan.bak"]
    for name in others:
        (store.folder / name).write_text("not the store's")
    folders = [store.folder / name for name in ("footage", f"int8.{'0' * 16}.plan")]
    for folder in folders:
        folder.mkdir()
    names = (f"int8.{old.key.digest}.plan", f"int8.{old.key.digest}.json", store.timing_cache(KEY).name)
    for name in names:
        (store.folder / f".{name}.4711.part").write_bytes(b"half")
    removed = store.clean()
    assert {path.name for path in removed} == {*names[:2], *(f".{name}.4711.part" for name in names)}
    assert {path.name for path in store.folder.iterdir()} == {*others, *(folder.name for folder in folders)}


def test_timings_belong_to_a_device_and_a_tensorrt_and_to_every_step() -> None:
    """Another step or number of cameras shares them; another TensorRT does not."""
    store = Store(Path("engines"))
    same = msgspec.structs.replace(KEY, onnx="1" * 64, options=BuildOptions(cameras=4))
    assert store.timing_cache(same) == store.timing_cache(KEY)
    assert store.timing_cache(msgspec.structs.replace(KEY, tensorrt="11")) != store.timing_cache(KEY)


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n", "36.4.3"),
        ("# R38 (release), REVISION: 2.0, GCID: 1\n", "38.2.0"),
        ("something else", "unknown"),
        (None, ""),
    ],
)
def test_the_release_of_l4t_is_read(tmp_path: Path, text: str | None, release: str) -> None:
    """From the file that every Jetson has; empty elsewhere."""
    if text is not None:
        (tmp_path / "release").write_text(text)
    assert l4t_release(tmp_path / "release") == release
