"""Probes against other implementations of the same rule, and features of known answer."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.preprocessing import StandardScaler

from models.probes.knn import knn
from models.probes.ridge import fit_ridge


def cloud(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, rows)
    return (generator.normal(size=(rows, 7)) + 2 * np.eye(4, 7)[labels]).astype(np.float32), labels


@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_ridge_names_what_scikit_learns_ridge_names(penalty: float) -> None:
    (train, labels), (test, _) = cloud(90, 0), cloud(50, 1)
    [ours] = fit_ridge(train, labels, 4, [penalty])
    scaler = StandardScaler().fit(train)
    theirs = SklearnRidge(alpha=penalty * len(train)).fit(scaler.transform(train), np.eye(4)[labels])
    assert np.allclose(ours.weights_DC.T, theirs.coef_, atol=1e-5)
    assert ours.predict(test).tolist() == theirs.predict(scaler.transform(test)).argmax(1).tolist()


def test_a_feature_that_never_varies_does_no_harm() -> None:
    train, labels = cloud(60, 0)
    train[:, 3] = 5.0
    [probe] = fit_ridge(train, labels, 4, [0.1])
    assert np.isfinite(probe.weights_DC).all()


@pytest.mark.parametrize("k", [1, 5, 1000])
def test_neighbours_vote_as_in_a_double_loop(k: int) -> None:
    (train, labels), (test, _) = cloud(40, 2), cloud(20, 3)
    expected = []
    for picture in test:
        similarity = [float(picture @ row / np.linalg.norm(picture) / np.linalg.norm(row)) for row in train]
        votes = np.zeros(4)
        for row in sorted(range(len(train)), key=lambda row: -similarity[row])[:k]:
            votes[labels[row]] += np.exp(similarity[row] / 0.07)
        expected.append(int(votes.argmax()))
    assert knn(train, labels, test, 4, k, 0.07).tolist() == expected
