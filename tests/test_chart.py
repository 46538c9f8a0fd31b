"""The chart of a trace: labels of events that come close together lie below one another."""

from __future__ import annotations

from pathlib import Path

import cv2

from edge.chart import draw_chart, label_rows
from edge.trace import Span, Trace


def test_no_label_lies_on_another() -> None:
    """Each is in the topmost row that is free: of two that touch the second goes below, and the next comes up again."""
    names = ["event 1", "event 2 (stall)", "event 3", "event 4"]
    assert label_rows([10.0, 11.0, 12.0, 18.0], names, 1.0) == [0, 1, 2, 0]
    assert label_rows([10.0, 18.0], names[:2], 1.0) == [0, 0]
    assert label_rows([], [], 1.0) == []


def test_a_chart_of_events_that_overlap_is_drawn(tmp_path: Path) -> None:
    """Whole: a file that can be read, and nothing beside it."""
    seconds = [number / 10 for number in range(300)]
    columns = {name: [1.0] * 300 for name in ("error", "repeat_error", "surprise", "level", "level_sd", "stall")}
    spans = [Span(10.0, 10.5, 15.0), Span(10.4, 11.0, None, kind="stall")]
    draw_chart(Trace("line-a", seconds=seconds, spans=spans, **columns), tmp_path / "chart.png")
    assert [path.name for path in tmp_path.iterdir()] == ["chart.png"]
    assert cv2.imread(str(tmp_path / "chart.png")) is not None
