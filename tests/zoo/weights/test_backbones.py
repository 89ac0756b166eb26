"""Published weights of a classifier in the networks that have its stem and stages."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file

from neocog import create_model
from neocog.errors import CheckpointError
from neocog.zoo import model_info
from neocog.zoo.weights import available, none_available, pretrained
from neocog.zoo.weights.key_maps import key_maps
from neocog.zoo.weights.pretrained import IMAGENET

BACKBONES = {
    "unet_resnet18": ("resnet18", "torchvision"),
    "unet_lite0": ("efficientnet_lite0", "package"),
    "centernet": ("resnet18", "torchvision"),
    "centernet_lite0": ("efficientnet_lite0", "package"),
}


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def foreign_file(name, source, path):
    """A classifier of ours, its weights under foreign names."""
    torch.manual_seed(0)
    model, key_map = create_model(name), key_maps(name, {})[source]
    torch.save({key_map.theirs(key): value for key, value in model.state_dict().items()}, path)
    return model


@pytest.mark.parametrize("name", BACKBONES)
def test_a_published_file_starts_stem_and_stages_and_leaves_the_head(name, tmp_path):
    backbone, source = BACKBONES[name]
    published = foreign_file(backbone, source, tmp_path / "w.pth").state_dict()
    torch.manual_seed(5)
    fresh = create_model(name).state_dict()
    torch.manual_seed(5)
    loaded = create_model(name, pretrained=str(tmp_path / "w.pth")).state_dict()
    for key, value in loaded.items():
        assert torch.equal(value, (fresh if key.startswith("head.") else published)[key]), key


def test_the_first_layer_is_adapted_to_grey(tmp_path):
    published = foreign_file("resnet18", "torchvision", tmp_path / "w.pth").state_dict()
    loaded = create_model("unet_resnet18", in_channels=1, pretrained=str(tmp_path / "w.pth")).state_dict()
    torch.testing.assert_close(loaded["stem.0.0.weight"], published["stem.0.0.weight"].sum(dim=1, keepdim=True))


def test_its_own_file_brings_the_head_too(tmp_path):
    torch.manual_seed(1)
    before = create_model("unet_lite0", num_classes=4).state_dict()
    save_file(before, tmp_path / "own.safetensors")
    same = create_model("unet_lite0", num_classes=4, pretrained=str(tmp_path / "own.safetensors")).state_dict()
    assert all(torch.equal(value, before[key]) for key, value in same.items())
    other = create_model("unet_lite0", num_classes=6, pretrained=str(tmp_path / "own.safetensors")).state_dict()
    differ = {key for key, value in other.items() if value.shape != before[key].shape}
    assert differ == {"head.classify.weight", "head.classify.bias"}
    assert all(torch.equal(value, before[key]) for key, value in other.items() if key not in differ)


def test_a_file_of_another_network_is_refused(tmp_path):
    foreign_file("resnet34", "torchvision", tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="These weights belong to another network"):
        create_model("unet_resnet18", pretrained=str(tmp_path / "w.pth"))


def test_the_backbones_file_in_the_cache_is_what_auto_takes(tmp_path, monkeypatch):
    assert none_available("unet_lite0").startswith("No pretrained weights of efficientnet_lite0 are installed.")
    assert available("unet_resnet18") is None
    folder = tmp_path / "cache" / "weights"
    folder.mkdir(parents=True)
    published = foreign_file("resnet18", "torchvision", tmp_path / "w.pth").state_dict()
    content = (tmp_path / "w.pth").read_bytes()
    file = f"resnet18-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (folder / file).write_bytes(content)
    monkeypatch.setitem(pretrained.TORCHVISION, "resnet18", file)
    assert available("unet_resnet18") == "torchvision"
    model = create_model("unet_resnet18", pretrained="auto")
    assert torch.equal(model.stem[0][0].weight, published["stem.0.0.weight"])
    assert model.normalisation == IMAGENET


@pytest.mark.parametrize("name", BACKBONES)
def test_the_catalogue_names_the_backbone(name):
    assert model_info(name).backbone == BACKBONES[name][0]
