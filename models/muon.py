"""Step parameters by Muon: orthogonalised momentum for kernels and matrices, AdamW for the rest.

Jordan et al., 2024 (https://kellerjordan.github.io/posts/muon); a kernel is the matrix (out, in x height x width), and updates
have the size of AdamW's, so that one rate serves both (Liu et al., 2025, arXiv:2502.16982). `torch.optim.Muon` takes no
kernels (2-D parameters alone), and iterates in bfloat16, which a CPU without it does slowly.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

LEAST_SIDE = 12
"""Matrices with fewer rows or columns (images in, images out) are left to AdamW."""


class Muon(torch.optim.Optimizer):
    """An optimizer that takes what AdamW takes, and whose state has its names, so that a snapshot keeps both alike."""

    def __init__(
        self,
        parameters: ParamsT,
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move every parameter that has a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                    state["step"] = torch.zeros(())
                state["step"] += 1
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(_move(parameter.grad, state, group), alpha=-group["lr"])
        return loss


def _move(gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> Tensor:
    """Return the direction of a step, of a size that the rate alone scales."""
    mean, square = state["exp_avg"], state["exp_avg_sq"]
    if gradient.ndim > 1 and min(len(gradient), gradient[0].numel()) >= LEAST_SIDE:
        mean.mul_(group["momentum"]).add_(gradient)
        matrix = (gradient + group["momentum"] * mean).flatten(1)
        moved: Tensor = 0.2 * max(matrix.shape) ** 0.5 * orthogonal(matrix)
        return moved.view(gradient.shape)
    (first, second), step = group["betas"], float(state["step"])
    mean.lerp_(gradient, 1 - first)
    square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
    direction: Tensor = mean / (1 - first**step) / ((square / (1 - second**step)).sqrt() + 1e-8)
    return direction


def orthogonal(matrix: Tensor, rounds: int = 5) -> Tensor:
    """Return about the nearest matrix whose singular values are alike, by a Newton-Schulz iteration of fifth degree."""
    tall = matrix.shape[0] > matrix.shape[1]
    found: Tensor = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    for _ in range(rounds):
        gram = found @ found.T
        found = 3.4445 * found + (-4.7750 * gram + 2.0315 * gram @ gram) @ found
    return found.T if tall else found
