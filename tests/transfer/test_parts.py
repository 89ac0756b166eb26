import pytest
import torch

from neocog.transfer import feature_part
from neocog.transfer.parts import DeepestMaps, last_layer_path, pool
from neocog.zoo import create_model


@pytest.mark.parametrize(
    ("name", "shape", "length"),
    [
        ("speednet", (3, 32, 32), 256),
        ("squeezenet1_1", (3, 64, 64), 512),
        ("lenet5", (1, 32, 32), 84),
        ("unet", (1, 64, 64), 1024),
        ("segnet", (3, 64, 64), 512),
        ("centernet", (3, 64, 64), 512),
        ("go_policy", (48, 9, 9), 192),
    ],
)
def test_every_head_has_features(name, shape, length):
    model = create_model(name, in_channels=shape[0])
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    with torch.inference_mode():
        made = feature_part(model)(torch.randn(2, *shape))
    assert pool(made).shape == (2, length)
    assert model.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_network_without_build_spec_gives_its_deepest_maps():
    model = create_model("squeezenet1_1")
    model.build_spec = None
    assert last_layer_path(model) is None
    assert isinstance(feature_part(model), DeepestMaps)
