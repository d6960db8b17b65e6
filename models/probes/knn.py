"""Weighted nearest neighbours as in DINO: labelled features enter, predicted classes leave.

Legend: N training rows, M test rows, D feature width, C classes, k neighbours.
"""

import numpy as np
from numpy.typing import NDArray

from models.probes.ridge import Features, Labels


def unit(features_ND: Features) -> NDArray[np.float32]:
    lengths = np.linalg.norm(features_ND, axis=1, keepdims=True)
    directions_ND: Features = (features_ND / np.maximum(lengths, 1e-12)).astype(np.float32)
    return directions_ND


def knn(train_ND: Features, labels_N: Labels, test_MD: Features, classes: int, k: int, temperature: float) -> Labels:
    """The k nearest by cosine vote with exp(similarity / temperature) (DINO, arXiv 2104.14294, section 4.1).

    Ties go to the smaller class. Fewer than k training rows: all of them vote.
    """
    k = min(k, len(labels_N))
    similarity_MN = unit(test_MD) @ unit(train_ND).T
    nearest_Mk = np.argpartition(-similarity_MN, k - 1, axis=1)[:, :k]
    similarity_Mk = np.take_along_axis(similarity_MN, nearest_Mk, axis=1)
    weights_Mk = np.exp((similarity_Mk - similarity_Mk.max(1, keepdims=True)) / temperature)
    votes_MC = np.zeros((len(test_MD), classes))
    rows_Mk = np.broadcast_to(np.arange(len(test_MD))[:, None], nearest_Mk.shape)
    np.add.at(votes_MC, (rows_Mk, labels_N[nearest_Mk]), weights_Mk)
    winners: Labels = votes_MC.argmax(1)
    return winners
