import numpy as np
import pytest
import torch
from torch import nn

from neocog.data import open_source
from neocog.errors import ConfigError, DataError, DivergenceError
from neocog.reference import SGD, Adam, Linear, Momentum, Network, lenet, train_network
from neocog.rng import permute


@pytest.fixture(scope="module")
def digits():
    source = open_source("mnist")
    indices = source.splits["train"][:1000]
    return source.pictures(indices)[:, None] / 255.0, source.targets[indices]


def torch_lenet(network):
    """The same network in torch, in float64, with the same weights."""
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    ).double()  # fmt: skip
    with torch.no_grad():
        for parameter, w in zip(model.parameters(), network.weights, strict=True):
            parameter.copy_(torch.from_numpy(w))
    return model


def test_gradients_of_lenet_equal_autograds(digits):
    x, labels = digits[0][:32], digits[1][:32]
    network = lenet(seed=1)
    model = torch_lenet(network)
    loss = nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(labels))
    loss.backward()
    found, gradients = network.loss_and_gradients(x, labels)
    assert abs(found - loss.item()) < 1e-10
    for ours, parameter in zip(gradients, model.parameters(), strict=True):
        assert ours.shape == tuple(parameter.shape)
        assert np.abs(ours).max() > 0
        np.testing.assert_allclose(ours, parameter.grad.numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("rule", "optimizer"),
    [
        (lambda: Momentum(0.05), lambda p: torch.optim.SGD(p, 0.05, momentum=0.9)),
        (lambda: Adam(0.002), lambda p: torch.optim.Adam(p, 0.002)),
    ],
)
def test_training_takes_the_steps_that_torch_takes(digits, rule, optimizer):
    x, labels = digits[0][:100], digits[1][:100]
    network = lenet(seed=2)
    model = torch_lenet(network)
    follower = optimizer(model.parameters())
    losses = train_network(network, x, labels, rule(), epochs=2, batch_size=30, seed=5)
    expected = []
    for epoch in range(2):
        order = permute(np.arange(100), 100, 5, epoch)
        for start in (0, 30, 60, 90):
            batch = order[start : start + 30]
            follower.zero_grad()
            loss = nn.functional.cross_entropy(model(torch.from_numpy(x[batch])), torch.from_numpy(labels[batch]))
            loss.backward()
            follower.step()
            expected.append(loss.item())
    np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-8)
    for ours, parameter in zip(network.weights, model.parameters(), strict=True):
        np.testing.assert_allclose(ours, parameter.detach().numpy(), rtol=0, atol=1e-8)


def test_it_learns_and_the_same_seed_gives_the_same_weights(digits):
    x, labels = digits
    networks = [lenet(seed=3) for _ in range(2)]
    losses = [train_network(network, x, labels, Momentum(0.02), epochs=2, batch_size=25) for network in networks]
    assert losses[0] == losses[1]
    assert all(np.array_equal(*pair) for pair in zip(*(network.weights for network in networks), strict=True))
    assert np.mean(losses[0][-10:]) < np.mean(losses[0][:10]) / 3
    assert networks[0].accuracy(x, labels) > 0.85
    assert not np.array_equal(lenet(seed=3).weights[0], lenet(seed=4).weights[0])


def test_first_weights_keep_the_size_of_signals():
    for w in lenet().weights:
        if w.ndim > 1:
            assert np.isclose(w.var() * w[0].size, 2, rtol=0.3)
        else:
            assert (w == 0).all()


def test_logits_do_not_depend_on_how_many_are_computed_at_once(digits):
    x = np.concatenate([digits[0][:300]] * 2)
    network = lenet()
    np.testing.assert_allclose(network.logits(x)[550:560], network.logits(x[550:560]), rtol=0, atol=1e-12)
    assert network.logits(x).shape == (600, 10)


X, LABELS = np.ones((4, 3)), np.zeros(4, np.int64)


@pytest.mark.parametrize(
    ("error", "call", "message"),
    [
        (DataError, lambda n: train_network(n, X, LABELS[:3], SGD(0.1)), "one label. Received: 4 samples, 3 labels"),
        (DataError, lambda n: train_network(n, X[:0], LABELS[:0], SGD(0.1)), "Received: 0 samples, 0 labels"),
        (
            ConfigError,
            lambda n: train_network(n, X, LABELS, SGD(0.1), epochs=0),
            "epochs must be at least 1. Received: 0",
        ),
        (ConfigError, lambda n: train_network(n, X, LABELS, SGD(0.1), batch_size=0), "batch_size must be at least 1"),
        (
            DivergenceError,
            lambda n: train_network(n, X * np.inf, LABELS, SGD(0.1)),
            "The loss became nan at step 0 of epoch 0. Use a smaller learning rate",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_can_not_be_trained_is_refused(error, call, message):
    with pytest.raises(error, match=message):
        call(Network([Linear(3, 2)], seed=0))
