"""The page for the customer: one HTML file that a plant manager can read, signed with the device's own key.

The last line is a comment with the signature of every byte before it; no browser shows it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import msgspec

from edge.acceptance.judging import Clause
from edge.acceptance.report import Acceptance
from edge.coverage_ledger import CoveredHour
from edge.errors import JsonError, PrednetError, UsageError
from edge.event_ledger import LedgerEvent
from edge.messages import utc_from_seconds
from edge.signing import Signature, is_signed, make_key, public_key_of, signed

KEY_FILE = "device.key"
_PURPOSE = b"prednet-edge acceptance page\n"
_MARK, _END = b"<!-- prednet-edge signature ", b" -->\n"
MOST_EVENTS = 200
_WORDS = {
    "false events": "False events",
    "uptime": "Watching",
    "reconnects": "Camera comes back",
    "latency": "Speed",
    "broker": "Connection to the broker",
    "self-test": "Self-test",
}
_COLOURS = {
    "watched": "#2f8f5b", "warming": "#9ccfb3", "degraded": "#e3b341", "blind": "#c8453b", "disabled": "#8d96a3",
    "off": "#20242a",
}  # fmt: skip
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #20242a; max-width: 980px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.6em; margin-bottom: .1em } h2 { font-size: 1.15em; margin-top: 1.8em }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .4em .9em .4em 0; border-bottom: 1px solid #dfe3e8; vertical-align: top }
th, .note { color: #59626e; font-weight: 600 } .note { font-weight: 400 }
.mark { display: inline-block; border-radius: 3px; padding: 0 .5em; color: #fff; white-space: nowrap }
.kept { background: #2f8f5b } .broken { background: #c8453b } .not-judged { background: #7a8491 }
.sum { display: flex; gap: 2.5em; margin: 1em 0; font-size: 1.1em } .sum b { font-size: 1.9em; margin-right: .25em }
.hours { display: flex; height: 26px; margin: .3em 0 } .hour { flex: 1; margin-right: 1px; display: flex;
  flex-direction: column } .hour i { display: block; width: 100% }
.key span { margin-right: 1.2em } .key i { display: inline-block; width: .8em; height: .8em; margin-right: .35em }
code { font-size: .85em; word-break: break-all } .sign td { padding-top: 3em; border: 0 }
.sign i { display: block; border-top: 1px solid; margin-right: 2em }
.ends { display: flex; justify-content: space-between }
@media print { body { margin: 0; max-width: none } .mark, .hour i, .key i { print-color-adjust: exact } }
"""


def write_page(acceptance: Acceptance, state_directory: Path, out: Path) -> str:
    """Write the signed page and return the device's public key in hex; the key is made at first use."""
    key = device_key(state_directory)
    public = public_key_of(key.with_suffix(".pub"))
    page = page_of(acceptance, public).encode()
    signature = msgspec.json.encode(signed(_PURPOSE + page, key))
    out.write_bytes(page + _MARK + signature + _END)
    return public


def device_key(state_directory: Path) -> Path:
    """Return the device's own private key, which is made where there is none, for the state directory's owner."""
    key = state_directory / KEY_FILE
    if not key.exists():
        make_key(key)
        if os.geteuid() == 0:
            owner = state_directory.stat()
            for made in (key, key.with_suffix(".pub")):
                os.chown(made, owner.st_uid, owner.st_gid)
    return key


def verify_page(page: Path, public_key: str | None) -> str:
    """Return the key in hex that a page is signed with, which is `public_key` where one is given.

    Raises PrednetError for a page that was changed, is not signed, or is signed with another key.
    """
    try:
        data = page.read_bytes()
    except OSError as error:
        raise UsageError(f"{page}: cannot be read ({error.strerror}); give the page that accept -o wrote.") from error
    text, mark, rest = data.rpartition(_MARK)
    if not mark or not rest.endswith(_END):
        raise PrednetError(f"{page}: carries no signature at its end; ask for the file as the device wrote it.")
    try:
        signature = msgspec.json.decode(rest.removesuffix(_END), type=Signature)
        is_right = is_signed(_PURPOSE + text, signature, public_key or signature.public_key)
    except (*JsonError, PrednetError) as error:
        raise PrednetError(f"{page}: its signature cannot be read ({error}).") from error
    if not is_right:
        whose = f"the key {fingerprint(public_key)}" if public_key else "the key that it names"
        raise PrednetError(
            f"{page}: was changed after it was signed, or is not signed with {whose}; do not rely on it."
        )
    return public_key or signature.public_key


def fingerprint(public_key: str) -> str:
    """Return a public key in hex as people compare it: the first sixteen digits, in fours."""
    return " ".join(public_key[start : start + 4] for start in range(0, 16, 4))


def page_of(acceptance: Acceptance, public_key: str) -> str:
    """Return the page without its signature."""
    return "\n".join(_lines(acceptance, public_key)) + "\n"


def _lines(one: Acceptance, public_key: str) -> Iterator[str]:
    yield f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Acceptance of {escape(one.device)}</title>'
    yield f"<style>{_STYLE}</style>"
    yield f"<h1>Acceptance of {escape(one.site)} / {escape(one.device)}</h1>"
    yield f'<p class="note">{_when(one.first)} to {_when(one.made)} UTC, {one.hours:g} hours. Written by the device</p>'
    yield _summary(one)
    yield "<h2>What was promised, and what happened</h2>"
    yield from _table(("Camera", "Promise", "What was promised", "What happened", ""), [_row(c) for c in one.clauses])
    yield '<p class="note">«not judged» is no pass: the time did not suffice, or it did not happen. No promise is taken'
    yield "as kept because nothing is known of it. A false event is one that a person has called false.</p>"
    yield "<h2>What was watched, hour by hour</h2>"
    yield from _coverage(one.coverage)
    yield "<h2>Events in this time</h2>"
    yield from _events(one.events)
    yield "<h2>Signatures</h2>"
    lines = "".join(f"<td><i>{name}</i></td>" for name in ("Place, date", "Supplier", "Customer"))
    yield f'<table class="sign"><tr>{lines}</tr></table>'
    yield "<h2>About this page</h2>"
    yield from _about(one, public_key)
    yield f'<script type="application/json" id="facts">{_facts(one)}</script>'
    yield "</html>"


def _summary(one: Acceptance) -> str:
    counts = one.counts
    told = "Everything that could be judged was kept." if one.is_kept else "Nothing could be judged yet."
    if counts["broken"]:
        told = "Not everything that was promised was kept."
    figures = "".join(f"<span><b>{count}</b>{name}</span>" for name, count in counts.items())
    return f'<p><strong>{told}</strong></p><div class="sum">{figures}</div>'


def _row(clause: Clause) -> tuple[str, ...]:
    verdict = f'<span class="mark {clause.verdict.replace(" ", "-")}">{clause.verdict}</span>'
    name = _WORDS.get(clause.name, clause.name)
    return escape(clause.camera or "device"), name, escape(clause.promised), escape(clause.seen), verdict


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "<table><tr>" + "".join(f"<th>{head}</th>" for head in heads) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    yield "</table>"


def _coverage(hours: Sequence[CoveredHour]) -> Iterator[str]:
    for camera in dict.fromkeys(hour.camera for hour in hours):
        yield f"<div>{escape(camera)}</div>"
        yield '<div class="hours">' + "".join(_hour(hour) for hour in hours if hour.camera == camera) + "</div>"
    if hours:
        first, last = (when.replace("T", " ") + ":00" for when in (hours[0].hour, hours[-1].hour))
        yield f'<div class="ends note"><span>{first}</span><span>one box an hour, UTC</span><span>{last}</span></div>'
    keys = (f'<span><i style="background:{colour}"></i>{name}</span>' for name, colour in _COLOURS.items())
    yield f'<p class="key note">{"".join(keys)}</p>'
    yield '<p class="note">«disabled» was switched off by a person or a profile; «off»: the device did not run, or the'
    yield "hour is not over.</p>"


def _hour(hour: CoveredHour) -> str:
    shares = {name: getattr(hour, f"{name}_seconds") / 36.0 for name in _COLOURS}
    parts = (
        f'<i style="height:{share:.1f}%;background:{_COLOURS[name]}"></i>' for name, share in shares.items() if share
    )
    return f'<div class="hour" title="{escape(hour.hour)}">{"".join(parts)}</div>'


def _events(events: Sequence[LedgerEvent]) -> Iterator[str]:
    told = [one for one in events if one.kind != "test"]
    if not told:
        yield "<p>None.</p>"
        return
    rows = [
        (_when(utc_from_seconds(one.begun_seconds)), escape(one.camera), escape(one.kind), one.verdict or "no answer")
        for one in told[:MOST_EVENTS]
    ]
    yield from _table(("Time (UTC)", "Camera", "Kind", "A person called it"), rows)
    if len(told) > MOST_EVENTS:
        yield f"<p>… and {len(told) - MOST_EVENTS} more.</p>"


def _about(one: Acceptance, public_key: str) -> Iterator[str]:
    yield (
        f"<p>prednet-edge {escape(one.version)} with {escape(one.bundle_name)} <code>{escape(one.bundle)}</code>; "
        f"{escape(one.runner)}.</p>"
    )
    yield (
        f"<p>Signed by the device with the key <strong>{fingerprint(public_key)}</strong> <code>{public_key}</code>. "
        f"A changed character is found by: <code>prednet-edge accept verify PAGE --key device.pub</code>. The key, "
        f"<code>device.pub</code> in the device's state directory, must come to you by another way than this page.</p>"
    )


def _facts(one: Acceptance) -> str:
    """The same for machines; nothing in it ends the script."""
    return msgspec.json.encode(one).decode().replace("<", "\\u003c")


def _when(label: str) -> str:
    return label[:16].replace("T", " ")
