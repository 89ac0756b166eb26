import pytest
import torch
from torch import nn

import neocog
from neocog.errors import GeometryError
from neocog.zoo.networks.speech_resnet import VARIANTS, speech_resnet


def on_meta(variant):
    with torch.device("meta"):
        return speech_resnet(variant)


@pytest.mark.parametrize(
    ("variant", "count", "published"),
    [
        ("speech_res8", 110_307, "110K"),
        ("speech_res15", 237_882, "238K"),
        ("speech_res26", 438_357, "438K"),
        ("speech_res8_narrow", 19_905, "19.9K"),
        ("speech_res15_narrow", 42_648, "42.6K"),
        ("speech_res26_narrow", 78_387, "78.4K"),
    ],
)
def test_published_parameter_counts(variant, count, published):
    assert sum(p.numel() for p in on_meta(variant).parameters()) == count
    digits = 0 if "." not in published else 1
    assert f"{count / 1000:.{digits}f}K" == published


def plainly(model, mfccs, pooling):
    """The authors' loop: all convolutions in a row, every second one adds the sum before it, norms behind the sums."""
    convs = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    norms = [nn.Identity(), *(layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d))]
    x, total = mfccs, 0
    for i, (conv, norm) in enumerate(zip(convs, norms, strict=True)):
        x = conv(x).relu()
        if i == 0 and pooling is not None:
            x = nn.functional.avg_pool2d(x, pooling)
        if i % 2 == 0:
            x = total = x + total
        x = norm(x)
    return model.head[2](x.mean((2, 3)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_forward_is_the_authors_loop(variant):
    torch.manual_seed(0)
    model = speech_resnet(variant).eval()
    for norm in (layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    mfccs = torch.randn(2, 1, 12, 9)
    torch.testing.assert_close(model(mfccs), plainly(model, mfccs, VARIANTS[variant][2]))


def test_res15_sees_the_published_125_samples_along_each_axis():
    row = neocog.plan(on_meta("speech_res15"), (1, 101, 40)).row("stages.0.8")
    assert (row.receptive_field, row.stride, row.output_shape) == ((125, 125), (1, 1), (45, 101, 40))


def test_dilations_double_after_every_third_convolution():
    """Table 1 of the paper: 2**(i // 3) for the i-th of twelve convolutions, and 16 in the last."""
    found = [layer.dilation[0] for layer in on_meta("speech_res15").stages.modules() if isinstance(layer, nn.Conv2d)]
    assert found == [1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8, 8, 16]
    assert {layer.dilation for layer in on_meta("speech_res26").modules() if isinstance(layer, nn.Conv2d)} == {(1, 1)}


@pytest.mark.parametrize(
    ("variant", "shape"),
    [("speech_res8", (25, 13)), ("speech_res15", (101, 40)), ("speech_res26", (50, 20))],
)
def test_features_keep_the_size_that_pooling_leaves(variant, shape):
    with torch.device("meta"):
        maps = on_meta(variant).features(torch.empty(2, 1, 101, 40))
    assert [stage.shape for stage in maps] == [(2, 45, *shape)]


def test_other_channels_classes_and_sizes():
    model = speech_resnet("speech_res8_narrow", in_channels=3, num_classes=35)
    assert model(torch.randn(2, 3, 4, 3)).shape == (2, 35)
    with pytest.raises(GeometryError, match=r"stem\.1"):
        neocog.plan(model, (3, 3, 40))
