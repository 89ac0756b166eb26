"""Padding is marked, networks leave it out, and bundles from before compute as they did."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neocog.bundle import load
from neocog.errors import ConfigError
from neocog.modalities.signal.augment import SignalAugmentConfig, augment_signals, augment_stages
from neocog.modalities.signal.choose import SignalConfig, choose_signal
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.signal.source import SignalSource
from neocog.recipes import recipe
from neocog.runs import PYTHON, resolve, train
from neocog.runs.config import read_run_config
from neocog.zoo import create_model

NETWORKS = ("time_series_fcn", "time_series_resnet", "inception_time")


def trained(name, channels, *, masked):
    """A network whose norms have seen data, so that they shift zeros."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=3, in_channels=channels, masked=masked)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(layer.bias)
            torch.nn.init.uniform_(layer.running_var, 0.5, 2)
            torch.nn.init.normal_(layer.running_mean)
    return model.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_those_of_the_series_without_its_padding(name):
    masked, plain = trained(name, 3, masked=True), trained(name, 2, masked=False)
    plain.load_state_dict(masked.state_dict())
    series, padding = torch.randn(4, 2, 37), torch.randn(4, 2, 60)
    mask = torch.cat([torch.ones(4, 1, 37), torch.zeros(4, 1, 60)], dim=2)
    padded = torch.cat([torch.cat([series, padding], dim=2), mask], dim=1)
    torch.testing.assert_close(masked(padded), plain(series), rtol=1e-4, atol=1e-5)
    assert (plain(padded[:, :2]) - plain(series)).abs().max() > 0.01
    for maps, alone in zip(masked.features(padded), plain.features(series), strict=True):
        torch.testing.assert_close(maps[:, :, :37], alone, rtol=1e-4, atol=1e-5)
        assert not maps[:, :, 37:].any()


@pytest.mark.parametrize("name", NETWORKS)
def test_mask_of_ones_changes_nothing_but_rounding(name):
    masked, plain = trained(name, 2, masked=True), trained(name, 1, masked=False)
    plain.load_state_dict(masked.state_dict())
    series = torch.randn(3, 1, 50)
    found = masked(torch.cat([series, torch.ones(3, 1, 50)], dim=1))
    torch.testing.assert_close(found, plain(series), rtol=1e-4, atol=1e-5)


def test_mask_and_flags_follow_the_channels_and_are_not_scaled():
    spec = SignalPreprocess(channels=2, length=5, mask=True, flag_missing=True, mean=(1.0, 2.0), std=(2.0, 4.0))
    decoded = spec.decode(np.array([[1.0, np.nan, 3.0], [2.0, 6.0, np.nan]]))
    assert spec.shape == (5, 5) == tuple(decoded.shape)
    found = spec.normalise(decoded[None])[0]
    assert found.tolist() == [
        [0, 0.5, 1, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [1, 1, 1, 0, 0],
    ]
    assert spec.measured(decoded[None]).mean == (2.0, pytest.approx(14 / 3))
    assert spec.fill.flatten().tolist() == [1, 2, 0, 0, 0]
    assert SignalPreprocess.from_json(spec.to_json()) == spec


def test_preprocessing_of_the_first_version_has_neither():
    old = {"modality": "signal", "version": 1, "channels": 1, "length": 4, "scale": "none"}
    spec = SignalPreprocess.from_json(old)
    assert spec.shape == (1, 4)
    assert spec(np.ones((1, 2))).tolist() == [[1, 1, 0, 0]]


def test_marks_move_with_their_samples_and_are_not_jittered():
    values = torch.arange(8.0).view(1, 1, 8) + 1
    inputs = torch.cat([values, values / 100], dim=1).repeat(6, 1, 1)
    config = SignalAugmentConfig(shift=3, jitter=0.1, scale=0.5)
    samples = np.arange(6, dtype=np.uint64)
    found = augment_signals(inputs, samples, config, seed=0, epoch=0, fill=torch.zeros(()), num_marks=1)
    moved = augment_signals(
        inputs, samples, SignalAugmentConfig(shift=3), seed=0, epoch=0, fill=torch.zeros(()), num_marks=1
    )
    assert torch.equal(found[:, 1], moved[:, 1]) and not torch.equal(found[:, 0], moved[:, 0])
    spec = SignalPreprocess(channels=1, length=8, mask=True)
    key = {"seed": 0, "epoch": 0, "samples": samples}
    stages = augment_stages(SignalAugmentConfig(jitter=1.0), spec, key)
    assert torch.equal(stages[1](inputs)[:, 1], inputs[:, 1])


def source(*lengths):
    signals = [np.ones((1, length)) for length in lengths]
    return SignalSource("s", {"all": (signals, np.arange(len(lengths)) % 2)})


@pytest.mark.parametrize(
    ("lengths", "settings", "network", "mask", "reason"),
    [
        ((5, 9), {}, "time_series_fcn", True, "shorter signals are padded, and the network leaves padding out"),
        ((9, 9), {}, "time_series_fcn", False, "no signal is padded"),
        ((9, 9), {"length": 20}, "inception_time", True, "shorter signals are padded, and the network leaves"),
        ((5, 9), {"length": 4}, "time_series_fcn", False, "no signal is padded"),
        ((5, 9), {"fit": "resample"}, "time_series_fcn", False, "no signal is padded"),
        ((5, 9), {}, "mnist1d_prince", False, "mnist1d_prince can't leave padding out"),
        ((5, 9), {"mask": False}, "time_series_fcn", False, None),
    ],
)
def test_padding_is_marked_if_there_is_any_and_the_network_can_leave_it_out(lengths, settings, network, mask, reason):
    spec, reasons = choose_signal(source(*lengths), np.array([0, 1]), SignalConfig(**settings), (1, 9), network=network)
    assert spec.mask is mask
    assert (reasons.get("mask") or "").startswith(reason or "") and ("mask" in reasons) is (reason is not None)


def test_mask_for_a_network_without_one_is_refused():
    with pytest.raises(
        ConfigError, match=r"leave padding out of their average.*Received: mnist1d_prince.*time_series_f"
    ):
        choose_signal(source(5, 9), np.array([0, 1]), SignalConfig(mask=True), (1, 9), network="mnist1d_prince")


def test_share_of_missing_values_is_told():
    signals = [np.array([[1.0, np.nan, 3.0, 4.0]]), np.ones((1, 4))]
    found = SignalSource("s", {"all": (signals, np.array([0, 1]))}, channel_names=("x",))
    assert "12.5% of all values are missing, in 1 of 2 signals (x 12.5%)" in found.notices


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    rng = np.random.default_rng(0)
    lengths = rng.integers(10, 40, 30).tolist()
    signals = [rng.normal(k % 2, 1, (1, length)).astype(np.float32) for k, length in enumerate(lengths)]
    data = SignalSource("uneven", {"all": (signals, np.arange(30) % 2)})
    given = {"train.epochs": 1, "speed.mode": "exact"}
    settings = resolve(recipe("signal", "uneven"), PYTHON, [(PYTHON, given)])
    return train(settings, data=data, name="whole", runs=tmp_path_factory.mktemp("runs"))


def test_run_on_signals_of_unequal_length_makes_a_masked_bundle(run):
    model = load(run.bundle)
    assert model.preprocess.mask and model.manifest["model"]["options"] == {"masked": True}
    assert model.preprocess.length > 20
    signal = np.random.default_rng(1).normal(size=(1, 20)).astype(np.float32)
    plain = create_model("time_series_resnet", num_classes=2, in_channels=1).eval()
    plain.load_state_dict(model.model.state_dict())
    alone = replace(model.preprocess, length=20, mask=False)
    probs = plain(alone(signal)[None]).double().softmax(dim=1)
    assert np.allclose(model.predict_proba([signal]), probs.detach().numpy(), atol=1e-5)


def test_run_of_an_earlier_release_resumes_without_a_mask(run, tmp_path):
    written = run.config.read_text()
    assert "  mask: true\n" in written
    assert read_run_config(run.config).config.signal.mask is True
    (tmp_path / "config.yaml").write_text(written.replace("  mask: true\n", "").replace("  signal.mask: ", "  x: "))
    earlier = read_run_config(tmp_path / "config.yaml")
    assert earlier.config.signal.mask is False
    assert earlier.digest() == replace(earlier, config=without_mask(earlier.config)).digest()


def without_mask(config):
    return replace(config, signal=replace(config.signal, mask=None))
