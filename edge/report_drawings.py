"""The drawings of a report, as SVG inside the page: bars of a camera's time, and its hours day by day."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from edge.coverage_ledger import CoveredHour, seconds_of_hour
from edge.report_data import CameraReport
from edge.report_words import STATES, Words, percent

# Of more days than these the hours are not drawn one by one.
MOST_DAYS = 62
_CELL, _ROW, _LEFT, _TOP = 22, 16, 84, 14


def bar(camera: CameraReport) -> str:
    """Return one bar: the parts of a camera's time, in the order of the legend."""
    sums = camera.seconds
    total = sum(sums.values()) or 1.0
    told = ", ".join(f"{words} {percent(sums[name] / total)}" for name, words, _ in STATES if sums[name] > 0.0)
    parts, left = [], 0.0
    for name, words, colour in STATES:
        width = 1000.0 * sums[name] / total
        if width > 0.0:
            title = f"<title>{words}: {percent(sums[name] / total)}</title>"
            parts.append(f'<rect x="{left:.2f}" width="{width:.2f}" height="22" fill="{colour}">{title}</rect>')
        left += width
    return (
        f'<svg class="bar" viewBox="0 0 1000 22" preserveAspectRatio="none" role="img" aria-label="{escape(told)}">'
        f"{''.join(parts)}</svg>"
    )


def hours(camera: CameraReport, words: Words) -> str:
    """Return every hour as a cell, a row a day: whole where it was watched, cut short by what it was not."""
    days: dict[str, list[CoveredHour]] = {}
    for hour in camera.hours:
        days.setdefault(words.day(seconds_of_hour(hour.hour)), []).append(hour)
    if len(days) > MOST_DAYS:
        return f"<p class=note>{len(days)} days: their hours are not drawn one by one.</p>"
    rows = [_row(number, day, found, words) for number, (day, found) in enumerate(days.items())]
    width, height = _LEFT + 24 * _CELL, _TOP + len(days) * _ROW
    marks = "".join(
        f'<text x="{_LEFT + number * _CELL}" y="10">{number:02d}</text>' for number in (0, 3, 6, 9, 12, 15, 18, 21)
    )
    label = f"Hours of {camera.camera}, day by day"
    return (
        f'<svg class="hours" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f"{marks}{''.join(rows)}</svg>"
    )


def _row(number: int, day: str, found: Sequence[CoveredHour], words: Words) -> str:
    y = _TOP + number * _ROW
    cells = [_cell(hour, _LEFT + words.hour(seconds_of_hour(hour.hour)) * _CELL, y, words) for hour in found]
    return f'<text x="0" y="{y + 12}">{escape(day)}</text>{"".join(cells)}'


def _cell(hour: CoveredHour, x: int, y: int, words: Words) -> str:
    seconds = {name: getattr(hour, name) for name, _, _ in STATES}
    total = sum(seconds.values())
    if total <= 0.0:
        return ""
    told = ", ".join(f"{one} {percent(seconds[name] / total)}" for name, one, _ in STATES if seconds[name] > 0.0)
    parts, left = [], float(x)
    for name, _, colour in STATES:
        width = (_CELL - 2) * seconds[name] / 3600.0
        if width > 0.0:
            parts.append(f'<rect x="{left:.2f}" y="{y}" width="{width:.2f}" height="{_ROW - 3}" fill="{colour}"/>')
        left += width
    title = f"{words.second(seconds_of_hour(hour.hour))}: {told}"
    return f"<g><title>{escape(title)}</title>{''.join(parts)}</g>"


def legend() -> str:
    """Return what the colours mean."""
    swatch = '<svg viewBox="0 0 10 10" aria-hidden="true"><rect width="10" height="10" fill="{}"/></svg>'
    return "".join(f"<li>{swatch.format(colour)} {words}</li>" for _, words, colour in STATES)
