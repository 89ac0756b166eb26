import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.planning import plan
from neocog.zoo.networks.fcn import FCN8s, bilinear, enlarge


def on_meta(**options):
    with torch.device("meta"):
        return FCN8s(**options)


@pytest.mark.parametrize(("num_classes", "parameters"), [(21, 134_489_759), (2, 134_271_430)])
def test_parameter_counts(num_classes, parameters):
    """Table 1 of the paper says 134 million, almost all of them VGG-16's without its last layer."""
    network = on_meta(num_classes=num_classes)
    backbone = 138_357_544 - (4096 * 1000 + 1000)  # VGG-16 without its last layer
    scores = sum(channels * num_classes + num_classes for channels in (4096, 512, 256))
    enlarging = num_classes**2 * (4 * 4 + 4 * 4 + 16 * 16)
    assert sum(p.numel() for p in network.parameters()) == backbone + scores + enlarging == parameters


@pytest.mark.parametrize("size", [(1, 1), (31, 33), (224, 224), (375, 500)])
def test_any_size_gives_logits_of_that_size(size):
    assert plan(on_meta(in_channels=4, num_classes=5), (4, *size)).output_shapes == ((5, *size),)


def test_features_are_the_pooled_maps():
    shapes = [tuple(maps.shape) for maps in on_meta().features(torch.empty(2, 3, 70, 100, device="meta"))]
    assert shapes == [(2, 128, 18, 25), (2, 256, 9, 13), (2, 512, 5, 7), (2, 512, 3, 4)]


def test_published_receptive_field_and_stride():
    """Table 1: a unit of fc7 sees 404 pixels and is 32 from the next."""
    found = plan(on_meta(), (3, 448, 448))
    row = found.row("head.dense.4")
    assert (row.receptive_field, row.stride) == ((404, 404), (32, 32))
    assert row.output_shape == (4096, 14, 14)
    # Places lie on their own pixels: the middle of what the first sees is the middle of its 32 pixels.
    assert row.offset == (16 - 202, 16 - 202)


@pytest.mark.parametrize("factor", [2, 8])
def test_enlarging_begins_as_bilinear_interpolation_of_each_channel(factor):
    maps = torch.randn(2, 3, 6, 7)
    enlarged = enlarge(3, factor).apply(bilinear)(maps)
    expected = F.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False)
    assert enlarged.shape == expected.shape
    inside = slice(factor // 2, -(factor // 2))  # beyond the border this one reads zeros
    torch.testing.assert_close(enlarged[:, :, inside, inside], expected[:, :, inside, inside])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return FCN8s().eval()


def test_scores_begin_at_zero_and_the_wide_layers_do_not(network):
    assert not network(torch.randn(1, 3, 40, 33)).any()
    assert all(p.any() for p in network.head.dense.parameters() if p.ndim == 4)
    for enlarging, factor in ((network.head.enlarge_32, 2), (network.head.enlarge_8, 8)):
        assert torch.equal(enlarging.weight, enlarge(21, factor).apply(bilinear).weight)


@pytest.fixture(scope="module")
def scoring(network):
    """The same weights with scores that are not zero."""
    torch.manual_seed(1)
    found = on_meta()
    found.load_state_dict(network.state_dict(), assign=True)
    for score in (found.head.score_32, found.head.score_16, found.head.score_8):
        score.weight = nn.Parameter(torch.randn_like(score.weight))
        score.bias = nn.Parameter(torch.randn_like(score.bias))
    return found.eval()


def plain(network, images):
    """FCN-8s by functions."""
    head, maps, pooled = network.head, images, []
    for part in (network.stem, *network.stages):
        for conv in part:
            if isinstance(conv, nn.Conv2d):
                maps = F.conv2d(maps, conv.weight, conv.bias, padding=1).relu()
        maps = F.max_pool2d(maps, 2, ceil_mode=True)
        pooled.append(maps)
    fc6, fc7 = (layer for layer in head.dense if isinstance(layer, nn.Conv2d))
    maps = F.conv2d(maps, fc6.weight, fc6.bias, padding=3).relu()
    maps = F.conv2d(maps, fc7.weight, fc7.bias).relu()
    logits = F.conv2d(maps, head.score_32.weight, head.score_32.bias)
    for enlarging, score, pool in (
        (head.enlarge_32, head.score_16, pooled[3]),
        (head.enlarge_16, head.score_8, pooled[2]),
    ):
        logits = F.conv_transpose2d(logits, enlarging.weight, stride=2, padding=1)
        logits = logits[:, :, : pool.shape[2], : pool.shape[3]] + F.conv2d(pool, score.weight, score.bias)
    logits = F.conv_transpose2d(logits, head.enlarge_8.weight, stride=8, padding=4)
    return logits[:, :, : images.shape[2], : images.shape[3]]


@pytest.mark.parametrize("size", [(64, 32), (37, 70)])
def test_wiring(scoring, size):
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(scoring(images), plain(scoring, images))


def test_every_parameter_learns(scoring):
    logits = scoring(torch.randn(1, 3, 40, 34))
    logits.square().mean().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in scoring.parameters())
    scoring.zero_grad()


def test_dropout_follows_the_two_wide_layers():
    dropouts = {name: m.p for name, m in on_meta(dropout=0.3).named_modules() if isinstance(m, nn.Dropout)}
    assert dropouts == {"head.dense.2": 0.3, "head.dense.5": 0.3}


def test_exported_program_takes_images_of_other_sizes(scoring):
    auto = torch.export.Dim.AUTO
    exported = torch.export.export(
        scoring, (torch.randn(2, 3, 67, 50),), dynamic_shapes=({0: auto, 2: auto, 3: auto},)
    ).module()
    for shape in [(1, 3, 64, 64), (3, 3, 35, 41)]:
        images = torch.randn(shape)
        torch.testing.assert_close(exported(images), scoring(images))
