"""What options of command lines are read as: pictures' sizes, numbers within bounds, and the frames that they make."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from edge.frames import FrameFormat

SIZE = "160x128"
LEAST_SIDE, MOST_SIDE = 8, 8192
MOST_RATE_HZ = 1000.0


def number_of(unit: str, most: float, such_as: str, is_zero_good: bool = False) -> Callable[[str], float]:
    """Return what reads a number above 0, or from 0 on; it raises argparse's error where a text is none.

    The error names the bound that is broken, `most` in `unit`, and numbers that would do.
    """
    least = "0 or more" if is_zero_good else "above 0"

    def read(text: str) -> float:
        """Return the number of a text."""
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not (0.0 < number <= most or (is_zero_good and number == 0.0)):
            raise argparse.ArgumentTypeError(
                f"{text} is no number of {unit} {least} and at most {most:g}; give one such as {such_as}"
            )
        return number

    return read


rate_from_text = number_of("frames a second", MOST_RATE_HZ, "10 or 2.5")


def size_from_text(text: str) -> tuple[int, int]:
    """Return (width, height) of `WIDTHxHEIGHT`, in pixels."""
    found = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text)
    size = (0, 0) if found is None else (int(found[1]), int(found[2]))
    if not all(LEAST_SIDE <= side <= MOST_SIDE for side in size):
        raise argparse.ArgumentTypeError(
            f"{text} is no WIDTHxHEIGHT of {LEAST_SIDE} to {MOST_SIDE} pixels each; give one such as {SIZE}"
        )
    return size


def frame_format(size: tuple[int, int], colour: str, rate_hz: float) -> FrameFormat:
    """Return the frames that (width, height), `grey` or `rgb`, and a rate make."""
    width, height = size
    return FrameFormat(height, width, 1 if colour == "grey" else 3, rate_hz)
