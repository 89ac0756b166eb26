import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog import create_model
from neocog.errors import GeometryError
from neocog.planning import plan
from neocog.zoo.networks.unet import SMALL, UNet


def on_meta(**options):
    with torch.device("meta"):
        return UNet(**options)


def by_formula(in_channels, num_classes):
    """Kernels and one bias for each output map, of every convolution in the paper's figure 1."""
    conv = lambda c_in, c_out: 9 * c_in * c_out + c_out  # noqa: E731
    down = sum(conv(c, 2 * c) + conv(2 * c, 2 * c) for c in (64, 128, 256, 512))
    up = sum(4 * 2 * c * c + c + conv(2 * c, c) + conv(c, c) for c in (64, 128, 256, 512))
    return conv(in_channels, 64) + conv(64, 64) + down + up + 64 * num_classes + num_classes


@pytest.mark.parametrize(
    ("in_channels", "num_classes", "parameters"), [(1, 2, 31_030_658), (3, 2, 31_031_810), (1, 1, 31_030_593)]
)
def test_published_parameter_counts(in_channels, num_classes, parameters):
    """Biases everywhere, no batch norm. The paper prints no count; 31.03 million is its figure's."""
    assert by_formula(in_channels, num_classes) == parameters
    for padding in (True, False):
        network = on_meta(in_channels=in_channels, num_classes=num_classes, padding=padding)
        assert sum(p.numel() for p in network.parameters()) == parameters


def test_without_padding_572_gives_388_as_in_the_papers_figure():
    found = plan(on_meta(padding=False), (1, 572, 572))
    assert found.output_shapes == ((2, 388, 388),)
    stages = [(f"stages.{i}.{j}.1", i) for i, j in ((1, 2), (2, 2), (3, 2), (4, 2))]
    assert [found.row(name).output_shape for name, _ in stages] == [
        (128, 280, 280), (256, 136, 136), (512, 64, 64), (1024, 28, 28),
    ]  # fmt: skip
    steps = [found.row(f"head.steps.{i}.convs.1.1").output_shape for i in range(4)]
    assert steps == [(512, 52, 52), (256, 100, 100), (128, 196, 196), (64, 388, 388)]


@pytest.mark.parametrize(("size", "logits"), [((188, 572), (4, 388)), ((190, 207), (4, 20)), ((204, 220), (20, 36))])
def test_sizes_without_padding(size, logits):
    assert plan(on_meta(padding=False), (1, *size)).output_shapes == ((2, *logits),)


def test_error_for_too_small_an_image_names_the_smallest():
    with pytest.raises(GeometryError, match="The network works from 1x188x188 on"):
        plan(on_meta(padding=False), (1, 187, 187))


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (16, 48), (33, 100), (572, 572)])
def test_with_padding_any_size_gives_logits_of_that_size(size):
    assert plan(on_meta(in_channels=2, num_classes=5), (2, *size)).output_shapes == ((5, *size),)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return UNet().eval()


def test_features_are_the_stages_maps(network):
    shapes = [tuple(maps.shape) for maps in on_meta().features(torch.empty(2, 1, 36, 50, device="meta"))]
    assert shapes == [
        (2, 64, 36, 50), (2, 128, 18, 25), (2, 256, 9, 13), (2, 512, 5, 7), (2, 1024, 3, 4),
    ]  # fmt: skip


def test_receptive_field_of_the_deepest_maps():
    """By hand: a pair of 3x3 adds 4 strides, a pooling one. 5, 6, 14, 16, 32, 36, 68, 76, 140."""
    row = plan(on_meta(), (1, 256, 256)).row("stages.4.2.1")
    assert (row.receptive_field, row.stride) == ((140, 140), (16, 16))


def plain(network, images, padding):
    """The paper's figure 1 by functions; in a network's order of modules, convolutions stand as in the figure."""
    layers = iter([m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)])

    def double(x):
        for _ in range(2):
            layer = next(layers)
            x = F.conv2d(x, layer.weight, layer.bias, padding=1 if padding else 0).relu()
        return x

    x, skipped = double(images), []
    for _ in range(4):
        skipped.append(x)
        x = double(F.max_pool2d(x, 2, ceil_mode=padding))
    for skip in reversed(skipped):
        layer = next(layers)
        x = F.conv_transpose2d(x, layer.weight, layer.bias, stride=2)
        if padding:
            x = x[:, :, : skip.shape[2], : skip.shape[3]]
        top, left = (skip.shape[2] - x.shape[2]) // 2, (skip.shape[3] - x.shape[3]) // 2
        skip = skip[:, :, top : top + x.shape[2], left : left + x.shape[3]]
        x = double(torch.cat([skip, x], 1))
    layer = next(layers)
    assert next(layers, None) is None
    return F.conv2d(x, layer.weight, layer.bias)


@pytest.mark.parametrize("size", [(32, 16), (21, 50)])
def test_wiring(network, size):
    images = torch.randn(2, 1, *size)
    with torch.no_grad():
        torch.testing.assert_close(network(images), plain(network, images, padding=True))


def test_wiring_without_padding(network):
    """The weights are the same in both forms."""
    unpadded = on_meta(padding=False)
    unpadded.load_state_dict(network.state_dict(), assign=True)
    images = torch.randn(1, 1, 190, 188)
    with torch.no_grad():
        torch.testing.assert_close(unpadded.eval()(images), plain(network, images, padding=False))


def test_weights_begin_with_the_papers_deviation(network):
    """sqrt(2 / N) for N values to an output: 9 to a channel in a 3x3, one in a transposed 2x2 of stride 2."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            inputs = layer.in_channels * {(3, 3): 9, (2, 2): 1, (1, 1): 1}[layer.kernel_size]
            few = layer.weight.numel() < 1000
            assert math.isclose(layer.weight.detach().std(), math.sqrt(2 / inputs), rel_tol=0.25 if few else 0.03)
            assert abs(layer.weight.detach().mean()) < (0.3 if few else 0.03) * math.sqrt(2 / inputs)
            assert not layer.bias.any()


def test_every_parameter_learns():
    network, images = UNet(in_channels=2, num_classes=3), torch.randn(2, 2, 19, 34)
    logits = network(images)
    assert logits.shape == (2, 3, 19, 34)
    logits.square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


def test_dropout_follows_the_two_deepest_stages_and_acts_only_in_training():
    dropouts = {name: m.p for name, m in on_meta(dropout=0.3).named_modules() if isinstance(m, nn.Dropout)}
    assert dropouts == {"stages.3.3": 0.3, "stages.4.3": 0.3}
    network, images = UNet(), torch.randn(1, 1, 16, 16)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


def test_exported_program_takes_images_of_other_sizes(network):
    auto = torch.export.Dim.AUTO
    exported = torch.export.export(
        network, (torch.randn(2, 1, 35, 50),), dynamic_shapes=({0: auto, 2: auto, 3: auto},)
    ).module()
    for shape in [(1, 1, 32, 48), (3, 1, 18, 33)]:
        images = torch.randn(shape)
        torch.testing.assert_close(exported(images), network(images))


def test_small_form_has_batch_norm_for_biases():
    """By the paper's figure with 16 to 256 channels: two numbers for each map where a bias was one."""
    conv = lambda c_in, c_out: 9 * c_in * c_out + 2 * c_out  # noqa: E731
    down = conv(3, 16) + conv(16, 16) + sum(conv(c, 2 * c) + conv(2 * c, 2 * c) for c in SMALL[:-1])
    up = sum(4 * 2 * c * c + c + conv(2 * c, c) + conv(c, c) for c in SMALL[:-1])
    network = create_model("unet_small")
    assert sum(p.numel() for p in network.parameters()) == down + up + 16 * 2 + 2
    assert not any(isinstance(m, nn.Dropout) and m.p for m in network.modules())


def test_widths_set_the_stages():
    assert [tuple(m.shape[1:]) for m in UNet(widths=(4, 8, 12)).features(torch.zeros(1, 1, 9, 16))] == [
        (4, 9, 16), (8, 5, 8), (12, 3, 4),
    ]  # fmt: skip
