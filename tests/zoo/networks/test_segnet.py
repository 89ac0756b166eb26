import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.planning import plan
from neocog.zoo.networks.segnet import SegNet
from neocog.zoo.networks.vgg import vgg


def on_meta(**options):
    with torch.device("meta"):
        return SegNet(**options)


@pytest.mark.parametrize(("num_classes", "parameters"), [(11, 29_449_355), (2, 29_444_162), (21, 29_455_125)])
def test_parameter_counts(num_classes, parameters):
    """The paper has 14.7 million in its encoder and as many in its decoder."""
    network = on_meta(num_classes=num_classes)
    widths = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]  # of VGG-16's thirteen
    layer = lambda c_in, c_out: 9 * c_in * c_out + c_out + 2 * c_out  # noqa: E731  (convolution, bias, batch norm)
    encoder = sum(map(layer, [3, *widths], widths))
    decoder = sum(map(layer, widths[::-1], widths[-2::-1])) + 9 * 64 * num_classes + num_classes
    assert sum(p.numel() for p in network.head.parameters()) == decoder
    assert sum(p.numel() for p in network.parameters()) == encoder + decoder == parameters
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == 26


@pytest.mark.parametrize("size", [(1, 1), (31, 33), (224, 224), (360, 480)])
def test_any_size_gives_logits_of_that_size(size):
    assert plan(on_meta(in_channels=4, num_classes=5), (4, *size)).output_shapes == ((5, *size),)


@pytest.fixture(scope="module")
def network():
    """With statistics and scales of batch norm as if it had learnt."""
    torch.manual_seed(0)
    network = SegNet()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, std=0.1)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.1)
    return network.eval()


def test_features_are_those_of_vgg16_with_batch_norm(network):
    with torch.device("meta"):
        encoder = vgg("vgg16_bn")
    encoder.stem.load_state_dict(network.stem.state_dict(), assign=True)
    for theirs, ours in zip(encoder.stages, network.stages, strict=True):
        theirs[1:].load_state_dict({shifted(key): t for key, t in ours.state_dict().items()}, assign=True)
    images = torch.randn(1, 3, 48, 32)
    with torch.no_grad():
        found, expected = network.features(images), encoder.eval().features(images)
    assert [maps.shape[1:] for maps in found] == [(128, 24, 16), (256, 12, 8), (512, 6, 4), (512, 3, 2)]
    for maps, same in zip(found, expected, strict=True):
        torch.testing.assert_close(maps, same)


def shifted(key):
    """A layer's key where a pooling stands before the convolutions."""
    place, _, rest = key.partition(".")
    return f"{int(place) + 1}.{rest}"


def test_published_receptive_field():
    """The last convolution of VGG-16 sees 196 pixels."""
    row = plan(on_meta(), (3, 360, 480)).row("stages.3.6")
    assert (row.receptive_field, row.stride) == ((196, 196), (16, 16))


def plain(network, images):
    """SegNet by functions."""
    layers = iter([m for m in network.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)])

    def run(x, depth):
        for _ in range(depth):
            conv, norm = next(layers), next(layers)
            x = F.conv2d(x, conv.weight, conv.bias, padding=1)
            x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps).relu()
        return x

    x, remembered = images, []
    for depth in (2, 2, 3, 3, 3):
        x = run(x, depth)
        size = x.shape[2:]
        x, places = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
        remembered.append((places, size))
    for depth, (places, size) in zip((3, 3, 3, 2, 1), reversed(remembered), strict=True):
        x = run(F.max_unpool2d(x, places, 2, output_size=size), depth)
    last = next(layers)
    assert next(layers, None) is None
    return F.conv2d(x, last.weight, last.bias, padding=1)


@pytest.mark.parametrize("size", [(64, 32), (37, 50)])
def test_wiring(network, size):
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(network(images), plain(network, images))


def test_switches_carry_where_edges_are(network):
    """Behind each unpooling one value of four is set at most, at the places of the maxima."""
    seen = []
    hook = network.head.unpool.register_forward_hook(lambda _, inputs, maps: seen.append((inputs[1], maps)))
    with torch.no_grad():
        network(torch.randn(1, 3, 64, 64))
    hook.remove()
    assert [maps.shape[2] for _, maps in seen] == [4, 8, 16, 32, 64]
    for switches, maps in seen:
        elsewhere = maps.flatten(2).scatter(2, switches.places.flatten(2), 0.0)
        assert maps.any() and not elsewhere.any()


def test_weights_begin_as_he_has_them():
    for conv in SegNet().modules():
        if isinstance(conv, nn.Conv2d):
            expected = math.sqrt(2 / (9 * conv.in_channels))
            assert math.isclose(conv.weight.detach().std(), expected, rel_tol=0.1 if conv.in_channels == 3 else 0.04)
            assert not conv.bias.any()


def test_every_parameter_learns():
    network, images = SegNet(in_channels=2, num_classes=3), torch.randn(2, 2, 40, 35)
    logits = network(images)
    assert logits.shape == (2, 3, 40, 35)
    logits.square().mean().backward()
    assert all(p.grad.isfinite().all() for p in network.parameters())
    assert all(p.grad.any() for p in network.parameters() if p.ndim == 4)  # a bias before batch norm does nothing


def test_exported_program_takes_images_of_other_sizes(network):
    auto = torch.export.Dim.AUTO
    exported = torch.export.export(
        network, (torch.randn(2, 3, 67, 50),), dynamic_shapes=({0: auto, 2: auto, 3: auto},)
    ).module()
    for shape in [(1, 3, 64, 64), (3, 3, 35, 41)]:
        images = torch.randn(shape)
        torch.testing.assert_close(exported(images), network(images))
