import pytest
import torch
import torch.nn.functional as F

from neocog.errors import CheckpointError
from neocog.zoo.networks.shufflenet_v2 import shufflenet_v2
from neocog.zoo.weights.key_map import translate
from neocog.zoo.weights.mobile_maps import torchvision_shufflenet_v2

# Channels behind the stem, each stage and the last convolution, as torchvision gives them to its builder.
WIDTHS = {
    "shufflenet_v2_x0_5": (24, 48, 96, 192, 1024),
    "shufflenet_v2": (24, 116, 232, 464, 1024),
    "shufflenet_v2_x1_5": (24, 176, 352, 704, 1024),
    "shufflenet_v2_x2_0": (24, 244, 488, 976, 2048),
}
UNITS = {2: 4, 3: 8, 4: 4}  # number of the stage: units


def published_shapes(variant):
    """torchvision's key of each tensor -> its shape, without the counts of batches."""
    first, *stages, last = WIDTHS[variant]
    shapes = {}

    def conv_norm(layer, conv, norm, *kernel):
        shapes[f"{layer}.{conv}.weight"] = kernel
        for tensor in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{layer}.{norm}.{tensor}"] = kernel[:1]

    conv_norm("conv1", 0, 1, first, 3, 3, 3)
    c_in = first
    for stage, c_out in zip(UNITS, stages, strict=True):
        half = c_out // 2
        conv_norm(f"stage{stage}.0.branch1", 0, 1, c_in, 1, 3, 3)
        conv_norm(f"stage{stage}.0.branch1", 2, 3, half, c_in, 1, 1)
        for unit in range(UNITS[stage]):
            branch = f"stage{stage}.{unit}.branch2"
            conv_norm(branch, 0, 1, half, half if unit else c_in, 1, 1)
            conv_norm(branch, 3, 4, half, 1, 3, 3)
            conv_norm(branch, 5, 6, half, half, 1, 1)
        c_in = c_out
    conv_norm("conv5", 0, 1, last, c_in, 1, 1)
    return {**shapes, "fc.weight": (1000, last), "fc.bias": (1000,)}


def drawn(variant):
    """Random weights that keep signals alive, and random statistics."""
    torch.manual_seed(0)
    found = {key: torch.randn(shape, dtype=torch.float64) for key, shape in published_shapes(variant).items()}
    for key, tensor in found.items():
        if key.endswith("running_var"):
            tensor.abs_().add_(0.5)
        elif tensor.ndim > 1:
            tensor.mul_((2 / tensor[0].numel()) ** 0.5)
    return found


def logits(w, images):
    """The network by torchvision's keys."""

    def conv_norm(maps, layer, conv, norm, relu=True, **options):
        maps = F.conv2d(maps, w[f"{layer}.{conv}.weight"], **options)
        statistics = (w[f"{layer}.{norm}.{tensor}"] for tensor in ("running_mean", "running_var", "weight", "bias"))
        maps = F.batch_norm(maps, *statistics)
        return maps.relu() if relu else maps

    def depthwise(maps, layer, conv, norm, stride):
        options = {"stride": stride, "padding": 1, "groups": maps.shape[1]}
        return conv_norm(maps, layer, conv, norm, relu=False, **options)

    def branch2(maps, layer, stride):
        maps = depthwise(conv_norm(maps, layer, 0, 1), layer, 3, 4, stride)
        return conv_norm(maps, layer, 5, 6)

    maps = F.max_pool2d(conv_norm(images, "conv1", 0, 1, stride=2, padding=1), 3, 2, 1)
    for stage, count in UNITS.items():
        first = f"stage{stage}.0"
        left = conv_norm(depthwise(maps, f"{first}.branch1", 0, 1, 2), f"{first}.branch1", 2, 3)
        maps = torch.cat([left, branch2(maps, f"{first}.branch2", 2)], 1)
        for unit in range(1, count):
            left, right = F.channel_shuffle(maps, 2).chunk(2, 1)
            maps = torch.cat([left, branch2(right, f"stage{stage}.{unit}.branch2", 1)], 1)
        maps = F.channel_shuffle(maps, 2)
    pooled = conv_norm(maps, "conv5", 0, 1).mean((2, 3))
    return F.linear(pooled, w["fc.weight"], w["fc.bias"])


@pytest.mark.parametrize("variant", WIDTHS)
def test_every_tensor_lands(variant):
    foreign = drawn(variant)
    with torch.device("meta"):
        expected = shufflenet_v2(variant).state_dict()
    landed = translate(torchvision_shufflenet_v2(), foreign, expected)
    found = [tensor.data_ptr() for key, tensor in landed.items() if not key.endswith("num_batches_tracked")]
    assert sorted(found) == sorted(tensor.data_ptr() for tensor in foreign.values())


def test_the_network_computes_what_torchvisions_layers_do():
    foreign, model = drawn("shufflenet_v2"), shufflenet_v2("shufflenet_v2").double().eval()
    model.load_state_dict(translate(torchvision_shufflenet_v2(), foreign, model.state_dict()))
    images = torch.randn(2, 3, 65, 40, dtype=torch.float64)
    expected = logits(foreign, images)
    assert expected.std(0).mean() > 0.01  # the two images are told apart
    torch.testing.assert_close(model(images), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stage3.7.branch2.6.bias": None}, r"missing: stage3\.7\.branch2\.6\.bias\."),
        ({"stage2.1.branch1.0.weight": torch.ones(1)}, r"unexpected: stage2\.1\.branch1\.0\.weight\."),
        ({"conv1.0.weight": torch.ones(24, 3, 5, 5)}, r"conv1\.0\.weight 24x3x5x5, where 24x3x3x3 is expected"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    changed = drawn("shufflenet_v2_x0_5") | change
    foreign = {key: tensor for key, tensor in changed.items() if tensor is not None}
    with torch.device("meta"):
        expected = shufflenet_v2("shufflenet_v2_x0_5").state_dict()
    with pytest.raises(CheckpointError, match=message):
        translate(torchvision_shufflenet_v2(), foreign, expected)
