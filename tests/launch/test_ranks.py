"""`python -m neocog` finds the package of the folder that it is started in: here one that does what a test needs."""

import gc
import json
import logging
import os
import signal
from pathlib import Path

import pytest
import torch

from neocog.cpus import num_cpus
from neocog.errors import ConfigError
from neocog.launch import start_ranks
from neocog.launch.ranks import check_devices

# torchrun leaves it to the garbage collector to close the files of a rank that ends by itself.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")

HEAD = """
import json, os, signal, sys, time
from pathlib import Path
rank = int(os.environ["RANK"])
signal.alarm(60)  # no test waits for longer
def leave(name, fact):
    Path(f"{name}-{rank}.part").write_text(json.dumps(fact))
    Path(f"{name}-{rank}.part").rename(f"{name}-{rank}")
def fail(words, code):
    print(words, file=sys.stderr)
    sys.exit(code)
def await_files(*names):
    while not all(Path(name).exists() for name in names):
        pass
"""


@pytest.fixture
def ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Start two ranks of this program in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)

    def start(program: str, *arguments: str) -> int:
        (tmp_path / "neocog").mkdir()
        (tmp_path / "neocog" / "__init__.py").touch()
        (tmp_path / "neocog" / "__main__.py").write_text(HEAD + program)
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        code = start_ranks(2, arguments, device="cpu")
        gc.collect()  # while the warning is still passed over
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
        assert "OMP_NUM_THREADS" not in os.environ
        return code

    return start


def left(name: str, rank: int) -> object:
    return json.loads(Path(f"{name}-{rank}").read_text())


def test_each_rank_gets_its_place_its_share_of_the_cores_and_the_same_arguments(ranks, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    program = "leave('seen', [dict(os.environ), sys.argv[1:]])"
    assert ranks(program, "train", "my data", "--devices", "2", "--name", "$HOME ${local_rank} $$") == 0
    for rank in (0, 1):
        environment, arguments = left("seen", rank)
        assert arguments == ["train", "my data", "--name", "$HOME ${local_rank} $$"]
        assert environment["WORLD_SIZE"] == environment["LOCAL_WORLD_SIZE"] == "2"
        assert environment["LOCAL_RANK"] == str(rank)
        assert environment["OMP_NUM_THREADS"] == "3"
        assert environment["MASTER_ADDR"] == "127.0.0.1"


def test_rank_0_has_the_terminal_alone(ranks, capfd):
    assert ranks("print('out', rank); print('err', rank, file=sys.stderr)", "train") == 0
    assert capfd.readouterr() == ("out 0\n", "err 0\n")


@pytest.fixture
def torch_log():
    """What torch writes to its log for the user to see."""
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("torch.distributed").addHandler(handler)
    yield records
    logging.getLogger("torch.distributed").removeHandler(handler)


def test_the_rank_that_fails_first_is_heard_and_nothing_else(ranks, capfd, torch_log):
    program = "fail('error: a.png is damaged', 2) if rank == 1 else signal.pause()"
    assert ranks(program, "train") == 2
    assert capfd.readouterr() == ("", "rank 1: error: a.png is damaged\n")
    assert torch_log == []
    assert logging.getLogger().isEnabledFor(logging.ERROR)


def test_what_both_ranks_say_is_read_once(ranks, capfd):
    program = """
signal.signal(signal.SIGTERM, lambda *_: fail('rank 1: no data', 2))
leave('up', 0)
await_files('up-0')
signal.pause() if rank == 0 else fail('error: rank 1: no data', 2)
"""
    assert ranks(program, "train") == 2
    assert capfd.readouterr().err == "rank 1: no data\n"


def test_a_rank_that_was_killed_is_named(ranks, capfd):
    assert ranks("os.kill(os.getpid(), signal.SIGKILL) if rank == 1 else signal.pause()", "train") == 137
    assert capfd.readouterr().err == "rank 1 was ended by SIGKILL. The system does this when memory runs out.\n"


STOPS = """
got = []
def stop(number, _):
    got.append(number)
    if len(got) == {enough}:
        leave('got', got)
        sys.exit(128 + got[0])
    leave('once', 0)
    if rank == 0:
        await_files('once-1')
        os.kill(os.getppid(), signal.SIGINT)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, stop)
leave('up', 0)
if rank == 0:
    await_files('up-1')
    os.kill(os.getppid(), signal.{first})
while True:
    time.sleep(0.05)  # a signal that comes just before signal.pause() would not end it
"""


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_each_rank_once(ranks, first):
    assert ranks(STOPS.format(enough=1, first=first.name), "train") == 128 + first
    assert left("got", 0) == left("got", 1) == [first]


def test_a_second_signal_ends_the_ranks(ranks):
    assert ranks(STOPS.format(enough=2, first="SIGINT"), "train") == 130
    assert left("got", 0) == left("got", 1) == [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize(
    ("devices", "device", "environment", "message"),
    [
        (0, "cpu", {}, "--devices must be at least 1. Received: 0."),
        (2, "cuda:1", {}, "--devices 2 with train.device cuda:1, which is a single one"),
        (2, "mps", {}, "Use --train.device cuda, or leave --devices out"),
        (2, "cpu", {"RANK": "0", "TORCHELASTIC_RUN_ID": "x"}, "in a process that torchrun has started as one of"),
        (2, "cpu", {"RANK": "0"}, "that a launcher has started.*Leave --devices out there"),
        (2, "cpu", {"SLURM_STEP_NUM_TASKS": "4"}, "that a launcher has started"),
        (
            3,
            "cuda",
            {},
            "at most the number of GPUs. Received: 3 on a machine with 2. Use fewer, or --train.device cpu",
        ),
        (3, "auto", {}, "on a machine with 2"),
    ],
)
def test_more_devices_than_exist_are_an_error(monkeypatch, devices, device, environment, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError, match=message):
        check_devices(devices, device, environment)


def test_more_ranks_than_cores_are_allowed_and_noted(capsys):
    cores = num_cpus()
    check_devices(cores, "cpu", {"SLURM_STEP_NUM_TASKS": "1"})
    assert capsys.readouterr().err == ""
    check_devices(cores + 1, "cpu", {})
    assert f"{cores + 1} processes share {cores} cores, which is slower" in capsys.readouterr().err
