"""Starts the processes of a test: `ranks(2, task)` runs a function of `rank_tasks` in two that train together."""

import io
import multiprocessing
import socket
import time
from dataclasses import dataclass

import pytest
import torch

from tests.support import rank_tasks

SECONDS = 60  # no test takes nearly as long; none may hang


@dataclass
class Outcome:
    """What the processes gave, by rank: a result or None, the exit code, and what stood on standard error."""

    results: list
    codes: list[int]
    errors: list[str]
    seconds: float


def run_ranks(size, task, *args, folder, **settings):
    # Forked from one process that has imported torch, each is there in milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", "neocog.training.distributed"])  # the first: DDP imports it
    port, began, processes, pipes = free_port(), time.monotonic(), [], []
    for rank in range(size):
        ours, theirs = context.Pipe()
        place = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size}
        environment = {name: str(value) for name, value in place.items()}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **settings.get(f"environment_{rank}", {})}
        log = folder / f"{rank}.txt"
        process = context.Process(target=rank_tasks.main, args=(task, environment, str(log), theirs, args))
        process.start()
        theirs.close()
        processes.append(process)
        pipes.append(ours)
    try:
        results = [receive(pipe) for pipe in pipes]
        for process in processes:
            process.join(SECONDS)
        codes = [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.join()
    return Outcome(results, codes, [(folder / f"{r}.txt").read_text() for r in range(size)], time.monotonic() - began)


def receive(pipe):
    assert pipe.poll(SECONDS), "a process hangs"
    try:
        return torch.load(io.BytesIO(pipe.recv_bytes()))
    except EOFError:
        return None


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """Run a task and expect that all goes well, unless `fails`; the results by rank, or the outcome."""

    def run(size, task, *args, fails=False, **settings):
        outcome = run_ranks(size, task, *args, folder=tmp_path_factory.mktemp("ranks"), **settings)
        assert fails or outcome.codes == [0] * size, "\n".join(outcome.errors)
        return outcome if fails else outcome.results

    return run


@pytest.fixture
def port():
    return free_port()
