"""Make an encoder's features visible: patch features as colours, and the nearest images of an image. Pure.

Legend: N images, P patches, D width, Q query images.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.probes.labels import Features

SHOWN_PERCENTILES = (1, 99)


def principal_colours(features_NPD: Features) -> NDArray[np.uint8]:
    """The first three principal components of all patches as red, green and blue [N, P, 3] (SynCLR figure 5)."""
    images, patches, width = features_NPD.shape
    rows_RD = features_NPD.reshape(-1, width).astype(np.float64)
    rows_RD -= rows_RD.mean(0)
    _, directions_DD = np.linalg.eigh(rows_RD.T @ rows_RD)
    first_D3 = directions_DD[:, ::-1][:, :3]
    # The sign of a component is arbitrary: its largest number is made positive.
    first_D3 = first_D3 * np.sign(first_D3[np.abs(first_D3).argmax(0), range(3)])
    found_R3 = rows_RD @ first_D3
    low, high = np.percentile(found_R3, SHOWN_PERCENTILES, axis=0)
    unit_R3 = np.clip((found_R3 - low) / np.maximum(high - low, 1e-12), 0.0, 1.0)
    colours_NP3: NDArray[np.uint8] = np.round(255 * unit_R3).astype(np.uint8).reshape(images, patches, 3)
    return colours_NP3


def nearest(features_ND: Features, groups: Sequence[str], queries: Sequence[int], most: int) -> list[list[int]]:
    """Numbers of the images nearest to each query by cosine, of other groups alone: other styles, or the other split."""
    unit_ND = features_ND / np.maximum(np.linalg.norm(features_ND, axis=1, keepdims=True), 1e-12)
    names_N = np.array(groups)
    near_QN = unit_ND[list(queries)] @ unit_ND.T
    found = []
    for row, number in zip(near_QN, queries, strict=True):
        others = names_N != names_N[number] if len(set(groups)) > 1 else np.arange(len(names_N)) != number
        order = np.argsort(np.where(others, -row, np.inf), kind="stable")
        found.append(order[: min(most, int(others.sum()))].tolist())
    return found
