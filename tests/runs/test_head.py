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
from neocog.runs.prepare import prepare
from neocog.training import Interrupted
from neocog.training.distributed import World
from neocog.zoo import ModelConfig


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
