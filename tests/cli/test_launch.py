import cyclopts
import pytest

from neocog.cli import launch as cli
from neocog.cli.launch import launch_ray, launch_slurm
from neocog.errors import ConfigError


def test_slurm_prints_a_job_with_the_words_of_train(capsys):
    words = ("mnist", "--epochs", "3", "--optimizer.lr", "0.1", "--name", "my run")
    assert launch_slurm(*words, nodes=2, tasks_per_node=4, time="2-12", job_name="digits") == 0
    out = capsys.readouterr().out
    assert out.startswith("#!/bin/bash\n#SBATCH --job-name=digits\n#SBATCH --nodes=2\n#SBATCH --ntasks-per-node=4\n")
    assert out.endswith(" -m neocog train mnist --epochs 3 --optimizer.lr 0.1 --name 'my run'\n")


def test_slurm_submits_the_same_job(capsys, monkeypatch):
    given = []
    monkeypatch.setattr(cli, "submit", lambda script: given.append(script) or "Submitted batch job 70")
    assert launch_slurm("--resume", "r", submit_it=True) == 0
    assert capsys.readouterr().out == "Submitted batch job 70\n"
    launch_slurm("--resume", "r")
    assert capsys.readouterr().out == given[0]


def test_ray_gets_the_words_of_train(monkeypatch):
    given = {}
    monkeypatch.setattr(cli, "run_on_ray", lambda entry, words, **asked: given.update(asked, entry=entry, words=words))
    assert launch_ray("mnist", "--epochs", "3", workers=4, gpus_per_worker=1, address="auto") == 0
    assert given == {
        "entry": cli.run_train, "words": ["train", "mnist", "--epochs", "3"],
        "workers": 4, "gpus_per_worker": 1, "cpus_per_worker": 1, "address": "auto",
    }  # fmt: skip


def test_a_worker_runs_train_and_its_errors_are_left_to_ray():
    with pytest.raises(ConfigError, match="Training needs data"):
        cli.run_train(["train"])


@pytest.mark.parametrize("launch", [launch_slurm, launch_ray])
@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ((), ConfigError, "Training needs data. Name it"),
        (("mnist", "--epoks", "3"), cyclopts.CycloptsError, "--epoks"),
        (("mnist", "--optimizer.lr", "-3"), ConfigError, "optimizer.lr"),
        (("mnist", "--model", "lenet"), ConfigError, "No network is called 'lenet'"),
    ],
)
def test_what_train_would_refuse_is_refused_before_anyone_waits(launch, words, error, message):
    with pytest.raises(error) as caught:
        launch(*words)
    assert message in str(caught.value)
