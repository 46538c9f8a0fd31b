"""Training on several GPUs or machines: every rank learns from its own sequences, all take one step.

Started by `torchrun`; without it the team is one. Gradients are averaged by hand in one transfer,
together with what the ranks must agree on: the loss, and how much of the budget is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from edge.errors import UsageError


@dataclass(frozen=True)
class Team:
    """The ranks of one training; `rank` 0 is the one that writes and talks."""

    rank: int
    size: int
    device: torch.device

    def share_weights(self, parameters: Sequence[Tensor]) -> None:
        """Give every rank the weights of rank 0."""
        if self.size > 1:
            for parameter in parameters:
                distributed.broadcast(parameter.data, src=0)

    def averaged(self, parameters: Sequence[Tensor], numbers: Sequence[float]) -> list[float]:
        """Replace all gradients by their mean over the ranks, and return the means of `numbers`."""
        if self.size == 1:
            return list(numbers)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        told = torch.tensor(numbers, dtype=torch.float32, device=self.device)
        flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), told])
        distributed.all_reduce(flat)
        flat /= self.size
        pieces = torch.split(flat, [*(gradient.numel() for gradient in gradients), len(numbers)])
        for gradient, mean in zip(gradients, pieces, strict=False):
            gradient.copy_(mean.view_as(gradient))
        return [float(number) for number in pieces[-1]]

    def shared(self, data: bytes | None) -> bytes | None:
        """Return rank 0's `data` on every rank, other machines included."""
        told = [data]
        if self.size > 1:
            distributed.broadcast_object_list(told, src=0, device=self.device)
        return told[0]


@contextmanager
def joined_team(device: str) -> Iterator[Team]:
    """Join the ranks that torchrun started, and leave them at the end; a team of one without it."""
    if not distributed.is_torchelastic_launched():
        yield Team(0, 1, _device(device, 0))
        return
    distributed.init_process_group("nccl" if _uses_cuda(device) else "gloo")
    try:
        rank = distributed.get_rank()
        yield Team(rank, distributed.get_world_size(), _device(device, distributed.get_node_local_rank()))
    finally:
        distributed.destroy_process_group()


def _uses_cuda(device: str) -> bool:
    return device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())


def _device(device: str, local_rank: int) -> torch.device:
    if device not in {"auto", "cpu"} and not device.startswith("cuda"):
        raise UsageError(f"device is {device}; it must be auto, cpu, cuda or cuda:N.")
    if not _uses_cuda(device):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise UsageError(f"device is {device}, but this machine's PyTorch finds no CUDA device; use --device cpu.")
    chosen = torch.device(device) if ":" in device else torch.device("cuda", local_rank)
    torch.cuda.set_device(chosen)
    return chosen
