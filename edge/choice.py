"""Which runner computes the steps of a device, which variant it takes, and why none of those before it.

`auto` takes TensorRT where it is usable, then ONNX Runtime's TensorRT or CUDA provider, then the CPU. What is named in
the configuration is taken or refused, never replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from edge.bundle import Bundle
from edge.config import Config
from edge.engine.making import FIRST_CHOICE, LAST_CHOICE, Kept, Target, Wish, kept_engines, target_here
from edge.engine.wishes import wish_of
from edge.errors import ConfigInvalid, DeviceUnavailable, PrednetError
from edge.model import AUTO, chosen_variant
from edge.runners import RunnerName, open_runner

ORDER: tuple[RunnerName, ...] = ("tensorrt", "onnxruntime-tensorrt", "onnxruntime-cuda", "onnxruntime-cpu")
FOR_GPU = {"onnxruntime-tensorrt": ("int8", "fp16", "float"), "onnxruntime-cuda": ("fp16", "float")}


@dataclass(frozen=True)
class Engines:
    """The engines of a device on which TensorRT is usable: what is wanted, for what, and what there is."""

    wish: Wish
    target: Target
    kept: Kept

    @property
    def has_failed(self) -> bool:
        """Whether no engine answers as it must, and none is left to be tried."""
        return self.kept.ready is None and not self.kept.unmade


@dataclass(frozen=True)
class Choice:
    """A runner and its variant; `reasons` say why each runner that was preferred to it was not taken.

    `engines` is there wherever TensorRT is usable, also while another runner serves until they are built.
    """

    runner: str
    variant: str
    reasons: tuple[str, ...] = ()
    engines: Engines | None = None

    @property
    def told(self) -> str:
        """The choice in one line."""
        because = f"; {'; '.join(self.reasons)}" if self.reasons else ""
        return f"{self.runner} with variant {self.variant}{because}"


class NoEngine(PrednetError):
    """TensorRT is usable and has no engine: not yet, or none that is right."""

    def __init__(self, engines: Engines) -> None:
        self.engines = engines
        super().__init__(f"no engine ({engines.kept.told})")


def choose(config: Config, bundle: Bundle, calibrated: Collection[str] = ()) -> Choice:
    """Return what computes a configuration's steps; `calibrated` are the variants that its cameras' files are for.

    Raises ConfigInvalid where the configuration names a runner that is not to be had here.
    """
    if config.predictor:
        return Choice(config.predictor, config.predictor)
    asked = config.variant if config.variant != AUTO else next(iter(calibrated), AUTO)
    reasons: list[str] = []
    engines = None
    for name in ORDER if config.runner == AUTO else (config.runner,):
        try:
            choice = _tried(name, config, bundle, asked)
        except PrednetError as error:
            reasons.append(f"not {name}: {str(error).rstrip('.')}")
            engines = error.engines if isinstance(error, NoEngine) else engines
        else:
            return replace(choice, reasons=tuple(reasons), engines=choice.engines or engines)
    if engines is not None:  # TensorRT alone was asked for: the CPU serves until it has an engine
        return replace(_on_cpu(config, bundle, asked), reasons=tuple(reasons), engines=engines)
    raise ConfigInvalid(f"runner: {config.runner} cannot be had: {'; '.join(reasons)}. 'runner: auto' takes what can.")


def variant_in_use(config: Config, bundle: Bundle) -> str:
    """Return the variant that the device runs, or will run once its engine is built: what cameras are calibrated for.

    Before an engine is there this is the first that is built; where another turns out faster, calibrate anew.
    """
    choice = choose(config, bundle)
    if choice.engines is not None and choice.engines.kept.ready is None and choice.engines.kept.unmade:
        return choice.engines.kept.unmade[0]
    return choice.variant


def _tried(name: RunnerName, config: Config, bundle: Bundle, asked: str) -> Choice:
    """Return the choice of one runner. Raises PrednetError with the reason where it is not to be had."""
    tries: dict[str, Callable[[], Choice]] = {
        "tensorrt": lambda: _on_tensorrt(config, bundle, asked),
        "onnxruntime-cpu": lambda: _on_cpu(config, bundle, asked),
    }
    return tries.get(name, lambda: _on_provider(name, config, bundle, asked))()


def _on_tensorrt(config: Config, bundle: Bundle, asked: str) -> Choice:
    if asked not in (AUTO, *FIRST_CHOICE, LAST_CHOICE):
        raise PrednetError(
            f"the variant {asked} is laid out for the CPU; set variant: auto, and calibrate cameras anew that were "
            f"calibrated for it (prednet-calibrate site)"
        )
    target = target_here()
    wish = wish_of(config, bundle, None if asked == AUTO else asked)
    engines = Engines(wish, target, kept_engines(wish, target))
    ready = engines.kept.ready
    if ready is None:
        raise NoEngine(engines)
    return Choice("tensorrt", ready.record.variant, engines=engines)


def _on_provider(name: RunnerName, config: Config, bundle: Bundle, asked: str) -> Choice:
    held = [one for one in FOR_GPU[name] if one in bundle.manifest.variants]
    variant = asked if asked != AUTO else (held or [chosen_variant(bundle, AUTO)])[0]
    if variant == "cpu":
        raise DeviceUnavailable("the variant cpu is laid out for the CPU")
    open_runner(bundle.step(variant), bundle.spec_of(variant), 1, config.threads, name).close()
    return Choice(name, variant)


def _on_cpu(config: Config, bundle: Bundle, asked: str) -> Choice:
    return Choice("onnxruntime-cpu", chosen_variant(bundle, asked))
