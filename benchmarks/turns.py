"""The river in turns: the same live frames with something going on beside it and without, and what a round costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from calibration.fit import fit_calibration, observe
from edge.detection import Rules
from edge.frames import Frame, Image
from edge.model import judge_from_calibration
from edge.moments import Judge, Moment, Round
from edge.pipeline import watch
from edge.runner import Runner
from tests.tiny import clip_from, normal_images, tiny_architecture, tiny_runner

RATE_HZ = 10.0
# The first rounds are no measure: pages and caches are cold.
WARM_SECONDS = 2.0


@dataclass
class Costs:
    """Of each round: seconds by the clock, and processor seconds of the river's thread and of the whole process."""

    rounds: list[float] = field(default_factory=list)
    river: list[float] = field(default_factory=list)
    process: list[float] = field(default_factory=list)


def turns(count: int, seconds: float, turn_seconds: float, costs: dict[bool, Costs]) -> Iterator[tuple[Moment, float]]:
    """Yield what `watched_in_turns` does, of `count` cameras.

    A network of the default edge size with weights of chance watches at 10 frames a second.
    """
    architecture = tiny_architecture(height=128, width=160, stack=(1, 16, 32, 64), r_stack=(4, 16, 32, 64))
    images = normal_images(100, height=128, width=160)
    clips = [clip_from(images)]
    calibration = fit_calibration(clips, observe(clips, tiny_runner(architecture=architecture)), RATE_HZ)
    judges = {f"cam{number}": judge_from_calibration(calibration, Rules()) for number in range(count)}
    shown = [images[number % len(images)] for number in range(round(seconds * RATE_HZ))]
    yield from watched_in_turns(tiny_runner(count, architecture), judges, shown, RATE_HZ, turn_seconds, costs)


def watched_in_turns(
    runner: Runner,
    judges: Mapping[str, Judge],
    images: Sequence[Image],
    rate_hz: float,
    turn_seconds: float,
    costs: dict[bool, Costs],
    settle_seconds: float = 0.0,
) -> Iterator[tuple[Moment, float]]:
    """Yield each moment with the seconds since the start; every second turn is one of `costs[True]`.

    Each camera is shown the images live. What the caller does before it asks for the next moment is part of the round.
    The first `settle_seconds` of each turn are left out: what the turn before has begun ends in them.
    """
    began = time.monotonic()
    taken, river, process = began, time.thread_time(), time.process_time()

    def paced() -> Iterator[Round]:
        nonlocal taken
        for number, image in enumerate(tqdm(images, unit="round", disable=None)):
            due = began + number / rate_hz
            time.sleep(max(due - time.monotonic(), 0.0))
            taken = time.monotonic()
            yield Round({camera: Frame(image.copy(), due) for camera in judges})

    for number, moment in enumerate(watch(paced(), runner, judges)):
        since = moment.seconds - began
        yield moment, since
        if number % len(judges) == len(judges) - 1:
            if since > WARM_SECONDS and since % turn_seconds >= settle_seconds:
                cost = costs[is_on(since, turn_seconds)]
                cost.rounds.append(time.monotonic() - taken)
                cost.river.append(time.thread_time() - river)
                cost.process.append(time.process_time() - process)
            river, process = time.thread_time(), time.process_time()


def is_on(since: float, turn_seconds: float) -> bool:
    """Return whether a moment falls into a turn with what is measured; the first turn is one without."""
    return since // turn_seconds % 2 == 1


def milliseconds(costs: dict[bool, Costs], name: str, percentile: float = 50) -> tuple[float, float]:
    """Return a cost with what is measured and without, as its percentile over the rounds."""
    told = [float(np.percentile(getattr(costs[key], name), percentile)) * 1000 for key in (True, False)]
    return told[0], told[1]


def a_frame(costs: dict[bool, Costs], count: int) -> tuple[float, float]:
    """Return the mean milliseconds of all threads' processor for a frame, with what is measured and without."""
    told = [float(np.mean(costs[key].process)) / count * 1000 for key in (True, False)]
    return told[0], told[1]


def row(name: str, pair: tuple[float, float], digits: int = 2) -> str:
    """Return a row of a table: a cost with what is measured, without it, and how many times as much."""
    measured, without = pair
    return f"| {name} | {measured:.{digits}f} | {without:.{digits}f} | {measured / without:.2f} |"
