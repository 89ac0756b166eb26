import json
import zlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file
from torch import nn

from neocog.errors import CheckpointError
from neocog.training import OptimizerConfig, Training, load_checkpoint, read_checkpoint, save_checkpoint
from neocog.training.checkpoint import DamagedCheckpointError, make_checkpoint, read_state
from neocog.training.state import build_seeded


def trained(num_steps=3):
    model = build_seeded(
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3)), 1
    )
    training = Training(model, OptimizerConfig(name="adamw", lr=0.01), ema_decay=0.9)
    for step in range(num_steps):
        take_step(training, step)
    return training


def take_step(training, step):
    images = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(step))
    training.optimizer.zero_grad()
    training.model(images).square().mean().backward()
    training.optimizer.step()
    training.average.update(step)
    training.state.step = step + 1


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def former(training, about):
    """A file of format 1 as it was first written: by safetensors, with the checksum written out."""
    tensors = {key: value.detach().contiguous() for key, value in training.tensors().items()}
    meta = {"format": 1, "state": training.state.to_json(), "about": about}
    crc = zlib.crc32(json.dumps(meta, sort_keys=True).encode())
    for key in sorted(tensors):
        crc = zlib.crc32(tensors[key].reshape(-1).numpy().tobytes(), zlib.crc32(key.encode(), crc))
    return save(tensors, {"neocog": json.dumps(meta | {"crc32": crc})})


def test_file_is_unchanged_byte_for_byte(tmp_path):
    training = trained()
    save_checkpoint(tmp_path / "a", training, {"data": "x"})
    assert (tmp_path / "a").read_bytes() == former(training, {"data": "x"})


def test_files_are_read_by_safetensors_and_by_us(tmp_path):
    training, path = trained(), tmp_path / "a.safetensors"
    save_checkpoint(path, training, {"data": "x"})
    assert same(load_file(path), training.tensors())
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["neocog"])["state"]["step"] == 3
    other = trained(1)
    assert load_checkpoint(path, other) == {"data": "x"}
    assert same(other.tensors(), training.tensors())
    assert read_state(path) == training.state.to_json()


def test_resuming_from_a_file_gives_the_same_bits(tmp_path):
    whole, stopped = trained(6), trained(3)
    save_checkpoint(tmp_path / "a", stopped, {})
    resumed = trained(0)
    load_checkpoint(tmp_path / "a", resumed)
    for step in range(3, 6):
        take_step(resumed, step)
    assert same(whole.tensors(), resumed.tensors())


def test_a_layout_with_channels_last_is_saved_with_the_same_values(tmp_path):
    training = trained()
    plain = {key: value.clone() for key, value in training.tensors().items()}
    training.model.to(memory_format=torch.channels_last)
    save_checkpoint(tmp_path / "a", training, {})
    assert same(read_checkpoint(tmp_path / "a").tensors, plain)


def test_facts_may_be_any_json(tmp_path):
    about = {"speed": {"precision": "bf16", "ms": {9: 1.5, 10: float("inf")}, "shape": (1, 2)}}
    save_checkpoint(tmp_path / "a", trained(), about)
    assert read_checkpoint(tmp_path / "a").about == {
        "speed": {"precision": "bf16", "ms": {"9": 1.5, "10": float("inf")}, "shape": [1, 2]}
    }


def test_facts_are_those_of_the_moment_of_saving():
    training, about = trained(), {"speed": {"precision": "bf16"}}
    checkpoint = make_checkpoint(training, about)
    about["speed"]["precision"] = "fp32"
    training.state.history.append({"epoch": 1.0})
    assert checkpoint.about == {"speed": {"precision": "bf16"}}
    assert checkpoint.state["history"] == []


def with_scaler(training):
    """A training with a tensor more, as that of a loss scale."""
    tensors = training.tensors
    training.tensors = lambda: tensors() | {"scaler/scale": torch.tensor(2.0**16)}
    return training


def test_state_besides_the_network_is_optional(tmp_path):
    save_checkpoint(tmp_path / "with", with_scaler(trained()), {})
    save_checkpoint(tmp_path / "without", trained(), {})
    assert read_checkpoint(tmp_path / "with").tensors["scaler/scale"] == 2**16
    for name, training in (("with", trained(0)), ("without", with_scaler(trained(0)))):
        load_checkpoint(tmp_path / name, training)
        assert same(training.model.state_dict(), trained().model.state_dict())


def test_a_missing_average_is_another_network(tmp_path):
    training = trained()
    training.average = None
    save_checkpoint(tmp_path / "a", training, {})
    with pytest.raises(CheckpointError, match=r"belongs to another network\. Missing: average/0\.bias"):
        load_checkpoint(tmp_path / "a", trained(0))


def test_every_cut_and_every_kind_of_flipped_byte_is_found(tmp_path):
    path = tmp_path / "a"
    save_checkpoint(path, trained(), {"data": "x"})
    content = path.read_bytes()
    header = int.from_bytes(content[:8], "little")
    for cut in (0, 1, 7, 8, 9, header, header + 8, header + 9, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(DamagedCheckpointError, match="is truncated or not a checkpoint"):
            read_checkpoint(path)
    for place in (header + 8, len(content) // 2, len(content) - 1, content.index(b'data\\": \\"x') + 10):
        flipped = bytearray(content)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(DamagedCheckpointError, match="a is damaged: its CRC-32 differs. Use another one"):
            read_checkpoint(path)
    path.write_bytes(content)
    assert read_checkpoint(path).about == {"data": "x"}


def test_a_later_format_is_not_called_damaged(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "a", {"neocog": json.dumps({"format": 2})})
    with pytest.raises(CheckpointError, match="reads checkpoints of format 1. .*a: received format 2") as error:
        read_checkpoint(tmp_path / "a")
    assert not isinstance(error.value, DamagedCheckpointError)
    save_file({"x": torch.zeros(1)}, tmp_path / "b", {"neocog": json.dumps({"format": 1, "crc32": 0})})
    with pytest.raises(DamagedCheckpointError, match="not a checkpoint: its header is incomplete"):
        read_checkpoint(tmp_path / "b")
