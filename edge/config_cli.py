"""The commands about the configuration: `check`, and `config sample`, `schema` and `show`."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from edge.command import Parser

CHECK_HELP = """Check a configuration and all that it names: bundle, calibrations, cameras' addresses, secrets.

  prednet-edge check --config /etc/prednet-edge/config.yaml

No camera is opened and no broker is asked; prednet-edge doctor does that. A mistake is told with its line and what to
do, and the exit code is 78.
"""

CONFIG_HELP = """The configuration: one YAML file. Its sample, its schema for editors, and what a file comes to.

  prednet-edge config sample > config.yaml             every key, commented, with its default
  prednet-edge config schema > config.schema.json      editors complete and check keys with it
  prednet-edge config show --config config.yaml        the values that count, as YAML
  prednet-edge config show --origin --config config.yaml

The first line of the sample names the schema; editors with a YAML language server read it. `--origin` says of each
value the line that it stands in, or `default`, and of each secret where it was found; secrets themselves are not shown.
"""


def add_config_commands(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add `check` and `config` to the device's commands."""
    check = commands.add_parser("check", help="check a configuration and what it names", description=CHECK_HELP)
    check.add_argument("--config", type=Path, required=True, help="the YAML configuration")
    check.add_argument("--json", action="store_true", help="print a JSON object")
    check.set_defaults(run=_check)
    config = commands.add_parser("config", help="the sample, the schema, what a file comes to", description=CONFIG_HELP)
    verbs = config.add_subparsers(dest="verb", metavar="VERB", required=True)
    sample = verbs.add_parser("sample", help="print every key, commented, with its default", description=CONFIG_HELP)
    sample.set_defaults(run=_sample)
    schema = verbs.add_parser("schema", help="print the JSON Schema for editors", description=CONFIG_HELP)
    schema.set_defaults(run=_schema)
    show = verbs.add_parser("show", help="print the values that count", description=CONFIG_HELP)
    show.add_argument("--config", type=Path, required=True, help="the YAML configuration")
    show.add_argument("--origin", action="store_true", help="say where each value comes from")
    show.add_argument("--json", action="store_true", help="print a JSON object, always with origins")
    show.set_defaults(run=_show)


def _check(parsed: argparse.Namespace) -> int:
    from edge.checked import told_models  # noqa: PLC0415 - only a command opens the doors that it needs
    from edge.kept_secrets import secrets_of  # noqa: PLC0415
    from edge.setup import read_device  # noqa: PLC0415

    device = read_device(parsed.config)
    models = list(told_models(device, str(parsed.config)))
    secrets = {name: secret.origin for name, secret in secrets_of(device.config)}
    if parsed.json:
        told = {"config": str(parsed.config), "models": models, "secrets": secrets, "runner": device.choice.told}
        print(msgspec.json.encode(told | {"bundle": device.bundle.manifest.name}).decode())
        return 0
    print("\n".join((*models, *(f"{name}: from {origin}" for name, origin in secrets.items()))))
    print(f"runner: {device.choice.told}")
    print(f"{parsed.config}: good; {len(device.models)} cameras on {device.bundle.manifest.name}")
    return 0


def _sample(_: argparse.Namespace) -> int:
    from edge.config_sample import sample_text  # noqa: PLC0415 - only a command opens the rooms that it needs

    print(sample_text(), end="")
    return 0


def _schema(_: argparse.Namespace) -> int:
    from edge.config_sample import schema_text  # noqa: PLC0415 - as above

    print(schema_text(), end="")
    return 0


def _show(parsed: argparse.Namespace) -> int:
    from edge.config_show import secret_origins, shown, yaml_of  # noqa: PLC0415 - as above

    path = parsed.config.absolute()
    keys, secrets = list(shown(path)), secret_origins(path)
    if parsed.json:
        told = {".".join(one.keys): {"value": one.value, "origin": one.origin} for one in keys if one.is_leaf}
        print(msgspec.json.encode({"config": told, "secrets": secrets}).decode())
        return 0
    print("\n".join(yaml_of(iter(keys), with_origin=parsed.origin)))
    for name, origin in secrets.items():
        print(f"# {name}: from {origin}")
    return 0
