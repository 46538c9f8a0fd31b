"""The daemon: cameras in, the river in the main thread, events and states out."""

from __future__ import annotations

import logging
import platform
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edge import __version__
from edge.announcer import Announcer
from edge.besides import Besides, open_besides
from edge.capture import CameraStatus, Mailboxes
from edge.captures import Captures
from edge.chosen import EngineUnfit, keeps_up, open_chosen
from edge.clock import clock_state
from edge.command_actions import Reload, reload_where_wanted
from edge.desk import OpenDesk, open_desk
from edge.engine.key import l4t_release
from edge.engine.news import EngineNews
from edge.engine.work import EngineWork
from edge.errors import ConfigInvalid, PrednetError
from edge.evidence_desk import open_evidence
from edge.hooks import hooks_of, running_hooks
from edge.inference import GuardedRunner
from edge.messages import Info
from edge.model import Model
from edge.moments import Judge, Moment, Round
from edge.mqtt import Publisher
from edge.outbox import Outbox
from edge.page.page_desk import open_page
from edge.pipeline import watch
from edge.profile_switch import InForce
from edge.ring_desk import open_ring
from edge.setup import Device
from edge.supervision import Supervisor
from edge.throttle import Throttle
from edge.topics import default_device
from edge.updates.desk import fallen_back, took_over
from edge.upkeep import begin_upkeep
from edge.window import open_window

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
# Cameras whose frames come within half a frame's time share one step; a later one does not hold them up.
GATHER_PERIODS = 0.5
CPU = "onnxruntime-cpu"


@dataclass(frozen=True)
class OpenDevice:
    """What is open while a device is watched; `models` and `own_judges` are those in force, replaced between frames."""

    device: Device
    desk: OpenDesk
    mailboxes: Mailboxes
    captures: Captures
    besides: Besides
    in_force: InForce
    news: EngineNews
    supervisor: Supervisor
    models: dict[str, Model]
    own_judges: dict[str, Judge]

    def rounds(self, stopping: threading.Event) -> Iterator[Round]:
        """Yield what the cameras bring; between it serve commands and let the announcer tell of time that passes."""
        while not stopping.is_set() and not self.desk.is_reloading:
            yield from self.desk.switches.admit(self.mailboxes.take(TICK_SECONDS))
            self.captures.look_after()
            self.renew()
            self.desk.tick()
            if all(status.is_finished for status in self.mailboxes.status().values()):
                break
        yield Round({}, dict.fromkeys(self.mailboxes.status(), "stopped"))

    def renew(self) -> None:
        """Do what is due between two frames: take over other models, a reload, an engine; feed the watchdog."""
        self.besides.tick()
        for camera, model in self.in_force.changed():
            self.models[camera], self.own_judges[camera] = model, model.judge(self.device.config.detection.rules)
            self.desk.renew(camera, model.calibration.limit)
        self.news.tick()
        announcer, supervisor = self.desk.announcer, self.supervisor
        reload_where_wanted(supervisor.reload_is_wanted, self.desk.reload, announcer, self.device)
        supervisor.tick({camera: announcer.state_of(camera) for camera in self.models}, self.mailboxes.status())

    def tell(self, moment: Moment) -> None:
        """Let everyone hear of a moment who is to."""
        self.besides.see(moment)
        self.desk.announcer.tell(moment)
        self.supervisor.saw(moment.camera)


def watch_device(
    device: Device,
    stopping: threading.Event,
    see: Callable[[Moment, CameraStatus], None] | None = None,
    read_again: Callable[[], Device] | None = None,
    supervisor: Supervisor | None = None,
    throttle: Throttle | None = None,
) -> Device | None:
    """Run the river of a device until `stopping` is set or every file has ended; `see` is shown every moment.

    Return the device to go on with where a command had the configuration read again, otherwise None.
    """
    reload = Reload(read_again or (lambda: device))
    with ExitStack() as stack:
        outbox = stack.enter_context(_outbox(device, secrets.token_hex(4)))
        runner = _opened(device)
        if runner is None:
            return reload.read()
        stack.callback(runner.close)
        opened = stack.enter_context(
            open_device(device, outbox, runner, reload, supervisor or Supervisor(), throttle or Throttle())
        )
        period_seconds = 1.0 / runner.spec.form.rate_hz
        for moment in watch(opened.rounds(stopping), runner, opened.desk.judges, period_seconds):
            opened.tell(moment)
            if see is not None:
                see(moment, opened.mailboxes.status()[moment.camera])
        log.info("stopping")
    return None if stopping.is_set() else reload.device


@contextmanager
def open_device(
    device: Device, outbox: Outbox, runner: GuardedRunner, reload: Reload, supervisor: Supervisor, throttle: Throttle
) -> Iterator[OpenDevice]:
    """Open what stands around the river, the announcer before the broker and the cameras last; close it backwards."""
    models = dict(device.models)
    device = replace(device, models=models)
    judges = {camera: model.judge(device.config.detection.rules) for camera, model in models.items()}
    form = device.bundle.spec.form
    mailboxes = Mailboxes(list(device.config.cameras), gather_seconds=GATHER_PERIODS / form.rate_hz)
    with ExitStack() as stack:
        engines = stack.enter_context(closing(EngineWork(device.choice)))
        engines.begin()
        info = _info(device, outbox.boot_id, engines.told)
        publisher = Publisher(device.broker, device.topics, outbox, info, listen=_line_topics(device))
        stack.callback(publisher.close)
        desk = stack.enter_context(open_desk(device, publisher, outbox, mailboxes, judges, reload, engines=engines))
        in_force = InForce(device, publisher, desk.switches.hold, time.monotonic, time.time)
        stack.callback(desk.announcer.close)
        _tell_of_start(desk.announcer, engines, supervisor)
        _open_doors(stack, device, publisher, desk.announcer, outbox)
        page = stack.enter_context(open_page(device, publisher, desk, outbox.boot_id))
        desk.announcer.begin()  # everyone hears how open events ended but the recorder, which has nothing of them
        publisher.open()  # only now: every state is known, so that `online` is the last of them
        evidence = stack.enter_context(open_evidence(device, desk.announcer))
        ring = stack.enter_context(open_ring(device, desk.announcer, outbox.boot_id, models, desk.judges))
        upkeep = begin_upkeep(device, runner, desk.announcer, mailboxes, reload, throttle)
        others = stack.enter_context(open_besides(device, desk, outbox, mailboxes, publisher, runner.name))
        captures = Captures(form, mailboxes, tapes=evidence.tapes)
        stack.callback(captures.close)
        log.info("runner_chosen runner=%s choice=%r", runner.name, device.choice.told)
        if engines.is_building and device.choice.runner == CPU and not keeps_up(runner, form.rate_hz):
            desk.announcer.wait_for_engine()
        else:
            _start(captures, device, runner.name)
        supervisor.ready(device)
        besides, news = Besides((evidence, page, ring, upkeep, others)), EngineNews(engines, reload, publisher, info)
        yield OpenDevice(device, desk, mailboxes, captures, besides, in_force, news, supervisor, models, judges)


def _opened(device: Device) -> GuardedRunner | None:
    """Return the runner of a device, proved; None where another engine or bundle is to be chosen instead."""
    try:
        runner = GuardedRunner(
            lambda: open_chosen(device.choice, device.bundle, len(device.config.cameras), device.config.threads)
        )
    except EngineUnfit:  # it was dropped: the next reading chooses another
        return None
    except PrednetError as error:
        if not fallen_back(device, error):
            raise
        return None
    took_over(device)
    return runner


def _open_doors(stack: ExitStack, device: Device, publisher: Publisher, announcer: Announcer, outbox: Outbox) -> None:
    """Let others see without a broker: hooks, the window of this machine, Prometheus where it is asked for.

    A port that cannot be had is a fault, and no more.
    """
    stack.enter_context(running_hooks(device.config.hooks, outbox))
    folder = Path(device.config.state_directory)
    window = stack.enter_context(open_window(folder, device.topics, publisher.last))
    announcer.listeners += [] if window is None else [window.hear]
    if device.config.metrics.port:
        from edge.metrics import serving_metrics  # noqa: PLC0415 - opens the door of prometheus_client

        is_served = stack.enter_context(serving_metrics(device.config.metrics, device.topics, publisher.last))
        announcer.set_fault("metrics_refused", not is_served)


def _tell_of_start(announcer: Announcer, engines: EngineWork, supervisor: Supervisor) -> None:
    """Say what was wrong before the first frame."""
    announcer.set_fault("engine_mismatch", engines.has_failed)
    announcer.set_fault("config_invalid", bool(supervisor.refused))


def _line_topics(device: Device) -> list[str]:
    """The topics on which lines say what they do, which profiles hang on."""
    return sorted({camera.line.topic for camera in device.config.cameras.values() if camera.line.topic})


def _start(captures: Captures, device: Device, runner: str) -> None:
    for camera, source in device.captured.items():
        captures.start(camera, source)
    cameras, name = len(device.config.cameras), device.bundle.manifest.name
    log.info("watching cameras=%d runner=%s bundle=%s", cameras, runner, name)


def _outbox(device: Device, boot_id: str) -> Outbox:
    folder = Path(device.config.state_directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".writable").touch()
    except OSError as error:
        raise ConfigInvalid(
            f"{folder}: the state directory cannot be written ({error.strerror}); "
            f"set state_directory to a folder of the service's user."
        ) from error
    return Outbox(
        folder / "outbox.sqlite",
        device.topics.site,
        device.topics.device,
        boot_id,
        clock_state=clock_state,
        hooks=hooks_of(device.config.hooks),
    )


def _info(device: Device, boot_id: str, engine: str) -> Info:
    engines = device.choice.engines
    versions = {"prednet-edge": __version__, "python": platform.python_version()}
    if engines is not None:
        versions |= {"tensorrt": engines.target.tensorrt, "cuda": engines.target.facts.cuda}
    versions |= {"l4t": release} if (release := l4t_release()) else {}
    return Info(
        boot_id=boot_id,
        versions=versions,
        cameras=tuple(device.config.cameras),
        capabilities=("events", "score", "condition", "coverage", "health", "commands", "zones", "drift", "evidence"),
        config_hash=device.config_hash,
        engine=engine,
        bundle=device.bundle.digest,
        serial=default_device(),
    )
