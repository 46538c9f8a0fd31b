"""The river in turns: the same live frames with something going on beside it and without, and what a round costs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from machine import ROOT
from tqdm import tqdm

sys.path.insert(0, str(ROOT))

from calibration.fit import fit_calibration, observe
from edge.detection import Rules
from edge.frames import Frame
from edge.model import judge_from_calibration
from edge.moments import Moment, Round
from edge.pipeline import watch
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
    """Yield each moment of `count` cameras with the seconds since the start; every second turn is one of `costs[True]`.

    A network of the default edge size with weights of chance watches at 10 frames a second. What the caller does before
    it asks for the next moment is part of the round.
    """
    architecture = tiny_architecture(height=128, width=160, stack=(1, 16, 32, 64), r_stack=(4, 16, 32, 64))
    images = normal_images(100, height=128, width=160)
    clips = [clip_from(images)]
    calibration = fit_calibration(clips, observe(clips, tiny_runner(architecture=architecture)), RATE_HZ)
    judges = {f"cam{number}": judge_from_calibration(calibration, Rules()) for number in range(count)}
    began = time.monotonic()
    taken, river, process = began, time.thread_time(), time.process_time()

    def paced() -> Iterator[Round]:
        nonlocal taken
        for number in tqdm(range(round(seconds * RATE_HZ)), unit="round", disable=None):
            due = began + number / RATE_HZ
            time.sleep(max(due - time.monotonic(), 0.0))
            taken = time.monotonic()
            yield Round({camera: Frame(images[number % len(images)].copy(), due) for camera in judges})

    for number, moment in enumerate(watch(paced(), tiny_runner(count, architecture), judges)):
        since = moment.seconds - began
        yield moment, since
        if number % count == count - 1:
            if since > WARM_SECONDS:
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
