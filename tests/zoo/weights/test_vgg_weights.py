import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.errors import CheckpointError
from neocog.zoo.networks.vgg import VARIANTS, vgg
from neocog.zoo.weights.key_map import translate
from neocog.zoo.weights.key_maps import timm_vgg, torchvision_vgg

# The paper's table 1: widths of convolutions, and M for poolings.
TABLE_1 = {
    "vgg11": (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "vgg13": (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "vgg16": (64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"),
    "vgg19": (64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"),
}
STATISTICS = ("weight", "bias", "running_mean", "running_var")


def published_shapes(variant, library, hidden=4096, classes=1000):
    """Both libraries number convolution, norm, ReLU and pooling throughout; they differ in the dense layers."""
    shapes, number, c_in = {}, 0, 3
    norm = variant.endswith("_bn")
    for width in TABLE_1[variant.removesuffix("_bn")]:
        if width == "M":
            number += 1
            continue
        shapes |= {f"features.{number}.weight": (width, c_in, 3, 3), f"features.{number}.bias": (width,)}
        if norm:
            shapes |= {f"features.{number + 1}.{name}": (width,) for name in STATISTICS}
            shapes[f"features.{number + 1}.num_batches_tracked"] = ()
        number, c_in = number + (3 if norm else 2), width
    dense = {
        "torchvision": {
            "classifier.0": (hidden, 25088),
            "classifier.3": (hidden, hidden),
            "classifier.6": (classes, hidden),
        },
        "timm": {
            "pre_logits.fc1": (hidden, 512, 7, 7),
            "pre_logits.fc2": (hidden, hidden, 1, 1),
            "head.fc": (classes, hidden),
        },
    }[library]
    for key, shape in dense.items():
        shapes |= {f"{key}.weight": shape, f"{key}.bias": shape[:1]}
    return shapes


def on_meta(variant):
    with torch.device("meta"):
        return vgg(variant)


MAPS = {"torchvision": torchvision_vgg, "timm": timm_vgg}


@pytest.mark.parametrize("library", MAPS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_published_tensor_lands(variant, library):
    shapes, expected = published_shapes(variant, library), on_meta(variant).state_dict()
    foreign = {key: torch.tensor(i).expand(shape) for i, (key, shape) in enumerate(shapes.items())}
    found = translate(MAPS[library](variant), foreign, expected)
    assert [tensor.flatten()[0].item() for tensor in found.values()] == list(range(len(shapes)))
    assert all(tensor.shape == expected[key].shape for key, tensor in found.items())


def test_faults_are_named_with_the_published_key():
    key_map, expected = torchvision_vgg("vgg11"), on_meta("vgg11").state_dict()
    shapes = published_shapes("vgg11", "torchvision")
    foreign = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    with pytest.raises(CheckpointError, match=r"missing: features.18.weight, features.18.bias\."):
        translate(key_map, {key: t for key, t in foreign.items() if not key.startswith("features.18")}, expected)
    with pytest.raises(CheckpointError, match=r"4 of its tensors are unexpected: features.1.bias.* and 1 more"):
        translate(key_map, foreign | {f"features.1.{name}": torch.ones(64) for name in STATISTICS}, expected)
    foreign["classifier.6.weight"] = torch.empty(10, 4096)
    with pytest.raises(CheckpointError, match=r"shape: classifier.6.weight 10x4096, where 1000x4096 is expected"):
        translate(key_map, foreign, expected)


@pytest.mark.parametrize(
    ("variant", "library"), [("vgg11", "torchvision"), ("vgg11_bn", "timm"), ("vgg13_bn", "torchvision")]
)
def test_the_network_computes_what_the_published_tensors_say(variant, library):
    """Few hidden units: dense layers take most of the memory."""
    torch.manual_seed(0)
    shapes = published_shapes(variant, library, hidden=16, classes=5)
    t = {key: random_tensor(key, shape) for key, shape in shapes.items()}
    model = on_meta(variant)
    for index, size in ((3, (25088, 16)), (6, (16, 16)), (9, (16, 5))):
        model.head[index] = nn.Linear(*size, device="meta")
    model.load_state_dict(translate(MAPS[library](variant), t, model.state_dict()), assign=True)
    images = torch.randn(2, 3, 64, 32).double()
    expected = functional(t, images, TABLE_1[variant.removesuffix("_bn")], norm=variant.endswith("_bn"))
    torch.testing.assert_close(model.eval()(images), expected, rtol=1e-6, atol=0)


def random_tensor(key, shape):
    if key.endswith("tracked"):
        return torch.tensor(3)
    if len(shape) == 1:
        return torch.rand(shape).double() + 0.5
    return torch.randn(shape).double() * (2 / torch.empty(shape, device="meta")[0].numel()) ** 0.5


def functional(t, images, layers, norm):
    maps, number = images, 0
    for layer in layers:
        if layer == "M":
            maps, number = F.max_pool2d(maps, 2), number + 1
            continue
        maps = F.conv2d(maps, t[f"features.{number}.weight"], t[f"features.{number}.bias"], padding=1)
        if norm:
            weight, bias, mean, variance = (t[f"features.{number + 1}.{name}"] for name in STATISTICS)
            maps = F.batch_norm(maps, mean, variance, weight, bias, eps=1e-5)
        maps, number = maps.relu(), number + (3 if norm else 2)
    maps = F.adaptive_avg_pool2d(maps, 7)
    if "head.fc.weight" in t:
        for key in ("pre_logits.fc1", "pre_logits.fc2"):
            maps = F.conv2d(maps, t[f"{key}.weight"], t[f"{key}.bias"]).relu()
        return F.linear(maps.flatten(1), t["head.fc.weight"], t["head.fc.bias"])
    values = maps.flatten(1)
    for key in ("classifier.0", "classifier.3"):
        values = F.linear(values, t[f"{key}.weight"], t[f"{key}.bias"]).relu()
    return F.linear(values, t["classifier.6.weight"], t["classifier.6.bias"])
