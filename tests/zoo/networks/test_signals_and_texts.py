"""What all networks for signals and texts can do: learn, be exported, pass gradients to every parameter."""

import math

import pytest
import torch
import torch.nn.functional as F

from neocog.zoo.networks.char_cnn import char_cnn
from neocog.zoo.networks.inception_time import InceptionTime
from neocog.zoo.networks.mnist1d import mnist1d
from neocog.zoo.networks.spectrum_cnn import SpectrumCNN
from neocog.zoo.networks.speech_cnn import SpeechCNN
from neocog.zoo.networks.speech_dscnn import speech_dscnn
from neocog.zoo.networks.speech_resnet import speech_resnet
from neocog.zoo.networks.text_cnn import TextCNN
from neocog.zoo.networks.time_series_fcn import TimeSeriesFCN
from neocog.zoo.networks.time_series_resnet import TimeSeriesResNet


def series(labels, length):
    """Noisy waves of random phase, of two periods in class 0 and three in class 1."""
    turns = torch.outer(labels + 2, torch.linspace(0, 1, length)) + torch.rand(len(labels), 1)
    return (torch.sin(2 * math.pi * turns) + 0.2 * torch.randn(turns.shape))[:, None]


def spectrograms(labels, frames, bands):
    """A tone that falls in class 0 and rises in class 1, in noise, from a random moment on."""
    time = torch.linspace(-1, 1, frames) + 0.3 * torch.rand(len(labels), 1)
    tone = (2 * labels[:, None] - 1) * time * bands / 3 + bands / 2
    distance = torch.arange(bands) - tone[:, :, None]
    return (torch.exp(-distance.square() / 4) + 0.2 * torch.randn(distance.shape))[:, None]


def texts(labels, length, words):
    """Random words, among them one that tells the class, anywhere."""
    tokens = torch.randint(3, words, (len(labels), length))
    return tokens.scatter(1, torch.randint(length, (len(labels), 1)), labels[:, None] + 1)


def small_char_cnn():
    return char_cnn("char_cnn_small", num_classes=2, length=123, dropout=0.0)


# name: (network for two classes, inputs for labels, learning rate)
NETWORKS = {
    "mnist1d_prince": (lambda: mnist1d("mnist1d_prince", num_classes=2), lambda y: series(y, 40), 1e-2),
    "mnist1d_greydanus": (lambda: mnist1d("mnist1d_greydanus", num_classes=2), lambda y: series(y, 40), 1e-2),
    "text_cnn": (lambda: TextCNN(in_channels=100, dropout=0.0), lambda y: texts(y, 20, 100), 1e-3),
    "char_cnn": (small_char_cnn, lambda y: texts(y, 123, 70), 1e-4),
    "speech_cnn": (lambda: SpeechCNN(num_classes=2), lambda y: spectrograms(y, 32, 40), 1e-3),
    "speech_res8": (lambda: speech_resnet("speech_res8", num_classes=2), lambda y: spectrograms(y, 24, 24), 1e-3),
    "speech_res15": (lambda: speech_resnet("speech_res15", num_classes=2), lambda y: spectrograms(y, 10, 10), 1e-3),
    "speech_dscnn": (lambda: speech_dscnn("speech_dscnn_s", num_classes=2), lambda y: spectrograms(y, 49, 10), 1e-3),
    "time_series_fcn": (TimeSeriesFCN, lambda y: series(y, 30), 1e-3),
    "time_series_resnet": (TimeSeriesResNet, lambda y: series(y, 30), 1e-3),
    "inception_time": (InceptionTime, lambda y: series(y, 30), 1e-3),
    "spectrum_cnn": (lambda: SpectrumCNN(num_classes=2), lambda y: series(y, 50), 3e-3),
}


@pytest.fixture(params=NETWORKS)
def example(request):
    """A network, 16 inputs, their labels and a learning rate; all from one seed, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    build, draw, rate = NETWORKS[request.param]
    labels = torch.arange(16) % 2
    yield build(), draw(labels), labels, rate
    torch.set_num_threads(threads)


def test_the_loss_falls_by_half_in_thirty_steps(example):
    model, inputs, labels, rate = example
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_all_parameters_get_finite_gradients(example):
    model, inputs, labels, _ = example
    F.cross_entropy(model(inputs), labels).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_exported_for_batches_of_any_size(example):
    model, inputs, *_ = example
    model.eval()
    program = torch.export.export(model, (inputs,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.testing.assert_close(program.module()(inputs[:3]), model(inputs[:3]))
