import pickle

import pytest
import torch
from safetensors.torch import save_file

from neocog.errors import CheckpointError
from neocog.zoo.weights.read import read_weights

WEIGHTS = {"fc.weight": torch.arange(6.0).view(2, 3), "fc.bias": torch.ones(2)}


def same(found):
    return found.keys() == WEIGHTS.keys() and all(torch.equal(found[key], WEIGHTS[key]) for key in WEIGHTS)


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {"state_dict": WEIGHTS, "epoch": 3},
        {"model": WEIGHTS, "optimizer": {}},
        {"model_state_dict": {f"module.{key}": value for key, value in WEIGHTS.items()}},
    ],
)
def test_what_torch_saves_is_read_bare_or_among_other_things(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    assert same(read_weights(tmp_path / "w.pth"))


def test_safetensors_are_read(tmp_path):
    save_file(WEIGHTS, tmp_path / "w.safetensors")
    assert same(read_weights(tmp_path / "w.safetensors"))


class Evil:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x80\x04\x95garbage", bytes(300)])
def test_damaged_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{name} (can't be read as weights|must hold tensors)"):
        read_weights(tmp_path / name)


def test_code_in_a_file_is_not_run(tmp_path, capsys):
    torch.save({"weight": Evil()}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="holds more than tensors, which is not loaded since it could run code"):
        read_weights(tmp_path / "w.pth")
    (tmp_path / "p.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match=r"p\.pth can't be read as weights"):
        read_weights(tmp_path / "p.pth")
    assert capsys.readouterr().out == ""


def test_other_contents_and_missing_files_are_named(tmp_path):
    torch.save({"fc.weight": WEIGHTS["fc.weight"], "epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"must hold tensors by name\. Received: int under 'epoch'\."):
        read_weights(tmp_path / "w.pth")
    torch.save([1, 2], tmp_path / "l.pth")
    with pytest.raises(CheckpointError, match=r"must hold tensors by name\. Received: list\."):
        read_weights(tmp_path / "l.pth")
    with pytest.raises(CheckpointError, match=r"There are no weights at .*absent\.pth\. Give a \.pth or"):
        read_weights(tmp_path / "absent.pth")
