"""Large images: their tiles go through a fused network, which computes what the plain one does."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from neocog import create_model
from neocog.bundle import Predictor, fused, torch_backend
from neocog.bundle.dense_pass import MANY, dense_batch
from neocog.bundle.fused import FusedBackend
from neocog.data.scenes import draw_scene
from neocog.layers.fuse import FusedConv, fuse
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.tasks import Segmentation

CLASSES = ("background", "a", "b", "c")


def settled(name, in_channels=1):
    """A network whose batch norms have seen something, so that folding them changes filters."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=4, in_channels=in_channels).train()
    with torch.no_grad():
        model(torch.randn(4, in_channels, 32, 64))
    return model.eval()


@pytest.fixture
def no_bf16(monkeypatch):
    """A CPU without instructions for bfloat16."""
    monkeypatch.setattr("neocog.torch_private.has_mkldnn_bf16", lambda: False)


@pytest.mark.parametrize("name", ["unet_small", "unet_lite0", "unet_resnet18"])
def test_fused_outputs_are_those_of_the_network(name, no_bf16):
    model = settled(name)
    backend, images = FusedBackend(model), torch.randn(2, 1, 32, 64)
    found = backend(images)
    with torch.no_grad():
        expected = model(images)
    assert any(isinstance(module, FusedConv) for module in backend.program.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backend.program.modules())
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(backend(torch.randn(1, 1, 64, 32)).shape, torch.Size([1, 4, 64, 32]))


def test_signals_are_rounded_before_each_layer_in_bfloat16():
    """Their convolutions aren't fused; between two of them norms compute in float32."""
    torch.manual_seed(0)
    model = create_model("time_series_resnet", num_classes=4, in_channels=2).eval()
    signals = torch.randn(3, 2, 50)
    with torch.no_grad():
        expected = model(signals)
        found = fuse(copy.deepcopy(model), signals, torch.bfloat16)(signals).float()
    assert (found - expected).norm() < 0.02 * expected.norm()
    assert not torch.equal(found, expected)


def is_half(backend):
    return any(parameter.dtype == torch.bfloat16 for parameter in backend.program.parameters())


def test_bfloat16_is_used_if_it_is_faster_and_the_first_input_agrees(monkeypatch):
    """It gives the same values on a CPU without the instructions, too slowly."""
    monkeypatch.setattr("neocog.torch_private.has_mkldnn_bf16", lambda: True)
    seconds = iter([1.0, 0.5, 1.0, 2.0, 0.5, 1.0, 0.5, 0.5])
    real = fused.timed
    monkeypatch.setattr(fused, "timed", lambda *given: (real(*given)[0], next(seconds)))
    model, images = settled("unet_small"), torch.randn(2, 1, 32, 64)
    with torch.no_grad():
        expected = model(images)
    backend = FusedBackend(model)
    found = backend(images)
    assert found.dtype == torch.float32 and is_half(backend)
    assert 1e-4 < float((found - expected).norm() / expected.norm()) < 2e-2
    slow = FusedBackend(model)
    torch.testing.assert_close(slow(images), expected, rtol=1e-3, atol=1e-4)
    assert not is_half(slow)
    monkeypatch.setitem(fused.LARGEST_ERROR, torch.bfloat16, 1e-4)
    wrong = FusedBackend(model)
    torch.testing.assert_close(wrong(images), expected, rtol=1e-3, atol=1e-4)
    assert not is_half(wrong) and any(isinstance(module, FusedConv) for module in wrong.program.modules())


class Odd(nn.Module):
    """Its path depends on the values of its input, so it can't be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 1)

    def forward(self, images):
        return self.conv(images) if images.sum() > 0 else -self.conv(images)


def test_a_network_that_cannot_be_traced_stays_as_it_is():
    backend, images = FusedBackend(Odd()), torch.ones(1, 1, 4, 4)
    assert torch.equal(backend(images), backend.model(images)) and backend.program is backend.model


def test_a_fused_network_that_disagrees_is_not_used(monkeypatch):
    monkeypatch.setattr("neocog.layers.fuse.fuse", lambda model, images, dtype: settled("unet_small"))
    model = settled("unet_small")
    with torch.no_grad():
        model.head.classify.bias += 1
    backend = FusedBackend(model)
    backend(torch.randn(1, 1, 32, 32))
    assert backend.program is model


def make(tile=(32, 32)):
    model = settled("unet_small")
    spec = ImagePreprocess(size=tile, channels=1, resize="tile", mean=(0.5,), std=(0.25,))
    return Predictor(torch_backend(model), spec, Segmentation(CLASSES), model=model)


def test_many_tiles_are_predicted_as_few_are():
    """Of an image whose tiles are fused, and by the plain network."""
    pixels, fast, plain = draw_scene(1, (130, 150), grey=True).pixels, make(), make()
    plain.tiles = plain.backend
    (one,), (other,) = fast.predict([pixels]), plain.predict([pixels])
    assert isinstance(fast.tiles, FusedBackend) and fast.tiles.program is not None
    half = is_half(fast.tiles)
    assert one.mask.shape == (130, 150) and (one.mask == other.mask).mean() > (0.98 if half else 0.999)
    assert one.confidence == pytest.approx(other.confidence, rel=1e-2 if half else 1e-4)


def test_small_and_large_images_share_a_call_and_keep_their_order():
    sizes = [(20, 30), (200, 160), (32, 32), (70, 40)]
    predictor = make()
    images = [draw_scene(k, size, grey=True).pixels for k, size in enumerate(sizes)]
    found = predictor.predict(images)
    assert [prediction.mask.shape for prediction in found] == sizes
    for image, prediction in zip(images, found, strict=True):
        (alone,) = make().predict([image])
        assert (alone.mask == prediction.mask).mean() > 0.98


def test_a_backend_without_a_network_serves_all_sizes():
    model = settled("unet_small")
    spec = ImagePreprocess(size=(32, 32), channels=1, resize="tile")
    predictor = Predictor(torch_backend(model), spec, Segmentation(CLASSES))
    assert predictor.tiles is predictor.backend
    (found,) = predictor.predict([np.zeros((200, 200), np.uint8)])
    assert found.mask.shape == (200, 200)


def test_batches_of_large_tiles_are_small():
    assert dense_batch((3, 512, 512)) == dense_batch((1, 4096, 4096)) == 1
    assert dense_batch((3, 256, 256)) == 4 and dense_batch((1, 16)) == 256
    assert MANY > 1
