from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F

from neocog.errors import CheckpointError
from neocog.zoo.networks.mobilenet_v2 import MobileNetV2
from neocog.zoo.weights.key_map import translate
from neocog.zoo.weights.mobile_maps import timm_mobilenet_v2, torchvision_mobilenet_v2

# The paper's table 2: expansion, channels, blocks, stride.
TABLE = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
MAPS = {"torchvision": torchvision_mobilenet_v2, "timm": timm_mobilenet_v2}
# Stem, last convolution, dense layer.
ENDS = {
    "torchvision": (("features.0.0", "features.0.1"), ("features.18.0", "features.18.1"), "classifier.1"),
    "timm": (("conv_stem", "bn1"), ("conv_head", "bn2"), "classifier"),
}


class Block(NamedTuple):
    row: int
    place: int
    number: int
    c_in: int
    c_out: int
    expansion: int
    stride: int

    def keys(self, library):
        """(convolution, norm) of the two or three layers."""
        widens = self.expansion > 1
        if library == "timm":
            names = ("conv_pw", "conv_dw", "conv_pwl") if widens else ("conv_dw", "conv_pw")
            block = f"blocks.{self.row}.{self.place}"
            return [(f"{block}.{name}", f"{block}.bn{i}") for i, name in enumerate(names, start=1)]
        block, last = f"features.{self.number}.conv", 1 + widens
        return [
            *((f"{block}.{i}.0", f"{block}.{i}.1") for i in range(last)),
            (f"{block}.{last}", f"{block}.{last + 1}"),
        ]

    def kernels(self):
        wide = self.expansion * self.c_in
        widen = [(wide, self.c_in, 1, 1)] if self.expansion > 1 else []
        return [*widen, (wide, 1, 3, 3), (self.c_out, wide, 1, 1)]


def blocks():
    c_in, number = 32, 1
    for row, (expansion, c_out, depth, stride) in enumerate(TABLE):
        for place in range(depth):
            yield Block(row, place, number, c_in, c_out, expansion, stride if place == 0 else 1)
            c_in, number = c_out, number + 1


def drawn(library):
    """Every published tensor under its library's key, with values that keep signals alive."""
    stem, last, dense = ENDS[library]
    layers = [(stem, (32, 3, 3, 3)), (last, (1280, 320, 1, 1))]
    for block in blocks():
        layers += zip(block.keys(library), block.kernels(), strict=True)
    draw, found = torch.Generator().manual_seed(0), {}

    def normal(*shape):
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    for (conv, norm), kernel in layers:
        found[f"{conv}.weight"] = normal(*kernel) * (2 / (kernel[1] * kernel[2] * kernel[3])) ** 0.5
        found |= {f"{norm}.{tensor}": normal(kernel[0]) for tensor in ("weight", "bias", "running_mean")}
        found[f"{norm}.running_var"] = normal(kernel[0]).abs() + 0.5
        found[f"{norm}.num_batches_tracked"] = torch.tensor(3)
    return found | {f"{dense}.weight": normal(1000, 1280) / 36, f"{dense}.bias": normal(1000)}


def logits(library, w, images):
    """The network by the library's keys."""

    def layer(maps, keys, **options):
        conv, norm = keys
        maps = F.conv2d(maps, w[f"{conv}.weight"], **options)
        mean, var, scale, shift = (w[f"{norm}.{name}"] for name in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(maps, mean, var, scale, shift)

    stem, last, dense = ENDS[library]
    maps = F.relu6(layer(images, stem, stride=2, padding=1))
    for block in blocks():
        *widen, filtering, narrow = block.keys(library)
        wide = F.relu6(layer(maps, widen[0])) if widen else maps
        wide = F.relu6(layer(wide, filtering, stride=block.stride, padding=1, groups=wide.shape[1]))
        thin = layer(wide, narrow)
        maps = maps + thin if block.stride == 1 and block.c_in == block.c_out else thin
    pooled = F.relu6(layer(maps, last)).mean((2, 3))
    return F.linear(pooled, w[f"{dense}.weight"], w[f"{dense}.bias"])


@pytest.mark.parametrize("library", MAPS)
def test_every_tensor_lands_and_computes_what_it_did(library):
    foreign, model = drawn(library), MobileNetV2().double().eval()
    landed = translate(MAPS[library](), foreign, model.state_dict())
    assert sorted(tensor.data_ptr() for tensor in landed.values()) == sorted(t.data_ptr() for t in foreign.values())
    model.load_state_dict(landed)
    images = torch.randn(2, 3, 64, 40, dtype=torch.float64)
    expected = logits(library, foreign, images)
    assert expected.std(0).mean() > 0.01  # the two images are told apart
    torch.testing.assert_close(model(images), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("library", MAPS)
def test_what_does_not_fit_is_named(library):
    with torch.device("meta"):
        expected = MobileNetV2().state_dict()
    good, key = drawn(library), f"{ENDS[library][2]}.weight"
    less = {name: tensor for name, tensor in good.items() if name != key}
    for foreign, fault in (
        (less, f"missing: {key}"),
        (good | {"features.19.bias": torch.ones(1)}, "unexpected: features.19.bias"),
        (good | {key: torch.ones(10, 1280)}, f"of another shape: {key} 10x1280, where 1000x1280 is expected"),
    ):
        with pytest.raises(CheckpointError, match=rf"1 of its tensors are {fault}\."):
            translate(MAPS[library](), foreign, expected)
