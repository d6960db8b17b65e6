"""Reduce and gather tensors over ranks; without a process group there is one rank, and nothing is sent."""

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
    """Reduce a tensor over ranks to its sum, maximum or mean, with no gradient."""
    if world_size() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total, op=dist.ReduceOp.MAX if reduction == "max" else dist.ReduceOp.SUM)
    return total / world_size() if reduction == "mean" else total


@torch.no_grad()
def gather(rows_N: Tensor) -> Tensor:
    """Gather the rows of all ranks in rank order, with no gradient (SynCLR's keys are frozen). Every rank holds equally many."""
    if world_size() == 1:
        return rows_N.detach()
    parts = [torch.empty_like(rows_N) for _ in range(world_size())]
    dist.all_gather(parts, rows_N.detach().contiguous())
    return torch.cat(parts)


def decided_by_first_rank(decision: bool) -> bool:
    """The first rank's decision, on every rank."""
    if world_size() == 1:
        return decision
    decisions = [decision]
    dist.broadcast_object_list(decisions, src=0)
    return decisions[0]


class _SumWithGradient(torch.autograd.Function):
    """All-reduce; its backward pass sums the gradients of all ranks."""

    @staticmethod
    def forward(_ctx: Any, value: Tensor) -> Tensor:
        return over_ranks(value, "sum")

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        return over_ranks(gradients[0], "sum")


def mean_with_gradient(value: Tensor) -> Tensor:
    """The mean of a tensor over ranks, differentiable: every rank gets the gradients of all ranks' uses of it."""
    total: Tensor = _SumWithGradient.apply(value)  # type: ignore[no-untyped-call]
    return total / world_size()


class _GatherWithGradient(torch.autograd.Function):
    """All-gather; its backward pass sums the gradients that all ranks have for this rank's rows."""

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
    """Gather the rows of all ranks, differentiably (StableRep: every feature is also a key). Every rank holds equally many.

    Gradients are summed over ranks, so DDP's mean over ranks gives the gradient of one process.
    """
    if world_size() == 1:
        return rows_N
    gathered: Tensor = _GatherWithGradient.apply(rows_N)  # type: ignore[no-untyped-call]
    return gathered
