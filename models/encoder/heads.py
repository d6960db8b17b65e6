"""Heads on top of the backbone's tokens: projections and prototype logits (SynCLR section 3.4 and its reference)."""

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.encoder.gather import mean_with_gradient, world_size

Norm = Literal["ln", "bn"]


class BatchNorm(nn.BatchNorm1d):
    """In training the statistics are those of all ranks' rows. Ranks must hold equal numbers of rows.

    Heads are always in training, and torch's own SyncBatchNorm is for GPUs alone.
    """

    def forward(self, rows_ND: Tensor) -> Tensor:
        if world_size() == 1 or not self.training:
            return super().forward(rows_ND)
        wide_ND = rows_ND.float() if rows_ND.dtype != torch.float64 else rows_ND
        mean_D = mean_with_gradient(wide_ND.mean(0))
        variance_D = mean_with_gradient((wide_ND - mean_D).square().mean(0))
        normal_ND = (wide_ND - mean_D) / (variance_D + self.eps).sqrt()
        return (normal_ND * self.weight + self.bias if self.affine else normal_ND).to(rows_ND.dtype)


class ContrastiveHead(nn.Module):
    """Linear layers with a norm after each, the last one affine-free, or left out as in StableRep.

    Projector (3 layers) or predictor (2).

    `ln`: Linear + LayerNorm + GELU, the reference's default. `bn`: Linear + BatchNorm + ReLU as in MoCo v3, over
    all ranks' rows.
    """

    def __init__(
        self, width_in: int, hidden: int, width_out: int, layers: int, norm: Norm = "ln", *, norm_last: bool = True
    ) -> None:
        super().__init__()
        widths = [width_in, *[hidden] * (layers - 1), width_out]
        parts: list[nn.Module] = []
        for i, (a, b) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            last = i == layers - 1
            parts.append(nn.Linear(a, b, bias=not norm_last if last else norm == "ln"))
            if last and not norm_last:
                break
            parts.append(
                nn.LayerNorm(b, elementwise_affine=not last) if norm == "ln" else BatchNorm(b, affine=not last)
            )
            if not last:
                parts.append(nn.GELU() if norm == "ln" else nn.ReLU())
        self.layers = nn.Sequential(*parts)
        initialise(self)

    def forward(self, features_ND: Tensor) -> Tensor:
        return cast(Tensor, self.layers(features_ND))


class PatchHead(nn.Module):
    """iBOT's head: a three-layer GELU perceptron, unit length, then unit-norm prototypes without bias.

    The gain of the prototypes is fixed at 1 (the reference leaves it trainable): logits stay in [-1, 1], so that
    exp(z / 0.04) cannot overflow.
    """

    def __init__(self, width: int, hidden: int, bottleneck: int, prototypes: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, bottleneck)
        )
        initialise(self)
        self.prototypes = nn.Parameter(nn.init.trunc_normal_(torch.empty(prototypes, bottleneck), std=0.02))

    def forward(self, tokens_TD: Tensor) -> Tensor:
        return F.normalize(self.mlp(tokens_TD), dim=-1) @ F.normalize(self.prototypes, dim=-1).T


def initialise(head: nn.Module) -> None:
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
