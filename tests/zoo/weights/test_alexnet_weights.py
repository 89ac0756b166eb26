import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.errors import CheckpointError
from neocog.zoo.networks.alexnet_one_column import AlexNetOneColumn
from neocog.zoo.weights.key_map import translate
from neocog.zoo.weights.key_maps import torchvision_alexnet


def torchvision_shapes(hidden=4096, classes=1000):
    """As listed by the published file."""
    weights = {
        "features.0": (64, 3, 11, 11), "features.3": (192, 64, 5, 5), "features.6": (384, 192, 3, 3),
        "features.8": (256, 384, 3, 3), "features.10": (256, 256, 3, 3),
        "classifier.1": (hidden, 9216), "classifier.4": (hidden, hidden), "classifier.6": (classes, hidden),
    }  # fmt: skip
    return {f"{key}.weight": shape for key, shape in weights.items()} | {
        f"{key}.bias": shape[:1] for key, shape in weights.items()
    }


@pytest.fixture
def foreign():
    """Each tensor holds one number throughout, by which it is known again."""
    return {key: torch.tensor(i).expand(shape) for i, (key, shape) in enumerate(torchvision_shapes().items())}


@pytest.fixture
def ours():
    with torch.device("meta"):
        return AlexNetOneColumn().state_dict()


def test_every_published_tensor_lands(foreign, ours):
    found = translate(torchvision_alexnet(), foreign, ours)
    assert sorted(tensor.flatten()[0].item() for tensor in found.values()) == list(range(16))
    assert all(tensor.shape == ours[key].shape for key, tensor in found.items())


def test_faults_are_named_with_the_published_key(foreign, ours):
    key_map = torchvision_alexnet()
    with pytest.raises(CheckpointError, match=r"unexpected: features.12.weight"):
        translate(key_map, foreign | {"features.12.weight": torch.zeros(1)}, ours)
    with pytest.raises(CheckpointError, match=r"shape: features.0.weight 64x1x11x11, where 64x3x11x11"):
        translate(key_map, foreign | {"features.0.weight": torch.zeros(64, 1, 11, 11)}, ours)
    del foreign["classifier.4.bias"]
    with pytest.raises(CheckpointError, match=r"missing: classifier.4.bias"):
        translate(key_map, foreign, ours)


def test_the_network_computes_what_the_published_tensors_say():
    """Few hidden units: dense layers take most of the memory."""
    torch.manual_seed(0)
    t = {key: torch.randn(shape).double() * 0.03 for key, shape in torchvision_shapes(hidden=16, classes=5).items()}
    with torch.device("meta"):
        model = AlexNetOneColumn(num_classes=5)
        model.head[4], model.head[7], model.head[9] = nn.Linear(9216, 16), nn.Linear(16, 16), nn.Linear(16, 5)
    model.load_state_dict(translate(torchvision_alexnet(), t, model.state_dict()), assign=True)

    def conv(maps, key, **options):
        return F.conv2d(maps, t[f"{key}.weight"], t[f"{key}.bias"], **options).relu()

    images = torch.randn(1, 3, 256, 288).double()  # more places than the 6x6 that are left of them
    maps = F.max_pool2d(conv(images, "features.0", stride=4, padding=2), 3, 2)
    maps = F.max_pool2d(conv(maps, "features.3", padding=2), 3, 2)
    for key in ("features.6", "features.8", "features.10"):
        maps = conv(maps, key, padding=1)
    values = F.adaptive_avg_pool2d(F.max_pool2d(maps, 3, 2), 6).flatten(1)
    for key in ("classifier.1", "classifier.4"):
        values = F.linear(values, t[f"{key}.weight"], t[f"{key}.bias"]).relu()
    expected = F.linear(values, t["classifier.6.weight"], t["classifier.6.bias"])
    torch.testing.assert_close(model.eval()(images), expected, rtol=1e-6, atol=0)
