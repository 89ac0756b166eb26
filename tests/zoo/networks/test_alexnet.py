"""AlexNet as published in 2012, and its form in one column of 2014."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog import plan
from neocog.errors import GeometryError
from neocog.zoo.networks.alexnet import AlexNet
from neocog.zoo.networks.alexnet_one_column import AlexNetOneColumn


@pytest.fixture(scope="module")
def alexnet():
    torch.manual_seed(0)
    return AlexNet(num_classes=10, in_channels=1)


def on_meta(build, **options):
    with torch.device("meta"):
        return build(**options)


def weighted(model):
    return [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def test_published_parameter_counts_of_every_layer_and_of_all():
    layers = weighted(on_meta(AlexNet))
    assert [sum(p.numel() for p in layer.parameters()) for layer in layers] == [
        11 * 11 * 3 * 96 + 96,
        5 * 5 * 48 * 256 + 256,  # 48 of 96: the column's own
        3 * 3 * 256 * 384 + 384,
        3 * 3 * 192 * 384 + 384,
        3 * 3 * 192 * 256 + 256,
        9216 * 4096 + 4096,
        4096 * 4096 + 4096,
        4096 * 1000 + 1000,
    ]
    assert sum(p.numel() for p in on_meta(AlexNet).parameters()) == 60_965_224
    assert sum(p.numel() for p in on_meta(AlexNetOneColumn).parameters()) == 61_100_840


@pytest.mark.parametrize("size", [227, 258])
def test_shapes_of_the_published_network(size):
    model = on_meta(AlexNet, in_channels=5, num_classes=7).eval()
    images = torch.empty(2, 5, size, size, device="meta")
    assert model.stem[0](images).shape[2:] == ((size - 11) // 4 + 1,) * 2  # 55 for 227
    assert model(images).shape == (2, 7)


def test_published_sizes_of_maps():
    model, images = on_meta(AlexNet), torch.empty(1, 3, 227, 227, device="meta")
    assert model.stem[0](images).shape == (1, 96, 55, 55)
    assert [maps.shape[1:] for maps in model.features(images)] == [(256, 27, 27), (256, 13, 13)]


def test_error_for_an_image_of_224_names_the_sizes_that_fit():
    with pytest.raises(GeometryError, match=r"head.2 Linear.*receives 256x5x5.*from 3x227x227 to 3x258x258"):
        plan(on_meta(AlexNet), (3, 224, 224))


@pytest.mark.parametrize(("size", "c_in"), [(224, 3), (63, 1), (130, 4)])
def test_one_column_takes_all_sizes_from_63_on(size, c_in):
    model = on_meta(AlexNetOneColumn, in_channels=c_in, num_classes=7).eval()
    assert model(torch.empty(2, c_in, size, size, device="meta")).shape == (2, 7)


def test_one_column_has_the_usual_maps_and_names_what_is_too_small():
    model = on_meta(AlexNetOneColumn)
    maps = model.features(torch.empty(1, 3, 224, 224, device="meta"))
    assert [found.shape[1:] for found in maps] == [(192, 27, 27), (256, 13, 13)]
    with pytest.raises(GeometryError, match=r"head.0 MaxPool2d.*from 3x63x63 on"):
        plan(model, (3, 62, 62))


@pytest.mark.parametrize(("build", "size"), [(AlexNet, 227), (AlexNetOneColumn, 224)])
def test_receptive_field_at_the_last_pooling(build, size):
    """195 pixels, 32 apart (Araujo et al. 2019)."""
    row = plan(on_meta(build), (3, size, size)).row("head.0")
    assert (row.receptive_field, row.stride) == ((195, 195), (32, 32))


def test_every_operation_of_the_plan_is_known():
    assert all(row.known for row in plan(on_meta(AlexNet), (3, 227, 227)).rows)


def test_columns_meet_in_the_third_convolution_alone(alexnet):
    second, third, fourth, fifth = weighted(alexnet)[1:5]
    for conv, apart in ((second, True), (third, False), (fourth, True), (fifth, True)):
        maps = torch.randn(1, conv.in_channels, 5, 5)
        changed = maps.clone()
        changed[:, : conv.in_channels // 2] += 1
        before, after = (conv(x)[:, conv.out_channels // 2 :] for x in (maps, changed))
        assert torch.equal(before, after) == apart


def test_first_values_are_those_of_section_five(alexnet):
    for number, layer in enumerate(weighted(alexnet), start=1):
        assert layer.weight.mean().abs() < 0.0005
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.03)
        assert set(layer.bias.tolist()) == {1.0 if number in (2, 4, 5, 6, 7) else 0.0}


def functional(model, images):
    """The paper's section 3.5 from the network's tensors alone."""
    layers = weighted(model)

    def conv(number, maps, stride=1, padding=0, groups=1):
        layer = layers[number - 1]
        return F.conv2d(maps, layer.weight, layer.bias, stride, padding, groups=groups).relu()

    def norm(maps):
        squares = F.conv3d(maps.square()[:, None], maps.new_ones(1, 1, 5, 1, 1), padding=(2, 0, 0))[:, 0]
        return maps / (2 + 1e-4 * squares) ** 0.75

    maps = F.max_pool2d(norm(conv(1, images, stride=4)), 3, 2)
    maps = F.max_pool2d(norm(conv(2, maps, padding=2, groups=2)), 3, 2)
    maps = conv(4, conv(3, maps, padding=1), padding=1, groups=2)
    values = F.max_pool2d(conv(5, maps, padding=1, groups=2), 3, 2).flatten(1)
    for layer in layers[5:7]:
        values = (values @ layer.weight.T + layer.bias).relu()
    return values @ layers[7].weight.T + layers[7].bias


def test_the_network_computes_what_the_paper_says(alexnet):
    images = torch.randn(2, 1, 227, 227) * 60
    with torch.no_grad():
        torch.testing.assert_close(alexnet.eval()(images), functional(alexnet, images), rtol=1e-4, atol=1e-5)


def test_all_parameters_of_the_published_network_get_gradients(alexnet):
    logits = alexnet.train()(torch.randn(1, 1, 227, 227) * 60)
    logits.square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in alexnet.parameters())
    alexnet.zero_grad()


def test_all_parameters_of_the_one_column_get_gradients():
    model = AlexNetOneColumn(num_classes=3)
    model(torch.randn(1, 3, 63, 63)).square().sum().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("build", [AlexNet, AlexNetOneColumn])
def test_dropout_acts_on_two_layers_with_the_strength_that_is_given(build):
    head = on_meta(build, dropout=0.25).head
    assert [layer.p for layer in head if isinstance(layer, nn.Dropout)] == [0.25, 0.25]
    assert [layer.p for layer in on_meta(build).head if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


@pytest.mark.parametrize(("build", "size"), [(AlexNet, 227), (AlexNetOneColumn, 100)])
def test_export_takes_batches_of_any_size(build, size):
    model, batch = on_meta(build).eval(), torch.empty(2, 3, size, size, device="meta")
    exported = torch.export.export(model, (batch,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    assert exported.module()(torch.empty(5, 3, size, size, device="meta")).shape == (5, 1000)
