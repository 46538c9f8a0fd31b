"""The builder: the bytes of an ONNX step become the bytes of an engine for the GPU of this machine.

Written for TensorRT 10.3, 10.13, 10.16 and 11; the module comes from `edge.engine.library`. Every network is strongly
typed: what is INT8 and what is float16 stands in the step. TensorRT 10.3 alone may refuse that; there the weak typing
of old honours the same explicit Q/DQ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from edge.engine.child import Progress
from edge.engine.library import given, version_of
from edge.errors import PrednetError
from edge.runner import MOST_CAMERAS

# From here on a strongly typed INT8 network builds wherever a weakly typed one does.
_FIRST_WITHOUT_WEAK = (10, 4)
_MEGABYTE = 1 << 20
_WORDS_KEPT = 20

Typing = Literal["strong", "weak"]


class BuildOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What changes the engine: the most `cameras` that it takes and is tuned for, working memory, effort 0–5.

    The boards share 8 GB between processor and GPU: a builder without a limit is killed there.
    """

    cameras: int = 1
    workspace_mib: int = 512
    level: int = 3


@dataclass(frozen=True)
class Built:
    """An engine's bytes, how its types were decided, and what the builder learned about the device's kernels."""

    plan: bytes
    typing: Typing
    timing_cache: bytes


class EngineRefused(PrednetError):
    """TensorRT takes the step for wrong or cannot build it; `words` are its own."""

    def __init__(self, version: str, words: tuple[str, ...]) -> None:
        self.words = words
        super().__init__(f"TensorRT {version} makes no engine of the step: {words[0]}")


def profile_cameras(cameras: int) -> int:
    """Return the batch that an engine for so many cameras is built for: the next power of two.

    One camera more does not mean another engine each time. Raises PrednetError above MOST_CAMERAS.
    """
    if not 1 <= cameras <= MOST_CAMERAS:
        raise PrednetError(f"{cameras} cameras; one step takes 1 to {MOST_CAMERAS}.")
    return 1 << (cameras - 1).bit_length()


def plan_from_onnx(
    trt: Any,
    step: bytes,
    options: BuildOptions,
    *,
    timing_cache: bytes = b"",
    progress: Progress = lambda phase, share: None,
    configure: Callable[[Any], None] = lambda config: None,
) -> Built:
    """Return the engine of a step. Raises EngineRefused with TensorRT's own words.

    `timing_cache` is an earlier build's on this device; `progress` is told the phase and how much of it is done, 0–1;
    `configure` may set what a kind of TensorRT has beyond the others.
    """
    logger = logger_of(trt)
    typings: tuple[Typing, ...] = ("strong", "weak") if version_of(trt) < _FIRST_WITHOUT_WEAK else ("strong",)
    if is_rtx(trt):
        typings = ("strong",)
    words: list[str] = []
    for typing in typings:
        built = _attempt(trt, logger, step, options, typing, timing_cache, progress, configure, words)
        if built is not None:
            return built
    raise EngineRefused(str(trt.__version__), tuple(words))


def is_rtx(trt: Any) -> bool:
    """Say whether this is TensorRT for RTX, whose version numbers are its own."""
    return str(trt.__name__) == "tensorrt_rtx"


def logger_of(trt: Any) -> Any:
    """Return a logger that keeps the last warnings and errors in its `words`, for our own messages."""

    class Heard(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.words: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.words[:] = [*self.words[1 - _WORDS_KEPT :], str(message)]

    return Heard()


def _attempt(
    trt: Any,
    logger: Any,
    step: bytes,
    options: BuildOptions,
    typing: Typing,
    timing_cache: bytes,
    progress: Progress,
    configure: Callable[[Any], None],
    words: list[str],
) -> Built | None:
    """Build once; None where it does not go, with the reasons added to `words`."""
    builder = given(trt, "Builder", logger)
    strong = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)  # 1 << 1 in 10.3, 1 << 0 in 11
    network = builder.create_network(strong if typing == "strong" else 0)
    parser = trt.OnnxParser(network, logger)  # the network is held as long as the parser: it crashes otherwise
    if not parser.parse(step):
        words += [f"{typing} typing: {parser.get_error(number)}" for number in range(parser.num_errors)]
        return None
    config = _configured(trt, builder, network, options, timing_cache)
    _allow_precisions(trt, config, _kinds(network), typing)
    monitor = monitor_of(trt, progress)  # the configuration does not hold it
    config.progress_monitor = monitor
    configure(config)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        words += [f"{typing} typing: it was parsed, and could not be built", *logger.words]
        return None
    return Built(bytes(plan), typing, bytes(config.get_timing_cache().serialize()))


def _configured(trt: Any, builder: Any, network: Any, options: BuildOptions, timing_cache: bytes) -> Any:
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib * _MEGABYTE)
    config.builder_optimization_level = options.level
    if not config.set_timing_cache(config.create_timing_cache(timing_cache), False):
        config.set_timing_cache(config.create_timing_cache(b""), False)  # another device's or version's
    profile = builder.create_optimization_profile()
    for number in range(network.num_inputs):
        tensor = network.get_input(number)
        shape = tuple(tensor.shape)[1:]
        profile.set_shape(tensor.name, *((cameras, *shape) for cameras in (1, options.cameras, options.cameras)))
    config.add_optimization_profile(profile)
    return config


def _kinds(network: Any) -> set[Any]:
    """Return the types of all values inside a network."""
    kinds = set()
    for number in range(network.num_layers):
        layer = network.get_layer(number)
        kinds |= {layer.get_output(output).dtype for output in range(layer.num_outputs)}
    return kinds


def _allow_precisions(trt: Any, config: Any, kinds: set[Any], typing: Typing) -> None:
    """Let kernels of the step's own types be taken, and no others.

    A step of float32 alone is computed in float32: with TF32's ten bits it would miss its golden answer. Weak typing
    must be told what else it may use.
    """
    if trt.DataType.INT8 not in kinds and trt.DataType.HALF not in kinds:
        config.clear_flag(trt.BuilderFlag.TF32)
        return
    if typing == "weak":
        config.set_flag(trt.BuilderFlag.FP16)
        if trt.DataType.INT8 in kinds:
            config.set_flag(trt.BuilderFlag.INT8)


def monitor_of(trt: Any, progress: Progress) -> Any:
    """Return a progress monitor that tells the outermost phase and its share; TensorRT calls it from its threads."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            if parent_phase is None:
                self.steps[phase_name] = num_steps
                progress(phase_name, 0.0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            if phase_name in self.steps:
                progress(phase_name, min(1.0, (step + 1) / max(self.steps[phase_name], 1)))
            return True

        def phase_finish(self, phase_name: str) -> None:
            if self.steps.pop(phase_name, None) is not None:
                progress(phase_name, 1.0)

    return Monitor()
