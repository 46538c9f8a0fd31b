"""Sizes, rates and other numbers of command lines: what is none is one sentence that names the bound, and code 2."""

from __future__ import annotations

from pathlib import Path

import pytest

import calibration.cli
import edge.cli
import export.cli
from edge.options import frame_format, number_of, size_from_text

PROGRAMS = {"edge": edge.cli.main, "calibrate": calibration.cli.main, "export": export.cli.main}
SIZES, RATES = "of 8 to 8192 pixels each; give one such as 160x128", "frames a second above 0 and at most 1000"
REFUSALS = [
    ("edge", "scene --write {new} --size 0x0", f"0x0 is no WIDTHxHEIGHT {SIZES}"),
    ("edge", "scene --write {new} --rate inf", f"inf is no number of {RATES}"),
    ("edge", "collect a.mkv --out {new} --size 0x128", f"0x128 is no WIDTHxHEIGHT {SIZES}"),
    ("edge", "collect a.mkv --out {new} --hours inf", "inf is no number of hours above 0 and at most 10000"),
    ("edge", "collect a.mkv --out {new} --megabytes 0", "0 is no number of megabytes above 0"),
    ("edge", "collect a.mkv --out {new} --clip nan", "nan is no number of seconds above 0 and at most 3600"),
    ("calibrate", "evaluate --dataset {new} --size 40", f"40 is no WIDTHxHEIGHT {SIZES}"),
    ("calibrate", "evaluate --dataset {new} --hold -1", "-1 is no number of seconds 0 or more and at most 60"),
    ("calibrate", "evaluate --dataset {new} --images-rate 0", f"0 is no number of {RATES}"),
    ("calibrate", "site a.mkv --predictor flow --seconds nan", "nan is no number of seconds above 0"),
    ("calibrate", "site a.mkv --predictor flow --hold 90", "90 is no number of seconds above 0 and at most 60"),
    ("export", "import a.pt -o {new}.safetensors --rate 0", f"0 is no number of {RATES}"),
    ("export", "train --footage a.mkv -o {new}.safetensors --size 10000x8", f"10000x8 is no WIDTHxHEIGHT {SIZES}"),
]


@pytest.mark.parametrize(("program", "words", "message"), REFUSALS, ids=[row[1] for row in REFUSALS])
def test_a_number_that_is_none_is_one_sentence(
    program: str, words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read or written."""
    with pytest.raises(SystemExit) as ended:
        PROGRAMS[program](words.format(new=tmp_path / "new").split())
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cameras", ["0", "17"])
def test_bench_takes_as_many_cameras_as_a_device(cameras: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, and code 2."""
    assert edge.cli.main(["bench", "--bundle", "press.prednet", "--cameras", cameras]) == 2
    assert capsys.readouterr().err == f"prednet-edge bench: --cameras {cameras}: give 1 to 16.\n"


def test_a_size_a_colour_and_a_rate_make_frames() -> None:
    """Width comes first on the command line, height in arrays."""
    form = frame_format(size_from_text("40x32"), "rgb", 2.5)
    assert (form.width, form.height, form.channels, form.rate_hz) == (40, 32, 3, 2.5)
    assert number_of("seconds", 60.0, "1.5", is_zero_good=True)("0") == 0.0
