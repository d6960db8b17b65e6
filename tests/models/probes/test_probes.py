"""Probes against other implementations of the same rule, and features of known answer."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.preprocessing import StandardScaler
from torch import nn

from models.probes import ridge
from models.probes.knn import knn, votes
from models.probes.logistic import Logistic
from models.probes.ridge import fit_ridge
from models.probes.sgd import train_sgd


def cloud(rows: int, seed: int, width: int = 7) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, rows)
    return (generator.normal(size=(rows, width)) + 2 * np.eye(4, width)[labels]).astype(np.float32), labels


@pytest.mark.parametrize("penalty", [0.01, 1.0])
@pytest.mark.parametrize("width", [7, 200])  # fewer rows than features: the system over rows
def test_ridge_names_what_scikit_learns_ridge_names(penalty: float, width: int) -> None:
    (train, labels), (test, _) = cloud(90, 0, width), cloud(50, 1, width)
    [ours] = fit_ridge(train, labels, 4, [penalty])
    scaler = StandardScaler().fit(train)
    theirs = SklearnRidge(alpha=penalty * len(train)).fit(scaler.transform(train), np.eye(4)[labels])
    assert np.allclose(ours.weights_DC.T, theirs.coef_, atol=1e-5)
    assert np.allclose(ours.decide(test), theirs.predict(scaler.transform(test)), atol=1e-4)


@pytest.mark.parametrize("rows", [900, 60])  # the system over features, and that over rows
@pytest.mark.parametrize("penalty", [1e-5, 1e-6, 1e-8])
def test_small_penalties_are_solved_in_float64_however_features_depend_on_each_other(rows: int, penalty: float) -> None:
    generator = np.random.default_rng(0)
    few = generator.normal(size=(rows + 50, 10))
    features = (few @ generator.normal(size=(10, 300)) * generator.uniform(1e-3, 1e4, 300)).astype(np.float32)
    labels = (few[:, :4] + generator.normal(0, 0.3, (rows + 50, 4))).argmax(1)
    [probe] = fit_ridge(features[:rows], labels[:rows], 4, [penalty])
    scaler = StandardScaler().fit(features[:rows].astype(np.float64))
    theirs = SklearnRidge(alpha=penalty * rows, solver="svd")
    theirs.fit(scaler.transform(features[:rows].astype(np.float64)), np.eye(4)[labels[:rows]])
    found = probe.decide(features[rows:]).argmax(1)
    assert np.mean(found == theirs.predict(scaler.transform(features[rows:])).argmax(1)) >= 0.94
    assert np.mean(found == labels[rows:]) > 0.7


def test_a_block_of_rows_at_a_time_is_all_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    train, labels = cloud(90, 0)
    [whole] = fit_ridge(train, labels, 4, [0.01])
    monkeypatch.setattr(ridge, "BLOCK", 7)
    [parts] = fit_ridge(train, labels, 4, [0.01])
    assert np.allclose(whole.weights_DC, parts.weights_DC, atol=1e-12)


def test_a_feature_that_never_varies_does_no_harm() -> None:
    train, labels = cloud(60, 0)
    train[:, 3] = 5.0
    [probe] = fit_ridge(train, labels, 4, [0.1])
    assert np.isfinite(probe.weights_DC).all()


@pytest.mark.parametrize("k", [1, 5, 1000])
def test_neighbours_vote_as_in_a_double_loop(k: int) -> None:
    (train, labels), (test, _) = cloud(40, 2), cloud(20, 3)
    expected = []
    for image in test:
        similarity = [float(image @ row / np.linalg.norm(image) / np.linalg.norm(row)) for row in train]
        counted = np.zeros(4)
        for row in sorted(range(len(train)), key=lambda row: -similarity[row])[:k]:
            counted[labels[row]] += np.exp(similarity[row] / 0.07)
        expected.append(counted / counted.sum())
    assert np.allclose(votes(train, labels, test, 4, k, 0.07), expected, atol=1e-4), "of k neighbours, not one more"
    assert knn(train, labels, test, 4, k, 0.07).tolist() == np.argmax(expected, 1).tolist()
    several = np.eye(4, dtype=np.int64)[labels]
    assert np.array_equal(votes(train, several, test, 4, k, 0.07), votes(train, labels, test, 4, k, 0.07))
    assert np.allclose(votes(train, labels, test, 4, k, 0.07).sum(1), 1), "shares: mAP ranks one row's with another's"


@pytest.mark.parametrize("penalty", [100.0, 1.0, 0.01, 1e-4, 1e-6])
def test_logistic_regression_is_scikit_learns_whatever_was_fitted_before(penalty: float) -> None:
    (train, labels), (test, _) = cloud(90, 0), cloud(50, 1)
    ours, fresh = Logistic(train, labels, 4, 1000), Logistic(train, labels, 4, 1000)
    ours.fit(1e5)
    assert ours.fit(penalty) == fresh.fit(penalty) > 0
    assert np.array_equal(ours.decide(test), fresh.decide(test))
    if penalty < 0.01:  # barely held back, the weights depend on when one stops; the next penalty is another fit
        ours.fit(3 * penalty)
        assert not np.allclose(ours.decide(test), fresh.decide(test))
        return
    scaler = StandardScaler().fit(train)
    theirs = LogisticRegression(C=1 / penalty, max_iter=1000, tol=1e-6).fit(
        scaler.transform(train).astype(float), labels
    )
    assert np.abs(ours.decide(test) - theirs.decision_function(scaler.transform(test))).max() < 0.05
    assert np.mean(ours.decide(test).argmax(1) == theirs.predict(scaler.transform(test))) > 0.97


def test_logistic_regression_is_sure_that_a_class_it_never_saw_is_not_there() -> None:
    (train, labels), (test, _) = cloud(60, 0), cloud(20, 1)
    two = Logistic(train[labels < 2], labels[labels < 2], 4, 100)
    two.fit(1.0)
    assert set(two.decide(test).argmax(1)) == {0, 1}
    one = Logistic(train[labels == 2], labels[labels == 2], 4, 100)
    assert one.fit(1.0) == 0
    assert set(one.decide(test).argmax(1)) == {2}


def test_logistic_regression_answers_class_by_class_where_images_show_several() -> None:
    (train, labels), (test, _) = cloud(90, 0), cloud(50, 1)
    several = np.stack([labels == 0, (labels == 0) | (labels == 1), np.zeros(90, bool)], 1).astype(np.int64)
    ours = Logistic(train, several, 3, 1000)
    ours.fit(1.0)
    scaler = StandardScaler().fit(train)
    theirs = LogisticRegression(C=1.0, max_iter=1000).fit(scaler.transform(train), several[:, 1])
    assert np.abs(ours.decide(test)[:, 1] - theirs.decision_function(scaler.transform(test))).max() < 0.02
    assert (ours.decide(test)[:, 2] < -1e20).all()


@pytest.mark.parametrize("several", [False, True])
def test_sgd_side_by_side_is_torchs_sgd_one_by_one(several: bool) -> None:
    (train, labels), (test, _) = cloud(64, 0), cloud(20, 1)
    targets = np.eye(4, dtype=np.int64)[labels] if several else labels
    lrs, epochs, batch = (0.1, 1.0), 6, 16
    *_, last = train_sgd(train, targets, test, 4, lrs=lrs, epochs=epochs, every=2, batch=batch, seed=3)
    assert last.done == epochs
    for place, lr in enumerate(lrs):
        generator = torch.Generator().manual_seed(3)
        linear, normed = nn.Linear(7, 4), nn.BatchNorm1d(7, eps=1e-6, affine=False)
        with torch.no_grad():
            linear.weight.copy_((torch.randn(7, 4, generator=generator) * 0.01).T)
            linear.bias.zero_()
        optimizer = torch.optim.SGD(linear.parameters(), lr=lr * batch / 256, momentum=0.9)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * 4)
        for _ in range(epochs):
            order = torch.randperm(64, generator=generator)
            for step in range(4):
                rows = order[step * batch : (step + 1) * batch]
                logits = linear(normed(torch.from_numpy(train)[rows]))
                wanted = torch.from_numpy(targets)[rows]
                loss = (
                    nn.functional.binary_cross_entropy_with_logits(logits, wanted.float())
                    if several
                    else nn.functional.cross_entropy(logits, wanted)
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        normed.eval()
        expected = linear(normed(torch.from_numpy(test))).detach().numpy()
        assert np.allclose(last.decisions_RMC[place], expected, atol=1e-4)


def test_sgd_is_looked_at_every_few_epochs_and_after_the_last() -> None:
    train, labels = cloud(30, 0)
    looked = [e.done for e in train_sgd(train, labels, train, 4, lrs=(0.1,), epochs=7, every=3, batch=1024, seed=0)]
    assert looked == [3, 6, 7]
