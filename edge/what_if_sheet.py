"""The sheet of a what-if: one HTML page that shows every event with its frame, its heat map and its score over time."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from edge.files import write_whole
from edge.heat import heat_map
from edge.snapshot import png_from_image
from edge.what_if import Judged
from edge.what_if_change import Answer
from edge.what_if_pictures import Picture
from edge.what_if_told import headline, told_coverage
from edge.what_if_trace import NOW, TRIED, WAS, trace_of

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #20242a; max-width: 1180px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.5em; margin-bottom: .2em } .note { color: #59626e }
article { display: flex; gap: 1em; align-items: flex-start; border-top: 1px solid #dfe3e8; padding: .8em 0 }
article div { flex: 1; min-width: 12em } img { width: 200px; image-rendering: pixelated; background: #f4f6f8 }
.gone { width: 408px; color: #59626e; font-style: italic; flex: none }
b.stays { color: #1d7a5f } b.comes { color: #c23b22 } b.vanishes { color: #3b6fb6 } b.unknown { color: #59626e }
svg text { font: 11px system-ui, sans-serif; fill: #59626e }
@media (max-width: 1000px) { article { flex-wrap: wrap } }
"""

Shown = tuple[Judged, Picture | None]

_LEGEND = f"""<p class="note">Of each event: the frame at its peak, what stood out in red, and its level over time:
<span style="color:{WAS}">grey as it was</span>, <span style="color:{NOW}">green under the change</span>, dashed the
limits, <span style="color:{WAS}">grey that in force</span>, <span style="color:{TRIED}">red that tried</span>.</p>"""


def write_sheet(path: Path, change: str, answers: Sequence[tuple[Answer, Sequence[Shown]]]) -> None:
    """Write the page whole: for each answer its events that are to be shown, with their pictures."""
    title = html.escape(f"What if: {change}")
    sections = "\n".join(_section(answer, shown) for answer, shown in answers)
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>\n'
        f"<h1>{title}</h1>\n{_LEGEND}\n{sections}\n</html>\n"
    )
    write_whole(path, page.encode())


def _section(answer: Answer, shown: Sequence[Shown]) -> str:
    found = answer.found
    told = (f"{found.since} to {found.until}", *told_coverage(found), *answer.notes)
    left_out = len(found.events) - len(shown)
    more = f'<p class="note">{left_out} more events are listed by --json and not drawn.</p>' if left_out else ""
    return "\n".join(
        [
            f"<h2>{html.escape(headline(found))}</h2>",
            f'<p class="note">{"<br>".join(map(html.escape, told))}</p>',
            *(_article(answer, event, picture) for event, picture in shown),
            more,
        ]
    )


def _article(answer: Answer, event: Judged, picture: Picture | None) -> str:
    length = "still open" if event.seconds is None else f"{event.seconds:.1f} s"
    zones = f" in {', '.join(event.zones)}" if event.zones else ""
    told = html.escape(f"{event.kind}{zones}, {length}, peak {event.score_peak:.2f}, limit {event.threshold_on:.2f}")
    at = event.start[:19].replace("T", " ")
    return (
        f'<article><div><b class="{event.fate}">{event.fate}</b><br>{at}<br>{told}</div>{_pictures(picture)}'
        f"{trace_of(event, answer.before, answer.after, answer.limits_of)}</article>"
    )


def _pictures(picture: Picture | None) -> str:
    if picture is None:
        return '<p class="gone">Its frames are not kept any more.</p>'
    images = [picture.image, *([] if picture.cells is None else [heat_map(picture.image, picture.cells)])]
    coded = [base64.b64encode(png_from_image(image)).decode() for image in images]
    return "".join(
        f'<img alt="{name}" src="data:image/png;base64,{data}">'
        for name, data in zip(("frame", "what stood out"), coded, strict=False)
    )
