"""Runs with networks of the zoo: published weights, frozen stages, auxiliary classifiers, and those that can't be."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from neocog import create_model, load
from neocog.data import DataConfig, ImageConfig
from neocog.errors import ConfigError
from neocog.runs import train
from neocog.zoo import ModelConfig
from neocog.zoo.weights import pretrained


@pytest.fixture(scope="module")
def few_digits(digits, tmp_path_factory):
    """300 training and 60 test digits: three batches, for networks that take long."""
    arrays = np.load(digits)
    path = tmp_path_factory.mktemp("few") / "digits.npz"
    np.savez(path, **{name: arrays[name][: 300 if "train" in name else 60] for name in arrays})
    return path


@pytest.fixture
def config(few_digits, quick):
    """One short epoch on digits of 32x32 with any network."""

    def make(name, *, size=(32, 32), train=None, **model):
        plain = quick(few_digits, epochs=1, batch_size=75, **(train or {}))
        data, image = DataConfig(source=plain.data.source), ImageConfig(size=size, channels=1)
        optimizer = replace(plain.optimizer, lr=0.01)
        return replace(plain, data=data, image=image, model=ModelConfig(name=name, **model), optimizer=optimizer)

    return make


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.pth"
    torch.manual_seed(3)
    torch.save(create_model("resnet20_cifar").state_dict(), path)
    return path


def test_frozen_stages_keep_pretrained_weights(config, weights, tmp_path):
    published = torch.load(weights, weights_only=True)
    run = train(config("resnet20_cifar", pretrained=str(weights), freeze=2), runs=tmp_path)
    model = load(run.bundle).model
    ours = model.state_dict()
    kept = {key for key in ours if torch.equal(ours[key], published[key])} if ours.keys() == published.keys() else set()
    frozen = {key for key in ours if key.startswith(("stages.0", "stages.1"))}
    assert frozen <= kept and not any(key.startswith(("stages.2", "head")) and "weight" in key for key in kept)
    # The first convolution, which reads one channel where three were published, has their sums, and stays.
    first = next(key for key in ours if key.startswith("stem") and ours[key].ndim == 4)
    assert torch.equal(ours[first], published[first].sum(1, keepdim=True))


def test_pretrained_weights_bring_their_own_mean(config, tmp_path, monkeypatch, server):
    key_map = pretrained.key_maps("squeezenet1_1", {})["torchvision"]
    weights = create_model("squeezenet1_1").state_dict()
    torch.save({key_map.theirs(key): value for key, value in weights.items()}, tmp_path / "w")
    content = (tmp_path / "w").read_bytes()
    file = f"squeezenet1_1-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    server.serve(f"/{file}", content)
    monkeypatch.setitem(pretrained.TORCHVISION, "squeezenet1_1", file)
    monkeypatch.setattr(pretrained, "TORCHVISION_ADDRESS", server.url)
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    run = train(config("squeezenet1_1", pretrained="torchvision"), runs=tmp_path / "runs")
    assert load(run.bundle).preprocess.mean == pytest.approx((0.449,), abs=1e-9)


def test_auxiliary_classifiers_train_and_do_not_predict(config, tmp_path):
    run = train(config("googlenet", size=(32, 32)), runs=tmp_path)
    assert load(run.bundle).model(torch.zeros(1, 1, 32, 32)).shape == (1, 10)
    without = train(config("googlenet", auxiliary=False), runs=tmp_path)
    parameters = [sum(p.numel() for p in load(r.bundle).model.parameters()) for r in (run, without)]
    assert parameters[0] > parameters[1] + 4e6


def test_init_from_data_uses_training_images(config, tmp_path):
    run = train(config("speednet"), runs=tmp_path)
    kernels = load(run.bundle).model.whitening.weight.flatten(1)
    fresh = create_model("speednet", in_channels=1).whitening.weight.flatten(1)
    lengths = kernels.norm(dim=1)
    assert lengths.max() > 3 * lengths.min()  # rare directions are made as large as common ones
    torch.testing.assert_close(fresh.norm(dim=1), torch.ones(8))  # without data, a rotation


def test_adaptive_clipping_and_precise_bn_change_a_run_repeatably(config, tmp_path):
    name = "resnet20_cifar"
    plain = train(config(name), runs=tmp_path / "a")
    special = train(config(name, train={"adaptive_clip": 0.001, "precise_bn": 3}), runs=tmp_path / "a")
    one, other = (load(run.bundle).model.state_dict() for run in (plain, special))
    assert any(not torch.equal(one[key], other[key]) for key in one if "running_var" in key)
    assert any(not torch.equal(one[key], other[key]) for key in one if key.endswith("0.weight"))
    again = train(config(name, train={"adaptive_clip": 0.001, "precise_bn": 3}), runs=tmp_path / "b")
    assert all(torch.equal(other[key], value) for key, value in load(again.bundle).model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("neocognitron", r"is not trained by gradient descent\. In Python: create_model\('neocognitron'\)\.learn"),
        ("unet", r"holds images for classification, and unet is for segmentation of images\."),
        ("text_cnn", r"text_cnn is for classification of texts\."),
        ("go_policy", r"go_policy is for next move of positions\."),
    ],
)
def test_train_refuses_networks_for_other_data_before_reading(name, says, config, tmp_path):
    with pytest.raises(ConfigError, match=says):
        train(config(name), runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_freeze_refuses_more_stages_than_there_are(config, tmp_path):
    with pytest.raises(
        ConfigError, match=r"at most the number of stages\. resnet20_cifar, which has 3 stages: received 4"
    ):
        train(config("resnet20_cifar", freeze=4), runs=tmp_path)


def test_train_refuses_an_option_that_the_network_lacks(config, tmp_path):
    with pytest.raises(ConfigError, match=r"model\.stochastic_depth .* would be ignored, because .* has no stochastic"):
        train(config("resnet20_cifar", stochastic_depth=0.1), runs=tmp_path)


def test_config_keeps_the_full_path_of_weights(config, weights, tmp_path, monkeypatch):
    monkeypatch.chdir(weights.parent)
    made = config("resnet20_cifar", pretrained=weights.name)
    assert "pretrained: " + str(weights) in train(made, runs=tmp_path / "runs").config.read_text()


def test_auto_takes_cached_weights_and_the_config_names_them(config, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "cache/weights" / pretrained.TORCHVISION["squeezenet1_1"]
    file.parent.mkdir(parents=True)
    key_map = pretrained.key_maps("squeezenet1_1", {})["torchvision"]
    weights = create_model("squeezenet1_1").state_dict()
    torch.save({key_map.theirs(key): value for key, value in weights.items()}, file)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "auto").mkdir()  # not what is meant by auto
    run = train(config("squeezenet1_1", pretrained="auto"), runs=tmp_path / "runs")
    text = run.config.read_text()
    assert "  pretrained: torchvision\n" in text and "  model.pretrained: 'chosen automatically: cached'\n" in text
    assert "Weights start from pretrained ones: torchvision, cached\n" in capsys.readouterr().err
    assert load(run.bundle).preprocess.mean == pytest.approx((0.449,), abs=1e-9)


def test_auto_without_weights_trains_from_scratch_and_says_so(config, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    run = train(config("squeezenet1_1", pretrained="auto"), runs=tmp_path / "runs")
    said = "Training from scratch. No pretrained weights of squeezenet1_1 are cached. Fetch them: --model.pretrained"
    assert said in capsys.readouterr().err
    text = run.config.read_text()
    assert "  pretrained: null\n" in text and "none is installed or cached" in text
    assert load(run.bundle).preprocess.mean != pytest.approx((0.449,), abs=1e-9)


def test_auto_without_weights_can_not_warm_up_its_head(config, tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(ConfigError, match=r"freeze_epochs needs pretrained weights\. Received: 1, without"):
        train(config("squeezenet1_1", pretrained="auto", train={"freeze_epochs": 1}), runs=tmp_path / "runs")
