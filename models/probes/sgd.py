"""The linear probe of ImageNet papers, trained by SGD at several learning rates at once.

Legend: N training rows, M test rows, B rows of a batch, D feature width, C classes, R learning rates.
SynCLR Table 13 and its reference: batch norm without affine parameters before the classifier, SGD with momentum 0.9, no
weight decay, cosine to 0, weights drawn from N(0, 0.01^2), all learning rates trained side by side on the same features.
Rows that do not fill a last batch wait for the next epoch, as they do there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.encoder.schedules import cosine
from models.probes.labels import Features, Labels, targets_of

MOMENTUM = 0.9
EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Epoch:
    """`decisions_RMC[r]` are those of the classifier that was trained at `lrs[r]`."""

    done: int
    decisions_RMC: NDArray[np.float32]


def train_sgd(
    train_ND: Features,
    labels: Labels,
    test_MD: Features,
    classes: int,
    *,
    lrs: Sequence[float],
    epochs: int,
    every: int,
    batch: int,
    seed: int,
) -> Iterator[Epoch]:
    """Train, and yield decisions about `test_MD` after every `every` epochs and after the last. `lrs` are for a batch of 256."""
    generator = torch.Generator().manual_seed(seed % 2**63)
    features_ND, test = torch.from_numpy(train_ND), torch.from_numpy(test_MD)
    targets_NC, several = torch.from_numpy(targets_of(labels, classes)), labels.ndim == 2
    batch = min(batch, len(features_ND))
    peaks_R = torch.tensor(lrs) * batch / 256
    normed = nn.BatchNorm1d(features_ND.shape[1], eps=EPSILON, affine=False)
    first_DC = torch.randn(features_ND.shape[1], classes, generator=generator) * 0.01
    weights_RDC = first_DC.repeat(len(lrs), 1, 1)
    bias_R1C = torch.zeros(len(lrs), 1, classes)
    moved_RDC, moved_R1C = torch.zeros_like(weights_RDC), torch.zeros_like(bias_R1C)
    steps = len(features_ND) // batch
    with torch.no_grad():
        for epoch in range(epochs):
            order_N = torch.randperm(len(features_ND), generator=generator)
            for step in range(steps):
                rows_B = order_N[step * batch : (step + 1) * batch]
                seen_BD = normed(features_ND[rows_B])
                errors_RBC = _errors(seen_BD @ weights_RDC + bias_R1C, targets_NC[rows_B], several)
                lr_R11 = peaks_R[:, None, None] * cosine(epoch * steps + step, epochs * steps, 1.0, 0.0)
                moved_RDC.mul_(MOMENTUM).add_(seen_BD.T @ errors_RBC)
                moved_R1C.mul_(MOMENTUM).add_(errors_RBC.sum(1, keepdim=True))
                weights_RDC -= lr_R11 * moved_RDC
                bias_R1C -= lr_R11 * moved_R1C
            if (epoch + 1) % every == 0 or epoch + 1 == epochs:
                normed.eval()
                yield Epoch(epoch + 1, (normed(test) @ weights_RDC + bias_R1C).numpy())
                normed.train()


def _errors(logits_RBC: Tensor, targets_BC: Tensor, several: bool) -> Tensor:
    """The gradient of the batch's mean loss at the logits: of one softmax, or of a sigmoid for each class."""
    found = torch.sigmoid(logits_RBC) / logits_RBC.shape[2] if several else torch.softmax(logits_RBC, 2)
    wanted = targets_BC / logits_RBC.shape[2] if several else targets_BC
    return (found - wanted) / logits_RBC.shape[1]
