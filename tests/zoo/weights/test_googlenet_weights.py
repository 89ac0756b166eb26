import pytest
import torch
import torch.nn.functional as F

from neocog.errors import CheckpointError
from neocog.zoo.networks.googlenet import GoogLeNet
from neocog.zoo.weights.inception_maps import torchvision_googlenet
from neocog.zoo.weights.key_map import translate

# The paper's table 1: input, 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool proj.
TABLE_1 = """
3a 192 64 96 128 16 32 32
3b 256 128 128 192 32 96 64
4a 480 192 96 208 16 48 64
4b 512 160 112 224 24 64 64
4c 512 128 128 256 24 64 64
4d 512 112 144 288 32 64 64
4e 528 256 160 320 32 128 128
5a 832 256 160 320 32 128 128
5b 832 384 192 384 48 128 128
"""
NAMES = ("running_mean", "running_var", "weight", "bias")


def conv_shapes():
    """Every convolution without bias that the published file holds, by its unit's name."""
    yield from [("conv1", (64, 3, 7, 7)), ("conv2", (64, 64, 1, 1)), ("conv3", (192, 64, 3, 3))]
    for line in TABLE_1.strip().splitlines():
        block, *widths = line.split()
        c_in, one, before_three, three, before_five, five, pooled = map(int, widths)
        yield f"inception{block}.branch1", (one, c_in, 1, 1)
        yield f"inception{block}.branch2.0", (before_three, c_in, 1, 1)
        yield f"inception{block}.branch2.1", (three, before_three, 3, 3)
        yield f"inception{block}.branch3.0", (before_five, c_in, 1, 1)
        yield f"inception{block}.branch3.1", (five, before_five, 3, 3)
        yield f"inception{block}.branch4.1", (pooled, c_in, 1, 1)
    yield from [("aux1.conv", (128, 512, 1, 1)), ("aux2.conv", (128, 528, 1, 1))]


def published_shapes():
    shapes = {"fc.weight": (1000, 1024), "fc.bias": (1000,)}
    for aux in ("aux1", "aux2"):
        shapes |= {f"{aux}.fc1.weight": (1024, 2048), f"{aux}.fc1.bias": (1024,)}
        shapes |= {f"{aux}.fc2.weight": (1000, 1024), f"{aux}.fc2.bias": (1000,)}
    for unit, shape in conv_shapes():
        shapes |= {f"{unit}.conv.weight": shape, f"{unit}.bn.num_batches_tracked": ()}
        shapes |= {f"{unit}.bn.{name}": shape[:1] for name in NAMES}
    return shapes


@pytest.fixture(scope="module")
def published():
    """Random tensors that keep signals at their size; counts of batches are numbers of their own."""
    torch.manual_seed(0)
    found = {}
    for i, (key, shape) in enumerate(published_shapes().items()):
        if len(shape) < 2:
            found[key] = torch.rand(shape).double() + 0.5 if shape else torch.tensor(i)
        else:
            found[key] = torch.randn(shape).double() * torch.Size(shape[1:]).numel() ** -0.5
    return found


def on_meta(auxiliary):
    with torch.device("meta"):
        return GoogLeNet(auxiliary=auxiliary)


@pytest.mark.parametrize("auxiliary", [True, False])
def test_every_published_tensor_lands_but_those_of_heads_that_are_not_there(published, auxiliary):
    key_map, expected = torchvision_googlenet(auxiliary), on_meta(auxiliary).state_dict()
    found = translate(key_map, published, expected)
    places = {tensor.data_ptr(): key for key, tensor in published.items()}
    landed = {places.get(tensor.data_ptr()) for tensor in found.values()}
    assert landed == {key for key in published if auxiliary or not key.startswith("aux")}
    assert len(found) == len(landed)


def test_faults_are_named_with_the_published_key(published):
    expected = on_meta(True).state_dict()
    with pytest.raises(CheckpointError, match=r"9 of its tensors are missing: aux1.conv.conv.weight"):
        translate(torchvision_googlenet(True), {k: t for k, t in published.items() if "aux1" not in k}, expected)
    with pytest.raises(CheckpointError, match=r"unexpected: inception3a.branch5.weight"):
        translate(torchvision_googlenet(True), published | {"inception3a.branch5.weight": torch.ones(1)}, expected)
    changed = {"inception4b.branch3.1.conv.weight": torch.ones(64, 24, 5, 5)}
    with pytest.raises(CheckpointError, match=r"inception4b.branch3.1.conv.weight 64x24x5x5, where 64x24x3x3"):
        translate(torchvision_googlenet(True), published | changed, expected)


def unit(t, name, maps, stride=1):
    kernels = t[f"{name}.conv.weight"]
    maps = F.conv2d(maps, kernels, stride=stride, padding=kernels.shape[-1] // 2)
    return F.batch_norm(maps, *(t[f"{name}.bn.{part}"] for part in NAMES), eps=0.001).relu()


def block(t, name, maps):
    ways = [unit(t, f"{name}.branch1", maps)]
    for branch in ("branch2", "branch3"):
        ways.append(unit(t, f"{name}.{branch}.1", unit(t, f"{name}.{branch}.0", maps)))
    return torch.cat([*ways, unit(t, f"{name}.branch4.1", F.max_pool2d(maps, 3, 1, 1))], 1)


def test_the_network_computes_what_the_published_tensors_say(published):
    t, model = published, on_meta(True).eval()
    model.load_state_dict(translate(torchvision_googlenet(True), t, model.state_dict()), assign=True)
    images = torch.randn(2, 3, 72, 64).double()
    maps = F.max_pool2d(unit(t, "conv1", images, stride=2), 3, 2, ceil_mode=True)
    maps = F.max_pool2d(unit(t, "conv3", unit(t, "conv2", maps)), 3, 2, ceil_mode=True)
    tapped = {}
    for name in ("3a", "3b", "pool 3", "4a", "4b", "4c", "4d", "4e", "pool 2", "5a", "5b"):
        pooling, _, size = name.partition(" ")
        tapped[name] = maps = (
            F.max_pool2d(maps, int(size), 2, ceil_mode=True)
            if pooling == "pool"
            else block(t, f"inception{name}", maps)
        )
    expected = F.linear(maps.mean((2, 3)), t["fc.weight"], t["fc.bias"])
    torch.testing.assert_close(model(images), expected, rtol=1e-6, atol=0)
    for ours, theirs in (("4a", "aux1"), ("4d", "aux2")):
        values = unit(t, f"{theirs}.conv", F.adaptive_avg_pool2d(tapped[ours], 4)).flatten(1)
        values = F.linear(values, t[f"{theirs}.fc1.weight"], t[f"{theirs}.fc1.bias"]).relu()
        expected = F.linear(values, t[f"{theirs}.fc2.weight"], t[f"{theirs}.fc2.bias"])
        torch.testing.assert_close(model.auxiliary[ours](tapped[ours]), expected, rtol=1e-6, atol=0)
