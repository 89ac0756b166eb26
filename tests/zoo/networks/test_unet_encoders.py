import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog import create_model
from neocog.errors import ConfigError
from neocog.planning import plan
from neocog.zoo.networks.efficientnet_lite import efficientnet_lite
from neocog.zoo.networks.resnet import resnet
from neocog.zoo.networks.unet_encoders import VARIANTS, unet_encoder


def on_meta(variant="unet_resnet18", **options):
    with torch.device("meta"):
        return unet_encoder(variant, **options)


def count(module):
    return sum(p.numel() for p in module.parameters())


def decoder(channels, widths, num_classes):
    """Two 3x3 convolutions without bias and their batch norms for each step; a 3x3 with bias behind them."""
    *skipped, below = channels
    total = 0
    for beside, width in zip([*reversed(skipped), 0], widths, strict=True):
        total += 9 * (below + beside) * width + 9 * width * width + 4 * width
        below = width
    return total + 9 * below * num_classes + num_classes


def test_parameter_count_is_that_of_segmentation_models():
    """14,328,209 for `smp.Unet("resnet18", classes=1)`."""
    backbone = 11_689_512 - (512 * 1000 + 1000)
    assert backbone + decoder((64, 64, 128, 256, 512), (256, 128, 64, 32, 16), 1) == 14_328_209
    assert count(on_meta(num_classes=1)) == 14_328_209


def test_parameter_count_on_efficientnet_lite0():
    backbone = 4_652_008 - (320 * 1280 + 2 * 1280) - (1280 * 1000 + 1000)
    expected = backbone + decoder((32, 24, 40, 112, 320), (128, 64, 32, 24, 16), 7)
    assert count(on_meta("unet_lite0", num_classes=7)) == expected


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", [(1, 1), (32, 64), (45, 33), (100, 181), (224, 224)])
def test_any_size_gives_logits_of_that_size(variant, size):
    network = on_meta(variant, in_channels=2, num_classes=5)
    assert plan(network, (2, *size)).output_shapes == ((5, *size),)


def test_features_are_the_classifiers():
    for variant, build in (("unet_resnet18", resnet), ("unet_lite0", efficientnet_lite)):
        torch.manual_seed(0)
        network = unet_encoder(variant).eval()
        whole = build({"unet_resnet18": "resnet18", "unet_lite0": "efficientnet_lite0"}[variant]).eval()
        whole.stem.load_state_dict(network.stem.state_dict())
        whole.stages.load_state_dict(network.stages.state_dict())
        images = torch.randn(2, 3, 64, 96)
        with torch.no_grad():
            found, expected = network.features(images), whole.features(images)
        assert len(found) == len(expected)
        assert all(torch.equal(maps, same) for maps, same in zip(found, expected, strict=True))


def plain(network, images):
    """The path up by functions, over the maps that the path down gives."""
    found = network.encode(images)
    skipped = [found[i] for i in network.taps]
    maps = skipped.pop()
    layers = iter([m for m in network.head.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)])
    for beside in [*reversed(skipped), None]:
        like = images if beside is None else beside
        maps = maps.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, : like.shape[2], : like.shape[3]]
        maps = maps if beside is None else torch.cat([maps, beside], 1)
        for _ in range(2):
            conv, norm = next(layers), next(layers)
            maps = F.conv2d(maps, conv.weight, padding=1)
            maps = F.batch_norm(maps, norm.running_mean, norm.running_var, norm.weight, norm.bias).relu()
    last = next(layers)
    return F.conv2d(maps, last.weight, last.bias, padding=1)


@pytest.mark.parametrize(("variant", "sizes"), [("unet_resnet18", (64, 32)), ("unet_lite0", (45, 70))])
def test_wiring(variant, sizes):
    torch.manual_seed(0)
    network, images = unet_encoder(variant, in_channels=1).eval(), torch.randn(2, 1, *sizes)
    with torch.no_grad():
        torch.testing.assert_close(network(images), plain(network, images))


def test_every_parameter_learns():
    for variant in VARIANTS:
        network = unet_encoder(variant, num_classes=3)
        network(torch.randn(2, 3, 37, 64)).square().sum().backward()
        assert all(p.grad.isfinite().all() and p.grad.any() for p in network.parameters()), variant


def test_widths_are_those_of_the_path_up():
    wide = on_meta("unet_lite0", widths=(256, 128, 64, 32, 16))
    assert count(wide.head) == decoder((32, 24, 40, 112, 320), (256, 128, 64, 32, 16), 2)
    with pytest.raises(ConfigError, match=r"unet_lite0 has 5 widths.*Received: 8, 8\.\s+Give 5, such as 128 64"):
        create_model("unet_lite0", widths=(8, 8))
