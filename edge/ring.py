"""The score ring on disk: what was decided of every frame, in segments of a minute, each with its small frames.

`ring/<camera>/<start in milliseconds>.scores` below the state directory holds one line of JSON, `Facts`, and then a row
a frame; `….mkv` beside it the frames that the network saw, without loss. Names that begin with a dot are not finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.detection import Box, Limit, Rules
from edge.errors import JsonError, UsageError
from edge.files import write_whole
from edge.frames import FrameFormat
from edge.messages import EventModel
from edge.moments import Moment, Verdict
from edge.normality import Map, box_from_cells
from edge.zones import Zones, shares_of

FOLDER, SCORES, FILM = "ring", ".scores", ".mkv"
SEGMENT_SECONDS = 60.0
# A camera without frames is told lost within 5 s: a longer silence after a frame was not recorded.
SILENCE_SECONDS = 6.0
# What became of a frame; the last ones are why a camera was lost.
ACTS = ("scored", "warming_up", "degraded", "paused", "camera_lost", "disabled", "stopped", "condition", "restart")
SCORED, PAUSED, FIRST_LOSS = ACTS.index("scored"), ACTS.index("paused"), ACTS.index("camera_lost")
KINDS: tuple[Literal["surprise", "stall"], ...] = ("surprise", "stall")

Rows = NDArray[np.void]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all rows of a segment: what was in force, and how its clock stands.

    `run` names the daemon's start; `wall_offset_seconds` added to a row's seconds gives Unix time.
    """

    run: str
    wall_offset_seconds: float
    clock: Literal["synced", "unsynced"]
    form: FrameFormat
    grid: tuple[int, int]
    model: EventModel
    profile: str
    calibrated: bool
    limit: Limit | None
    stall_limit: Limit | None
    rules: Rules
    most_events_per_hour: int
    zones: tuple[str, ...] = ()


@dataclass(frozen=True)
class Segment:
    """A stretch of one camera: `rows` as `row_type` says; `film` its frames in order, None where they are gone.

    The first row that has a frame has the one numbered `first_frame` of the film, from 0 on.
    """

    facts: Facts
    rows: Rows
    film: Path | None
    first_frame: int = 0

    @property
    def wall_seconds(self) -> NDArray[np.float64]:
        """Unix time of each row."""
        return np.asarray(self.rows["seconds"] + self.facts.wall_offset_seconds, np.float64)


@dataclass(frozen=True)
class Ring:
    """The ring of a device, read: `folder` is the one of that name in the state directory. The daemon may write."""

    folder: Path

    def cameras(self) -> list[str]:
        """Return the cameras that something is kept of."""
        return sorted(path.name for path in self.folder.glob("*") if path.is_dir())

    def segments(self, camera: str, first_seconds: float, last_seconds: float) -> list[Segment]:
        """Return the segments of a camera that reach into a stretch of Unix time, the oldest first.

        A segment that was deleted meanwhile, or is damaged, is left out: its time counts as not recorded.
        """
        paths = sorted((self.folder / camera).glob(f"[!.]*{SCORES}"))
        reaching = [path for path in paths if first_seconds - 2 * SEGMENT_SECONDS <= begun_seconds(path) < last_seconds]
        return [segment for segment in map(read_segment, reaching) if segment is not None]


def ring_of(state_directory: str | Path) -> Ring:
    """Return the ring of a device. Raises UsageError where the daemon has not written one yet."""
    folder = Path(state_directory) / FOLDER
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: there are no scores; 'prednet-edge run' keeps them, unless the configuration says ring: "
            "{keep: false}."
        )
    return Ring(folder)


def begun_seconds(path: Path) -> float:
    """Return the Unix time at which a segment begins, by its name; 0 of what has another name."""
    return int(path.stem) / 1000.0 if path.stem.isdigit() else 0.0


def row_type(zone_count: int) -> np.dtype[np.void]:
    """Return what a row holds: seconds on the camera's clock, index of ACTS, and both kinds' numbers.

    `missed` counts the frames before it that were not recorded, `has_frame` is 1 where the film shows it. `level`,
    `score`, `z` [2] are NaN where there is none; `box` [2, 4] in cells of the grid; `zones` [2, Z] shares in 0–1.
    """
    return np.dtype(
        [
            ("seconds", "<f8"), ("level", "<f8", (2,)), ("score", "<f4", (2,)), ("z", "<f8", (2,)),
            ("box", "u1", (2, 4)), ("act", "u1"), ("has_frame", "u1"), ("missed", "<u2"),
            ("zones", "<f8", (2, zone_count)),
        ]
    )  # fmt: skip


def row_from_moment(moment: Moment, zones: Zones | None, missed: int, *, has_frame: bool) -> tuple[object, ...]:
    """Return the row that keeps what was decided of a moment."""
    nothing, grid = float("nan"), (0, 0) if moment.cells is None else moment.cells.shape
    told: list[tuple[float, float, float, Map | None]] = [(nothing, nothing, nothing, None)] * 2
    if moment.surprise is not None and moment.level is not None and moment.z is not None:
        told[0] = (moment.level.mean, moment.surprise, moment.z, moment.cells)
    if isinstance(moment.stall, Verdict):
        told[1] = (moment.stall.level.mean, moment.stall.score, moment.stall.z, moment.stall.cells)
    levels, scores, zs, cells = zip(*told, strict=True)
    names = () if zones is None else zones.names
    shares = [{} if one is None else shares_of(zones, one) for one in cells]
    return (
        moment.seconds, levels, scores, zs, tuple(_box(one, grid) for one in cells), _act(moment), has_frame,
        min(missed, 65535), tuple(tuple(share.get(name, 0.0) for name in names) for share in shares),
    )  # fmt: skip


def _act(moment: Moment) -> int:
    if moment.sensed is None:
        return ACTS.index(moment.lost or "camera_lost")
    if moment.surprise is not None:
        return SCORED
    if moment.sensed.is_paused:
        return PAUSED
    return ACTS.index("warming_up" if moment.state == "warming_up" else "degraded")


def _box(cells: Map | None, grid: tuple[int, ...]) -> tuple[int, ...]:
    """The box around what stands out, in cells: whole numbers, so that it comes back as it was."""
    if cells is None:
        return (0, 0, 0, 0)
    x0, y0, x1, y1 = box_from_cells(cells)
    return round(x0 * grid[1]), round(y0 * grid[0]), round(x1 * grid[1]), round(y1 * grid[0])


def box_of(cells: Sequence[int], grid: tuple[int, int]) -> Box:
    """Return the box in 0–1 of one in cells."""
    x0, y0, x1, y1 = cells
    return x0 / grid[1], y0 / grid[0], x1 / grid[1], y1 / grid[0]


def rows_from(told: Iterable[tuple[object, ...]], zone_count: int) -> Rows:
    """Return rows as one array."""
    return np.array(list(told), row_type(zone_count))


def write_scores(path: Path, facts: Facts, rows: Rows) -> int:
    """Write a segment's scores whole or not at all, and return their bytes. Raises OSError where the disk refuses."""
    data = msgspec.json.encode(facts) + b"\n" + rows.tobytes()
    write_whole(path, data)
    return len(data)


def read_segment(path: Path) -> Segment | None:
    """Return the segment at `path`; None where it is gone or damaged."""
    try:
        head, _, data = path.read_bytes().partition(b"\n")
        facts = msgspec.json.decode(head, type=Facts)
        rows = np.frombuffer(data, row_type(len(facts.zones)))
    except (OSError, *JsonError):
        return None
    if not rows.size:
        return None
    film = path.with_suffix(FILM)
    return Segment(facts, rows, film if film.exists() else None)
