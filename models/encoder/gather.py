"""Tensors across ranks: this rank's rows enter, the rows of all ranks leave; without a process group, the same rows."""

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from models.losses.ranks import Reduction


def world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if world_size() > 1 else 0


@torch.no_grad()
def over_ranks(value: Tensor, reduction: Reduction) -> Tensor:
    """The sum, maximum or mean of a tensor over ranks, with no gradient."""
    if world_size() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total, op=dist.ReduceOp.MAX if reduction == "max" else dist.ReduceOp.SUM)
    return total / world_size() if reduction == "mean" else total


@torch.no_grad()
def gather(rows_N: Tensor) -> Tensor:
    """Rows of all ranks in rank order, with no gradient (SynCLR's keys are frozen). Equal numbers on every rank."""
    if world_size() == 1:
        return rows_N.detach()
    parts = [torch.empty_like(rows_N) for _ in range(world_size())]
    dist.all_gather(parts, rows_N.detach().contiguous())
    return torch.cat(parts)


def agreed(answer: bool) -> bool:
    """What the first rank says, on every rank."""
    if world_size() == 1:
        return answer
    said = [answer]
    dist.broadcast_object_list(said, src=0)
    return said[0]


class _SumWithGradient(torch.autograd.Function):
    """All-reduce whose backward adds up what every rank asks of the sum."""

    @staticmethod
    def forward(_ctx: Any, value: Tensor) -> Tensor:
        return over_ranks(value, "sum")

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        return over_ranks(gradients[0], "sum")


def everywhere(value: Tensor) -> Tensor:
    """The mean of a tensor over ranks; the gradient of what any rank makes of it comes back to each."""
    total: Tensor = _SumWithGradient.apply(value)  # type: ignore[no-untyped-call]
    return total / world_size()


class _GatherWithGradient(torch.autograd.Function):
    """All-gather whose backward adds up what every rank asks of this rank's rows."""

    @staticmethod
    def forward(ctx: Any, rows_N: Tensor) -> Tensor:
        ctx.rows = len(rows_N)
        return gather(rows_N)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = over_ranks(gradients[0].contiguous(), "sum")
        start = rank() * int(ctx.rows)
        return gradient[start : start + int(ctx.rows)]


def gather_with_gradient(rows_N: Tensor) -> Tensor:
    """Rows of all ranks with gradient to each (StableRep: every feature is also a key). Equal numbers on every rank.

    Gradients are summed over ranks, so DDP's mean over ranks gives the gradient of one process.
    """
    if world_size() == 1:
        return rows_N
    gathered: Tensor = _GatherWithGradient.apply(rows_N)  # type: ignore[no-untyped-call]
    return gathered
