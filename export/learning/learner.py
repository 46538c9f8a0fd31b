"""One training step after another: sequences in, smaller errors out."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from export.learning.loss import UNCOUNTED, plain_loss, prediction_loss
from export.learning.network import PredNet, State
from export.learning.sequences import Batch, Lanes
from export.learning.settings import TrainingFailed
from export.learning.team import Team

LEARNING_RATES = {"original": 1e-3, "residual": 4e-3}
WARM_UP_SHARE = 0.02
LARGEST_GRADIENT = 1.0

# A network is given up after so many steps in a row without a gradient, or, once it had time to
# begin, with drawings that are the same in every lane.
DEAD_STEPS = 10
BEGUN_SHARE = 0.05
LEAST_SPREAD = 1e-6


class Learner:
    """A network, its optimiser and the streams that it learns from; `step` steps are done."""

    def __init__(
        self, network: PredNet, lanes: Lanes, team: Team, *, learning_rate: float | None, threshold: float
    ) -> None:
        network.to(team.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self.lanes, self.team, self.threshold = lanes, team, threshold
        self.head = network.architecture.head
        self.learning_rate = LEARNING_RATES[self.head] if learning_rate is None else learning_rate
        self.parameters = list(network.parameters())
        self.optimiser = torch.optim.Adam(self.parameters, lr=self.learning_rate)
        self.half = has_bfloat16(team.device)
        self.state: State | None = None
        self.step = self.dead_steps = 0
        team.share_weights(self.parameters)

    def learn(self, share: float, seconds: float) -> tuple[float, float]:
        """Take one step at `share` (0–1) of the budget; return the ranks' mean loss and mean `seconds`.

        Raises TrainingFailed for a loss that is not finite and for a network that has collapsed.
        """
        batch = self.lanes.draw(self.step)
        loss = self._loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        told, agreed = self.team.averaged(self.parameters, [loss.item(), seconds])
        gradient = float(nn.utils.clip_grad_norm_(self.parameters, LARGEST_GRADIENT))
        self._check(told, gradient, share)
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate * learning_rate_share(self.head, share)
        self.optimiser.step()
        self.step += 1
        return told, agreed

    def _loss(self, batch: Batch) -> Tensor:
        frames, fresh = self._on_device(batch)
        state = self._state(frames, fresh)
        before = torch.cat([state.last_frame[None], frames[:-1]])
        predictions = []
        with torch.autocast(self.team.device.type, torch.bfloat16, enabled=self.half):
            for seen in frames:
                prediction, state = self.network(seen, state)
                predictions.append(prediction)
        self.state = state.detached()
        counted = _counted(fresh, len(frames), UNCOUNTED[self.head])
        if self.head == "residual":
            return prediction_loss(torch.stack(predictions), frames, before, counted, self.threshold)
        return plain_loss(torch.stack(predictions), frames, counted)

    def _on_device(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return frames [T, N, C, H, W] in 0–1, and which lanes start anew, bool [N]."""
        images = torch.from_numpy(batch.images).to(self.team.device)
        return images.permute(0, 1, 4, 2, 3).float() / 255.0, torch.from_numpy(batch.fresh).to(self.team.device)

    def _state(self, frames: Tensor, fresh: Tensor) -> State:
        if self.state is None:
            return self.network.start(frames.shape[1])
        return self.state.kept(~fresh)

    def _check(self, loss: float, gradient: float, share: float) -> None:
        if not (math.isfinite(loss) and math.isfinite(gradient)):
            raise TrainingFailed(
                f"the loss is not finite at step {self.step + 1}; train anew with a lower --learning-rate "
                f"(this was {self.learning_rate:g})."
            )
        is_dead = (gradient == 0.0 and loss > 0.0) or (share >= BEGUN_SHARE and self._spread() < LEAST_SPREAD)
        self.dead_steps = self.dead_steps + 1 if is_dead else 0
        if self.dead_steps == DEAD_STEPS:
            raise TrainingFailed(
                f"the network has collapsed by step {self.step + 1}: it predicts the same whatever it sees "
                f"(loss {loss:.5f}); train anew with another --seed or a lower --learning-rate."
            )

    def _spread(self) -> float:
        """Return how much the drawings of the lanes differ; those of one lane, from pixel to pixel."""
        if self.state is None:
            return math.inf
        with torch.no_grad():
            drawn = self.network.drawn(self.state.r[0])
        if self.head == "original":
            drawn = drawn.clamp(0.0, self.network.architecture.pixel_max)
        return float(drawn.std(dim=0).mean() if len(drawn) > 1 else drawn.std())


def learning_rate_share(head: str, share: float) -> float:
    """Return the factor on the learning rate at `share` of the budget.

    Residual: a short rise, then a cosine to zero. Original: 1, then 0.1 for the second half, as Lotter 2017.
    """
    if head == "original":
        return 1.0 if share < 0.5 else 0.1
    rise = min(1.0, 0.05 + share / WARM_UP_SHARE)
    return rise * 0.5 * (1.0 + math.cos(math.pi * share))


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether the device multiplies bfloat16 in hardware, which takes half the time."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    facts = Path("/proc/cpuinfo")
    flags: list[str] = facts.read_text().split() if facts.exists() else []
    return "amx_bf16" in flags or "avx512_bf16" in flags


def _counted(fresh: Tensor, length: int, uncounted: int) -> Tensor:
    """Return bool [T, N]: the first predictions after an empty state do not count."""
    late = torch.arange(length, device=fresh.device)[:, None] >= uncounted
    return late | ~fresh[None]
