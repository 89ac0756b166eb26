"""Two machines on which torchrun waits for one to two: one is lost, and the other ends what both began."""

import csv
import json
import os
import socket
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.slow

SETTINGS = ["--epochs", "10", "--train.batch_size", "50", "--optimizer.lr", "0.01", "--train.device", "cpu"]
SETTINGS += ["--speed.mode", "exact"]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def machine(folder, data, port, *, hosts):
    """torchrun as one of these machines would start it; the first keeps the book."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "1:2", "--nproc-per-node", "1"]
    command += ["--max-restarts", "3", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}"]
    command += ["--rdzv-id", "elastic", "--rdzv-conf", f"is_host={int(hosts)},last_call_timeout=5", "--local-addr"]
    command += ["127.0.0.1", "-m", "neocog", "train", str(data), *SETTINGS, "--name", "elastic"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / f"machine-{int(hosts)}.log").open("w") as log:
        return psutil.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def lose(process):
    """As when the power goes: torchrun and its ranks are gone at once."""
    if process.is_running():
        for one in (process, *process.children(recursive=True)):
            one.kill()
    process.wait()


def rows(run):
    path = run / "results.csv"
    return list(csv.DictReader(path.read_text().splitlines())) if path.is_file() else []


def test_lost_machine_leaves_the_others_to_resume_from_the_last_checkpoint(digits, tmp_path):
    port = free_port()
    machines = [machine(tmp_path, digits, port, hosts=hosts) for hosts in (True, False)]
    run, deadline = tmp_path / "runs" / "elastic", time.monotonic() + 120
    try:
        while len(rows(run)) < 2:
            assert time.monotonic() < deadline, (tmp_path / "machine-1.log").read_text()
            time.sleep(0.05)
        lose(machines[1])
        assert machines[0].wait(timeout=300) == 0, (tmp_path / "machine-1.log").read_text()
    finally:
        for process in machines:
            lose(process)
    told = (tmp_path / "machine-1.log").read_text()
    assert "on 2 x cpu" in told
    assert "elastic exists: resuming from its last checkpoint" in told
    events = [json.loads(line)["event"] for line in (run / "events.jsonl").read_text().splitlines()]
    assert events.count("start") == events.count("resume") == events.count("finished") == 1
    alone = [sys.executable, "-m", "neocog", "train", str(digits), *SETTINGS, "--name", "alone"]
    subprocess.run(alone, cwd=tmp_path, check=True, capture_output=True)
    for both, one in zip(rows(run), rows(tmp_path / "runs" / "alone"), strict=True):
        assert float(both["train_loss"]) == pytest.approx(float(one["train_loss"]), rel=1e-3)
        assert both["lr"] == one["lr"]
