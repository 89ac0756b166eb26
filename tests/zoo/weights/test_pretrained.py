"""Published weights, served by a server of the test's own: torchvision's and timm's files of a small network."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import save

from neocog import create_model
from neocog.errors import CheckpointError, ConfigError, DataError
from neocog.zoo.weights import pretrained
from neocog.zoo.weights.key_maps import TIMM, key_maps
from neocog.zoo.weights.pretrained import HALVES, IMAGENET


def foreign_file(name, source):
    """The weights of a network of ours under foreign names, random but for those that others must not depend on."""
    model = create_model(name).eval()
    key_map = key_maps(name, {})[source]
    return model, {key_map.theirs(key): value for key, value in model.state_dict().items()}


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch, server):
    """An empty cache, and addresses of the test's server."""
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(pretrained, "TORCHVISION_ADDRESS", f"{server.url}/models")
    monkeypatch.setattr(pretrained, "TIMM_ADDRESS", f"{server.url}/timm")
    return tmp_path


@pytest.fixture
def squeezenet(tmp_path, server, monkeypatch):
    """SqueezeNet as torchvision's server would give it."""
    model, weights = foreign_file("squeezenet1_1", "torchvision")
    torch.save(weights, tmp_path / "w.pth")
    content = (tmp_path / "w.pth").read_bytes()
    file = f"squeezenet1_1-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setitem(pretrained.TORCHVISION, "squeezenet1_1", file)
    server.serve(f"/models/{file}", content)
    return model


def serve_timm(server, name, theirs, mean):
    """A model of timm's as its hub gives it: a pointer with the hash, settings, and the file."""
    model, weights = foreign_file(name, "timm")
    content = save({key: value.contiguous() for key, value in weights.items()})
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(content).hexdigest()}\nsize 1\n"
    settings = {"pretrained_cfg": {"mean": [mean] * 3, "std": [0.25] * 3}}
    server.serve(f"/timm/{theirs}/raw/main/model.safetensors", pointer.encode())
    server.serve(f"/timm/{theirs}/raw/main/config.json", json.dumps(settings).encode())
    server.serve(f"/timm/{theirs}/resolve/main/model.safetensors", content)
    return model


def test_torchvisions_file_is_fetched_once_and_computes_the_same(squeezenet, server):
    images = torch.randn(1, 3, 64, 64)
    loaded = create_model("squeezenet1_1", pretrained="torchvision").eval()
    assert torch.equal(loaded(images), squeezenet(images))
    assert loaded.normalisation == IMAGENET
    asked = len(server.requests)
    create_model("squeezenet1_1", pretrained="torchvision")
    assert len(server.requests) == asked == 1


def test_a_file_that_was_tampered_with_is_refused_and_removed(squeezenet, server, nowhere):
    (path,) = server.content
    server.content[path] = server.content[path][:-1] + b"x"
    with pytest.raises(DataError, match=r"must have the published SHA-256"):
        create_model("squeezenet1_1", pretrained="torchvision")
    assert not list((nowhere / "cache/weights").iterdir())


def test_without_a_network_connection_the_place_for_the_file_is_named(monkeypatch, nowhere):
    monkeypatch.setattr(pretrained, "TORCHVISION_ADDRESS", "http://127.0.0.1:1/models")
    place = nowhere / "cache/weights/resnet18-f37072fd.pth"
    with pytest.raises(DataError, match=rf"can't be reached.*put the file at {place}"):
        create_model("resnet18", pretrained="torchvision")


def test_timms_file_is_checked_by_its_published_hash_and_says_its_normalisation(server, nowhere):
    model = serve_timm(server, "mobilenet_v2", "mobilenetv2_100.ra_in1k", mean=0.4)
    loaded = create_model("mobilenet_v2", pretrained="timm/mobilenetv2_100.ra_in1k").eval()
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(loaded(images), model(images))
    assert loaded.normalisation == ((0.4,) * 3, (0.25,) * 3)
    assert len(server.requests) == 3
    create_model("mobilenet_v2", pretrained="timm/mobilenetv2_100.ra_in1k")
    assert len(server.requests) == 3
    assert sorted(p.name for p in (nowhere / "cache/weights/timm/mobilenetv2_100.ra_in1k").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


def test_timm_without_a_hash_and_with_another_file(server):
    serve_timm(server, "mobilenet_v2", "mobilenetv2_100.x", mean=0.4)
    server.content["/timm/mobilenetv2_100.x/resolve/main/model.safetensors"] += b"x"
    with pytest.raises(DataError, match="must have the published SHA-256"):
        create_model("mobilenet_v2", pretrained="timm/mobilenetv2_100.x")
    server.serve("/timm/mobilenetv2_100.x/raw/main/model.safetensors", b"<html>moved</html>")
    with pytest.raises(DataError, match="does not say the SHA-256 of its weights"):
        create_model("mobilenet_v2", pretrained="timm/mobilenetv2_100.x")


@pytest.mark.parametrize(
    "name", ["../../evil", "mobilenetv2_100/../../evil", "mobilenetv2_100.x/../../../evil", ".mobilenetv2_100"]
)
def test_unknown_timm_architecture_is_refused(name, nowhere):
    with pytest.raises(ConfigError, match="timm calls mobilenet_v2 mobilenetv2_100"):
        create_model("mobilenet_v2", pretrained=f"timm/{name}")
    assert not list(nowhere.rglob("*"))


def test_other_classes_start_fresh_and_the_rest_is_published(squeezenet, capsys):
    loaded = create_model("squeezenet1_1", num_classes=5, pretrained="torchvision")
    assert "weights are for other classes than these 5; the head starts fresh" in capsys.readouterr().err
    ours, theirs = loaded.state_dict(), squeezenet.state_dict()
    heads = {key for key in ours if ours[key].shape != theirs[key].shape}
    assert heads and all(torch.equal(ours[key], theirs[key]) for key in ours.keys() - heads)
    assert loaded.eval()(torch.randn(1, 3, 64, 64)).shape == (1, 5)


def test_grey_images_count_as_images_of_three_equal_channels(squeezenet):
    loaded = create_model("squeezenet1_1", in_channels=1, pretrained="torchvision").eval()
    grey = torch.randn(2, 1, 64, 64)
    torch.testing.assert_close(loaded(grey), squeezenet(grey.expand(2, 3, 64, 64)), rtol=1e-4, atol=1e-4)
    mean, std = loaded.normalisation
    assert mean == pytest.approx([0.449], abs=1e-9) and std == pytest.approx([0.226], abs=1e-9)


def test_other_numbers_of_channels_take_theirs_in_turn(squeezenet):
    loaded = create_model("squeezenet1_1", in_channels=6, pretrained="torchvision").eval()
    pictures = torch.randn(1, 3, 64, 64)
    twice = torch.cat([pictures, pictures], dim=1)
    torch.testing.assert_close(loaded(twice), squeezenet(pictures), rtol=1e-4, atol=1e-4)
    assert loaded.normalisation is None


def test_networks_brought_from_tensorflow_expect_halves(monkeypatch, server, tmp_path):
    model, weights = foreign_file("googlenet", "torchvision")
    torch.save(weights, tmp_path / "w.pth")
    content = (tmp_path / "w.pth").read_bytes()
    file = f"googlenet-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    monkeypatch.setitem(pretrained.TORCHVISION, "googlenet", file)
    server.serve(f"/models/{file}", content)
    # torchvision normalises as for ImageNet, then turns the input of these networks like this.
    turned = HALVES.mean, HALVES.std
    assert create_model("googlenet", pretrained="torchvision").normalisation == turned
    without = create_model("googlenet", auxiliary=False, pretrained="torchvision").eval()
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(without(images), model(images))


@pytest.mark.parametrize("source", ["ours", "torchvision", "timm"])
def test_a_file_by_its_path_is_recognised_by_its_keys(source, tmp_path):
    model, weights = foreign_file("mobilenet_v2", "timm" if source == "timm" else "torchvision")
    path = tmp_path / "w.pth"
    torch.save(model.state_dict() if source == "ours" else weights, path)
    loaded = create_model("mobilenet_v2", pretrained=str(path)).eval()
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(loaded(images), model(images))
    assert loaded.normalisation is None


def test_a_file_of_another_network_is_named(tmp_path):
    torch.save(create_model("resnet20_cifar").state_dict(), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"belong to another network\. \d+ of its tensors are missing"):
        create_model("squeezenet1_1", pretrained=str(tmp_path / "w.pth"))


def test_networks_without_published_weights():
    with pytest.raises(
        ConfigError, match=r"torchvision has no weights for lenet5\. It has some for: alexnet_one_column,"
    ):
        create_model("lenet5", pretrained="torchvision")
    with pytest.raises(ConfigError, match=r"timm's weights are known for: convnext_base.*Received: lenet5\."):
        create_model("lenet5", pretrained="timm/lenet5")


def test_every_file_of_torchvision_has_a_map_and_every_name_of_timms_too():
    assert all("torchvision" in key_maps(name, {}) for name in pretrained.TORCHVISION)
    assert all("timm" in key_maps(name, {}) for name in TIMM)
