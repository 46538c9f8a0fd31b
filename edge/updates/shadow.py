"""A second bundle beside the live one, at a low rate: both judge the same frames, and where they disagree is kept.

PredNet's error depends on the spacing of frames, so a shadow cannot look at every tenth one: it looks at bursts of
whole seconds, camera after camera, and whenever the live bundle goes over its limit. It judges surprise; what comes
of minutes of standing still is beyond a burst.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edge.files import write_whole
from edge.frames import Frame
from edge.json_files import read_json
from edge.messages import utc_from_seconds
from edge.model import Model, runner_of
from edge.moments import Judge, Moment
from edge.normality import box_from_cells
from edge.pipeline import WARMUP_FRAMES, rounds_from_frames, watch
from edge.runner import Runner

log = logging.getLogger(__name__)

REPORT_FILE = "shadow.json"
BURST_SECONDS = 3.0
MOST_WAITING = 2
MOST_KEPT = 200
WRITE_SECONDS = 60.0
Box = tuple[float, float, float, float]


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """One burst in which one bundle was over its limit and the other was not: when (UTC), where, by how much.

    `only` is `live` or `shadow`; scores are the highest levels of the burst; `bbox` is where the one that says
    something sees it, 0–1 of the picture.
    """

    time: str
    camera: str
    only: str
    live_score: float
    live_limit: float
    shadow_score: float
    shadow_limit: float
    bbox: Box


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Bursts of one camera by who was over its limit."""

    bursts: int = 0
    both: int = 0
    neither: int = 0
    only_live: int = 0
    only_shadow: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a shadow has said so far; `frames` it looked at of `live_frames`, `dropped` bursts for want of time."""

    digest: str
    since: str
    frames: int = 0
    live_frames: int = 0
    dropped: int = 0
    cameras: dict[str, Tally] = {}
    disagreements: tuple[Disagreement, ...] = ()
    failure: str = ""


@dataclass
class _Burst:
    """Frames of one camera in a row, and what the live bundle said of each: level, limit, box (None: not scored)."""

    camera: str
    frames: list[Frame] = field(default_factory=list)
    live: list[tuple[float, float, Box] | None] = field(default_factory=list)


class Shadow:
    """Runs a bundle beside the live one in a thread of its own; the river lays bursts aside and never waits."""

    def __init__(
        self,
        models: Mapping[str, Model],
        judges: Mapping[str, Judge],
        share: float,
        folder: Path,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        bundle = next(iter(models.values())).bundle
        self._models, self._judges, self._share, self._wall_clock = dict(models), dict(judges), share, wall_clock
        self._path, self._rate_hz = folder / REPORT_FILE, bundle.spec.form.rate_hz
        report = read_report(folder) or Report(digest=bundle.digest, since=utc_from_seconds(wall_clock()))
        self._report = msgspec.structs.replace(report, failure="")  # it is tried again
        self._before = self._report
        self._bursts: queue.Queue[_Burst | None] = queue.Queue(MOST_WAITING)
        self._open: _Burst | None = None
        self._turns, self._since_burst, self._live_frames, self._dropped = deque(models), 0.0, 0, 0
        self._was_over: dict[str, bool] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    @property
    def report(self) -> Report:
        """What it has said so far."""
        return self._report

    def see(self, moment: Moment) -> None:
        """Take in a moment of the live bundle."""
        self._live_frames += moment.sensed is not None
        if self._open is None and moment.sensed is not None:
            self._begin(moment)
        burst = self._open
        if burst is None or burst.camera != moment.camera:
            return
        if moment.sensed is None:  # the camera is gone: such a burst proves nothing
            self._open = None
            return
        burst.frames.append(moment.sensed.frame)
        burst.live.append(_said(moment))
        if len(burst.frames) >= self._length:
            self._hand_over(burst)

    def close(self) -> None:
        """Stop, and keep the report."""
        self._stopping.set()
        with suppress(queue.Full):  # then the thread is awake, and sees that it is to stop
            self._bursts.put_nowait(None)
        self._thread.join(10.0)

    @property
    def _length(self) -> int:
        return WARMUP_FRAMES + max(round(BURST_SECONDS * self._rate_hz), 1)

    def _begin(self, moment: Moment) -> None:
        """Begin a burst where it is the camera's turn, or where the live bundle has just gone over its limit."""
        camera, said = moment.camera, _said(moment)
        is_over = said is not None and said[0] > said[1]
        is_new, self._was_over[camera] = is_over and not self._was_over.get(camera, False), is_over
        self._since_burst += self._share
        is_next = self._turns[0] == camera or self._since_burst >= 2.0 * self._length  # whose turn it is may be blind
        is_turn = is_next and self._since_burst >= self._length
        if is_turn:
            self._since_burst = 0.0
            self._turns.remove(camera)
            self._turns.append(camera)
        if is_turn or is_new:
            self._open = _Burst(camera)

    def _hand_over(self, burst: _Burst) -> None:
        self._open = None
        try:
            self._bursts.put_nowait(burst)
        except queue.Full:
            self._dropped += 1

    def _run(self) -> None:
        model = next(iter(self._models.values()))
        try:
            runner = runner_of(model.bundle, model.variant, slots=1, threads=1)
            with closing(runner):
                self._judge_bursts(runner)
        except Exception as error:  # noqa: BLE001 - whatever a library raises ends the shadow, never without a word
            self._fail(str(error))
        self._write()

    def _judge_bursts(self, runner: Runner) -> None:
        written = -WRITE_SECONDS
        while (burst := self._bursts.get()) is not None and not self._stopping.is_set():
            known = self._report.disagreements
            self._judge(burst, runner)
            if self._report.disagreements != known or time.monotonic() - written >= WRITE_SECONDS:
                self._write()
                written = time.monotonic()

    def _judge(self, burst: _Burst, runner: Runner) -> None:
        camera, judge = burst.camera, self._judges[burst.camera]
        moments = list(watch(rounds_from_frames(camera, burst.frames), runner, {camera: judge}))
        shadow = [_said(moment) for moment in moments if moment.sensed is not None]
        pairs = [(one, other) for one, other in zip(burst.live, shadow, strict=True) if one and other]
        if pairs:
            live, other = [one for one, _ in pairs], [one for _, one in pairs]
            self._report = with_burst(self._report, camera, live, other, utc_from_seconds(self._wall_clock()))
        self._report = msgspec.structs.replace(
            self._report,
            frames=self._report.frames + len(burst.frames),
            live_frames=self._before.live_frames + self._live_frames,
            dropped=self._before.dropped + self._dropped,
        )

    def _fail(self, reason: str) -> None:
        log.error("shadow_failed reason=%r", reason)
        self._report = msgspec.structs.replace(self._report, failure=reason)

    def _write(self) -> None:
        try:
            write_whole(self._path, msgspec.json.format(msgspec.json.encode(self._report), indent=1))
        except OSError as error:
            log.warning("shadow_report_not_written error=%s", error)


def with_burst(
    report: Report, camera: str, live: list[tuple[float, float, Box]], shadow: list[tuple[float, float, Box]], time: str
) -> Report:
    """Return the report with one more burst: a bundle says something where half of its levels are over their limit."""
    says_live, says_shadow = _is_over(live), _is_over(shadow)
    name = {(True, True): "both", (False, False): "neither", (True, False): "only_live"}.get(
        (says_live, says_shadow), "only_shadow"
    )
    tally = report.cameras.get(camera, Tally())
    tally = msgspec.structs.replace(tally, bursts=tally.bursts + 1, **{name: getattr(tally, name) + 1})
    report = msgspec.structs.replace(report, cameras=report.cameras | {camera: tally})
    if says_live == says_shadow:
        return report
    highest = {"live": max(live), "shadow": max(shadow)}
    only = "live" if says_live else "shadow"
    found = Disagreement(
        time=time, camera=camera, only=only, bbox=highest[only][2],
        live_score=round(highest["live"][0], 3), live_limit=round(highest["live"][1], 3),
        shadow_score=round(highest["shadow"][0], 3), shadow_limit=round(highest["shadow"][1], 3),
    )  # fmt: skip
    log.info("shadow_disagrees camera=%s only=%s", camera, only)
    return msgspec.structs.replace(report, disagreements=(*report.disagreements, found)[-MOST_KEPT:])


def read_report(folder: Path) -> Report | None:
    """Return what a shadow has said, from its bundle's folder; None where it has said nothing yet."""
    return read_json(folder / REPORT_FILE, Report, None)


def _is_over(levels: list[tuple[float, float, Box]]) -> bool:
    return 2 * sum(level > limit for level, limit, _ in levels) >= len(levels)


def _said(moment: Moment) -> tuple[float, float, Box] | None:
    """The level, the limit and the box of a moment; None where nothing was scored."""
    if moment.surprise is None or moment.level is None or moment.limit is None or moment.cells is None:
        return None
    x0, y0, x1, y1 = (round(edge, 3) for edge in box_from_cells(moment.cells))
    return moment.level.mean, moment.limit.on, (x0, y0, x1, y1)
