"""`prednet-export train`, from its words to its report."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from edge.command import parser_for, run_command
from tests.needs import need

need("torch")

from export import train_cli  # noqa: E402 - after the check that torch is there
from export.checkpoint import load_checkpoint  # noqa: E402
from tests.test_training import square_clip  # noqa: E402


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`train` reads footage at the asked size, trains, and prints a sentence or JSON."""
    parser, commands = parser_for("prednet-export", "")
    train_cli.add_train_command(commands)
    monkeypatch.setattr(train_cli, "read_footage", lambda specs, form, progress: [square_clip()])
    out = tmp_path / "net.safetensors"
    words = ["train", "--footage", "x.mp4", "--out", str(out), "--steps", "2", "--sequence-length", "5", "--batch", "2"]
    network = ["--size", "32x24", "--channels", "1,4", "--r-channels", "2,4"]
    assert run_command(parser, [*words, *network, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["steps"] == 2
    assert math.isfinite(told["skill"]["moving_ratio"])
    assert load_checkpoint(out)[0].r_stack == (2, 4)
    assert run_command(parser, [*words, "--start", str(out), "--rate", "5"]) == 2
    assert "--start brings its own network; leave out --rate." in capsys.readouterr().err
    assert run_command(parser, [*words, "--start", str(out)]) == 0
    assert f"{out}: 2 steps on 355 frames" in capsys.readouterr().out


def test_missing_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without PyTorch the command says in one sentence how to install it."""
    parser, commands = parser_for("prednet-export", "")
    train_cli.add_train_command(commands)
    for name in [name for name in sys.modules if name.startswith("export.learning.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run_command(parser, ["train", "--footage", "x.mp4", "--out", str(tmp_path / "net.safetensors")]) == 3
    assert capsys.readouterr().err == (
        "prednet-export train: torch is not installed; run: pip install 'prednet-edge[workstation]'.\n"
    )
