import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog import plan
from neocog.errors import GeometryError
from neocog.zoo.networks.vgg import VARIANTS, vgg

COUNTS = {
    "vgg11": 132_863_336, "vgg13": 133_047_848, "vgg16": 138_357_544, "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840, "vgg13_bn": 133_053_736, "vgg16_bn": 138_365_992, "vgg19_bn": 143_678_248,
}  # fmt: skip


@pytest.fixture(scope="module")
def eleven():
    torch.manual_seed(0)
    return vgg("vgg11_bn", num_classes=10)


def on_meta(variant, **options):
    with torch.device("meta"):
        return vgg(variant, **options)


def test_published_parameter_counts():
    assert {name: sum(p.numel() for p in on_meta(name).parameters()) for name in VARIANTS} == COUNTS


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_network_has_as_many_layers_with_weights_as_its_name_says(variant):
    layers = [module for module in on_meta(variant).modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == int(variant.removesuffix("_bn").removeprefix("vgg"))
    assert all(layer.kernel_size == (3, 3) for layer in layers[:-3])


@pytest.mark.parametrize(("size", "c_in"), [(224, 3), (32, 1), (100, 4)])
def test_shapes_of_any_input_from_32_on(size, c_in):
    model = on_meta("vgg16", in_channels=c_in, num_classes=7).eval()
    images = torch.empty(2, c_in, size, size, device="meta")
    assert model(images).shape == (2, 7)
    halved = [size // 2**i for i in range(5)]
    assert model.stem(images).shape == (2, 64, size, size)
    assert [maps.shape[1:] for maps in model.features(images)] == [
        (c, s, s) for c, s in zip((128, 256, 512, 512), halved[1:], strict=True)
    ]


def test_a_smaller_input_is_refused_with_what_fits():
    with pytest.raises(GeometryError, match=r"head.0 MaxPool2d.*from 3x32x32 on"):
        plan(on_meta("vgg19"), (3, 31, 31))


def test_published_receptive_fields():
    """VGG-16's 212 at its last pooling is of Araujo et al. 2019; 3x3 add 2 and poolings 1, times their stride."""
    for variant, depths in (("vgg16", (2, 2, 3, 3, 3)), ("vgg19", (2, 2, 4, 4, 4))):
        expected = 1 + sum((2 * depth + 1) * 2**i for i, depth in enumerate(depths))
        row = plan(on_meta(variant), (3, 224, 224)).row("head.0")
        assert (row.receptive_field, row.stride) == ((expected, expected), (32, 32))
        assert expected == {"vgg16": 212, "vgg19": 268}[variant]


def test_convolutions_start_by_he_and_dense_layers_small(eleven):
    for layer in eleven.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            std = (2 / (9 * layer.out_channels)) ** 0.5 if isinstance(layer, nn.Conv2d) else 0.01
            assert layer.weight.std().item() == pytest.approx(std, rel=0.05)
            assert not layer.bias.any()


def test_the_network_computes_what_table_one_says(eleven):
    """Configuration A, with batch norm behind each convolution."""
    images, tensors = torch.randn(2, 3, 64, 48), list(eleven.eval().parameters())
    maps = images
    for layer in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"):
        if layer == "M":
            maps = F.max_pool2d(maps, 2)
        else:
            kernels, bias, scale, shift = (tensors.pop(0) for _ in range(4))
            assert len(kernels) == layer
            maps = F.conv2d(maps, kernels, bias, padding=1) / (1 + 1e-5) ** 0.5  # running variances are ones still
            maps = (maps * scale[:, None, None] + shift[:, None, None]).relu()
    values = F.adaptive_avg_pool2d(maps, 7).flatten(1)
    for _ in range(2):
        values = F.linear(values, tensors.pop(0), tensors.pop(0)).relu()
    with torch.no_grad():
        torch.testing.assert_close(eleven(images), F.linear(values, *tensors), rtol=1e-4, atol=1e-5)


def test_all_parameters_get_gradients(eleven):
    eleven.train()(torch.randn(2, 3, 32, 32)).square().sum().backward()
    convs = {p for m in eleven.modules() if isinstance(m, nn.Conv2d) for p in [m.bias]}  # which batch norm takes out
    assert all(p.grad.isfinite().all() and (p.grad.any() or p in convs) for p in eleven.parameters())
    eleven.zero_grad()


def test_dropout_acts_on_the_two_hidden_layers():
    for given, expected in (({}, [0.5, 0.5]), ({"dropout": 0.2}, [0.2, 0.2])):
        model = on_meta("vgg13", **given)
        assert [layer.p for layer in model.modules() if isinstance(layer, nn.Dropout)] == expected


@pytest.mark.parametrize("variant", ["vgg11", "vgg11_bn"])
def test_export_takes_batches_of_any_size(variant):
    model = on_meta(variant).eval()
    batch = {0: torch.export.Dim("batch")}
    exported = torch.export.export(model, (torch.empty(2, 3, 64, 64, device="meta"),), dynamic_shapes=(batch,))
    assert exported.module()(torch.empty(3, 3, 64, 64, device="meta")).shape == (3, 1000)
