"""The commands on finished bundles: `inspect`, `diff`, `sign`, `verify`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from calibration.told import told_limits
from edge.bundle import Bundle, Manifest, read_bundle
from edge.command import Parser, check_folder_of
from edge.errors import FAILURE, PrednetError, UsageError
from edge.files import write_whole
from edge.model import runner_of
from export.comparing import differences, told_differences
from export.opening import opened

REPORT_PAGE = "report.html"

INSPECT_HELP = """Check every file of a bundle against its digest, and show what it holds.

  prednet-export inspect press.prednet
  prednet-export inspect press.prednet --report press.html    the page that the export wrote of itself
  prednet-export inspect press.prednet --golden               run every variant here against its golden answer
  prednet-export inspect --schema > manifest.schema.json
"""

DIFF_HELP = """Show in what two bundles differ: manifest, limits of each variant, files by their digests, signature.

  prednet-export diff press.prednet press2.prednet

Exit codes: 0 they are the same, 1 they differ.
"""

SIGN_HELP = """Sign a bundle with an ed25519 key, so that a device's owner can prove whose it is.

A signed bundle is another file with another digest: sign it before cameras are calibrated with it.

  openssl genpkey -algorithm ed25519 -out press.key
  openssl pkey -in press.key -pubout -out press.pub
  prednet-export sign press.prednet --key press.key
  prednet-export verify press.prednet --key press.pub
"""


def add_bundle_file_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `inspect`, `diff`, `sign` and `verify`."""
    inspect = commands.add_parser(
        "inspect", help="show what a bundle holds, after checking it", description=INSPECT_HELP
    )
    inspect.add_argument("bundle", type=Path, nargs="?", help="the bundle; left out with --schema")
    inspect.add_argument("--json", action="store_true", help="print the manifest as JSON")
    inspect.add_argument("--schema", action="store_true", help="print the JSON Schema of every manifest instead")
    inspect.add_argument("--report", type=Path, metavar="FILE", help="write the bundle's report, a page, to FILE")
    inspect.add_argument("--golden", action="store_true", help="run every variant here against its golden answer")
    inspect.set_defaults(run=_inspect)
    diff = commands.add_parser("diff", help="show in what two bundles differ", description=DIFF_HELP)
    diff.add_argument("bundles", type=Path, nargs=2, metavar="BUNDLE", help="the two bundles, the older one first")
    diff.add_argument("--json", action="store_true", help="print the differences as JSON")
    diff.set_defaults(run=_diff)
    sign = commands.add_parser("sign", help="sign a bundle", description=SIGN_HELP)
    sign.add_argument("bundle", type=Path, help="the bundle to sign")
    sign.add_argument("--key", type=Path, required=True, help="the private key, PEM")
    sign.add_argument("-o", "--out", type=Path, help="where to write it (default: the bundle itself)")
    sign.set_defaults(run=_sign)
    verify = commands.add_parser("verify", help="check a bundle and its signature", description=SIGN_HELP)
    verify.add_argument("bundle", type=Path, help="the signed bundle")
    verify.add_argument("--key", type=Path, required=True, help="the public key, PEM")
    verify.set_defaults(run=_verify)


def _inspect(parsed: argparse.Namespace) -> int:
    if parsed.schema:
        print(msgspec.json.format(msgspec.json.encode(manifest_schema()), indent=1).decode())
        return 0
    if parsed.bundle is None:
        raise UsageError("inspect wants a bundle, or --schema.")
    if parsed.report:
        check_folder_of(parsed.report)
    bundle = read_bundle(parsed.bundle)
    print(msgspec.json.encode(bundle.manifest).decode() if parsed.json else told_bundle(bundle))
    if parsed.report:
        write_whole(parsed.report, _page(bundle))
    for variant in bundle.manifest.variants if parsed.golden else ():
        runner_of(bundle, variant, slots=1).close()
        told = "no golden answer" if bundle.golden(variant) is None else "golden answer right"
        print(f"{variant}: {told}", file=sys.stderr)
    return 0


def _page(bundle: Bundle) -> bytes:
    if REPORT_PAGE not in bundle.manifest.reports:
        raise PrednetError(f"{bundle.path}: holds no report; it was made by an earlier release, or with float alone.")
    return bundle.files[REPORT_PAGE]


def manifest_schema() -> dict[str, object]:
    """Return the JSON Schema (2020-12) of a bundle's manifest."""
    schema = msgspec.json.schema(Manifest, schema_hook=lambda _: {"description": "any JSON"})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "prednet-bundle manifest"} | schema


def _diff(parsed: argparse.Namespace) -> int:
    found = differences(*(read_bundle(path) for path in parsed.bundles))
    print(msgspec.json.encode(found).decode() if parsed.json else told_differences(found))
    return FAILURE if found else 0


def _sign(parsed: argparse.Namespace) -> int:
    out = parsed.out or parsed.bundle
    if parsed.out:
        check_folder_of(parsed.out)
    print(f"{out}: signed with {opened('export.signing').sign_bundle(parsed.bundle, parsed.key, out)}")
    return 0


def _verify(parsed: argparse.Namespace) -> int:
    print(f"{parsed.bundle}: whole, signed with {opened('export.signing').verify_bundle(parsed.bundle, parsed.key)}")
    return 0


def told_bundle(bundle: Bundle) -> str:
    """Return what a bundle holds, in lines for a person."""
    manifest, form = bundle.manifest, bundle.spec.form
    colour = "grey" if form.channels == 1 else "RGB"
    lines = [
        f"{manifest.name}  ({bundle.digest})",
        f"made {manifest.created} by {manifest.made_by}",
        f"frames: {form.width}×{form.height} {colour}, {form.rate_hz:g} a second; error grid {manifest.grid}",
        f"network: {_told_facts(manifest.architecture, ('stack', 'r_stack', 'head', 'cell'))}",
        f"training: {_told_facts(manifest.training, manifest.training) or 'nothing is known of it'}",
    ]
    for name, variant in manifest.variants.items():
        told = told_limits(bundle.calibration(name).limits).replace("\n", "\n  ")
        whole = f", {len(variant.int8)} of {variant.convolutions} convolutions INT8" if variant.int8 else ""
        lines.append(f"variant {name}: step {len(bundle.step(name)) / 1e6:.1f} MB{whole}\n  {told}")
    return "\n".join(lines)


def _told_facts(facts: dict[str, object], keys: Sequence[str] | dict[str, object]) -> str:
    return ", ".join(f"{key} {facts[key]}" for key in keys if key in facts)
