"""Shard an objective over ranks (FSDP), each keeping its rows of every parameter, and put whole tensors together again.

Legend: a rank's rows of a parameter are a contiguous part of its first dimension, one rank may hold none.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from models.encoder.gather import over_ranks
from models.encoder.vit import Block


def shard(objective: nn.Module, device: str) -> None:
    """Shard the module in place: every transformer block is gathered for its own computation alone, all else once a step.

    Scalars cannot be sharded: they stay whole on every rank, and `average` averages their gradients.
    """
    mesh = init_device_mesh(torch.device(device).type, (dist.get_world_size(),))
    for module in objective.modules():
        if isinstance(module, Block):
            fully_shard(module, mesh=mesh)
    fully_shard(objective, mesh=mesh, ignored_params={p for p in objective.parameters() if not p.ndim})


def average(parameters: Iterable[nn.Parameter]) -> None:
    """Average the gradients of what is not sharded over ranks, as DDP does."""
    for parameter in parameters:
        if parameter.grad is not None and not isinstance(parameter, DTensor):
            parameter.grad.copy_(over_ranks(parameter.grad, "mean"))


def clip(parameters: Iterable[nn.Parameter], most: float) -> float:
    """Clip the gradient to norm `most`; returns its norm before, over all ranks, each scalar counted once."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    rows = [part(gradient) for gradient in gradients if isinstance(gradient, DTensor)]
    scalars = [gradient for gradient in gradients if not isinstance(gradient, DTensor)]
    squared = over_ranks(nn.utils.get_total_norm(rows) ** 2, "sum") + nn.utils.get_total_norm(scalars) ** 2
    norm = squared.sqrt()
    factor = (most / (norm + 1e-6)).clamp(max=1.0)  # as torch's own clipping does
    torch._foreach_mul_([*rows, *scalars], factor)
    return float(norm)


def part(tensor: Tensor) -> Tensor:
    """This rank's rows; of what is not sharded, all."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """All rows of all ranks; every rank must call it. What is not sharded is returned as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def as_sharded(tensor: Tensor, like: Tensor) -> Tensor:
    """Shard a whole tensor as `like` is; every rank has it, so nothing is sent."""
    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)
