import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from neocog.errors import ConfigError, DataError
from neocog.launch import run_on_ray
from neocog.launch.ray import cause, check_resources, worker


def never(arguments: list[str]) -> None:
    raise AssertionError("nothing was to be run")


def test_missing_ray_names_the_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r'needs Ray, which is not installed.*pip install "neocog\[scale\]"'):
        run_on_ray(never, ["train", "mnist"])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"workers": 0}, "--workers must be at least 1. Received: 0"),
        ({"cpus_per_worker": 0}, "--cpus-per-worker must be at least 1. Received: 0"),
        ({"gpus_per_worker": 2}, "--gpus-per-worker must be 0 or 1. Received: 2. Use more --workers"),
    ],
)
def test_impossible_numbers_are_errors(asked, message):
    with pytest.raises(ConfigError, match=message):
        run_on_ray(never, ["train", "mnist"], **asked)


def test_workers_that_never_fit(capsys):
    check_resources({"CPU": 4.0}, 4, {"CPU": 1, "GPU": 0}, grows=False)
    with pytest.raises(ConfigError, match="4 workers with 1 GPU each need 4; the cluster has 0. Use fewer --workers"):
        check_resources({"CPU": 4.0}, 4, {"CPU": 1, "GPU": 1}, grows=False)
    assert capsys.readouterr().err == ""
    check_resources({"CPU": 4.0}, 8, {"CPU": 1, "GPU": 0}, grows=True)
    assert "8 workers with 1 CPU each need 8; the cluster has 4: waiting for it to grow." in capsys.readouterr().err


def test_a_worker_goes_back_to_the_folder_of_the_run(tmp_path, monkeypatch):
    folder = tmp_path / "shared"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    seen = []
    worker(lambda words: seen.append((Path.cwd(), words)), ["train", "mnist"], folder)()
    assert seen == [(folder, ["train", "mnist"])]
    with pytest.raises(ConfigError, match="lost can't be entered on .*: No such file.*a folder that all nodes share"):
        worker(never, [], tmp_path / "lost")()


def test_cause_is_the_error_that_the_user_can_fix():
    failed = RuntimeError("Training failed due to worker errors")
    assert cause(failed) is failed
    failed.worker_failures = {0: RuntimeError("Connection closed by peer"), 1: DataError("rank 1: a.png is damaged")}
    assert cause(failed) is failed.worker_failures[1]


PROGRAM = """
import sys
from pathlib import Path
from neocog.errors import NeocogError
from neocog.launch import run_on_ray

def entry(words):
    import torch
    from neocog.errors import DataError
    rank = torch.distributed.get_rank()
    total = torch.tensor([rank + 1.0])
    torch.distributed.all_reduce(total)
    if words == ["fail"]:
        raise DataError(f"rank {rank}: a.png is damaged")
    Path(f"seen-{rank}").write_text(f"{words} {total.item()} {Path.cwd()}")

try:
    run_on_ray(entry, sys.argv[1:], workers=2)
except NeocogError as error:
    print("caught:", type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install neocog[scale]")
def test_two_workers_of_a_local_cluster(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "program.py", *words],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        return done.stdout

    run("train", "my data")
    for rank in (0, 1):
        assert (tmp_path / f"seen-{rank}").read_text() == f"['train', 'my data'] 3.0 {tmp_path}"
    assert run("fail").rstrip().endswith("a.png is damaged")
    assert {path.name for path in tmp_path.iterdir()} == {"program.py", "seen-0", "seen-1"}
