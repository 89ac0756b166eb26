"""The last dense layer fitted by logistic regression before training: `model.head logistic`."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from neocog import create_model
from neocog.data import DataConfig, ImageConfig
from neocog.errors import ConfigError
from neocog.runs import resume, train, train_run
from neocog.runs.config import as_resolved
from neocog.runs.head import time_features
from neocog.runs.prepare import prepare
from neocog.training import Interrupted
from neocog.training.distributed import World
from neocog.training.speed import SpeedConfig
from neocog.zoo import ModelConfig
from tests.support.target_sources import MeasuredImages, TaggedImages


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.pth"
    torch.manual_seed(3)
    torch.save(create_model("resnet20_cifar").state_dict(), path)
    return path


@pytest.fixture
def config(pictures, quick, weights):
    """Photographs of three colours; the features of a random network tell them apart."""

    def make(name="resnet20_cifar", head="logistic", pretrained=str(weights), lr=1e-9, **data):
        plain = quick(pictures, epochs=1, batch_size=9)
        model = ModelConfig(name=name, pretrained=pretrained, head=head)
        return replace(
            plain, data=DataConfig(source=str(pictures), test_fraction=0.25, **data), image=ImageConfig(size=(32, 32)),
            model=model, optimizer=replace(plain.optimizer, lr=lr),
        )  # fmt: skip

    return make


def get_head(config):
    prepared = prepare(as_resolved(config), World())
    prepared.close()
    return prepared.model.head[-1]


@pytest.mark.parametrize("loading", ["memory", "stream"])
def test_fitted_head_classifies_before_training(config, capsys, loading):
    prepared = prepare(as_resolved(config(loading=loading)), World())
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("head:")]
    assert len(lines) == 1
    shown = r"head: logistic regression on frozen features, cross-validated accuracy 100.0% \(\d\d.\d to 100.0\), \d+ s"
    assert re.fullmatch(shown, lines[0])
    inputs, _ = prepared.train.take(np.arange(len(prepared.train)))
    with torch.inference_mode():
        logits = prepared.model.eval()(prepared.preprocess.normalise(inputs))
    assert torch.equal(logits.argmax(1), prepared.train.labels)
    prepared.close()


def test_fitted_head_is_the_same_each_time_and_random_without(config):
    first, second, plain = get_head(config()), get_head(config()), get_head(config(head=None))
    assert torch.equal(first.weight, second.weight) and torch.equal(first.bias, second.bias)
    assert not torch.allclose(first.weight, plain.weight)
    assert torch.equal(plain.weight, get_head(config(head="random")).weight)


def test_mirrored_images_are_fitted_too_if_training_mirrors(config):
    plain = config()
    mirrored = replace(plain, augment=replace(plain.augment, flip=0.5))
    assert not torch.equal(get_head(plain).weight, get_head(mirrored).weight)


def test_resume_fits_again_only_without_a_checkpoint(config, tmp_path, monkeypatch):
    def stop(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(train_run, "finish", stop)
        train(config(), runs=tmp_path, name="run")
    called = []
    monkeypatch.setattr("neocog.runs.prepare.fit_head", lambda *given: called.append(given))
    run = resume(tmp_path / "run")
    assert run.finished and not called
    prepare(as_resolved(config()), World()).close()
    assert len(called) == 1


def test_head_needs_pretrained_weights(config, tmp_path):
    with pytest.raises(ConfigError) as error:
        train(config(pretrained=None), runs=tmp_path)
    assert str(error.value) == (
        "model.head logistic fits the last layer to the features of pretrained weights. Received: no model.pretrained. "
        "Name weights, such as --model.pretrained auto, or leave model.head out."
    )


def test_head_needs_a_dense_layer_at_the_end(config, tmp_path):
    path = tmp_path / "speed.pth"
    torch.save(create_model("speednet").state_dict(), path)
    with pytest.raises(ConfigError, match="speednet, whose head does not end with one"):
        train(config("speednet", pretrained=str(path)), runs=tmp_path)


@pytest.fixture
def tagged(quick, weights):
    """Images with several labels, for a network with weights."""

    def make(**changes):
        plain = quick("drawn", **{"epochs": 1, "batch_size": 16, **changes})
        return replace(
            plain, image=ImageConfig(size=(32, 32), channels=3),
            model=ModelConfig(name="resnet20_cifar", head="logistic", pretrained=str(weights)),
            optimizer=replace(plain.optimizer, lr=1e-9), speed=SpeedConfig(mode="exact"),
        )  # fmt: skip

    return make


def test_head_is_fitted_to_several_labels(tagged, tmp_path, capsys):
    run = train(tagged(), data=TaggedImages(), runs=tmp_path)
    said = capsys.readouterr().err
    assert re.search(
        r"head: logistic regression on frozen features, mAP \d\d.\d% on a fifth that was held out, \d+ s", said
    )
    plain = tagged()
    random = train(replace(plain, model=replace(plain.model, head="random")), data=TaggedImages(), runs=tmp_path)
    found, without = (each.evaluation.mean_average_precision.value for each in (run, random))
    assert found > without + 0.1


def test_head_is_fitted_to_as_many_samples_as_the_time_allows(tagged, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("neocog.runs.head.time_features", lambda *_: 0.25 * 60 * 5 / 70)
    prepared = prepare(as_resolved(tagged(minutes=5, epochs=10)), World(), data=TaggedImages())
    prepared.close()
    assert prepared.resolved.config.model.head_limit == 70
    assert "what fits into the time" in str(prepared.resolved.provenance["model.head_limit"])
    monkeypatch.undo()
    again = prepare(prepared.resolved, World(), data=TaggedImages())
    again.close()
    assert torch.equal(again.model.head[-1].weight, prepared.model.head[-1].weight)
    whole = prepare(as_resolved(tagged()), World(), data=TaggedImages())
    whole.close()
    assert whole.resolved.config.model.head_limit is None
    assert not torch.equal(whole.model.head[-1].weight, prepared.model.head[-1].weight)


def test_samples_of_a_head_are_timed_by_the_network_itself(tagged):
    prepared = prepare(as_resolved(tagged()), World(), data=TaggedImages())
    mode, before = prepared.model.training, [buffer.clone() for buffer in prepared.model.buffers()]
    assert 0 < time_features(prepared.model, prepared.train, prepared.preprocess) < 1
    assert prepared.model.training == mode
    assert all(torch.equal(a, b) for a, b in zip(before, prepared.model.buffers(), strict=True))
    prepared.close()


def test_limit_of_a_head_needs_a_head(tagged):
    plain = tagged()
    model = replace(plain.model, head="random", head_limit=50)
    with pytest.raises(ConfigError, match="model.head_limit .* would be ignored, because model.head is not logistic"):
        as_resolved(replace(plain, model=model))


def test_head_for_numbers_is_fitted_by_ridge_regression(tagged, tmp_path, capsys):
    train(tagged(), data=MeasuredImages(), runs=tmp_path)
    told = "".join(capsys.readouterr())
    assert "head: ridge regression on frozen features, whose mean error on training samples is 0." in told
    assert "before training" in told
