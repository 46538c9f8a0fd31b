"""The report of an export: what each variant is worth, in JSON for programs and on one page for people."""

from __future__ import annotations

import base64
import html
import os
import platform
from collections.abc import Mapping, Sequence

import msgspec

from calibration.parity import (
    LEAST_AGREEMENT,
    LEAST_QUANTILE_AGREEMENT,
    LEAST_RANK_CORRELATION,
    LEAST_STEPS,
    MOST_DRIFT,
    Parity,
    Rollout,
)
from calibration.parity_chart import draw_predictions, draw_surprise
from export.compiling import Compiled
from export.variants.settling import Ranges, Returned


class VariantReport(msgspec.Struct, frozen=True):
    """One variant: what the gate found, which convolutions are whole and which returned to float, and the compiler.

    `is_kept` is false where it failed the gate and is not in the bundle; `step_milliseconds` is the median on this
    machine where the variant is meant for its processor; `compiler` is None where the check was not run.
    """

    name: str
    bytes: int
    is_kept: bool
    int8: tuple[str, ...]
    convolutions: int
    parity: Parity | None
    failures: tuple[str, ...]
    returned: list[Returned]
    compiler: Compiled | None
    compiler_told: str
    step_milliseconds: float | None


class Report(msgspec.Struct, frozen=True):
    """A whole export. `seconds` are the stages' durations."""

    name: str
    created: str
    command: str
    machine: str
    tools: dict[str, str]
    footage_frames: int
    footage_digest: str
    error_ratio: float
    ranges: Ranges | None
    variants: list[VariantReport]
    seconds: dict[str, float]


def machine() -> str:
    """Return what this machine is, in a few words."""
    return f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}"


def report_json(report: Report) -> bytes:
    """Return the report as JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1)


def report_html(report: Report, reference: Rollout, rollouts: Mapping[str, Rollout]) -> bytes:
    """Return the report as one page that needs no other file: pictures are inside it."""
    parts = [f"<h1>{html.escape(report.name)}: what the export kept of the network</h1>", _told_head(report)]
    parts += ["<h2>Variants</h2>", _variants_table(report)]
    if rollouts:
        parts += ["<h2>Predictions side by side</h2>", _picture(draw_predictions(reference, rollouts), "predictions")]
    for name, rollout in rollouts.items():
        parts += [
            f"<h2>Surprise: float and {html.escape(name)}</h2>",
            _picture(draw_surprise(reference, rollout, name), name),
        ]
    parts += [_returned_table(one) for one in report.variants if one.returned]
    if report.ranges is not None:
        parts += ["<h2>Calibration</h2>", _observers_table(report.ranges)]
    parts += ["<h2>How it was made</h2>", _told_making(report)]
    return _PAGE.format(title=html.escape(report.name), body="\n".join(parts)).encode()


def _told_head(report: Report) -> str:
    kept = [one.name for one in report.variants if one.is_kept]
    parities = [one.parity for one in report.variants if one.parity]
    trial = "".join(f"<p><b>{told}</b></p>" for told in told_trial(parities))
    return (
        f"<p>Kept: <b>{html.escape(', '.join(kept))}</b>. The network's error is <b>{report.error_ratio:.2f}</b> of "
        f"that of repeating the last frame, on {report.footage_frames} frames of normal work.</p>{trial}"
        f"<p class=note>Every variant ran over the same footage in closed loop beside the float step, through the code "
        f"that watches cameras, each with the normality fitted on itself. Asked for: rank correlation of the surprise "
        f"at least {LEAST_RANK_CORRELATION:g}, agreement at the limit at least {LEAST_AGREEMENT:g} and at the level's "
        f"quantiles of 90 % and 99 % at least {LEAST_QUANTILE_AGREEMENT:g}, drift at most {MOST_DRIFT:g} standard "
        f"deviations from the first to the last fifth.</p>"
    )


def told_trial(parities: Sequence[Parity]) -> list[str]:
    """Return in words that the gate was shorter than a bundle is to be trusted on; empty where it was not."""
    steps = min((one.steps for one in parities), default=LEAST_STEPS)
    return [f"A trial: the gate ran over {steps} steps, and {LEAST_STEPS} are needed."] if steps < LEAST_STEPS else []


def _variants_table(report: Report) -> str:
    heads = ("variant", "MB", "INT8 layers", "steps", "rank correlation", "agreement at the limit", "at the quantiles",
             "drift (sd)", "predictions apart (grey levels)", "error beside float", "compiler (SM 8.6)",
             "ms a step here", "gate")  # fmt: skip
    return _table(heads, [_variant_row(one) for one in report.variants])


def _variant_row(one: VariantReport) -> list[str]:
    gate = "passed" if not one.failures else "; ".join(one.failures)
    found = ["–"] * 7
    if one.parity is not None:
        parity = one.parity
        found = [
            f"{parity.steps}",
            f"{parity.rank_correlation:.4f}",
            f"{100 * parity.agreement:.2f} %",
            f"{100 * parity.quantile_agreement:.2f} %",
            f"{parity.drift:.3f}",
            f"{parity.prediction_levels:.2f}",
            f"{parity.error_ratio:.3f}",
        ]
    speed = "–" if one.step_milliseconds is None else f"{one.step_milliseconds:.1f}"
    whole = f"{len(one.int8)} of {one.convolutions}"
    name = one.name if one.is_kept else f"{one.name} (left out)"
    return [
        name,
        f"{one.bytes / 1e6:.2f}",
        whole,
        *found,
        one.compiler_told,
        speed,
        gate if one.parity else "reference",
    ]


def _returned_table(one: VariantReport) -> str:
    rows = [
        [back.convolution, f"{100 * back.deviation:.2f} %", f"{100 * back.share:.1f} %", f"{back.bytes / 1e3:.1f} kB"]
        for back in one.returned
    ]
    heads = ("layer", "its own deviation of the error maps", "multiplications no longer INT8", "larger by")
    return f"<h2>{html.escape(one.name)}: returned to float, the most sensitive first</h2>{_table(heads, rows)}"


def _observers_table(ranges: Ranges) -> str:
    rows = [
        [name + (" (chosen)" if name == ranges.observer else ""), f"{100 * found:.2f} %"]
        for name, found in sorted(ranges.deviations.items(), key=lambda pair: pair[1])
    ]
    told = f"Ranges over {ranges.frames} closed-loop steps, half of them with INT8 states; the closest observer counts."
    return f"<p>{told}</p>" + _table(("observer", "deviation of the error maps in INT8"), rows)


def _told_making(report: Report) -> str:
    tools = ", ".join(f"{name} {version}" for name, version in report.tools.items())
    stages = [[name, f"{seconds:.1f} s"] for name, seconds in report.seconds.items()]
    return (
        f"<pre>{html.escape(report.command)}</pre><p>{html.escape(report.created)}; {html.escape(report.machine)}; "
        f"{html.escape(tools)}; footage {html.escape(report.footage_digest)}</p>{_table(('stage', 'took'), stages)}"
    )


def _table(heads: tuple[str, ...], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _picture(png: bytes, name: str) -> str:
    return f'<img alt="{html.escape(name)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #20242a; max-width: 1180px; margin: 2em auto; padding: 0 1em }}
table {{ border-collapse: collapse; margin: .5em 0 1.5em; font-size: 13px }}
th, td {{ text-align: left; padding: .3em .8em .3em 0; border-bottom: 1px solid #dfe3e8; vertical-align: top }}
th {{ font-weight: 600; color: #59626e }}
img {{ max-width: 100% }}
pre {{ background: #f4f6f8; padding: .8em; overflow-x: auto; white-space: pre-wrap }}
.note {{ color: #59626e }}
</style></head><body>
{body}
</body></html>
"""
