"""Muon: its direction is orthogonal whatever the gradient's scale, and small parameters move as with AdamW."""

import torch
from torch import nn

from models.muon import Muon, orthogonal


def test_singular_values_become_alike() -> None:
    matrix = torch.randn(16, 72, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, -2, 16)[:, None]
    for each in (matrix, matrix.T, 1e-3 * matrix):
        values = torch.linalg.svdvals(orthogonal(each))
        assert values.min() > 0.3 and values.max() < 1.3


def test_kernels_move_by_their_rate_and_the_rest_as_with_adamw() -> None:
    draw = torch.Generator().manual_seed(0)
    kernel, bias, same = (nn.Parameter(torch.zeros(shape)) for shape in ((32, 16, 3, 3), (32,), (32,)))
    optimizers = Muon([kernel, bias], lr=1e-2), torch.optim.AdamW([same], lr=1e-2, betas=(0.9, 0.99))
    for _ in range(3):
        kernel.grad = 1e3 * torch.randn(kernel.shape, generator=draw)
        bias.grad = same.grad = torch.randn(bias.shape, generator=draw)
        for optimizer in optimizers:
            optimizer.step()
    assert torch.allclose(bias, same, atol=1e-6)
    assert 1e-3 < kernel.square().mean().sqrt() < 1e-2
