import pytest
import torch

from neocog.planning import plan
from neocog.zoo import create_model
from neocog.zoo.networks.centernet_lite import CHANNELS, STAGES, CenterNetLite
from neocog.zoo.networks.efficientnet_lite import efficientnet_lite
from neocog.zoo.weights import available


def on_meta(**options):
    with torch.device("meta"):
        return CenterNetLite(**options)


def test_parameter_count():
    """EfficientNet-Lite0 without its head, four 1x1 convolutions, three smoothings, three branches, each with norms."""
    head = on_meta(num_classes=5).head
    lateral = sum(channels * 64 + 2 * 64 for channels in CHANNELS)
    smooth = 3 * (9 * 64 + 2 * 64 + 64 * 64 + 2 * 64)
    branches = sum(9 * 64 * 32 + 32 + 32 * c + c for c in (5, 2, 2))
    assert sum(p.numel() for p in head.parameters()) == lateral + smooth + branches
    backbone = 4_652_008 - (320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000)
    assert sum(p.numel() for p in on_meta(num_classes=5).parameters()) == backbone + lateral + smooth + branches


@pytest.mark.parametrize(
    ("size", "cells"), [((416, 416), (104, 104)), ((64, 96), (16, 24)), ((75, 100), (24, 32)), ((33, 1), (16, 8))]
)
def test_three_maps_as_large_as_those_of_centernet(size, cells):
    found = plan(on_meta(in_channels=1, num_classes=7), (1, *size))
    assert found.output_shapes == ((7, *cells), (2, *cells), (2, *cells))


def test_head_by_functions():
    torch.manual_seed(0)
    network = CenterNetLite(num_classes=3).eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps = network.features(images)
        assert [maps[i].shape[1] for i in STAGES] == list(CHANNELS)
        head = network.head
        up = head.lateral[3](maps[6])
        for i in (2, 1, 0):
            up = up.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) + head.lateral[i](maps[STAGES[i]])
            up = head.smooth[i](up)
        points = network(images)
        for found, branch in zip(points, (head.heat, head.size, head.offset), strict=True):
            torch.testing.assert_close(found, branch(up))
        assert (points.heat.sigmoid() - 0.1).abs().mean() < 0.05


def test_the_backbone_is_efficientnet_lite0():
    network, plain = on_meta(), None
    with torch.device("meta"):
        plain = efficientnet_lite("efficientnet_lite0")
    for part in ("stem", "stages"):
        shapes = [{k: v.shape for k, v in getattr(each, part).state_dict().items()} for each in (network, plain)]
        assert shapes[0] == shapes[1]


@pytest.mark.skipif(available("efficientnet_lite0") is None, reason="the package with the weights is not installed")
def test_pretrained_weights_go_into_the_backbone_alone():
    source = available("centernet_lite0")
    torch.manual_seed(0)
    network = create_model("centernet_lite0", num_classes=2, in_channels=1, pretrained=source)
    plain = create_model("efficientnet_lite0", in_channels=1, pretrained=source)
    for part in ("stem", "stages"):
        ours, theirs = (getattr(each, part).state_dict() for each in (network, plain))
        assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    torch.manual_seed(0)
    fresh = create_model("centernet_lite0", num_classes=2, in_channels=1)
    assert torch.equal(network.head.heat[0].weight, fresh.head.heat[0].weight)
    assert network.normalisation == plain.normalisation is not None


def test_every_parameter_learns():
    network = CenterNetLite(in_channels=1, num_classes=2)
    points = network(torch.randn(2, 1, 64, 64))
    sum((maps**2).sum() for maps in points).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


@pytest.mark.parametrize("shrink", [2, 3])
@pytest.mark.parametrize(("size", "cells"), [((416, 416), (104, 104)), ((64, 96), (16, 24)), ((75, 100), (24, 32))])
def test_shrunk_images_give_maps_of_the_same_size(size, cells, shrink):
    found = plan(on_meta(in_channels=1, num_classes=7, shrink=shrink), (1, *size))
    assert found.output_shapes == ((7, *cells), (2, *cells), (2, *cells))


def test_shrunk_images_are_averaged_and_cells_are_divided():
    torch.manual_seed(0)
    network = CenterNetLite(num_classes=3, shrink=2).eval()
    images = torch.randn(1, 3, 128, 192)
    with torch.no_grad():
        small = images.reshape(1, 3, 64, 2, 96, 2).mean(dim=(3, 5))
        head, found = network.head, network.features(small)
        up = head.lateral[3](found[6])
        for i in (2, 1, 0):
            up = head.smooth[i](up.repeat_interleave(2, 2).repeat_interleave(2, 3) + head.lateral[i](found[STAGES[i]]))
        coarse = head.size[:3](up)  # (1, 2 * 4, 16, 24)
        size = network(images).size
    assert size.shape == (1, 2, 32, 48)
    for c, dy, dx in ((0, 0, 1), (1, 1, 0)):
        torch.testing.assert_close(size[:, c, dy::2, dx::2], coarse[:, 4 * c + 2 * dy + dx])
