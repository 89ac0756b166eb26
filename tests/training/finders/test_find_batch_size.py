import copy
import gc
import weakref

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from neocog.data import ImagePreprocess
from neocog.loading import InMemoryDataset, Loader
from neocog.planning import forecast, plan
from neocog.tasks import Classification
from neocog.training import OptimizerConfig, TrainConfig
from neocog.training.finders import Trial, TrialSettings, find_batch_size, free_bytes
from neocog.training.finders import batch_size as batch_size_module
from neocog.training.finders import memory as memory_module
from neocog.training.finders.batch_size import speed_of, time_training
from neocog.training.finders.memory import HostMemory, memory_of, resident_bytes

MB = 2**20
SPEC = ImagePreprocess(size=(8, 8), channels=1, mean=(0.5,), std=(0.3,))
LABELS = torch.arange(200) % 3
DATA = InMemoryDataset(torch.zeros(200, 1, 8, 8, dtype=torch.uint8), LABELS, np.arange(200, dtype=np.uint64))
TASK = Classification(("a", "b", "c"))
ADAMW = OptimizerConfig(name="adamw")


class Planted:
    """A memory with a limit, in which a trial takes what `took` says for the size under way."""

    def __init__(self, limit, took=lambda size: 0):
        self.limit, self.took, self.size, self.cleared = limit, took, 0, 0

    def begin(self):
        self.clear()

    def clear(self):
        self.cleared += 1

    def peak(self):
        return self.took(self.size)


class Clock:
    """A second goes by at each look."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def net():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Dropout(0.1), nn.Linear(144, 3))


def loader(size, data=DATA):
    return Loader(data, SPEC, batch_size=size, seed=0)


def find(model=None, batches_of=loader, memory=None, clock=None, **settings):
    config = TrainConfig(**settings)
    return find_batch_size(
        model or net(), batches_of, TASK, TrialSettings(train=config, optimizer=ADAMW), most=200, shape=(1, 8, 8),
        memory=memory, clock=clock or Clock(),
    )  # fmt: skip


def test_sizes_are_timed_and_the_memory_is_cleared_at_the_end():
    memory = Planted(2**40)
    found = find(memory=memory)
    assert found.size <= 200
    assert all(tried.fits and tried.samples_per_second > 0 for tried in found.tried)
    assert memory.cleared == len(found.tried) + 1


def test_speed_is_samples_over_whole_blocks():
    """200 records in batches of 50: one block of four; the clock ends after one second, so after two blocks at most."""
    trial = Trial(net(), TASK, TrialSettings(train=TrainConfig(), optimizer=ADAMW))
    assert time_training(trial, loader(50), Clock()) == 200.0
    assert trial.training.state.step == 1 + 4, "a first step, then the block"
    assert all(trial.training.optimizer.state[p] for p in trial.training.model.parameters())


def test_nothing_of_the_callers_is_changed():
    model = net().eval()
    state, generator = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    find(model, memory=Planted(2**40), ema_decay=0.9)
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert not any(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
    ],
)
def test_a_size_for_which_the_memory_runs_out_does_not_fit(error):
    def batches_of(size):
        batches = loader(size)
        if size > 20:
            batches.batch = lambda epoch, step: (_ for _ in ()).throw(error)
        return batches

    memory = Planted(2**40, lambda size: 3)
    found = find(batches_of=batches_of, memory=memory)
    assert [tried.fits for tried in found.tried] == [tried.size <= 20 for tried in found.tried]
    assert found.tried[-1].memory_bytes == 0 and "does not fit" in str(found)


def test_another_error_is_not_taken_for_a_lack_of_memory():
    class Broken:
        num_steps = 2

        def batch(self, epoch, step):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        speed_of(Trial(net(), TASK, TrialSettings(train=TrainConfig(), optimizer=ADAMW)), Broken(), Clock())


def test_batch_that_did_not_fit_is_freed():
    """What an error's traceback holds would stay in memory, and make smaller sizes fail too."""
    kept = []

    class Full:
        num_steps = 2

        def batch(self, epoch, step):
            inputs = torch.zeros(4, 1, 8, 8)
            kept.append(weakref.ref(inputs))
            return inputs, torch.zeros(4, dtype=torch.long)

    class TooMuch:
        weights = None

        def loss(self, outputs, labels):
            raise torch.OutOfMemoryError("out of memory")

    assert (
        speed_of(Trial(net(), TooMuch(), TrialSettings(train=TrainConfig(), optimizer=ADAMW)), Full(), Clock()) is None
    )
    gc.collect()
    assert kept[0]() is None


def test_a_measured_peak_over_the_limit_does_not_fit():
    memory = Planted(10 * MB)

    def batches_of(size):
        memory.size = size
        return loader(size)

    memory.took = lambda size: MB if size <= 8 else 20 * MB  # which smaller sizes do not foretell
    found = find(batches_of=batches_of, memory=memory)
    assert found.size == 8 and found.limit_bytes == 10 * MB
    assert {tried.memory_bytes for tried in found.tried if not tried.fits} == {20 * MB}


def test_the_forecast_keeps_a_cpu_from_trying_too_much(monkeypatch):
    """The plan says what 200 samples take; with room for 50, no batch is larger than that."""
    trained = []

    def batches_of(size):
        trained.append(size)
        return loader(size)

    # More samples at once are always faster here.
    monkeypatch.setattr(batch_size_module, "time_training", lambda trial, batches, clock: 1000.0 / batches.num_steps)
    found = find(batches_of=batches_of, memory=Planted(2**40))
    assert max(trained) == 200
    trained.clear()
    limit = expected_bytes(50)
    found = find(batches_of=batches_of, memory=Planted(limit))
    assert max(trained) <= 50 and 44 <= found.size <= 50


def expected_bytes(size):
    planned = plan(net(), (1, 8, 8))
    return forecast(planned, batch_size_module.UNTIMED, batch_size=size, optimizer_states=2, available=0).training_bytes


def test_the_hosts_memory_sees_the_peak_of_a_trial():
    memory = HostMemory()
    memory.begin()
    held = torch.ones(256 * MB // 4)
    peak = memory.peak()
    del held
    assert 200 * MB < peak < 1024 * MB  # others may give memory back at the same time
    assert memory.limit < 2**50


def test_memory_in_use_counts_if_linux_keeps_no_peak(monkeypatch, tmp_path):
    """The readings are planted: freed memory that malloc keeps for itself serves a new tensor without a change."""
    monkeypatch.setattr(memory_module, "PROCESS", tmp_path / "absent")
    readings = iter([500, 400, 900, 300])  # at creation, as a trial begins, in it, and after memory was given back
    monkeypatch.setattr(memory_module, "resident_bytes", lambda: next(readings))
    memory = HostMemory()
    memory.begin()
    assert memory.peak() == 500
    assert memory.peak() == 0


def test_memory_in_use_is_what_the_system_says():
    assert abs(resident_bytes() - psutil.Process().memory_info().rss) < 64 * MB


def test_a_container_of_an_older_linux(monkeypatch, tmp_path):
    monkeypatch.setattr(memory_module, "CGROUP_1", tmp_path)
    monkeypatch.setattr(memory_module, "available_bytes", lambda device: 10**12)
    assert free_bytes() == 10**12
    (tmp_path / "memory.limit_in_bytes").write_text("5000\n")
    (tmp_path / "memory.usage_in_bytes").write_text("3000\n")
    assert free_bytes() == 2000
    (tmp_path / "memory.usage_in_bytes").write_text("9000\n")
    assert free_bytes() == 0
    (tmp_path / "memory.limit_in_bytes").write_text("9223372036854771712\n")  # no limit
    assert free_bytes() == 10**12


def test_a_gpus_memory_is_what_torch_has_reserved(monkeypatch):
    """Of 1,000 bytes that are free 90% may be taken; holes between tensors count, what was there before does not."""
    told = {"reserved": 100, "peak": 0}
    planted = {
        "empty_cache": lambda: told.update(emptied=True),
        "memory_reserved": lambda device: told["reserved"],
        "mem_get_info": lambda device: (1000, 5000),
        "reset_peak_memory_stats": lambda device: told.update(peak=told["reserved"]),
        "max_memory_reserved": lambda device: told["peak"],
    }
    for name, function in planted.items():
        monkeypatch.setattr(torch.cuda, name, function)
    memory = memory_of(torch.device("cuda:0"))
    assert memory.limit == 900 and told.pop("emptied")
    memory.begin()
    assert memory.peak() == 0 and told["emptied"]
    told["peak"] = 700
    assert memory.peak() == 600
