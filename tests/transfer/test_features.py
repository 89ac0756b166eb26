import copy

import pytest
import torch
from torch import nn

from neocog.errors import ConfigError
from neocog.layers.fuse import FusedConv, fuse
from neocog.transfer import FeatureExtractor, has_dense_head, mirror, set_dense_head, without_dense_head
from neocog.transfer.dense_head import dense_head_path
from neocog.zoo import create_model, list_models, model_info

ONE_SIZE = ("lenet5_relu", "tutorial_cifar10", "alexnet", "alexnet_one_column", "inception_v3")
"""Networks that take images of their published size only, or none as small as 64x64."""
LARGE = (
    "vgg",
    "101",
    "152",
    "161",
    "164",
    "169",
    "200",
    "201",
    "288",
    "110",
    "_base",
    "_large",
    "_small",
    "_b3",
    "_b4",
)


def small_classifiers():
    """One or more of each family of image networks that qualifies."""
    names = [name for name in list_models() if not any(part in name for part in LARGE)]
    infos = {name: model_info(name) for name in names}
    return [n for n in names if infos[n].modality == "image" and infos[n].task == "classification"]


def build(name):
    torch.manual_seed(0)
    model = create_model(name, num_classes=5)
    for module in model.modules():  # statistics and shifts that an unfolded norm would miss
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    return model.eval()


@pytest.mark.parametrize("name", small_classifiers())
def test_features_and_dense_layer_give_the_logits_of_the_network(name):
    model = build(name)
    if not has_dense_head(model):
        pytest.skip("its head does not end with a dense layer")
    info = model_info(name)
    size = info.input_size if name in ONE_SIZE else (64, 64)
    images = torch.randn(2, info.in_channels, *size, generator=torch.Generator().manual_seed(1))
    before = copy.deepcopy(model.state_dict())
    with torch.inference_mode():
        logits, dense = model(images), model.get_submodule(dense_head_path(model))
        plain = dense(without_dense_head(model)(images))
        fused = dense(FeatureExtractor(model, precision="fp32").extract([images], 2))
    scale = max(1.0, float(logits.abs().max()))
    torch.testing.assert_close(plain, logits, atol=1e-5 * scale, rtol=0)
    torch.testing.assert_close(fused, logits, atol=1e-4 * scale, rtol=0)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert isinstance(model.get_submodule(dense_head_path(model)), nn.Linear)


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "efficientnet_lite0"])
@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="without oneDNN nothing is fused")
def test_norms_activations_and_shortcuts_are_fused_into_convolutions(name):
    model = without_dense_head(build(name))
    num_convs = sum(isinstance(module, nn.Conv2d) for module in model.modules())
    fused = fuse(copy.deepcopy(model), torch.randn(1, 3, 64, 64))
    kinds = [type(module) for module in fused.modules()]
    assert kinds.count(FusedConv) == num_convs
    assert not {nn.BatchNorm2d, nn.ReLU, nn.ReLU6} & set(kinds)
    assert "add" not in fused.code


def test_a_path_that_depends_on_its_inputs_is_called_as_a_whole():
    class Branch(nn.Module):
        def forward(self, maps):
            return maps if maps.sum() > 0 else -maps

    net = nn.Sequential(nn.Conv2d(3, 4, 3), Branch(), nn.Conv2d(4, 4, 3)).eval()
    images = torch.randn(2, 3, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(fuse(copy.deepcopy(net), images)(images), net(images), atol=1e-5, rtol=0)


def test_features_do_not_depend_on_batches_threads_or_views():
    extractor = FeatureExtractor(build("mobilenet_v2"), lambda images: images.float() / 255)
    images = torch.randint(0, 256, (20, 3, 160, 160), dtype=torch.uint8)
    before = torch.get_num_threads()
    whole = extractor.extract([images], 20)
    try:
        torch.set_num_threads(2)
        parts = extractor.extract_views(images.split(8), 20, [mirror])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert torch.equal(parts[0], whole)
    torch.testing.assert_close(parts[1], extractor.extract([images.flip(-1)], 20), atol=1e-3, rtol=0.05)
    assert whole.dtype == torch.float32 and not whole.is_inference()


@pytest.mark.parametrize("size", [(64, 64), (65, 64), (64, 97), (75, 75)])
def test_uneven_padding_follows_the_size_of_the_images(size):
    model = build("efficientnet_lite0")
    extractor = FeatureExtractor(model, precision="fp32")
    extractor.extract([torch.rand(1, 3, 80, 80)], 1)
    images = torch.rand(2, 3, *size)
    with torch.inference_mode():
        torch.testing.assert_close(extractor.extract([images], 2), without_dense_head(model)(images), atol=1e-4, rtol=0)
    assert any(isinstance(module, FusedConv) for module in extractor.program.modules())


def test_bf16_that_disagrees_is_not_used(monkeypatch):
    monkeypatch.setattr("neocog.transfer.features.AGREEMENT", 1e-9)
    extractor = FeatureExtractor(build("resnet18"))
    extractor.extract([torch.rand(2, 3, 64, 64)], 2)
    assert extractor.chosen == "fp32"


def test_networks_without_a_dense_layer_at_the_end_are_refused():
    model = create_model("speednet")
    assert not has_dense_head(model)
    with pytest.raises(ConfigError) as error:
        FeatureExtractor(model)
    assert str(error.value) == (
        "Features are the inputs of a network's last dense layer. "
        "Received: speednet, whose head does not end with one. Choose another network."
    )


def test_a_head_is_set_in_place_and_must_fit():
    model = create_model("resnet18", num_classes=2)
    weight, bias = torch.randn(2, 512), torch.randn(2)
    set_dense_head(model, weight, bias)
    assert torch.equal(model.head[-1].weight, weight) and torch.equal(model.head[-1].bias, bias)
    with pytest.raises(ConfigError) as error:
        set_dense_head(model, weight[:, :3], bias)
    assert str(error.value) == (
        "A fitted head must have the shape of the network's last dense layer. "
        "Received: (2, 3), and the layer has (2, 512)."
    )
