"""The teacher as an exponential moving average of the student: both enter, the teacher leaves changed in place."""

import copy
from typing import TypeVar

import torch
from torch import nn

from models.encoder.sharding import part

Network = TypeVar("Network", bound=nn.Module)


def teacher_of(student: Network) -> Network:
    """A frozen copy in evaluation mode, so that nothing random (drop path) reaches the targets."""
    teacher = copy.deepcopy(student)
    teacher.requires_grad_(False)
    teacher.eval()
    return teacher


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """teacher <- momentum * teacher + (1 - momentum) * student, parameters only (SynCLR section 3.3)."""
    # Student and teacher are sharded alike, if at all: each rank's rows follow its rows.
    following, followed = ([part(parameter) for parameter in network.parameters()] for network in (teacher, student))
    torch._foreach_lerp_(following, followed, 1.0 - momentum)
