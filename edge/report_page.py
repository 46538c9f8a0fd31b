"""A report as one HTML page for people who do not know the program: nothing outside it is needed, and it prints."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path

from edge.fault_ledger import PastFault
from edge.hints import HINTS
from edge.report_data import CameraReport, EventReport, Report, counted_verdicts
from edge.report_drawings import bar, hours, legend
from edge.report_words import STATES, VERDICTS, Words, event_words, fault_words, percent, promise_word, span
from edge.verdicts import Realised

MOST_ROWS = 500
_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}


def page(report: Report, words: Words, most_pictures: int, progress: Callable[[], object] = lambda: None) -> str:
    """Return the page; the newest `most_pictures` events have their pictures in it, `progress` is called for each."""
    title = f"{report.site} / {report.device}"
    parts = [_head(report, words, title), _tiles(report), _coverage(report, words), _false_alarms(report)]
    parts += [_events(report, words, most_pictures, progress), _faults(report, words), _foot(report, words)]
    style = resources.files("edge").joinpath("data/report.css").read_text(encoding="utf-8")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>Report: {escape(title)}</title>'
        f"<style>{style}</style></head><body><main>\n{chr(10).join(parts)}\n</main></body></html>\n"
    )


def _head(report: Report, words: Words, title: str) -> str:
    period = f"{words.moment(report.first_seconds)} to {words.moment(report.last_seconds)}"
    notes = [f"{span(report.last_seconds - report.first_seconds)}; times are {words.zone_at(report.last_seconds)}."]
    if report.first_seconds > report.asked_seconds:
        notes.append(f"Asked for from {words.moment(report.asked_seconds)} on: the device's records begin later.")
    if not report.is_clock_known:
        notes.append("For part of this time the device did not know the time: its labels may be wrong there.")
    if report.earlier_cameras:
        notes.append(f"Events of cameras that it no longer has are among them: {', '.join(report.earlier_cameras)}.")
    return (
        f"<header><p class=kicker>Anomaly cameras</p><h1>{escape(title)}</h1><p class=period>{escape(period)}</p>"
        f"<p class=note>{escape(' '.join(notes))}</p></header>"
    )


def _tiles(report: Report) -> str:
    verdicts = counted_verdicts(report.events)
    judged = sum(verdicts.values())
    answers = f"{verdicts['real']} real, {verdicts['false']} false, {verdicts['unsure'] + verdicts['open']} open"
    active = sum(fault.until_seconds is None for fault in report.faults)
    states = [promise_word(camera.realised) for camera in report.cameras]
    kept = sum(state == "within the promise" for state in states)
    promised = sum(camera.realised.promised_per_day is not None for camera in report.cameras)
    tiles = (
        ("Watched", percent(report.watched_share), f"of the time, {_count(len(report.cameras), 'camera')}", False),
        ("Events", str(judged), answers if judged else "nothing unusual was seen", False),
        ("False alarms", str(verdicts["false"]), _promise_told(kept, promised), "above what was promised" in states),
        ("Faults", str(len(report.faults)), f"{active} active now" if active else "none active now", active > 0),
    )
    cells = "".join(
        f'<div class="tile{" bad" if is_bad else ""}"><dt>{name}</dt><dd><b>{number}</b><span>{told}</span></dd></div>'
        for name, number, told, is_bad in tiles
    )
    return f"<dl class=tiles>{cells}</dl>"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _promise_told(kept: int, promised: int) -> str:
    return f"promise kept on {kept} of {_count(promised, 'camera')}" if promised else "nothing was promised"


def _section(title: str, told: str, *parts: str) -> str:
    return f"<section><h2>{title}</h2><p class=told>{told}</p>{''.join(parts)}</section>"


def _coverage(report: Report, words: Words) -> str:
    told = (
        "No event means that nothing happened only while a camera was watched. Each small box is an hour; "
        "its colours say what the camera did in it."
    )
    cameras = "".join(_camera_coverage(camera, words) for camera in report.cameras)
    return _section("When was it watched?", told, f"<ul class=legend>{legend()}</ul>", cameras)


def _camera_coverage(camera: CameraReport, words: Words) -> str:
    sums = camera.seconds
    total = sum(sums.values()) or 1.0
    rest = [f"{name} {span(sums[field])}" for field, name, _ in STATES[1:] if sums[field] >= 30.0]
    return (
        f"<article class=camera><h3>{escape(camera.camera)} <b>{percent(sums['watched_seconds'] / total)}</b></h3>"
        f"{bar(camera)}<p class=note>{escape('; '.join(rest) or 'watched all the time')}</p>{hours(camera, words)}"
        "</article>"
    )


def _false_alarms(report: Report) -> str:
    told = (
        "False alarms a day of the time watched. An event is one when somebody answered so; of those that nobody has "
        "answered it is not known, and one column counts them all as false."
    )
    heads = ("Camera", "Promised, at most", "Really", "Last 24 hours", "If all open were false", "")
    rows = [_promise_row(camera) for camera in report.cameras]
    verdicts = counted_verdicts(report.events)
    how = "" if not verdicts["open"] else (
        f"<p class=note>{_count(verdicts['open'], 'event')} not answered yet. Answer: "
        "<code>prednet-edge ack ID real|false|unsure --config …</code>; the ids stand with the events.</p>"
    )  # fmt: skip
    return _section("False alarms: promised and real", told, _table(heads, rows), how)


def _promise_row(camera: CameraReport) -> Sequence[str]:
    one, word = camera.realised, promise_word(camera.realised)
    mark = {"within the promise": "good", "above what was promised": "bad"}.get(word, "")
    return (
        escape(camera.camera),
        "–" if one.promised_per_day is None else f"{one.promised_per_day:g}",
        _rate(one.false_per_day),
        _rate(camera.realised_last_day.false_per_day),
        _rate(one.most_per_day),
        f'<span class="mark {mark}">{word}</span> <span class=note>{_basis(one)}</span>',
    )


def _rate(per_day: float | None) -> str:
    return "–" if per_day is None else f"{per_day:.2f}".rstrip("0").rstrip(".")


def _basis(one: Realised) -> str:
    return f"{_count(one.events, 'event')} in {span(one.watched_days * 86400.0)} watched"


def _events(report: Report, words: Words, most_pictures: int, progress: Callable[[], object]) -> str:
    judged = [event for event in report.events if event.is_judged]
    others = [event for event in report.events if not event.is_judged]
    shown, rest = judged[:most_pictures], judged[most_pictures:]
    told = (
        "The newest first. The first picture is what the camera saw, then what was expected, then the difference; the "
        "last shows in red where it stood out."
        if judged
        else "Nothing unusual was seen in this time."
    )
    parts = []
    for event in shown:
        parts.append(_card(event, words))
        progress()
    parts += [f"<h3>{len(rest)} earlier ones, without pictures</h3>", _event_table(rest, words)] if rest else []
    parts += ["<h3>Cameras that could not see as usual</h3>", _event_table(others, words)] if others else []
    return _section("What happened", told, *parts)


def _card(event: EventReport, words: Words) -> str:
    pictures = [_picture(path, told) for path, told in _pictures(event) if path is not None]
    place = f", {' and '.join(event.zones)}" if event.zones else ""
    facts = [words.second(event.begun_seconds)]
    facts += [] if event.lasted_seconds is None else [f"lasted {span(event.lasted_seconds)}"]
    if event.peak is not None:
        facts.append(f"level {event.peak:.2f}" + ("" if event.limit is None else f", limit {event.limit:.2f}"))
    answer = f'<span class="mark {event.verdict or "open"}">{VERDICTS[event.verdict]}</span>'
    return (
        f"<article class=event><h3>{escape(event_words(event))} <span>{escape(event.camera + place)}</span></h3>"
        f"<p>{escape('; '.join(facts))} {answer}</p>"
        f"<div class=pictures>{''.join(pictures) or '<p class=note>Its pictures are not kept any more.</p>'}</div>"
        f"<p class=id>{escape(event.event_id)}</p></article>"
    )


def _pictures(event: EventReport) -> Iterable[tuple[str | None, str]]:
    yield event.strip, "what the camera saw, what was expected, the difference"
    yield event.heat_map, "where it stood out, in red"


def _picture(path: str, told: str) -> str:
    try:
        data = base64.b64encode(Path(path).read_bytes()).decode("ascii")
    except OSError:  # retention was faster
        return ""
    kind = "wide" if path.endswith(".jpg") else "one"
    return f'<img class={kind} src="data:{_TYPES[Path(path).suffix]};base64,{data}" alt="{told}">'


def _event_table(events: Sequence[EventReport], words: Words) -> str:
    rows = [
        (
            words.second(one.begun_seconds), escape(one.camera), escape(event_words(one)),
            "–" if one.lasted_seconds is None else span(one.lasted_seconds),
            VERDICTS[one.verdict] if one.is_judged else "–", f"<code>{escape(one.event_id)}</code>",
        )
        for one in events[:MOST_ROWS]
    ]  # fmt: skip
    left = f"<p class=note>and {len(events) - MOST_ROWS} earlier ones.</p>" if len(events) > MOST_ROWS else ""
    return _table(("When", "Camera", "What", "Lasted", "Answer", "Id"), rows) + left


def _faults(report: Report, words: Words) -> str:
    told = (
        "What kept the device or a camera from doing its work, the newest first."
        if report.faults
        else "Nothing kept the device or a camera from doing its work."
    )
    rows = [_fault_row(fault, words) for fault in report.faults[:MOST_ROWS]]
    table = _table(("Since", "Lasted", "What", "Camera", "What helps"), rows) if rows else ""
    left = len(report.faults) - MOST_ROWS
    return _section("Faults", told, table, f"<p class=note>and {left} earlier ones.</p>" if left > 0 else "")


def _fault_row(fault: PastFault, words: Words) -> Sequence[str]:
    lasted = '<span class="mark bad">active now</span>'
    if fault.until_seconds is not None:
        lasted = span(max(0.0, fault.until_seconds - fault.since_seconds))
        lasted += " <span class=note>until the device ended</span>" if fault.is_cut else ""
    hint = escape(HINTS.get(fault.code, "").format(camera=fault.camera))
    return (words.second(fault.since_seconds), lasted, fault_words(fault.code), escape(fault.camera) or "–", hint)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th scope=col>{one}</th>" for one in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _foot(report: Report, words: Words) -> str:
    return (
        f"<footer><p>Made on {words.moment(report.last_seconds)} on the device by prednet-edge "
        f"{escape(report.version)}, which watches with {escape(report.bundle)}. The level says how unusual a picture "
        "is; an event begins when it stays above the limit for the time of the hold, and the limit was set on "
        "normal work. Test events are left out.</p></footer>"
    )
