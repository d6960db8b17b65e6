"""What an encoder sees, for the eye: colours are principal components, neighbours come from other groups."""

import numpy as np
import pytest

from tasks.embeddings.visualise import nearest, principal_colours


def test_patches_that_differ_in_one_direction_differ_in_the_first_colour_alone() -> None:
    amount_NP = np.random.default_rng(0).uniform(-1, 1, (3, 16))
    features_NPD = amount_NP[..., None] * np.array([0.0, 3.0, -1.0, 0.5]) + 7.0
    features_NPD += 1e-6 * np.random.default_rng(1).normal(size=features_NPD.shape)
    colours_NP3 = principal_colours(features_NPD.astype(np.float32))
    assert colours_NP3.shape == (3, 16, 3)
    order = amount_NP.flatten().argsort()
    assert (np.diff(colours_NP3[..., 0].flatten()[order].astype(int)) >= 0).all(), "the largest number points up"
    assert (colours_NP3[..., 0].min(), colours_NP3[..., 0].max()) == (0, 255)


def test_colours_do_not_depend_on_the_sign_that_a_solver_gives() -> None:
    features_NPD = np.random.default_rng(0).normal(size=(2, 9, 8)).astype(np.float32)
    rows_RD = features_NPD.reshape(-1, 8) - features_NPD.reshape(-1, 8).mean(0)
    first_D = np.linalg.svd(rows_RD.astype(np.float64))[2][0]
    along_R = rows_RD @ (first_D * np.sign(first_D[np.abs(first_D).argmax()]))
    red_R = principal_colours(features_NPD)[..., 0].flatten()
    assert np.corrcoef(along_R, red_R)[0, 1] > 0.99


@pytest.mark.parametrize(
    ("groups", "expected"), [("aabb", [[2, 3], [1, 0]]), ("aaaa", [[1, 2], [2, 1]])], ids=["groups", "one group"]
)
def test_the_nearest_are_sought_in_other_groups_and_never_the_image_itself(
    groups: str, expected: list[list[int]]
) -> None:
    angles = np.array([0.0, 0.1, 0.5, 0.9])
    features_ND = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32) * [[1], [9], [2], [3]]
    assert nearest(features_ND, list(groups), [0, 3], 2) == expected
