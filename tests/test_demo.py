"""What the README says of the demo's accidents, on its own scenes at full speed."""

from __future__ import annotations

from pathlib import Path

from edge.demo import CLAIMED_FALSE, CLAIMED_FOUND, demo_scenes

# «each within two seconds»
SOON_SECONDS = 2.0


def test_every_accident_is_announced_within_two_seconds_and_nothing_else_is(tmp_path: Path) -> None:
    """Through broker and daemon, as a subscriber sees it, by the frames' own time."""
    account = demo_scenes(tmp_path / "demo", "fast")
    delays = {one.incident.kind: one.delay_seconds for one in account.findings}
    assert len(delays) == CLAIMED_FOUND
    late = {kind: delay for kind, delay in delays.items() if delay is None or delay > SOON_SECONDS}
    assert not late
    assert len(account.false_events) == CLAIMED_FALSE
