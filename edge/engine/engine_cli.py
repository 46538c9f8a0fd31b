"""The command `engine`: on the device `prednet-edge engine`, on a workstation with a GPU `prednet-export engine`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from tqdm import tqdm

from edge.command import Parser
from edge.errors import GATE_FAILED, OK, UsageError

if TYPE_CHECKING:
    from edge.engine.making import Wish
    from edge.engine.store import Record

ENGINE_HELP = """Build, show or remove the TensorRT engines of a bundle. A device builds its own: engines do not travel.

  prednet-edge engine build --config /etc/prednet-edge/config.yaml
  prednet-edge engine status --config /etc/prednet-edge/config.yaml
  prednet-edge engine build --bundle press.prednet --cameras 4 --folder engines
  prednet-edge engine clean --config /etc/prednet-edge/config.yaml --all

'build' makes an engine of each of the bundle's variants int8.fp16, int8 and fp16 (of float where it has none), asks
each for the bundle's golden answer, times it here, and keeps the fastest that is right. It takes minutes; a daemon
does the same by itself while the CPU serves. Exit code 3: no TensorRT or no GPU here; 4: no engine is right.
"""
EXPORT_ENGINE_HELP = """Build the TensorRT engines of a bundle for this workstation's GPU: built, proved and timed.

  prednet-export engine press.prednet --cameras 4 --folder engines

They run on this very kind of GPU, TensorRT and driver alone; a device builds its own: prednet-edge engine build.
"""


def add_engine_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `engine build`, `status` and `clean` to the device's commands."""
    engine = commands.add_parser("engine", help="build, show or remove TensorRT engines", description=ENGINE_HELP)
    verbs = engine.add_subparsers(dest="verb", metavar="VERB", required=True)
    build = verbs.add_parser("build", help="build, prove and time the engines", description=ENGINE_HELP)
    status = verbs.add_parser("status", help="show what is kept, and why something is missing", description=ENGINE_HELP)
    clean = verbs.add_parser("clean", help="remove engines that fit this device no more", description=ENGINE_HELP)
    for verb, run in ((build, _build), (status, _status), (clean, _clean)):
        verb.add_argument("--config", type=Path, help="the YAML configuration: all of the following stands in it")
        verb.add_argument("--bundle", type=Path, help="without --config: the bundle")
        _add_wish(verb, where="without --config: ")
        verb.set_defaults(run=run)
    _add_force(build)
    clean.add_argument("--all", action="store_true", help="also those that fit")


def add_export_engine_command(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `engine` to the workstation's commands."""
    engine = commands.add_parser("engine", help="build engines for this GPU", description=EXPORT_ENGINE_HELP)
    engine.add_argument("bundle", type=Path, help="the bundle whose steps are built")
    _add_wish(engine)
    _add_force(engine)
    engine.set_defaults(run=_build, config=None)


def _add_wish(verb: argparse.ArgumentParser, where: str = "") -> None:
    verb.add_argument("--cameras", type=int, default=1, help=f"{where}how many at once (default: %(default)s)")
    verb.add_argument("--folder", type=Path, default=Path("engines"),
                      help=f"{where}where engines are kept (default: %(default)s)")  # fmt: skip
    verb.add_argument("--workspace", type=int, default=512, metavar="MIB",
                      help=f"{where}memory for trying out kernels (default: %(default)s)")  # fmt: skip
    verb.add_argument("--level", type=int, default=3, choices=range(6),
                      help=f"{where}effort of the builder (default: %(default)s)")  # fmt: skip
    verb.add_argument("--variant", help="this variant alone")
    verb.add_argument("--json", action="store_true", help="print what is known as JSON")


def _add_force(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--force", action="store_true", help="build anew what is there, and what failed before")


def _wish(parsed: argparse.Namespace) -> Wish:
    from edge.engine.wishes import wish_from_bundle, wish_from_config  # noqa: PLC0415 - a command opens its rooms

    if (parsed.config is None) == (parsed.bundle is None):
        raise UsageError("engine wants --config, or a bundle, and not both.")
    if parsed.config is not None:
        return wish_from_config(parsed.config, parsed.variant)
    return wish_from_bundle(
        parsed.bundle, parsed.variant, parsed.cameras, parsed.folder, parsed.workspace, parsed.level
    )


def _build(parsed: argparse.Namespace) -> int:
    from edge.engine.making import fastest, make_engines, target_here  # noqa: PLC0415 - as above

    wish, target = _wish(parsed), target_here()
    anew = wish.variants if parsed.force else ()
    with tqdm(total=100 * len(wish.variants), bar_format="{desc} |{bar}| {elapsed}", disable=None) as bar:
        records = make_engines(wish, target, lambda *told: _advance(bar, wish.variants, *told), anew=anew)
    best = fastest(records)
    if parsed.json:
        print(msgspec.json.encode({"kept": best.variant if best else None, "engines": records}).decode())
    else:
        print("\n".join(_told(one, is_kept=one is best) for one in records))
    return OK if best is not None else GATE_FAILED


def _status(parsed: argparse.Namespace) -> int:
    from edge.engine.making import target_here  # noqa: PLC0415 - as above
    from edge.engine.store import Missing  # noqa: PLC0415

    wish, target = _wish(parsed), target_here()
    found = {variant: wish.store.find(variant, key) for variant, key in wish.keys(target).items()}
    if parsed.json:
        whys = {variant: one.reason if isinstance(one, Missing) else None for variant, one in found.items()}
        told = {
            name: {"ready": whys[name] is None, "why": whys[name], "record": one.record} for name, one in found.items()
        }
        print(msgspec.json.encode({"tensorrt": target.tensorrt, "device": target.facts.name, "engines": told}).decode())
        return OK
    print(f"TensorRT {target.tensorrt} on {target.facts.name}, SM {target.facts.compute_capability}; {wish.folder}")
    for variant, one in found.items():
        print(f"{variant}: no engine; {one.reason}" if isinstance(one, Missing) else _told(one.record, is_kept=True))
    return OK


def _clean(parsed: argparse.Namespace) -> int:
    from edge.engine.making import target_here  # noqa: PLC0415 - as above

    wish = _wish(parsed)
    removed = wish.store.clean([] if parsed.all else list(wish.keys(target_here()).values()))
    told = msgspec.json.encode([str(path) for path in removed]).decode()
    print(told if parsed.json else f"{wish.folder}: {len(removed)} files removed")
    return OK


def _told(record: Record, *, is_kept: bool) -> str:
    if record.failure:
        return f"{record.variant}: none; {record.failure}"
    if record.proof is None:
        return f"{record.variant}: built, and not run yet"
    apart = record.proof.apart
    golden = "no golden answer in the bundle" if apart is None else f"golden answer right (off by {apart.errors:.2g})"
    kept = "kept" if is_kept else "left out, another is faster"
    return (
        f"{record.variant}: {record.proof.step_milliseconds:.2f} ms a step, {golden}, {record.typing} typing, "
        f"built in {record.build_seconds:g} s; {kept}"
    )


def _advance(bar: tqdm, variants: Sequence[str], variant: str, phase: str, share: float) -> None:
    bar.set_description(f"{variant}: {phase}", refresh=False)
    bar.n = round(100 * (variants.index(variant) + share))
    bar.refresh()
