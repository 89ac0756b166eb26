"""k-nearest neighbours and linear probes against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import average_precision_score, r2_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from neocog.errors import ConfigError, DataError
from neocog.transfer import fit_ridge, neighbour_means, score_knn, score_probe
from neocog.transfer.knn import TEMPERATURE
from neocog.transfer.ridge import PENALTIES
from neocog.transfer.score import LabelledFeatures

RNG = np.random.default_rng(0)


def labelled(features, targets):
    return LabelledFeatures(np.asarray(features, np.float32), targets, [str(i) for i in range(len(features))])


def parts(targets, spread=1.0, count=160):
    """Training and test features (N, 6) in which the targets can be found."""
    rows = RNG.normal(size=(count, 6)) * spread
    rows[:, : targets.reshape(count, -1).shape[1]] += 2 * np.nan_to_num(targets.reshape(count, -1))
    cut = count * 3 // 4
    return labelled(rows[:cut], targets[:cut]), labelled(rows[cut:], targets[cut:])


def weights_of(distances):
    return np.exp((1 - distances) / TEMPERATURE)


@pytest.mark.parametrize("k", [1, 5, 30])
def test_neighbours_vote_as_in_scikit_learn(k):
    train, test = parts(RNG.integers(0, 3, 160))
    oracle = KNeighborsClassifier(k, metric="cosine", weights=weights_of).fit(train.features, train.targets)
    shares = neighbour_means(train.tensor, torch.eye(3)[train.targets], test.tensor, k).numpy()
    np.testing.assert_allclose(shares, oracle.predict_proba(test.features), atol=1e-4)
    found = score_knn(train, test, task="classification", classes=("a", "b", "c"), k=k)
    assert found.metrics["accuracy"].value == pytest.approx(oracle.score(test.features, test.targets))
    assert found.metrics["accuracy"].low < found.metrics["accuracy"].value < found.metrics["accuracy"].high


def test_neighbours_average_numbers_as_in_scikit_learn():
    train, test = parts(RNG.normal(size=(160, 2)))
    oracle = KNeighborsRegressor(7, metric="cosine", weights=weights_of).fit(train.features, train.targets)
    means = neighbour_means(train.tensor, torch.from_numpy(train.targets), test.tensor, 7)
    np.testing.assert_allclose(means, oracle.predict(test.features), atol=1e-4)
    found = score_knn(train, test, task="regression", classes=("x", "y"), k=7)
    assert found.metrics["R2"].value == pytest.approx(r2_score(test.targets, means.numpy()))


def test_values_that_are_not_known_have_no_vote():
    train = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, -0.1]])
    values = torch.tensor([[1.0, np.nan], [np.nan, np.nan], [1.0, np.nan]])
    means = neighbour_means(train, values, torch.tensor([[1.0, 0.0]]), k=3)
    assert means[0, 0] == 1 and means[0, 1].isnan()


@pytest.mark.parametrize("k", [0, 4])
def test_number_of_neighbours_must_be_there(k):
    with pytest.raises(ConfigError) as error:
        neighbour_means(torch.eye(3), torch.eye(3), torch.eye(3), k)
    assert str(error.value) == (
        "k nearest neighbours must be among the training samples. "
        f"Received: k={k}, and 3 training samples. Choose a smaller k, of at least 1."
    )


@pytest.mark.parametrize("shape", [(60, 8), (20, 50)])
def test_ridge_is_that_of_scikit_learn_with_the_best_penalty(shape):
    features = RNG.normal(size=shape) * RNG.uniform(0.5, 20, shape[1]) + 5
    values = features[:, :2] @ RNG.normal(size=(2, 2)) + RNG.normal(size=(shape[0], 2))
    head = fit_ridge(torch.from_numpy(features), values)
    scaled = StandardScaler().fit_transform(features)
    alphas = [penalty * len(features) for penalty in PENALTIES]
    for k in range(2):
        chosen = RidgeCV(alphas).fit(scaled, values[:, k]).alpha_
        assert head.penalties[k] * len(features) == pytest.approx(chosen)
        oracle = Ridge(chosen).fit(scaled, values[:, k]).predict(scaled)
        np.testing.assert_allclose(head(torch.from_numpy(features))[:, k], oracle, rtol=1e-6, atol=1e-6)


def test_ridge_leaves_unknown_values_out():
    features = torch.from_numpy(RNG.normal(size=(40, 3)))
    values = (features @ torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)).numpy()
    holes = values.copy()
    holes[::4] = np.nan
    known = ~np.isnan(holes)
    expected = fit_ridge(features[known], values[known])
    torch.testing.assert_close(fit_ridge(features, holes).weight, expected.weight)
    with pytest.raises(DataError, match=r"at least three known values of each output. Received: 2"):
        fit_ridge(features[:3], [1.0, np.nan, 2.0])


def test_probe_finds_labels_that_are_missing_here_and_there():
    targets = RNG.integers(0, 2, (160, 3)).astype(float)
    train, test = parts(targets)
    train.targets[:10, 0] = np.nan
    train.targets[:, 2] = 0  # a label that no training sample has
    found = score_probe(train, test, task="multi-label", classes=("a", "b", "c"))
    assert found.metrics["mAP"].value > 0.7
    near = score_knn(train, test, task="multi-label", classes=("a", "b", "c"), k=9)
    values = np.nan_to_num(train.targets)
    assert average_precision_score(test.targets[:, 1], test.features[:, 1]) > 0.7
    assert near.metrics["mAP"].value > 0.6 and values.any()


def test_scores_need_samples_and_a_target_for_each():
    train, test = parts(RNG.integers(0, 2, 160))
    empty = labelled(np.empty((0, 6)), np.empty(0, np.int64))
    for given, words in (((train, empty), "score on"), ((empty, test), "fit to")):
        with pytest.raises(DataError, match=f"There must be samples to {words}. features: received none"):
            score_probe(*given, task="classification", classes=("a", "b"))
    with pytest.raises(ConfigError, match="by one target for each sample: .* Received: data for detection"):
        score_knn(train, test, task="detection", classes=("a", "b"))
