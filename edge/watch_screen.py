"""The terminal picture of `prednet-edge watch`: cameras, level against limit, faults, last events.

The door of `rich`. Every state stands there as a word: colour only repeats it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge.watch_view import CameraView, DeviceView, EventView, View

__all__ = ["Console", "Live", "Looks", "picture", "print_picture", "show"]

# A score comes once a second; a level that is older than this is not shown as one.
STALE_SECONDS = 10.0
# The limit stands at this part of the bar: what lies beyond is above it.
LIMIT_AT = 0.7
WIDE = 104
COLOURS = {
    "watching": "green", "online": "green", "warming_up": "cyan", "degraded": "yellow", "rebuilding": "yellow",
    "blind": "bold red", "offline": "bold red", "stopping": "yellow", "disabled": "dim",
}  # fmt: skip
KINDS = {"surprise": "unexpected", "stall": "standstill", "condition": "camera", "flood": "many events", "test": "test"}


@dataclass(frozen=True)
class Looks:
    """The terminal's size in characters, whether it knows more than ASCII, and the times now (monotonic, Unix)."""

    width: int
    height: int
    is_plain: bool
    now_seconds: float
    wall_seconds: float


def print_picture(view: View, where: str, now_seconds: float, wall_seconds: float, console: Console) -> None:
    """Print one picture as long as it is."""
    console.print(picture(view, where, None, _looks(console, 10_000, now_seconds, wall_seconds)))


def _looks(console: Console, height: int, now_seconds: float, wall_seconds: float) -> Looks:
    is_plain = not console.encoding.lower().startswith("utf")
    return Looks(console.width, height, is_plain, now_seconds, wall_seconds)


def show(live: Live, view: View, where: str, trouble: str | None, now_seconds: float, wall_seconds: float) -> None:
    """Put a picture that fits the terminal in place of the last one."""
    console = live.console
    live.update(picture(view, where, trouble, _looks(console, console.height, now_seconds, wall_seconds)), refresh=True)


def picture(view: View, where: str, trouble: str | None, looks: Looks) -> Group:
    """Return the picture, within the terminal's height: cameras, the unwell first, then events as there is room."""
    parts: list[Text | Table] = [_head(view, where, looks)]
    parts += [] if trouble is None else [Text(line, style="bold red") for line in _wrapped(trouble, looks.width)]
    parts += [Text(line, style="red") for line in _faults(view, looks.width)][: looks.height // 4]
    room = looks.height - len(parts) - 4  # headings, an empty line, one for what is left out
    least_events = min(len(view.events), 4) + 1
    rows = sorted(_rows(view), key=lambda row: _is_well(row, looks.now_seconds))
    shown = rows[: max(1, room - least_events)]
    parts.append(_cameras(sorted(shown, key=lambda row: row[:2]), len(view.devices) > 1, looks))
    if len(shown) < len(rows):
        parts.append(Text(f"{len(rows) - len(shown)} more cameras: a taller terminal shows them", "dim", no_wrap=True))
    parts += [Text(""), _events(view, max(1, room - len(shown)), looks)]
    return Group(*parts)


Row = tuple[str, str, DeviceView, CameraView]


def _rows(view: View) -> Iterator[Row]:
    for who, device in sorted(view.devices.items()):
        for name, camera in sorted(device.shown_cameras.items()):
            yield who, name, device, camera


def _is_well(row: Row, now_seconds: float) -> bool:
    _, _, device, camera = row
    return not camera.is_anomalous and not camera.conditions and _state(device, camera) == "watching"


def _head(view: View, where: str, looks: Looks) -> Text:
    clock = datetime.fromtimestamp(looks.wall_seconds, timezone.utc).strftime("%H:%M:%S UTC")
    told = Text(f"{clock}  ", style="bold", overflow="ellipsis", no_wrap=True)
    if not view.devices:
        return told.append(f"{where}: no device has said anything yet")
    if len(view.devices) > 1:
        well = sum(device.status == "online" for device in view.devices.values())
        return told.append(f"{len(view.devices)} devices, {well} online  {where}")
    ((who, device),) = view.devices.items()
    told.append(f"{who} ").append(device.status, style=COLOURS.get(device.status, ""))
    if device.outbox_depth:
        told.append(f"  {device.outbox_depth} messages wait for the broker")
    return told.append(f"  {where}", style="dim")


def _faults(view: View, width: int) -> Iterator[str]:
    """Yield the lines of the active faults, two of each at most."""
    for who, device in sorted(view.devices.items()):
        for fault in device.faults:
            words = [who] * (len(view.devices) > 1) + [fault.code] + [fault.camera] * bool(fault.camera)
            told = f"FAULT {' '.join(map(str, words))}: {fault.hint}"
            yield from _wrapped(told, width)


def _wrapped(told: str, width: int) -> list[str]:
    return textwrap.wrap(told, width, subsequent_indent="  ", max_lines=2, placeholder=" ...")


def _cameras(rows: list[Row], has_devices: bool, looks: Looks) -> Table:
    is_wide = looks.width >= WIDE
    table = Table(box=None, expand=True, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    if has_devices:
        table.add_column("DEVICE", no_wrap=True, overflow="ellipsis", max_width=20)
    table.add_column("CAMERA", no_wrap=True, overflow="ellipsis", min_width=8, max_width=20)
    table.add_column("STATE", no_wrap=True, min_width=10)
    table.add_column("LEVEL TO LIMIT", no_wrap=True, min_width=_bar_width(has_devices, looks))
    table.add_column("LEVEL/LIMIT", no_wrap=True, min_width=11, justify="right")
    if is_wide:
        table.add_column("LAST MINUTE", no_wrap=True, min_width=20)
        for name in ("FPS", "SEEN 1 H", "LATENCY"):
            table.add_column(name, no_wrap=True, min_width=len(name), justify="right")
    table.add_column("WHAT", no_wrap=True, overflow="ellipsis", ratio=1)
    for who, name, device, camera in rows:
        state = _state(device, camera)
        level, limit = (None, camera.limit) if state == "offline" else _level(camera, looks.now_seconds)
        cells = [who] * has_devices + [name]
        cells += [Text(state, style=COLOURS.get(state, ""))]  # type: ignore[list-item]
        cells += [bar_of(level, limit, _bar_width(has_devices, looks), is_plain=looks.is_plain), _numbers(level, limit)]  # type: ignore[list-item]
        cells += _wide_cells(camera, looks.is_plain) if is_wide else []
        table.add_row(*cells, _what(state, camera))
    return table


def _bar_width(has_devices: bool, looks: Looks) -> int:
    return 12 if has_devices and looks.width < WIDE else 20


def _state(device: DeviceView, camera: CameraView) -> str:
    """What is retained of a device that is gone is not true any more."""
    return "offline" if device.status == "offline" else camera.state


def _level(camera: CameraView, now_seconds: float) -> tuple[float | None, float | None]:
    is_fresh = camera.level_time and now_seconds - camera.level_seconds <= STALE_SECONDS
    return (camera.level, camera.limit) if is_fresh else (None, camera.limit)


def _numbers(level: float | None, limit: float | None) -> str:
    return f"{'-' if level is None else f'{level:.2f}'} / {'-' if limit is None else f'{limit:.2f}'}"


def bar_of(level: float | None, limit: float | None, width: int, *, is_plain: bool) -> Text:
    """Return a bar with a mark at the limit; what is above it is drawn otherwise, without colour too."""
    at = round(width * LIMIT_AT)
    filled = 0 if level is None or not limit else min(width, max(0, round(at * level / limit)))
    full, above, empty, mark = ("=", "#", ".", "|") if is_plain else ("━", "█", "─", "┃")
    told = Text()
    for place in range(width):
        is_above = place > at and place < filled
        if place == at:
            told.append(mark, style="bold")
        elif place < filled:
            told.append(above if is_above else full, style="bold red" if filled > at else "green")
        else:
            told.append(empty, style="dim")
    return told


def _wide_cells(camera: CameraView, is_plain: bool) -> list[str]:
    seen = "-" if camera.watched_share is None else f"{100 * camera.watched_share:.0f} %"
    latency = "-" if camera.latency_ms is None else f"{camera.latency_ms:.0f} ms"
    fps = "-" if camera.fps is None else f"{camera.fps:.1f}"
    return [trend(camera.history, 20, is_plain=is_plain), fps, seen, latency]


def trend(history: tuple[float, ...], width: int, *, is_plain: bool) -> str:
    """Return a line of heights, the newest last: of each part of the time its highest; the limit is two thirds up."""
    heights = "_.-~=+*#" if is_plain else "▁▂▃▄▅▆▇█"
    size = max(1, -(-len(history) // width))
    highest = [max(history[max(0, end - size) : end]) for end in range(len(history), 0, -size)][::-1]
    return "".join(heights[min(7, max(0, int(5.4 * part)))] for part in highest)


def _what(state: str, camera: CameraView) -> Text:
    if state == "offline":
        return Text("")
    told = Text()
    if camera.is_anomalous:
        told.append("ANOMALY ", style="bold reverse red")
    if camera.conditions:
        told.append(" ".join(camera.conditions) + " ", style="yellow")
    if camera.held_back:
        told.append(f"held back: {camera.held_back}", style="dim")
    return told


def _events(view: View, most: int, looks: Looks) -> Table:
    table = Table(box=None, expand=True, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for name, ratio in (("LAST EVENTS", None), ("CAMERA", None), ("WHAT", None), ("LASTED", None), ("PEAK", None)):
        table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=ratio)
    if looks.width >= WIDE:
        table.add_column("ID", no_wrap=True, min_width=26)
    table.add_column("ZONES", no_wrap=True, overflow="ellipsis", ratio=1)
    for event in list(view.events.values())[:most]:
        table.add_row(*_event_cells(event, view, looks))
    if not view.events:
        table.add_row("none yet", *[""] * 5)
    return table


def _event_cells(event: EventView, view: View, looks: Looks) -> list[Text | str]:
    lasted: Text | str = "-"
    if event.is_open:  # of a device that is gone nobody knows
        is_gone = view.devices.get(event.who, DeviceView()).status == "offline"
        lasted = "unknown" if is_gone else Text("now", style="bold red")
    if event.seconds is not None:
        lasted = span(event.seconds)
    peak = "-" if event.peak is None else f"{event.peak:.2f}"
    peak += "" if event.limit is None else f" / {event.limit:.2f}"
    camera = f"{event.who}/{event.camera}" if len(view.devices) > 1 else event.camera
    kind = KINDS.get(event.kind, event.kind)
    cells: list[Text | str] = [_when(event.begun_seconds, looks.wall_seconds), camera, kind, lasted, peak]
    return [*cells, *([event.event_id] if looks.width >= WIDE else []), " ".join(event.zones)]


def _when(begun_seconds: float, wall_seconds: float) -> str:
    begun = datetime.fromtimestamp(begun_seconds, timezone.utc)
    is_today = wall_seconds - begun_seconds < 86400.0
    return begun.strftime("%H:%M:%S" if is_today else "%m-%d %H:%M")


def span(seconds: float) -> str:
    """Return a time for people: 12 s, 5 min, 3 h, 2 d."""
    for size, name in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
