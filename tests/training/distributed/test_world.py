import pytest
import torch

from neocog.errors import ConfigError
from neocog.training.distributed import World, join_world, leave_world
from neocog.training.distributed.world import device_of

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def test_single_process_has_no_process_group():
    world = join_world("cpu")
    assert world == World(device=torch.device("cpu"))
    assert world.first
    assert not torch.distributed.is_initialized()
    leave_world(world)


def test_launcher_of_one_process_gives_a_single_process(monkeypatch, port):
    for name, value in zip(NAMES, ("0", "1", "0", "1", "127.0.0.1", str(port)), strict=True):
        monkeypatch.setenv(name, value)
    assert join_world("cpu").size == 1
    assert not torch.distributed.is_initialized()


def test_missing_processes_are_an_error(monkeypatch, port):
    for name, value in zip(NAMES, ("1", "2", "1", "2", "127.0.0.1", str(port)), strict=True):
        monkeypatch.setenv(name, value)
    message = (
        rf"2 processes must meet at 127.0.0.1:{port}. Process 1 could not connect for 0.2 seconds: .* with MASTER_PORT"
    )
    with pytest.raises(ConfigError, match=message):
        join_world("cpu", join_seconds=0.2)
    assert not torch.distributed.is_initialized()


def test_under_slurm_srun_is_named(monkeypatch, port):
    found = {"PROCID": "1", "NTASKS": "2", "LOCALID": "1", "NTASKS_PER_NODE": "2"}
    for name, value in found.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(port))
    with pytest.raises(ConfigError, match="Start tasks of SLURM with srun"):
        join_world("cpu", join_seconds=0.2)


def test_existing_process_group_is_used_and_left_as_it_is(ranks):
    assert ranks(2, "joined_before") == [[0, 2, 0, 2, [2.0], True], [1, 2, 1, 2, [2.0], True]]


@pytest.mark.parametrize("name", ["cuda:1", "mps"])
def test_several_processes_cannot_choose_their_device(name):
    with pytest.raises(ConfigError, match=f"needs its own device. Received: train.device='{name}' for 2"):
        device_of(name, 0, 2, shared=True)


@pytest.fixture
def taken(monkeypatch):
    """Devices that were made the current one, on a machine with two GPUs."""
    taken = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    return taken


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_process_takes_the_gpu_of_its_number(taken, name):
    assert device_of(name, 1, 2, shared=True) == torch.device("cuda", 1)
    assert taken == [1]


def test_process_that_sees_one_gpu_takes_it(taken, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert device_of("cuda", 3, 4, shared=False) == torch.device("cuda", 0)


def test_more_processes_than_gpus(taken):
    with pytest.raises(ConfigError, match="Received: 3 processes on a machine with 2. Start at most 2 there"):
        device_of("cuda", 2, 3, shared=True)
    assert not taken
