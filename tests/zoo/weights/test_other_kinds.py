"""Sound files that are no weights are called what they are, with a way to go on; none is called damaged."""

import io
import json
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file
from torch import nn

from neocog import create_model, load
from neocog.errors import BundleError, CheckpointError
from neocog.zoo.weights.other_kinds import other_kind
from neocog.zoo.weights.read import read_weights

WEIGHTS = {"fc.weight": torch.arange(6.0).view(2, 3), "fc.bias": torch.ones(2)}
OURS = r"Neocog reads weights of PyTorch: save the network's state_dict\(\) there as \.pth or \.safetensors\."
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(600)
ONNX = b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x9a\x01" + bytes(200)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def zip_of(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), content)
    return buffer.getvalue()


KERAS = zip_of(config_DOT_json="{}", metadata_DOT_json="{}", model_DOT_weights_DOT_h5=HDF5)


def tar():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("w.h5", HDF5, rf"w\.h5 is an HDF5 file, as Keras saves weights\. {OURS}"),
        ("net.weights.h5", HDF5, r"net\.weights\.h5 is an HDF5 file"),
        ("net.keras", KERAS, rf"net\.keras is a model of Keras\. {OURS}"),
        ("net.onnx", ONNX, rf"net\.onnx is an ONNX model, which has no names for its layers' weights\. {OURS}"),
        ("net.pth", ONNX, r"net\.pth is an ONNX model"),
        ("net.tflite", b"\x1c\0\0\0TFL3" + bytes(99), r"is a network for TensorFlow Lite"),
        ("net.gguf", b"GGUF\x03\0\0\0" + bytes(99), r"is a GGUF file"),
        ("w.pth", POINTER, r"is a pointer of Git LFS, which stands for a file\. Fetch the file: git lfs pull\."),
        ("w.safetensors", POINTER, r"is a pointer of Git LFS"),
        ("w.pth", b"<!DOCTYPE html><html>sign in</html>", r"is a web page\. Download the file itself"),
        ("w.pth", b"\x1f\x8b\x08\0" + bytes(50), r"is compressed with gzip\. Unpack it"),
        ("w.pth", tar(), r"is a tar archive\. Unpack it"),
        ("w.zip", zip_of(a_DOT_txt="a", b_DOT_txt="b"), r"is a zip archive of a\.txt, b\.txt\. Unpack it"),
        ("model.safetensors.index.json", b'{"weight_map": {}}', r"lists in which files the weights .* lie\. Join"),
        ("config.json", b'{"architectures": []}', r"is JSON, which describes a network but holds no weights"),
    ],
)
def test_files_of_other_programs_are_called_what_they_are(name, content, says, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=says) as caught:
        read_weights(tmp_path / name)
    assert "damaged" not in str(caught.value) and "inline_container" not in str(caught.value)


def test_arrays_of_numpy(tmp_path):
    np.save(tmp_path / "w.npy", np.zeros(3))
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    for name, says in (("w.npy", "is a NumPy array"), ("w.npz", "holds NumPy arrays")):
        with pytest.raises(CheckpointError, match=says):
            read_weights(tmp_path / name)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return self.fc(x)


def saved_by_the_advice(error, **names):
    """What the line of Python in a message leaves at weights.pth."""
    line = str(error).partition("save its weights alone: ")[2].removesuffix(".")
    exec(line.replace("'weights.pth'", "place"), {"torch": torch, **names})


def test_a_whole_model_that_was_pickled_is_called_so_and_the_advice_works(tmp_path):
    torch.manual_seed(0)
    net = Net()
    torch.save(net, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=r"net\.pth is a whole model, pickled with its class .*\.Net, which") as e:
        read_weights(tmp_path / "net.pth")
    saved_by_the_advice(e.value, place=tmp_path / "weights.pth")
    assert torch.equal(read_weights(tmp_path / "weights.pth")["fc.weight"], net.fc.weight)


@pytest.mark.filterwarnings("ignore")
def test_torchscript_and_exported_programs_are_called_so_and_the_advice_works(tmp_path):
    net = Net()
    torch.jit.save(torch.jit.script(net), tmp_path / "net.pt")
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3),)), tmp_path / "net.pt2")
    for name, says in (("net.pt", "is a TorchScript program"), ("net.pt2", "is an exported program of PyTorch")):
        with pytest.raises(CheckpointError, match=says) as caught:
            read_weights(tmp_path / name)
        saved_by_the_advice(caught.value, place=tmp_path / "weights.pth")
        assert torch.equal(read_weights(tmp_path / "weights.pth")["fc.weight"], net.fc.weight)


def lightning(weights, **more):
    """As Lightning 2 lays a checkpoint out."""
    return {"epoch": 3, "global_step": 9, "pytorch-lightning_version": "2.5.0", "state_dict": weights, **more}


class Settings:
    pass


def test_a_checkpoint_of_lightning_is_read_or_called_so(tmp_path):
    model = create_model("lenet5_relu", num_classes=3)
    weights = {f"network.{key}": value for key, value in model.state_dict().items()}
    torch.save(lightning(weights, hyper_parameters={"lr": 0.1}), tmp_path / "plain.ckpt")
    loaded = create_model("lenet5_relu", num_classes=3, pretrained=str(tmp_path / "plain.ckpt")).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in model.state_dict().items())
    torch.save(lightning(weights, hyper_parameters=Settings()), tmp_path / "more.ckpt")
    with pytest.raises(
        CheckpointError, match=r"more\.ckpt is a checkpoint of Lightning\. It holds more than"
    ) as caught:
        read_weights(tmp_path / "more.ckpt")
    saved_by_the_advice(caught.value, place=tmp_path / "weights.pth")
    loaded = create_model("lenet5_relu", num_classes=3, pretrained=str(tmp_path / "weights.pth")).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_prefixes_of_compiled_and_parallel_networks_are_taken_off(prefix, name, tmp_path):
    weights = {f"{prefix}{key}": value for key, value in WEIGHTS.items()}
    torch.save(weights, tmp_path / name) if name == "w.pth" else save_file(weights, tmp_path / name)
    assert read_weights(tmp_path / name).keys() == WEIGHTS.keys()


def test_a_format_is_known_by_its_content_not_by_its_name(tmp_path):
    (tmp_path / "w.pth").write_bytes(save(WEIGHTS))
    torch.save(WEIGHTS, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        assert torch.equal(read_weights(tmp_path / name)["fc.weight"], WEIGHTS["fc.weight"])


# What Neocog itself has written.


def test_bundle_given_to_create_model_names_the_way_to_fine_tune_it(finished_run):
    with pytest.raises(
        CheckpointError,
        match=r"model\.neocog is a trained model of Neocog\. Train from it: neocog train DATA --model\.pretrained",
    ):
        create_model("lenet5_relu", pretrained=str(finished_run.bundle))


@pytest.mark.parametrize("name", ["last", "best", "step-00000018"])
def test_a_checkpoint_of_a_run_leads_to_the_runs_model(name, finished_run, tmp_path):
    path = finished_run.path / "checkpoints" / f"{name}.safetensors"
    with pytest.raises(CheckpointError, match=rf"is a checkpoint of a run.* Give .*{finished_run.path}/model\.neocog"):
        create_model("lenet5_relu", pretrained=str(path))
    shutil.copy(path, tmp_path / "alone.safetensors")
    with pytest.raises(CheckpointError, match=r"is a checkpoint of a run.* Give the run's model\.neocog instead\."):
        read_weights(tmp_path / "alone.safetensors")


def test_folders_are_called_what_they_are(finished_run, tmp_path):
    def made(name, *files):
        for file in files:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_bytes(b"")
        return tmp_path / name

    (tmp_path / "empty").mkdir()
    for folder, says in (
        (finished_run.path, r"is the folder of a run\. Train from it: neocog train DATA --model\.pretrained"),
        (finished_run.path / "checkpoints", r"holds the checkpoints of a run\. Give the run's model instead"),
        (
            made("hub", "config.json", "model.safetensors"),
            r"is a folder\. Give the file in it: .*hub/model\.safetensors",
        ),
        (made("old", "pytorch_model.bin"), r"Give the file in it: .*old/pytorch_model\.bin"),
        (made("large", "model.safetensors.index.json", "model-1.safetensors"), r"in several files\. Join them"),
        (made("saved", "saved_model.pb", "variables/variables.index"), r"is a SavedModel of TensorFlow\."),
        (made("dcp", ".metadata", "__0_0.distcp"), r"is a checkpoint of torch\.distributed\. .* dcp_to_torch .*dcp"),
        (tmp_path / "empty", r"is a folder without a file of weights in it\."),
    ):
        with pytest.raises(CheckpointError, match=rf"Weights are read from a file\. .*{says}"):
            read_weights(folder)


def test_weights_given_in_place_of_a_bundle_are_called_what_they_are(finished_run, tmp_path):
    save_file(WEIGHTS, tmp_path / "w.safetensors")
    (tmp_path / "net.onnx").write_bytes(ONNX)
    for path, says in (
        (tmp_path / "w.safetensors", r"w\.safetensors holds only weights, without classes and preprocessing\. Give"),
        (finished_run.best, r"best\.safetensors holds only weights"),
        (tmp_path / "net.onnx", r"net\.onnx is an ONNX model"),
    ):
        with pytest.raises(BundleError, match=rf"A network is loaded from a model\.neocog\. .*{says}"):
            load(path)


def test_nothing_is_said_of_what_is_not_known(tmp_path):
    for name, content in (("a", b""), ("b", b"PK\x03\x04 cut off"), ("c", b"\x80\x04\x95garbage"), ("d.onnx", b"x")):
        (tmp_path / name).write_bytes(content)
        assert other_kind(tmp_path / name) is None
    assert other_kind(tmp_path / "absent") is None
    (tmp_path / "e.json").write_text(json.dumps([1])[:2])
    assert other_kind(tmp_path / "e.json") is None
