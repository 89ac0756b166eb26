import pytest
import torch
import torch.nn.functional as F

from neocog.errors import CheckpointError
from neocog.zoo.networks.inception_v3 import InceptionV3
from neocog.zoo.weights.inception_maps import timm_inception_v3, torchvision_inception_v3
from neocog.zoo.weights.key_map import translate

# The published file's convolutions: name, output and input channels, kernel. {c} and {p} differ from block to block.
STEM = "1a_3x3 32 3 3x3, 2a_3x3 32 32 3x3, 2b_3x3 64 32 3x3, 3b_1x1 80 64 1x1, 4a_3x3 192 80 3x3"
AT_35 = (
    "1x1 64 {c} 1x1, 5x5_1 48 {c} 1x1, 5x5_2 64 48 5x5, 3x3dbl_1 64 {c} 1x1, 3x3dbl_2 96 64 3x3, 3x3dbl_3 96 96 3x3, "
    "_pool {p} {c} 1x1"
)
TO_17 = "3x3 384 288 3x3, 3x3dbl_1 64 288 1x1, 3x3dbl_2 96 64 3x3, 3x3dbl_3 96 96 3x3"
AT_17 = (
    "1x1 192 768 1x1, 7x7_1 {c} 768 1x1, 7x7_2 {c} {c} 1x7, 7x7_3 192 {c} 7x1, 7x7dbl_1 {c} 768 1x1, "
    "7x7dbl_2 {c} {c} 7x1, 7x7dbl_3 {c} {c} 1x7, 7x7dbl_4 {c} {c} 7x1, 7x7dbl_5 192 {c} 1x7, _pool 192 768 1x1"
)
TO_8 = (
    "3x3_1 192 768 1x1, 3x3_2 320 192 3x3, "
    "7x7x3_1 192 768 1x1, 7x7x3_2 192 192 1x7, 7x7x3_3 192 192 7x1, 7x7x3_4 192 192 3x3"
)
AT_8 = (
    "1x1 320 {c} 1x1, 3x3_1 384 {c} 1x1, 3x3_2a 384 384 1x3, 3x3_2b 384 384 3x1, 3x3dbl_1 448 {c} 1x1, "
    "3x3dbl_2 384 448 3x3, 3x3dbl_3a 384 384 1x3, 3x3dbl_3b 384 384 3x1, _pool 192 {c} 1x1"
)
BLOCKS = {
    "Conv2d_": STEM,
    "Mixed_5b.branch": AT_35.format(c=192, p=32),
    "Mixed_5c.branch": AT_35.format(c=256, p=64),
    "Mixed_5d.branch": AT_35.format(c=288, p=64),
    "Mixed_6a.branch": TO_17,
    "Mixed_6b.branch": AT_17.format(c=128),
    "Mixed_6c.branch": AT_17.format(c=160),
    "Mixed_6d.branch": AT_17.format(c=160),
    "Mixed_6e.branch": AT_17.format(c=192),
    "Mixed_7a.branch": TO_8,
    "Mixed_7b.branch": AT_8.format(c=1280),
    "Mixed_7c.branch": AT_8.format(c=2048),
    "AuxLogits.": "conv0 128 768 1x1, conv1 768 128 5x5",
}
MOMENTS = ["running_mean", "running_var"]


def published_shapes():
    shapes = {"fc.weight": (1000, 2048), "AuxLogits.fc.weight": (1000, 768)}
    shapes |= {"fc.bias": (1000,), "AuxLogits.fc.bias": (1000,)}
    for prefix, listed in BLOCKS.items():
        for name, c_out, c_in, kernel in map(str.split, listed.split(", ")):
            shapes[f"{prefix}{name}.conv.weight"] = (int(c_out), int(c_in), *map(int, kernel.split("x")))
            for part in (*MOMENTS, "weight", "bias"):
                shapes[f"{prefix}{name}.bn.{part}"] = (int(c_out),)
            shapes[f"{prefix}{name}.bn.num_batches_tracked"] = ()
    return shapes


@pytest.fixture(scope="module")
def published():
    """Random tensors that keep signals at their size; no two share memory."""
    torch.manual_seed(0)

    def draw(shape):
        fan_in = torch.Size(shape[1:]).numel()
        return torch.randn(shape).double() * fan_in**-0.5 if len(shape) > 1 else torch.rand(shape).double() + 0.5

    return {key: draw(shape) if shape else torch.tensor(7) for key, shape in published_shapes().items()}


def on_meta(auxiliary):
    with torch.device("meta"):
        return InceptionV3(auxiliary=auxiliary)


@pytest.mark.parametrize("key_map", [torchvision_inception_v3, timm_inception_v3])
@pytest.mark.parametrize("auxiliary", [True, False])
def test_every_published_tensor_lands_but_those_of_a_head_that_is_not_there(published, auxiliary, key_map):
    found = translate(key_map(auxiliary), published, on_meta(auxiliary).state_dict())
    origin = {tensor.data_ptr(): key for key, tensor in published.items()}
    landed = [origin.get(tensor.data_ptr()) for tensor in found.values()]
    assert len(landed) == len(set(landed))
    assert set(landed) == {key for key in published if auxiliary or not key.startswith("AuxLogits.")}


def test_faults_are_named_with_the_published_key(published):
    key_map, expected = torchvision_inception_v3(False), on_meta(False).state_dict()
    incomplete = {key: tensor for key, tensor in published.items() if key != "Mixed_7c.branch3x3_2b.bn.bias"}
    with pytest.raises(CheckpointError, match=r"missing: Mixed_7c.branch3x3_2b.bn.bias\."):
        translate(key_map, incomplete, expected)
    with pytest.raises(CheckpointError, match=r"unexpected: Mixed_8a.conv.weight\."):
        translate(key_map, published | {"Mixed_8a.conv.weight": torch.ones(1)}, expected)
    with pytest.raises(CheckpointError, match=r"shape: fc.weight 1001x2048, where 1000x2048 is expected\."):
        translate(key_map, published | {"fc.weight": torch.ones(1001, 2048)}, expected)


class Functional:
    """The network, from the published tensors alone."""

    def __init__(self, tensors):
        self.tensors = tensors

    def unit(self, maps, name, stride=1, same=True):
        kernels = self.tensors[f"{name}.conv.weight"]
        padding = [size // 2 for size in kernels.shape[2:]] if same else 0
        moments, affine = (
            [self.tensors[f"{name}.bn.{part}"] for part in parts] for parts in (MOMENTS, ("weight", "bias"))
        )
        return F.batch_norm(F.conv2d(maps, kernels, None, stride, padding), *moments, *affine, eps=0.001).relu()

    def chain(self, maps, block, *names):
        for name in names:
            maps = self.unit(maps, f"{block}.branch{name}")
        return maps

    def halved(self, maps, block, name):
        return self.unit(maps, f"{block}.branch{name}", stride=2, same=False)

    def pooled(self, maps, block):
        return self.chain(F.avg_pool2d(maps, 3, 1, 1), block, "_pool")

    def at_35(self, maps, block):
        double = self.chain(maps, block, "3x3dbl_1", "3x3dbl_2", "3x3dbl_3")
        ways = [self.chain(maps, block, "1x1"), self.chain(maps, block, "5x5_1", "5x5_2"), double]
        return torch.cat([*ways, self.pooled(maps, block)], 1)

    def to_17(self, maps, block):
        double = self.halved(self.chain(maps, block, "3x3dbl_1", "3x3dbl_2"), block, "3x3dbl_3")
        return torch.cat([self.halved(maps, block, "3x3"), double, F.max_pool2d(maps, 3, 2)], 1)

    def at_17(self, maps, block):
        single = self.chain(maps, block, *(f"7x7_{i}" for i in (1, 2, 3)))
        double = self.chain(maps, block, *(f"7x7dbl_{i}" for i in (1, 2, 3, 4, 5)))
        return torch.cat([self.chain(maps, block, "1x1"), single, double, self.pooled(maps, block)], 1)

    def to_8(self, maps, block):
        single = self.halved(self.chain(maps, block, "3x3_1"), block, "3x3_2")
        long = self.halved(self.chain(maps, block, "7x7x3_1", "7x7x3_2", "7x7x3_3"), block, "7x7x3_4")
        return torch.cat([single, long, F.max_pool2d(maps, 3, 2)], 1)

    def at_8(self, maps, block):
        single, double = self.chain(maps, block, "3x3_1"), self.chain(maps, block, "3x3dbl_1", "3x3dbl_2")
        forks = [self.chain(single, block, name) for name in ("3x3_2a", "3x3_2b")]
        forks += [self.chain(double, block, name) for name in ("3x3dbl_3a", "3x3dbl_3b")]
        return torch.cat([self.chain(maps, block, "1x1"), *forks, self.pooled(maps, block)], 1)

    def stem(self, images):
        maps = self.unit(self.unit(images, "Conv2d_1a_3x3", 2, same=False), "Conv2d_2a_3x3", same=False)
        maps = F.max_pool2d(self.unit(maps, "Conv2d_2b_3x3"), 3, 2)
        return F.max_pool2d(self.unit(self.unit(maps, "Conv2d_3b_1x1"), "Conv2d_4a_3x3", same=False), 3, 2)

    def halfway(self, images):
        maps = self.stem(images)
        for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            maps = self.at_35(maps, block)
        maps = self.to_17(maps, "Mixed_6a")
        for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            maps = self.at_17(maps, block)
        return maps

    def logits(self, maps):
        maps = self.at_8(self.at_8(self.to_8(maps, "Mixed_7a"), "Mixed_7b"), "Mixed_7c")
        return F.linear(maps.mean((2, 3)), self.tensors["fc.weight"], self.tensors["fc.bias"])

    def auxiliary(self, maps):
        maps = self.unit(self.unit(F.avg_pool2d(maps, 5, 3), "AuxLogits.conv0"), "AuxLogits.conv1", same=False)
        return F.linear(maps.mean((2, 3)), self.tensors["AuxLogits.fc.weight"], self.tensors["AuxLogits.fc.bias"])


def test_the_network_computes_what_the_published_tensors_say(published):
    model, functional = on_meta(True).eval(), Functional(published)
    model.load_state_dict(translate(torchvision_inception_v3(True), published, model.state_dict()), assign=True)
    images = torch.randn(1, 3, 107, 91).double()
    torch.testing.assert_close(model(images), functional.logits(functional.halfway(images)), rtol=1e-6, atol=0)
    maps = torch.rand(1, 768, 17, 17).double()
    torch.testing.assert_close(model.auxiliary(maps), functional.auxiliary(maps), rtol=1e-6, atol=0)
