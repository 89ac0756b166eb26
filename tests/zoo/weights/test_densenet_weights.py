import re

import pytest
import torch
import torch.nn.functional as F

from neocog.errors import CheckpointError
from neocog.zoo.networks.densenet import densenet
from neocog.zoo.weights.key_map import translate
from neocog.zoo.weights.key_maps import torchvision_densenet

# name: growth, layers of each block
PUBLISHED = {
    "densenet121": (32, (6, 12, 24, 16)),
    "densenet161": (48, (6, 12, 36, 24)),
    "densenet169": (32, (6, 12, 32, 32)),
    "densenet201": (32, (6, 12, 48, 32)),
}


def published_shapes(variant):
    """The keys and shapes of torchvision's `state_dict`, in its order."""
    growth, depths = PUBLISHED[variant]
    shapes = {}

    def norm(name, channels):
        for tensor in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"features.{name}.{tensor}"] = (channels,)
        shapes[f"features.{name}.num_batches_tracked"] = ()

    def conv(name, *shape):
        shapes[f"features.{name}.weight"] = shape

    channels = 2 * growth
    conv("conv0", channels, 3, 7, 7)
    norm("norm0", channels)
    for i, depth in enumerate(depths, start=1):
        for j in range(1, depth + 1):
            layer = f"denseblock{i}.denselayer{j}"
            norm(f"{layer}.norm1", channels)
            conv(f"{layer}.conv1", 4 * growth, channels, 1, 1)
            norm(f"{layer}.norm2", 4 * growth)
            conv(f"{layer}.conv2", growth, 4 * growth, 3, 3)
            channels += growth
        if i < len(depths):
            norm(f"transition{i}.norm", channels)
            conv(f"transition{i}.conv", channels // 2, channels, 1, 1)
            channels //= 2
    norm("norm5", channels)
    return shapes | {"classifier.weight": (1000, channels), "classifier.bias": (1000,)}


def published(variant, device="meta"):
    """Random tensors under torchvision's names."""
    tensors = {}
    for key, shape in published_shapes(variant).items():
        fan_in = max(1, torch.Size(shape[1:]).numel())
        tensors[key] = torch.randn(shape, dtype=torch.float64, device=device) / fan_in**0.5
        if key.endswith("running_var"):
            tensors[key] = tensors[key].abs() + 0.5
    return tensors


def ours(variant):
    with torch.device("meta"):
        return densenet(variant).state_dict()


def in_old_spelling(key):
    return re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", key)


@pytest.mark.parametrize(
    ("variant", "spelling"), [*((variant, in_old_spelling) for variant in PUBLISHED), ("densenet121", str)]
)
def test_every_tensor_lands(variant, spelling):
    foreign = {spelling(key): tensor for key, tensor in published(variant).items()}
    assert ("features.denseblock1.denselayer1.norm.1.weight" in foreign) == (spelling is in_old_spelling)
    found = translate(torchvision_densenet(variant), foreign, ours(variant))
    assert len(found) == len(foreign)
    assert all(tensor.dtype == torch.float64 for tensor in found.values())  # theirs; ours are of float32


def test_published_files_have_no_counts_of_batches():
    foreign = {key: tensor for key, tensor in published("densenet121").items() if "num_batches" not in key}
    assert len(foreign) == 606
    assert len(translate(torchvision_densenet("densenet121"), foreign, ours("densenet121"))) == 727


def test_what_does_not_fit_is_named():
    key_map, expected = torchvision_densenet("densenet121"), ours("densenet121")
    key = "features.denseblock2.denselayer3.conv1.weight"
    foreign = published("densenet121")
    with pytest.raises(CheckpointError, match=f"1 of its tensors are missing: {key}"):
        translate(key_map, {k: v for k, v in foreign.items() if k != key}, expected)
    with pytest.raises(CheckpointError, match=r"1 of its tensors are unexpected: features.denseblock5.odd"):
        translate(key_map, foreign | {"features.denseblock5.odd": torch.zeros(1)}, expected)
    with pytest.raises(CheckpointError, match=f"of another shape: {key} 128x191, where 128x192x1x1 is expected"):
        translate(key_map, foreign | {key: torch.zeros(128, 191)}, expected)
    with pytest.raises(CheckpointError, match="unexpected"):
        translate(key_map, published("densenet169"), expected)


def test_the_logits_are_those_of_the_published_tensors():
    t = published("densenet121", device="cpu")

    def norm(maps, name):
        statistics = t[f"features.{name}.running_mean"], t[f"features.{name}.running_var"]
        return F.relu(F.batch_norm(maps, *statistics, t[f"features.{name}.weight"], t[f"features.{name}.bias"]))

    def conv(maps, name, **options):
        return F.conv2d(maps, t[f"features.{name}.weight"], **options)

    images = torch.randn(2, 3, 45, 38, dtype=torch.float64)
    maps = F.max_pool2d(norm(conv(images, "conv0", stride=2, padding=3), "norm0"), 3, stride=2, padding=1)
    for i, depth in enumerate((6, 12, 24, 16), start=1):
        for layer in (f"denseblock{i}.denselayer{j}" for j in range(1, depth + 1)):
            narrow = conv(norm(maps, f"{layer}.norm1"), f"{layer}.conv1")
            maps = torch.cat([maps, conv(norm(narrow, f"{layer}.norm2"), f"{layer}.conv2", padding=1)], dim=1)
        if i < 4:
            maps = F.avg_pool2d(conv(norm(maps, f"transition{i}.norm"), f"transition{i}.conv"), 2)
    logits = F.linear(norm(maps, "norm5").mean((2, 3)), t["classifier.weight"], t["classifier.bias"])

    model = densenet("densenet121").double().eval()
    model.load_state_dict(translate(torchvision_densenet("densenet121"), t, model.state_dict()))
    torch.testing.assert_close(model(images), logits, rtol=1e-6, atol=1e-9)
