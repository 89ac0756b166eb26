"""Forecasts against their formulas, and the machine's measurement and its cache."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from neocog.errors import PlanError
from neocog.planning import Machine, forecast, measure_machine, plan
from neocog.planning import machine as machine_module
from neocog.planning.machine import available_bytes

PLAIN = Machine(
    device="cpu", name="plain", flops={"fp32": 1e9, "bf16": 4e9}, bytes_per_second=1e9, seconds_per_call=1e-6
)


@pytest.fixture
def dense():
    """One dense layer: 1,000,000 weights, 1,000 values in and out."""
    return plan(nn.Linear(1000, 1000, bias=False), (1000,))


def test_the_floor_is_the_larger_of_multiplying_and_moving(dense):
    found = forecast(dense, PLAIN, batch_size=1, available=2**30)
    moved = 4 * (1_000_000 + 2000) / 1e9
    assert found.inference_floor == pytest.approx(moved)  # one sample: weights must be read
    many = forecast(dense, PLAIN, batch_size=1000, available=2**30)
    assert many.inference_floor == pytest.approx(2 * 1e6 * 1000 / 1e9)  # many: multiplications
    half = forecast(dense, PLAIN, batch_size=1000, precision="bf16", available=2**30)
    assert half.inference_floor == pytest.approx(many.inference_floor / 4)
    update = 5 * 4e6 / 1e9
    assert many.training_floor == pytest.approx(3 * many.inference_floor + update)
    assert many.training_seconds > many.training_floor and many.inference_seconds > many.inference_floor
    slow = replace(PLAIN, seconds_per_call=1.0)
    assert forecast(dense, slow, batch_size=1000, available=2**30).training_seconds - many.training_seconds > 2.9


def test_memory_and_the_largest_batch(dense):
    free = 100_000_000
    found = forecast(dense, PLAIN, batch_size=10, available=free)
    assert found.inference_bytes == 4_000_000 + 10 * 8000
    assert found.training_bytes == 12_000_000 + 10 * (dense.training_bytes + dense.inference_bytes)
    adam = forecast(dense, PLAIN, batch_size=10, optimizer_states=2, available=free)
    assert adam.training_bytes - found.training_bytes == 4_000_000
    largest = forecast(dense, PLAIN, batch_size=found.largest_training_batch, available=free)
    assert largest.training_bytes <= 0.9 * free
    more = forecast(dense, PLAIN, batch_size=found.largest_training_batch + 1, available=free)
    assert more.training_bytes > 0.9 * free
    assert forecast(dense, PLAIN, available=1000).largest_training_batch == 0
    half = forecast(dense, PLAIN, batch_size=10, precision="bf16", available=free)
    assert half.training_bytes == 12_000_000 + 10 * (dense.training_bytes + dense.inference_bytes) // 2


def test_an_epoch_is_as_many_batches_as_samples_fill(dense):
    found = forecast(dense, PLAIN, batch_size=10, samples=95, available=2**30)
    assert found.epoch_seconds == pytest.approx(9.5 * found.training_seconds)
    assert found.to_json()["epoch_seconds"] == found.epoch_seconds
    assert forecast(dense, PLAIN, available=2**30).epoch_seconds is None


@pytest.mark.parametrize(("settings", "message"), [
    ({"batch_size": 0}, r"batch_size must be at least 1. Received: 0."),
    ({"samples": 0}, r"samples must be at least 1. Received: 0."),
])  # fmt: skip
def test_numbers_below_one_are_refused(dense, settings, message):
    with pytest.raises(PlanError, match=message):
        forecast(dense, PLAIN, available=2**30, **settings)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("NEOCOG_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine_module, "SECONDS", 0.02)
    return tmp_path


def test_the_machine_is_measured_once_and_remembered(home, capsys):
    first = measure_machine()
    assert all(value > 1e6 for value in (*first.flops.values(), first.bytes_per_second))
    assert 0 < first.seconds_per_call < 0.1
    assert "measuring this machine" in capsys.readouterr().err
    assert measure_machine() == first
    assert capsys.readouterr().err == ""
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert "measuring" in (measure_machine(), capsys.readouterr().err)[1]
    finally:
        torch.set_num_threads(threads)
    assert len(json.loads((home / ".cache/neocog/machine.json").read_text())) == 2


@pytest.mark.parametrize("content", ["{", "[]", '{"x": 1}'])
def test_a_damaged_cache_is_measured_again(home, content):
    path = home / ".cache/neocog/machine.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert measure_machine().device == "cpu"
    assert measure_machine().name in path.read_text()


def test_a_cache_of_another_version_is_measured_again(home):
    measure_machine()
    path = home / ".cache/neocog/machine.json"
    path.write_text(json.dumps({key: {"speed": 1} for key in json.loads(path.read_text())}))
    assert measure_machine().flops["fp32"] > 0


def test_a_cache_that_can_not_be_written_is_said_and_not_needed(home, capsys):
    (home / ".cache").write_text("in the way")
    assert measure_machine().device == "cpu"
    assert "the measurement could not be kept" in capsys.readouterr().err


def test_a_container_may_have_less(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_module, "CGROUP", tmp_path)
    (tmp_path / "memory.current").write_text("300\n")
    for limit, free in (("1000\n", 700), ("200\n", 0)):
        (tmp_path / "memory.max").write_text(limit)
        assert available_bytes() == free
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes() > 10_000


def test_free_memory_is_a_part_of_all():
    import psutil

    assert 0 < available_bytes() <= psutil.virtual_memory().total
