import pytest
import torch
from torch import nn

from neocog.errors import GeometryError
from neocog.planning import plan
from neocog.zoo.networks.squeezenet import Fire, SqueezeNet


def on_meta(**options):
    with torch.device("meta"):
        return SqueezeNet(**options)


def small_head():
    """The network for four classes, ready to be looked at from outside."""
    torch.manual_seed(0)
    return SqueezeNet(in_channels=2, num_classes=4).eval()


def test_it_has_the_published_parameters():
    """Counted from the authors' definition: the stem, fire modules 2 to 9, the last convolution; 1,235,496 in all."""
    model = on_meta()
    fires = [module for module in model.modules() if isinstance(module, Fire)]
    parts = [model.stem, *fires, model.head]
    counts = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert counts == [1792, 11408, 12432, 45344, 49440, 104880, 111024, 188992, 197184, 513000]
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == sum(counts) == 1_235_496


def test_maps_are_as_large_as_in_the_authors_network():
    """227 pixels gave maps of 113, 56, 28 and 14; 224 give 111, 55, 27 and 13."""
    for pixels, sizes in ((227, (56, 28, 14)), (224, (55, 27, 13))):
        images = torch.empty(2, 3, pixels, pixels, device="meta")
        maps = on_meta().eval().features(images)
        expected = zip((128, 256, 512), sizes, strict=True)
        assert [tuple(m.shape) for m in maps] == [(2, channels, size, size) for channels, size in expected]
        assert on_meta()(images).shape == (2, 1000)


def test_it_takes_any_size_from_17_on():
    images = torch.empty(3, 1, 17, 40, device="meta")
    model = on_meta(in_channels=1, num_classes=5)
    assert model(images).shape == (3, 5)
    with pytest.raises(GeometryError, match=r"stages\.2\.0 MaxPool2d.*The network works from 1x17x17 on"):
        plan(model, (1, 16, 16))


def test_receptive_field_and_cost():
    """3 and 7 in the stem; 8 more for each of two fires, and 8 for the pooling: 31; so on with 16 and 32.

    torchvision lists 0.349 thousand million multiply-adds.
    """
    planned = plan(on_meta(), (3, 224, 224))
    fields = [planned.row(f"stages.{name}", "cat").receptive_field[0] for name in ("0.1", "1.2", "2.4")]
    assert fields == [7 + 2 * 8, 31 + 2 * 16, 79 + 4 * 32]
    assert planned.macs // 10**6 == 349


def test_a_fire_module_puts_1x1_before_3x3():
    torch.manual_seed(0)
    fire, maps = Fire(5, 2), torch.randn(1, 5, 7, 7)
    changed = maps.clone()
    changed[..., 3, 3] += 10
    touched = (fire(maps) != fire(changed)).squeeze(0)  # (16, 7, 7)
    assert fire(maps).shape == (1, 16, 7, 7)
    assert touched[:8].any(0).nonzero().tolist() == [[3, 3]]
    assert touched[8:].any(0).nonzero().tolist() == [[i, j] for i in (2, 3, 4) for j in (2, 3, 4)]


def test_logits_are_means_of_rectified_maps():
    model, images = small_head(), torch.randn(2, 2, 40, 33)
    to_maps = model.head[1]
    maps = model.features(images)[-1]
    weighted = torch.einsum("kc,nchw->nkhw", to_maps.weight[:, :, 0, 0], maps) + to_maps.bias[:, None, None]
    torch.testing.assert_close(model(images), weighted.clamp(min=0).mean((2, 3)))
    assert (model(images) >= 0).all()


def test_dropout_acts_on_the_head_in_training_alone():
    model, images = small_head(), torch.randn(2, 2, 40, 33)
    assert torch.equal(model(images), model(images))
    assert not torch.equal(model.train()(images), model(images))
    assert model.head[0].p == 0.5
    without = SqueezeNet(in_channels=2, dropout=0.0).train()
    assert torch.equal(without(images), without(images))


def test_it_begins_by_he_and_its_last_convolution_as_published():
    """Uniform by He, and N(0, 0.01) in the last convolution."""
    torch.manual_seed(0)
    *others, last = [module for module in SqueezeNet().modules() if isinstance(module, nn.Conv2d)]
    for conv in others:
        weight, bound = conv.weight.detach(), (6 / conv.weight[0].numel()) ** 0.5
        assert 0.97 * bound < weight.abs().max() <= bound
        assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.05)
    assert float(last.weight.detach().std()) == pytest.approx(0.01, rel=0.01)
    assert last.weight.abs().max() > 0.03  # no uniform distribution of this deviation reaches so far
    assert all(not conv.bias.any() for conv in others)
    assert torch.equal(last.bias, torch.ones(1000))  # so that the last ReLU is open for every class


def test_every_parameter_learns():
    torch.manual_seed(0)
    model = SqueezeNet(in_channels=2, num_classes=4)
    model(torch.randn(2, 2, 33, 33)).square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


def test_an_exported_network_gives_the_same():
    model, images = small_head(), torch.randn(2, 2, 33, 33)
    torch.testing.assert_close(torch.export.export(model, (images,)).module()(images), model(images))
