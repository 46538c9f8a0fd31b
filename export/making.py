"""The way from trained weights and normal footage to a bundle: variants, gate, compiler, golden answers, report."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.asked import Asked
from calibration.fit import error_ratio, fit_calibration, observe
from calibration.footage import footage_digest, read_footage
from calibration.parity import Rollout, roll_out
from edge.calibrated import Calibration, Limits
from edge.engine.making import step_milliseconds
from edge.errors import GateFailed
from edge.files import write_whole
from edge.runners import open_runner
from export.bundle import MadeVariant, Provenance, write_bundle
from export.compiling import Compiled, can_compile, compiled, told_differences
from export.golden import golden_answer, golden_frames
from export.importing.found import Given
from export.importing.network import read_network, settled
from export.report import Report, VariantReport, machine, report_html, report_json, told_trial
from export.step import spec_from_architecture, step_onnx
from export.variants.draft import opened
from export.variants.forms import FOR_TENSORRT, ROUNDED, VARIANTS, Form
from export.variants.lint import lint
from export.variants.settling import Ranges, Settled, Source, measured_ranges, settle

Stage = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Wanted:
    """What the bundle is to hold: variants, and what may be done where one fails the gate.

    With `demands_int8` the export fails where a variant fails the gate, and is not left out; without `may_return`
    every convolution that a variant can round stays whole. `steps` are the gate's closed-loop steps; `command` is
    told in the report, and `licence` in the manifest. `asked` is asked of the limits.
    """

    variants: tuple[str, ...]
    demands_int8: bool
    may_return: bool
    steps: int
    command: str
    licence: str
    asked: Asked


@dataclass(frozen=True)
class Made:
    """What came of an export.

    `ratio` is the network's error over that of repeating the last frame, on the normal footage;
    `is_training_footage` is true where the limits were fitted on the very footage that it was trained on;
    `notes` tell what was taken on trust of a network that another program trained, and what the gate left out.
    """

    limits: Limits
    ratio: float
    megabytes: float
    is_training_footage: bool
    notes: tuple[str, ...] = ()
    variants: list[VariantReport] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def make_bundle(
    files: Sequence[Path],
    given: Given,
    footage: Sequence[str],
    out: Path,
    stage: Stage,
    wanted: Wanted,
    seconds: dict[str, float],
) -> Made:
    """Write the bundle of a checkpoint or of another program's network, everything fitted on `footage`.

    `stage` is told a stage's name, the frames done and the frames in all (0 where they are not counted); `seconds`
    are the stages' durations, as `stage` keeps them. The report lies beside the bundle too.
    Raises PrednetError where network or footage cannot be used, GateFailed where INT8 was demanded and not reached.
    """
    found = read_network(files, given)
    spec = spec_from_architecture(found.architecture)
    clips = read_footage(footage, spec.form, lambda name: stage(f"reading {name}", 0, 0))
    network, _ = settled(found, clips if len(found.readings) > 1 else (), lambda name: stage(name, 0, 0))
    stage("writing the step", 0, 0)
    source = Source(
        found.architecture,
        step_onnx(found.architecture, network.weights),
        spec,
        clips,
        wanted.steps,
        wanted.asked,
    )
    compared = _compared(source, wanted, stage)
    report, page = _reports(source, compared, wanted, out.stem, seconds, stage)
    _write_beside(out, report, page)
    _refuse_below_demand(wanted, compared.others, out)
    stage("golden answers", 0, 0)
    _write(out, source, compared, network.facts, wanted, {"report.json": report_json(report), "report.html": page})
    kernels = (network.told_kernels,) if network.errors else ()
    trial = told_trial([one.parity for one in compared.others])
    notes = (*found.notes, *kernels, *network.warnings, *_told_left(compared.others), *trial)
    is_training_footage = report.footage_digest == network.facts.get("footage")
    limits, megabytes = compared.calibration.limits, out.stat().st_size / 1e6
    return Made(limits, compared.ratio, megabytes, is_training_footage, notes, report.variants, seconds)


@dataclass(frozen=True)
class _Compared:
    """The float step as it was fitted, and every variant as it left the gate; no rollout without variants."""

    calibration: Calibration
    rollout: Rollout | None
    ratio: float
    ranges: Ranges | None
    others: list[Settled]

    @property
    def kept(self) -> list[Settled]:
        """The variants that passed."""
        return [one for one in self.others if not one.parity.failures]


def _compared(source: Source, wanted: Wanted, stage: Stage) -> _Compared:
    calibration, rollout, ratio = _float(source, wanted, stage)
    ranges = measured_ranges(source, stage) if set(wanted.variants) & set(ROUNDED) else None
    others = _settled(source, wanted, ranges, rollout, stage)
    return _Compared(calibration, rollout, ratio, ranges, others)


def _reports(
    source: Source, compared: _Compared, wanted: Wanted, name: str, seconds: dict[str, float], stage: Stage
) -> tuple[Report, bytes]:
    """Return the report and its page, empty where there is nothing to compare."""
    forms = [source.float_form, *(one.form for one in compared.others)]
    stage("compiling for the lint and SM 8.6", 0, 0)
    checks = [_checked(form) for form in forms]
    stage("timing", 0, 0)
    variants = [_reported(form, compared.others, check) for form, check in zip(forms, checks, strict=True)]
    stage("report", 0, 0)
    frames, digest = sum(len(clip.images) for clip in source.clips), footage_digest(source.clips)
    report = Report(
        name, _now(), wanted.command, machine(), tools(), frames, digest, compared.ratio, compared.ranges, variants,
        dict(seconds),
    )  # fmt: skip
    if compared.rollout is None:
        return report, b""
    return report, report_html(report, compared.rollout, {one.form.name: one.rollout for one in compared.others})


def _write(
    out: Path,
    source: Source,
    compared: _Compared,
    facts: Mapping[str, object],
    wanted: Wanted,
    reports: dict[str, bytes],
) -> None:
    frames = golden_frames(source.spec.form)
    made = [_made(source.float_form, compared.calibration, frames, None)]
    made += [_made(one.form, one.calibration, frames, compared.ranges) for one in compared.kept]
    held = {name: data for name, data in reports.items() if data}
    provenance = Provenance(wanted.command, tools(), wanted.licence, held)
    write_bundle(out, source.architecture, source.spec, made, facts, frames=frames, provenance=provenance)


def _float(source: Source, wanted: Wanted, stage: Stage) -> tuple[Calibration, Rollout | None, float]:
    """Calibration, rollout and error ratio of the float step; no rollout where nothing is compared with it."""
    total = sum(len(clip.images) for clip in source.clips)
    rollout = None
    with closing(open_runner(source.step, source.spec, slots=1)) as runner:
        observations = observe(source.clips, runner, lambda done: stage("float: watching normal footage", done, total))
        stage("fitting normality and limits", 0, 0)
        calibration = fit_calibration(source.clips, observations, source.spec.form.rate_hz, wanted.asked)
        if set(wanted.variants) - {"float"}:
            rollout = roll_out(source.clips, runner, calibration, source.steps,
                                lambda done: stage("float: the gate", done, source.steps))  # fmt: skip
    return calibration, rollout, error_ratio(observations)


def _settled(
    source: Source, wanted: Wanted, ranges: Ranges | None, rollout: Rollout | None, stage: Stage
) -> list[Settled]:
    names = [name for name in VARIANTS if name in wanted.variants and name != "float"]
    may_return = wanted.may_return
    if rollout is None:
        return []
    return [settle(source, name, ranges.ranges if ranges else {}, rollout, may_return, stage) for name in names]


def _checked(form: Form) -> tuple[Compiled | None, str]:
    """What lint and compiler say of a variant's step. Raises GateFailed where they contradict the manifest's claim."""
    if form.name not in FOR_TENSORRT:
        return None, "not for TensorRT"
    told = [f"{breach.rule}: {breach.told}" for breach in lint(form.step, form.convolutions)]
    made = compiled(form.step) if can_compile() else None
    told += told_differences(made, form.convolutions) if made else []
    if told:
        raise GateFailed(f"step.{form.name}.onnx breaks the rules of INT8 for TensorRT: {'; '.join(told)}.")
    if made is None:
        return None, "not run: tensorrt-rtx is not installed"
    return made, f"{len(made.int8)} of {len(made.convolutions)} INT8"


def _reported(form: Form, others: Sequence[Settled], check: tuple[Compiled | None, str]) -> VariantReport:
    one = next((one for one in others if one.form.name == form.name), None)
    return VariantReport(
        name=form.name,
        bytes=len(form.step),
        is_kept=one is None or not one.parity.failures,
        int8=form.convolutions,
        convolutions=_convolutions(form),
        parity=one.parity if one else None,
        failures=tuple(one.parity.failures) if one else (),
        returned=one.returned if one else [],
        compiler=check[0],
        compiler_told=check[1],
        step_milliseconds=_milliseconds(form) if form.name in ("float", "cpu") else None,
    )


def _milliseconds(form: Form) -> float:
    with closing(open_runner(form.step, form.spec, slots=1)) as runner:
        return step_milliseconds(runner)


def _convolutions(form: Form) -> int:
    """How many there are; the parts that a layout takes one apart into, `gates.0.own` and `gates.0.above`, are one."""
    nodes = [node for node in opened(form.step).graph.nodes if node.op_type in ("Conv", "QLinearConv")]
    return len({".".join(node.output[0].removeprefix("conv_").split(".")[:2]) for node in nodes})


def _made(form: Form, calibration: Calibration, frames: NDArray[np.uint8], ranges: Ranges | None) -> MadeVariant:
    golden = golden_answer(form, frames)
    states = form.spec.states if form.convolutions else None
    held = ranges.ranges if ranges and form.convolutions else {}
    return MadeVariant(form.name, form.step, calibration, states, golden, form.convolutions, _convolutions(form), held)


def _write_beside(out: Path, report: Report, page: bytes) -> None:
    write_whole(out.with_suffix(".report.json"), report_json(report))
    if page:
        write_whole(out.with_suffix(".report.html"), page)


def _refuse_below_demand(wanted: Wanted, others: Sequence[Settled], out: Path) -> None:
    if not wanted.demands_int8:
        return
    for one in others:
        if one.parity.failures:
            raise GateFailed(
                f"{one.form.name} fails the gate: {'; '.join(one.parity.failures)}. {out} was not written; see "
                f"{out.with_suffix('.report.html')}, allow layers to return to float with --allow-fallback, or give "
                f"more footage."
            )


def _told_left(others: Sequence[Settled]) -> list[str]:
    told = []
    for one in others:
        if one.parity.failures:
            told.append(f"{one.form.name} is not in the bundle: {'; '.join(one.parity.failures)}")
        elif one.returned:
            names = ", ".join(back.convolution for back in one.returned)
            share = 100 * sum(back.share for back in one.returned)
            told.append(f"{one.form.name} passes with {names} in float ({share:.1f} % of the multiplications)")
    return told


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def tools() -> dict[str, str]:
    """Return the versions of what a bundle's steps were made and measured with."""
    names = ("prednet-edge", "numpy", "onnx", "onnxruntime", "tensorrt-rtx-cu13")
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
