import pytest
import torch
import torch.nn.functional as F

from neocog.errors import CheckpointError
from neocog.zoo.networks.squeezenet import SqueezeNet
from neocog.zoo.weights.key_map import translate
from neocog.zoo.weights.key_maps import torchvision_squeezenet

# Place in torchvision's list of layers: channels that a fire module reads, and squeezes them to. 5 and 8 are poolings.
FIRES = {
    3: (64, 16), 4: (128, 16), 6: (128, 32), 7: (256, 32),
    9: (256, 48), 10: (384, 48), 11: (384, 64), 12: (512, 64),
}  # fmt: skip


def published_shapes():
    kernels = {"features.0": (64, 3, 3, 3), "classifier.1": (1000, 512, 1, 1)}
    for place, (c_in, few) in FIRES.items():
        kernels[f"features.{place}.squeeze"] = (few, c_in, 1, 1)
        for size in (1, 3):
            kernels[f"features.{place}.expand{size}x{size}"] = (4 * few, few, size, size)
    return {
        f"{layer}.{tensor}": shape
        for layer, kernel in kernels.items()
        for tensor, shape in (("weight", kernel), ("bias", kernel[:1]))
    }


def drawn():
    """Values that keep signals about as large as they come in."""
    draw = torch.Generator().manual_seed(0)
    shapes = published_shapes()
    return {
        key: torch.randn(shape, generator=draw, dtype=torch.float64) * (2 / max(1, shape[1:].numel())) ** 0.5
        for key, shape in ((key, torch.Size(shape)) for key, shape in shapes.items())
    }


def logits(w, images):
    """SqueezeNet 1.1 by torchvision's keys."""

    def conv(maps, layer, **options):
        return F.relu(F.conv2d(maps, w[f"{layer}.weight"], w[f"{layer}.bias"], **options))

    maps = F.max_pool2d(conv(images, "features.0", stride=2), 3, 2, ceil_mode=True)
    for place in range(3, 13):
        if place not in FIRES:
            maps = F.max_pool2d(maps, 3, 2, ceil_mode=True)
            continue
        layer = f"features.{place}"
        few = conv(maps, f"{layer}.squeeze")
        maps = torch.cat([conv(few, f"{layer}.expand1x1"), conv(few, f"{layer}.expand3x3", padding=1)], dim=1)
    return conv(maps, "classifier.1").mean((2, 3))


def test_every_tensor_lands_and_computes_what_it_did():
    foreign, model = drawn(), SqueezeNet().double().eval()
    landed = translate(torchvision_squeezenet(), foreign, model.state_dict())
    model.load_state_dict(landed)
    assert sorted(tensor.data_ptr() for tensor in landed.values()) == sorted(t.data_ptr() for t in foreign.values())
    images = torch.randn(2, 3, 50, 41, dtype=torch.float64)
    expected = logits(foreign, images)
    assert expected.std(0).mean() > 0.01  # the two images are told apart
    torch.testing.assert_close(model(images), expected, rtol=1e-6, atol=1e-12)


def without(key):
    return {k: v for k, v in drawn().items() if k != key}


@pytest.mark.parametrize(
    ("foreign", "message"),
    [
        (without("features.9.squeeze.bias"), r"1 of its tensors are missing: features\.9\.squeeze\.bias\."),
        (drawn() | {"features.5.weight": torch.ones(1)}, r"1 of its tensors are unexpected: features\.5\.weight\."),
        (drawn() | {"features.0.weight": torch.ones(96, 3, 7, 7)}, "of another shape: features.0.weight 96x3x7x7, whe"),
    ],
)
def test_what_does_not_fit_is_named(foreign, message):
    with pytest.raises(CheckpointError, match=message):
        translate(torchvision_squeezenet(), foreign, SqueezeNet().state_dict())
