"""Engines beside eager PyTorch: the same logits, any batch size, and refusal of what an engine would misread."""

import numpy as np
import pytest
import torch
from torch import nn

from neocog.data import ImagePreprocess
from neocog.engines import NAMES, build
from neocog.engines.engine import compute_logits, takes_decoded
from neocog.engines.make_engine import ENGINES, missing_reason
from neocog.engines.network import find_affine
from neocog.errors import ConfigError, DataError
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.signal.preprocess import SignalPreprocess

PRE = ImagePreprocess(size=(12, 12), channels=3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))


class Maps(nn.Module):
    """A network with two output maps, as a detector has."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.one, self.two = nn.Conv2d(8, 2, 1), nn.Conv2d(8, 3, 1)

    def forward(self, images):
        maps = self.body(images)
        return self.one(maps), self.two(maps)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(288, 4)
    ).eval()
    nn.init.uniform_(model[1].running_mean, -0.5, 0.5)
    nn.init.uniform_(model[1].running_var, 0.5, 1.5)
    return model


@pytest.fixture(scope="module")
def decoded():
    return torch.randint(0, 256, (35, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def engines(network, decoded):
    usable = [name for name in NAMES if not missing_reason(name)]
    return {name: build(name, network, PRE, threads=1, calibration=decoded) for name in usable}


def expected_logits(network, decoded):
    """The oracle: float64, with the normalisation written out."""
    mean, std = (torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (PRE.mean, PRE.std))
    with torch.no_grad():
        logits = network.double()((decoded.double() / 255 - mean) / std)
    network.float()
    return logits


def test_each_engine_equals_float64_at_every_batch_size(network, decoded, engines):
    assert {"eager", "compiled", "onnxruntime", "openvino"} <= engines.keys()
    expected = expected_logits(network, decoded)
    for name, engine in engines.items():
        limit = {True: 0.1, False: 1e-4}[ENGINES[name].int8 or ENGINES[name].needs_bf16]
        for count in (1, 3, 16, 35):
            found = compute_logits(engine, PRE.normalise, decoded[:count])
            assert found.dtype == torch.float32
            assert found.shape == (count, 4)
            gap = (found - expected[:count]).abs().max() / expected.std()
            assert gap < limit, (name, count, gap)


def test_bf16_and_int8_engines_round_more_than_float32(network, decoded, engines):
    expected = expected_logits(network, decoded)
    for name, engine in engines.items():
        gap = (compute_logits(engine, PRE.normalise, decoded) - expected).abs().max() / expected.std()
        assert (gap > 1e-4) == (ENGINES[name].int8 or ENGINES[name].needs_bf16), name


def test_engines_that_take_decoded_inputs_take_normalised_ones_too(decoded, engines):
    for name in ("onnxruntime", "openvino"):
        assert takes_decoded(engines[name])
        torch.testing.assert_close(engines[name](decoded), engines[name](PRE.normalise(decoded)), rtol=1e-4, atol=1e-4)


def test_no_inputs_give_no_logits(engines, decoded):
    for engine in engines.values():
        assert compute_logits(engine, PRE.normalise, decoded[:0]).shape == (0, 4)


def test_engines_take_images_of_another_size_where_the_network_does():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    images = torch.randn(2, 3, 9, 7)
    for name in ("compiled", "onnxruntime", "openvino"):
        found = build(name, model, PRE, threads=1)(images)
        torch.testing.assert_close(found, model(images).detach(), rtol=1e-4, atol=1e-5)


def test_maps_of_a_detector_are_joined():
    model = Maps().eval()
    images = torch.randn(3, 3, 12, 12)
    expected = torch.cat(model(images), dim=1).detach()
    for name in ("eager", "compiled", "onnxruntime", "openvino"):
        torch.testing.assert_close(build(name, model, PRE, threads=1)(images), expected, rtol=1e-4, atol=1e-5)


def test_signals_and_texts_are_computed():
    torch.manual_seed(0)
    signals = nn.Sequential(nn.Conv1d(2, 4, 5), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 28, 3)).eval()
    spec = SignalPreprocess(channels=2, length=32)
    for name in ("compiled", "onnxruntime", "openvino"):
        engine, inputs = build(name, signals, spec, threads=1), torch.randn(3, 2, 32)
        assert not takes_decoded(engine)
        torch.testing.assert_close(engine(inputs), signals(inputs).detach(), rtol=1e-4, atol=1e-5)


def test_network_is_not_changed(network, decoded):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes, hooks = [m.training for m in network.modules()], network[0]._forward_hooks.copy()
    build("compiled", network, PRE, threads=1)(PRE.normalise(decoded))
    build("openvino", network, PRE, threads=1)(decoded)
    assert [m.training for m in network.modules()] == modes
    assert network[0]._forward_hooks == hooks
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("name", ["compiled", "onnxruntime", "openvino"])
def test_inputs_that_an_engine_would_misread_are_refused(engines, name):
    engine, image = engines[name], torch.zeros(1, 3, 12, 12)
    with pytest.raises(DataError, match=r"takes inputs of .*float32.* received float64"):
        engine(image.double())
    with pytest.raises(DataError, match=r"takes inputs of shape \(N, 3, 12, 12\).*received \(1, 12, 12, 3\)"):
        engine(torch.zeros(1, 12, 12, 3))
    for value in (float("nan"), float("inf"), float("-inf")):
        bad = image.clone()
        bad[0, 1, 5, 5] = value
        with pytest.raises(DataError, match="Inputs must be finite.*received NaN or infinity"):
            engine(bad)


def test_large_finite_inputs_are_not_taken_for_infinite(engines):
    assert (
        engines["onnxruntime"](torch.full((2, 3, 12, 12), 3e38) * torch.tensor([1.0, 0]).view(2, 1, 1, 1)) is not None
    )


def test_numbers_of_tokens_that_do_not_exist_are_refused():
    from neocog.modalities.text.preprocess import TextPreprocess

    spec = TextPreprocess(level="word", vocabulary=tuple(f"w{i}" for i in range(10)), length=6)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(12, 4), nn.Flatten(), nn.Linear(24, 2)).eval()
    ids = torch.tensor([[0, 1, 11, 3, 4, 5], [2, 2, 2, 0, 0, 0], [11, 0, 0, 0, 0, 0]])
    for name in ("onnxruntime", "openvino"):
        engine = build(name, model, spec, threads=1)
        torch.testing.assert_close(engine(ids), model(ids).detach(), rtol=1e-4, atol=1e-5)
        for wrong in (12, -1):
            bad = ids.clone()
            bad[1, 2] = wrong
            with pytest.raises(DataError, match=r"Numbers of tokens are at least 0 and below 12.*received "):
                engine(bad)


def test_affine_is_found_for_images_and_boards_only():
    affine = find_affine(PRE)
    np.testing.assert_allclose(affine.factor, 1 / (255 * np.array(PRE.std)), rtol=1e-5)
    np.testing.assert_allclose(affine.shift, np.array(PRE.mean) / np.array(PRE.std), rtol=1e-5)
    deep = ImagePreprocess(size=(4, 4), channels=1, bit_depth=16, mean=(0.5,), std=(0.5,))
    np.testing.assert_allclose(find_affine(deep).factor, [1 / (65535 * 0.5)], rtol=1e-4)
    board = find_affine(BoardPreprocess(features="zero17", size=5))
    assert set(board.factor.tolist()) == {1.0}
    assert set(board.shift.tolist()) == {0.0}
    assert find_affine(SignalPreprocess(channels=2, length=32)) is None


def test_unknown_engine_is_refused_with_the_nearest_name(network):
    with pytest.raises(ConfigError, match=r"No engine has this name\. Received: 'openvine'\. Did you mean 'openvino'"):
        build("openvine", network, PRE)


def test_int8_engine_without_calibration_names_the_command(network):
    with pytest.raises(ConfigError, match="An int8 engine is made from a sample of inputs.*bench BUNDLE --data"):
        build("openvino-int8", network, PRE)


def test_engine_that_is_not_installed_says_how(network, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    missing_reason.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"can't be used here.*pip install 'neocog\[export\]'"):
            build("openvino", network, PRE)
    finally:
        missing_reason.cache_clear()


def test_network_that_decides_by_values_can_be_computed_by_eager_only():
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(432, 2)

        def forward(self, images):
            flat = images.flatten(1)
            return self.dense(flat) if flat.sum() > 0 else -self.dense(flat)

    with pytest.raises(ConfigError, match="one graph, without decisions that depend on values"):
        build("onnxruntime", Branches(), PRE)
    with pytest.raises(ConfigError, match="This engine can't run the network"):
        build("compiled", Branches(), PRE)
    assert build("eager", Branches(), PRE)(torch.ones(2, 3, 12, 12)).shape == (2, 2)
