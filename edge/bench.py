"""How fast a step is, planned or measured, as one line of one format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from edge.bundle import Bundle
from edge.choice import Choice
from edge.chosen import MOST_SHARE, open_chosen
from edge.engine.making import step_milliseconds


class Speed(msgspec.Struct, frozen=True):
    """A step's time for `cameras` in one batch: `plan` is a floor that no device goes below, `measured` was run here.

    `cameras_fit` is how many cameras at `rate_hz` frames a second such steps are enough for.
    """

    kind: Literal["plan", "measured"]
    device: str
    runner: str
    variant: str
    cameras: int
    step_milliseconds: float
    rate_hz: float
    cameras_fit: int


def cameras_that_fit(cameras: int, milliseconds: float, rate_hz: float) -> int:
    """Return how many cameras fit when a step of `cameras` takes so long, each of them its share of it.

    A larger batch takes less a camera, so that this promises no more than a device keeps.
    """
    return int(cameras * MOST_SHARE * 1000.0 / rate_hz / milliseconds)


def told_speeds(speeds: Iterable[Speed]) -> Iterator[str]:
    """Yield a table for people: a head, and one line each."""
    yield f"{'':<10}{'device':<26}{'runner':<38}{'variant':<11}{'cameras':>8}{'ms a step':>11}{'fit':>7}"
    for one in speeds:
        least = ">=" if one.kind == "plan" else ""
        milliseconds = f"{least}{one.step_milliseconds:.3f}"
        yield (
            f"{one.kind:<10}{one.device:<26}{one.runner:<38}{one.variant:<11}{one.cameras:>8}{milliseconds:>11}"
            f"{one.cameras_fit:>7} at {one.rate_hz:g} frames a second"
        )


def measured(choice: Choice, bundle: Bundle, cameras: int, threads: int, device: str) -> Speed:
    """Return the measured line of the chosen runner: the median of fifty steps, after its golden answer was right."""
    runner = open_chosen(choice, bundle, cameras, threads)
    milliseconds, rate_hz = step_milliseconds(runner), bundle.spec.form.rate_hz
    runner.close()
    fit = cameras_that_fit(cameras, milliseconds, rate_hz)
    return Speed("measured", device, runner.name, choice.variant, cameras, milliseconds, rate_hz, fit)
