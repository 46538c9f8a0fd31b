"""What would have fired: the events that a calibration announces on footage, found by the daemon's own river."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from calibration.fit import CAMERA
from calibration.footage import Clip
from edge.calibrated import Calibration
from edge.detection import Rules
from edge.model import judge_from_calibration
from edge.moments import Finding, Kind
from edge.pipeline import rounds_from_frames, watch
from edge.runner import Runner


class Fired(msgspec.Struct, frozen=True):
    """One event: clip and kind, when it begins and ends in seconds of the clip, its highest level over its limit."""

    clip: str
    kind: Kind
    start_seconds: float
    end_seconds: float
    over_limit: float


@dataclass(frozen=True)
class Named:
    """A calibration and what it is called in what is told."""

    name: str
    calibration: Calibration


def would_fire(
    clips: Sequence[Clip],
    runner: Runner,
    calibrations: Sequence[Named],
    rules: Rules,
    progress: Callable[[int], None],
) -> Mapping[str, list[Fired]]:
    """Return the events of each calibration on the clips by the runner that they were fitted with.

    `progress` is told the frames done. On footage that a calibration was fitted on it fires less than on other footage.
    """
    fired: dict[str, list[Fired]] = {named.name: [] for named in calibrations}
    done = 0
    for named in calibrations:
        judge = judge_from_calibration(named.calibration, rules)
        for clip in clips:
            for moment in watch(rounds_from_frames(CAMERA, clip.frames()), runner, {CAMERA: judge}):
                done += moment.sensed is not None
                ended = [finding for finding in moment.findings if finding.detection.type == "end"]
                fired[named.name] += [_fired(clip, finding) for finding in ended]
                progress(done // len(calibrations))
    return fired


def _fired(clip: Clip, finding: Finding) -> Fired:
    detection, first = finding.detection, float(clip.seconds[0])
    episode = detection.episode
    end = episode.last_above_seconds if detection.end_seconds is None else detection.end_seconds
    return Fired(
        clip.name,
        finding.kind,
        round(episode.start_seconds - first, 1),
        round(end - first, 1),
        round(episode.peak - finding.limit.on, 2),
    )


def told_fired(fired: Mapping[str, Sequence[Fired]], seconds: float) -> str:
    """Return what would have fired, a calibration and an event a line; `seconds` is the length of the footage."""
    lines = []
    for name, events in fired.items():
        lines.append(f"{name}: {len(events)} events in {seconds:.0f} s of this footage")
        lines += [
            f"  {one.clip}: {one.kind}, {one.start_seconds:.1f} s to {one.end_seconds:.1f} s, "
            f"{one.over_limit:.2f} over its limit"
            for one in events
        ]
    return "\n".join(lines)
