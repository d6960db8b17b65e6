"""The masked-patch loss against a naive loop, and Sinkhorn's laws."""

import pytest
import torch

from models.losses.ibot import ibot
from models.losses.sinkhorn import sinkhorn


def test_equals_a_loop_over_images_with_unequal_numbers_of_masked_tokens() -> None:
    student, owner = torch.randn(6, 4, dtype=torch.float64), torch.tensor([0, 0, 0, 2, 2, 5])
    targets = torch.randn(6, 4, dtype=torch.float64).softmax(1)
    per_image = []
    for image in (0, 2, 5):
        rows = [t for t in range(6) if owner[t] == image]
        losses = [-float((targets[t] * (student[t] / 0.1).log_softmax(0)).sum()) for t in rows]
        per_image.append(sum(losses) / len(losses))
    assert float(ibot(student, targets, owner)) == pytest.approx(sum(per_image) / 3)


def test_without_masked_tokens_it_is_zero_and_differentiable() -> None:
    student = torch.zeros(0, 4, requires_grad=True)
    loss = ibot(student, torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert float(loss) == 0.0


def test_sinkhorn_balances_prototypes_and_normalises_tokens() -> None:
    targets = sinkhorn(torch.randn(64, 8), 1.0, iterations=50)
    assert targets.sum(1).tolist() == pytest.approx([1.0] * 64, abs=1e-4)
    assert targets.sum(0).tolist() == pytest.approx([8.0] * 8, abs=1e-2)


def test_sinkhorn_survives_logits_that_would_overflow() -> None:
    assert bool(sinkhorn(1000 * torch.randn(5, 3), 0.04).isfinite().all())
