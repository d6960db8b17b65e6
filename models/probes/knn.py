"""Weighted nearest neighbours, as in DINO.

Legend: N training rows, M test rows, D feature width, C classes, k neighbours.
"""

import numpy as np
from numpy.typing import NDArray

from models.probes.labels import Decisions, Features, Labels, targets_of

SIMILARITIES = 1 << 26
"""Held in memory at a time: with their order they take 1 GB. All of ImageNet's would take 250 GB, their order twice that."""


def unit(features_ND: Features) -> NDArray[np.float32]:
    lengths = np.linalg.norm(features_ND, axis=1, keepdims=True)
    directions_ND: Features = (features_ND / np.maximum(lengths, 1e-12)).astype(np.float32)
    return directions_ND


def knn(train_ND: Features, labels: Labels, test_MD: Features, classes: int, k: int, temperature: float) -> Labels:
    """Class numbers [M]: the class with most votes, the smaller number on a tie."""
    found_M: Labels = votes(train_ND, labels, test_MD, classes, k, temperature).argmax(1)
    return found_M


def votes(train_ND: Features, labels: Labels, test_MD: Features, classes: int, k: int, temperature: float) -> Decisions:
    """The k nearest by cosine vote with exp(similarity / temperature) (DINO, arXiv 2104.14294, section 4.1).

    Votes are shares, so that they compare between rows (mAP ranks rows). Fewer than k training rows: all of them vote.
    """
    k, directions_DN = min(k, len(labels)), unit(train_ND).T
    votes_MC = np.zeros((len(test_MD), classes), np.float32)
    rows = max(1, SIMILARITIES // len(train_ND))
    for start in range(0, len(test_MD), rows):
        similarity_RN = unit(test_MD[start : start + rows]) @ directions_DN
        nearest_Rk = np.argpartition(-similarity_RN, k - 1, axis=1)[:, :k]
        similarity_Rk = np.take_along_axis(similarity_RN, nearest_Rk, axis=1)
        weights_Rk = np.exp((similarity_Rk - similarity_Rk.max(1, keepdims=True)) / temperature)
        weights_Rk /= weights_Rk.sum(1, keepdims=True)
        for place in range(k):
            neighbours = labels[nearest_Rk[:, place]]
            votes_MC[start : start + rows] += weights_Rk[:, place, None] * targets_of(neighbours, classes)
    return votes_MC
