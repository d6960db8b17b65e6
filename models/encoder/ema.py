"""The teacher: an exponential moving average (EMA) of the student."""

import copy
from typing import TypeVar

import torch
from torch import nn

from models.encoder.sharding import part

Network = TypeVar("Network", bound=nn.Module)


def teacher_of(student: Network) -> Network:
    """Copy the student, frozen and in evaluation mode, so that nothing random (drop path) reaches the targets."""
    teacher = copy.deepcopy(student)
    teacher.requires_grad_(False)
    teacher.eval()
    return teacher


@torch.no_grad()
def ema_update(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """In place: teacher <- momentum * teacher + (1 - momentum) * student, parameters only (SynCLR section 3.3)."""
    # Student and teacher are sharded alike, if at all: a rank updates its own rows from its own rows.
    averages, current = ([part(parameter) for parameter in network.parameters()] for network in (teacher, student))
    torch._foreach_lerp_(averages, current, 1.0 - momentum)
