"""What there is to say of a device's bundles: for people, for machines, for the command `diagnostics`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from edge.config import Config
from edge.updates.shadow import Report, Tally, read_report
from edge.updates.store import BundleStore, State, short_digest

NEWEST = 3


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that is kept: its name, digest, when it was made, and what it is used as."""

    name: str
    digest: str
    created: str
    used_as: tuple[str, ...]
    calibrations: tuple[str, ...]
    refused: str | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The bundles of a device, and what its shadow has said."""

    state: State
    bundles: tuple[Installed, ...]
    shadow: Report | None = None


def status_of(config: Config) -> Status:
    """Return what a device keeps and uses."""
    store = BundleStore(Path(config.state_directory))
    state = store.state
    return Status(state=state, bundles=tuple(_installed(store, state)), shadow=_shadow(store, state))


def _shadow(store: BundleStore, state: State) -> Report | None:
    return read_report(store.folder_of(state.shadow)) if state.shadow else None


def _installed(store: BundleStore, state: State) -> Iterator[Installed]:
    for bundle in store.installed():
        uses = {"live": state.live, "previous": state.previous, "shadow": state.shadow}
        uses |= {"on trial": "" if state.trial is None else state.trial.digest}
        yield Installed(
            name=bundle.manifest.name,
            digest=bundle.digest,
            created=bundle.manifest.created,
            used_as=tuple(use for use, digest in uses.items() if digest == bundle.digest),
            calibrations=tuple(sorted(path.stem for path in bundle.path.parent.glob("*.normal"))),
            refused=state.refused.get(bundle.digest),
        )


def lines_of_status(status: Status) -> Iterator[str]:
    """Yield lines for people."""
    if not status.bundles:
        yield "no bundle is kept yet; the daemon keeps the one that it runs, and 'bundle install' adds others"
    for one in status.bundles:
        uses = ", ".join(one.used_as) or "installed"
        own = f", calibrations: {', '.join(one.calibrations)}" if one.calibrations else ""
        own += f"; refused: {one.refused}" if one.refused else ""
        yield f"{one.name:<20} {short_digest(one.digest)}  {uses}{own}"
    verdict, trial = status.state.verdict, status.state.trial
    if trial is not None:
        yield f"on trial since {trial.since}"
    if verdict is not None:
        yield f"{verdict.time} {short_digest(verdict.digest)} {verdict.outcome.replace('_', ' ')}: {verdict.reason}"
    if status.shadow is not None:
        yield from lines_of_report(status.shadow)


def lines_of_report(report: Report) -> Iterator[str]:
    """Yield what a shadow has said, for people."""
    share = report.frames / report.live_frames if report.live_frames else 0.0
    yield f"shadow since {report.since}: {report.frames} frames, {share:.0%} of the live bundle's" + (
        f"; FAILED: {report.failure}" if report.failure else ""
    )
    for camera, tally in report.cameras.items():
        yield f"  {camera}: {_told_tally(tally)}"
    for one in report.disagreements[-NEWEST:]:
        x0, y0, x1, y1 = one.bbox
        where = f"({x0:g}, {y0:g} to {x1:g}, {y1:g})"
        yield (
            f"  {one.time} {one.camera}: only {one.only} {where}; live {one.live_score:g} of "
            f"{one.live_limit:g}, shadow {one.shadow_score:g} of {one.shadow_limit:g}"
        )


def _told_tally(tally: Tally) -> str:
    return (
        f"{tally.bursts} looks: {tally.neither} quiet in both, {tally.both} over the limit in both, "
        f"{tally.only_live} in live alone, {tally.only_shadow} in shadow alone"
    )


def told_updates(config: Config) -> dict[str, Any]:
    """Return the same in short, for a reply over MQTT; no bundle is read, because the river waits for it."""
    store = BundleStore(Path(config.state_directory))
    state = store.state
    told: dict[str, Any] = {"live": state.live, "previous": state.previous}
    if state.trial is not None:
        told["on_trial_since"] = state.trial.since
    if state.verdict is not None:
        told["verdict"] = msgspec.to_builtins(state.verdict)
    if (report := _shadow(store, state)) is not None:
        shadow = msgspec.to_builtins(report)
        told["shadow"] = shadow | {"disagreements": shadow["disagreements"][-NEWEST:]}
    return told
