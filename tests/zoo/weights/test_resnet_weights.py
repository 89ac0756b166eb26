import math

import pytest
import torch
import torch.nn.functional as F

from neocog.errors import CheckpointError
from neocog.zoo.networks.resnet import resnet
from neocog.zoo.weights.key_map import translate
from neocog.zoo.weights.key_maps import torchvision_resnet

# Kernels in a block's branch, and blocks in each stage.
PUBLISHED = {
    "resnet18": ((3, 3), (2, 2, 2, 2)),
    "resnet34": ((3, 3), (3, 4, 6, 3)),
    "resnet50": ((1, 3, 1), (3, 4, 6, 3)),
    "resnet101": ((1, 3, 1), (3, 4, 23, 3)),
    "resnet152": ((1, 3, 1), (3, 8, 36, 3)),
}


def published(variant):
    """The keys and shapes of torchvision's file, and of timm's."""
    kernels, depths = PUBLISHED[variant]
    shapes = conv_norm("conv1", "bn1", 64, 3, 7)
    c_in = 64
    for layer, depth in enumerate(depths, start=1):
        width = 2 ** (layer + 5)
        widths = [width] * (len(kernels) - 1) + [width if len(kernels) == 2 else 4 * width]
        for block in range(depth):
            name = f"layer{layer}.{block}"
            if block == 0 and c_in != widths[-1]:
                shapes |= conv_norm(f"{name}.downsample.0", f"{name}.downsample.1", widths[-1], c_in, 1)
            for k, (kernel, c_out) in enumerate(zip(kernels, widths, strict=True), start=1):
                shapes |= conv_norm(f"{name}.conv{k}", f"{name}.bn{k}", c_out, c_in, kernel)
                c_in = c_out
    return shapes | {"fc.weight": (1000, c_in), "fc.bias": (1000,)}


def conv_norm(conv, norm, c_out, c_in, kernel):
    of_channels = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (c_out,))
    of_norm = of_channels | {"num_batches_tracked": ()}
    return {f"{conv}.weight": (c_out, c_in, kernel, kernel)} | {f"{norm}.{key}": of for key, of in of_norm.items()}


def on_meta(variant):
    """Our tensors and theirs, without values."""
    with torch.device("meta"):
        return resnet(variant).state_dict(), {key: torch.empty(shape) for key, shape in published(variant).items()}


@pytest.mark.parametrize("variant", PUBLISHED)
def test_every_tensor_lands(variant):
    ours, theirs = on_meta(variant)
    key_map = torchvision_resnet(variant)
    assert translate(key_map, theirs, ours).keys() == ours.keys()
    assert sorted(map(key_map.theirs, ours)) == sorted(theirs)  # each once
    assert set(key_map.names) == {key.rpartition(".")[0] for key in ours}


def test_what_does_not_fit_is_named():
    ours, theirs = on_meta("resnet34")
    key_map = torchvision_resnet("resnet34")
    shortcut = theirs.pop("layer2.0.downsample.0.weight")
    with pytest.raises(CheckpointError, match=r"1 of its tensors are missing: layer2\.0\.downsample\.0\.weight\."):
        translate(key_map, theirs, ours)
    with pytest.raises(CheckpointError, match=r"1 of its tensors are unexpected: layer1\.0\.downsample\.0\.weight\."):
        spare = {"layer2.0.downsample.0.weight": shortcut, "layer1.0.downsample.0.weight": shortcut}
        translate(key_map, theirs | spare, ours)
    with pytest.raises(CheckpointError, match=r"downsample\.0\.weight 64x128x1x1, where 128x64x1x1 is expected"):
        translate(key_map, theirs | {"layer2.0.downsample.0.weight": shortcut.transpose(0, 1)}, ours)
    with pytest.raises(CheckpointError, match=r"tensors are unexpected: layer1\.0\.bn3\.bias"):
        translate(key_map, on_meta("resnet50")[1] | theirs | {"layer2.0.downsample.0.weight": shortcut}, ours)


@pytest.mark.parametrize("variant", ["resnet18", "resnet50"])
def test_logits_are_those_of_the_foreign_tensors(variant):
    torch.manual_seed(0)
    kernels, depths = PUBLISHED[variant]
    theirs = {}
    for key, shape in published(variant).items():
        if not shape:
            theirs[key] = torch.tensor(7)
        elif len(shape) == 1:
            theirs[key] = torch.rand(shape, dtype=torch.float64) + (0.0 if key.endswith(("bias", "mean")) else 0.5)
        else:
            theirs[key] = torch.randn(shape, dtype=torch.float64) / math.prod(shape[1:]) ** 0.5

    def conv_norm(maps, conv, norm, stride=1):
        kernel = theirs[f"{conv}.weight"]
        maps = F.conv2d(maps, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        mean, variance, scale, shift = (
            theirs[f"{norm}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(maps, mean, variance, scale, shift)

    images = torch.randn(2, 3, 40, 33, dtype=torch.float64)
    maps = F.max_pool2d(conv_norm(images, "conv1", "bn1", 2).relu(), 3, 2, 1)
    for layer, depth in enumerate(depths, start=1):
        for block in range(depth):
            name, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            shortcut = made = maps
            if f"{name}.downsample.0.weight" in theirs:
                shortcut = conv_norm(maps, f"{name}.downsample.0", f"{name}.downsample.1", stride)
            halving = kernels.index(3) + 1
            for k in range(1, len(kernels) + 1):
                made = conv_norm(made, f"{name}.conv{k}", f"{name}.bn{k}", stride if k == halving else 1)
                made = made.relu() if k < len(kernels) else made
            maps = (made + shortcut).relu()
    expected = F.linear(maps.mean((2, 3)), theirs["fc.weight"], theirs["fc.bias"])

    network = resnet(variant).double().eval()
    network.load_state_dict(translate(torchvision_resnet(variant), theirs, network.state_dict()))
    torch.testing.assert_close(network(images), expected, rtol=1e-6, atol=1e-9)
