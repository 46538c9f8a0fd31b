"""The commands on finished bundles: inspect with report, schema and golden answers, diff, sign, verify."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

import export.cli
from edge.bundle import read_bundle
from export.bundle_cli import manifest_schema
from tests.test_bundle import manifest_change, rewritten
from tests.tiny import write_tiny_bundle

ROOT = Path(__file__).parents[1]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of the float step alone."""
    return write_tiny_bundle(tmp_path / "tiny.prednet")


def keys(folder: Path, name: str, private: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> tuple[str, str]:
    """Write a pair of keys as PEM and return their paths."""
    secret, public = folder / f"{name}.key", folder / f"{name}.pub"
    plain = serialization.NoEncryption()
    secret.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(private.public_key().public_bytes(serialization.Encoding.PEM, form))
    return str(secret), str(public)


def test_a_signed_bundle_is_verified_and_still_read(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The device reads it as before; the same contents; signed twice it has one signature."""
    secret, public = keys(tmp_path, "press", ed25519.Ed25519PrivateKey.generate())
    signed = str(tmp_path / "signed.prednet")
    assert export.cli.main(["sign", str(bundle), "--key", secret, "-o", signed]) == 0
    assert export.cli.main(["sign", signed, "--key", secret]) == 0
    assert export.cli.main(["verify", signed, "--key", public]) == 0
    assert "whole, signed with " in capsys.readouterr().out
    assert read_bundle(Path(signed)).files == read_bundle(bundle).files
    assert export.cli.main(["diff", str(bundle), signed]) == 1
    assert capsys.readouterr().out.startswith('signature: – → {"')


def test_what_is_not_signed_with_the_key_is_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unsigned, another key, a changed manifest under an old signature, and a signature that is none."""
    secret, public = keys(tmp_path, "press", ed25519.Ed25519PrivateKey.generate())
    _, other = keys(tmp_path, "other", ed25519.Ed25519PrivateKey.generate())
    signed = tmp_path / "signed.prednet"
    assert export.cli.main(["verify", str(bundle), "--key", public]) == 1
    assert "is not signed" in capsys.readouterr().err
    export.cli.main(["sign", str(bundle), "--key", secret, "-o", str(signed)])
    assert export.cli.main(["verify", str(signed), "--key", other]) == 1
    assert "its signature is not that of" in capsys.readouterr().err
    changed = rewritten(signed, tmp_path / "changed.prednet", manifest_change(licence="mine now"))
    assert export.cli.main(["verify", str(changed), "--key", public]) == 1
    assert "its signature is not that of" in capsys.readouterr().err
    for text in (b"{}", b'{"ed25519": "zz", "public_key": ""}', b'{"ed25519": "\xff"}'):
        spoilt = rewritten(
            signed, tmp_path / "spoilt.prednet", lambda members, text=text: members.update({"signature.json": text})
        )
        assert export.cli.main(["verify", str(spoilt), "--key", public]) == 1
        assert "its signature cannot be read" in capsys.readouterr().err


def test_keys_of_another_kind_are_usage_errors(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """RSA, a public key for signing, text, and no file: each with the command that makes a key."""
    secret, public = keys(tmp_path, "rsa", rsa.generate_private_key(65537, 2048))
    good, _ = keys(tmp_path, "good", ed25519.Ed25519PrivateKey.generate())
    for command, key in (
        ("sign", secret),
        ("sign", public),
        ("sign", str(bundle)),
        ("verify", public),
        ("verify", good),
    ):
        assert export.cli.main([command, str(bundle), "--key", key]) == 2
        assert "openssl genpkey -algorithm ed25519" in capsys.readouterr().err
    assert export.cli.main(["sign", str(bundle), "--key", str(tmp_path / "none")]) == 2


def test_diff_names_what_differs(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Equal bundles are 0; a changed field is named with both values, and the exit code is 1."""
    same = tmp_path / "same.prednet"
    shutil.copy(bundle, same)
    assert export.cli.main(["diff", str(bundle), str(same)]) == 0
    assert capsys.readouterr().out == "no difference\n"
    other = rewritten(bundle, tmp_path / "other.prednet", manifest_change(licence="MIT", training={"seed": 4}))
    assert export.cli.main(["diff", str(bundle), str(other)]) == 1
    assert capsys.readouterr().out == "training.seed: 0 → 4\nlicence:  → MIT\n"
    assert export.cli.main(["diff", str(bundle), str(other), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0] == {"name": "training.seed", "one": 0, "other": 4}


def test_the_schema_is_the_one_in_the_documents(capsys: pytest.CaptureFixture[str]) -> None:
    """`docs/manifest.schema.json` is what the program prints, a valid schema, and the shipped bundle keeps it."""
    assert export.cli.main(["inspect", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema == json.loads((ROOT / "docs" / "manifest.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert export.cli.main(["inspect", str(ROOT / "edge" / "data" / "demo.prednet"), "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    jsonschema.validate(manifest, manifest_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest | {"layers": "four"}, manifest_schema())


def test_inspect_runs_the_variants_and_wants_a_bundle(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle without golden answers or report says so; without a bundle it is a usage error."""
    assert export.cli.main(["inspect", str(bundle), "--golden"]) == 0
    assert "float: no golden answer" in capsys.readouterr().err
    assert export.cli.main(["inspect", str(bundle), "--report", str(tmp_path / "a.html")]) == 1
    assert "holds no report" in capsys.readouterr().err
    assert export.cli.main(["inspect"]) == 2
