"""The bundle of a predictor that needs no network: it stands in no file, and nothing in it was trained."""

from __future__ import annotations

from pathlib import Path

from edge import __version__
from edge.bundle import BUNDLE, Bundle, Manifest, Variant
from edge.frames import FrameFormat
from edge.runners import open_predictor

# What a `.normal` is made for: raise it whenever the numbers of a predictor change.
REVISION = 1
# The size at which flow keeps within a frame's time on a small processor.
DEFAULT_FORM = FrameFormat(height=128, width=160, channels=1, rate_hz=10.0)
_PREDICTOR = "predictor"


def bundle_from_predictor(name: str, form: FrameFormat) -> Bundle:
    """Return the bundle that stands for a predictor on frames of this form, with the one variant `name`.

    It holds no calibration: each camera brings its own. Raises UsageError for a predictor that is not known.
    """
    runner = open_predictor(name, form, slots=1)
    spec = runner.spec
    runner.close()
    manifest = Manifest(
        format=BUNDLE.format,
        format_version=BUNDLE.format_version,
        files={},
        name=name,
        created="",
        made_by=f"prednet-edge {__version__}",
        frame=form,
        layers=spec.layers,
        grid=spec.grid,
        states=spec.states,
        architecture={_PREDICTOR: name},
        training={},
        footage_digest="",
        variants={name: Variant(step="", normality="", limits="")},
    )
    colour = "grey" if form.channels == 1 else "rgb"
    digest = f"builtin:{name}-{REVISION}:{form.width}x{form.height}-{colour}"
    return Bundle(Path(name), digest, manifest, {})


def predictor_of(bundle: Bundle) -> str | None:
    """Return the name of the predictor that a bundle stands for; None for a bundle of a network."""
    name = bundle.manifest.architecture.get(_PREDICTOR)
    return name if isinstance(name, str) and not bundle.manifest.files else None
