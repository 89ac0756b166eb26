import subprocess
from pathlib import Path

import pytest

from neocog.errors import ConfigError
from neocog.launch import SlurmJob, sbatch_script, submit


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a program of this name and text before all others."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def put(name: str, text: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)

    return put


def test_the_script():
    job = SlurmJob(nodes=2, tasks_per_node=4, cpus_per_task=6, time="1-12:00:00", partition="gpu", account="lab_7")
    script = sbatch_script(job, ["train", "my data", "--name", "it's"], python="/env/bin/python")
    assert (
        script
        == """#!/bin/bash
#SBATCH --job-name=neocog
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=6
#SBATCH --gpus-per-node=4
#SBATCH --time=1-12:00:00
#SBATCH --partition=gpu
#SBATCH --account=lab_7
#SBATCH --signal=TERM@120
#SBATCH --output=%x-%j.log

export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
srun --kill-on-bad-exit=1 /env/bin/python -m neocog train 'my data' --name 'it'"'"'s'
"""
    )


def test_bash_gives_srun_the_arguments_and_each_task_its_cores(programs, tmp_path):
    programs("srun", 'printf "%s\\n" "$SRUN_CPUS_PER_TASK $OMP_NUM_THREADS" "$@"')
    words = ["train", "a b", "--name", "$HOME `id` \"q\" 'q'", "--x", "*"]
    script = sbatch_script(SlurmJob(), words, python="py")
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_CPUS_PER_TASK": "5"},
    )
    assert done.stdout.splitlines() == ["5 5", "--kill-on-bad-exit=1", "py", "-m", "neocog", *words]


def test_a_job_on_cpus_asks_for_no_gpu():
    assert "gpus" not in sbatch_script(SlurmJob(gpus_per_task=0, tasks_per_node=2), ["train", "mnist"])


def test_submit_gives_sbatch_the_script(programs, tmp_path):
    programs("sbatch", f"cat > {tmp_path}/got; echo Submitted batch job 70")
    script = sbatch_script(SlurmJob(), ["train", "mnist"])
    assert submit(script) == "Submitted batch job 70"
    assert (tmp_path / "got").read_text() == script


def test_refusal_of_sbatch_is_an_error(programs):
    programs("sbatch", "echo 'invalid partition specified: gpu' >&2; exit 1")
    with pytest.raises(ConfigError, match="sbatch refused the job: invalid partition specified: gpu"):
        submit("x")


def test_submit_without_slurm_is_an_error(programs):
    with pytest.raises(ConfigError, match="sbatch, which is not on this machine. Leave --submit out"):
        submit("x")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"nodes": 0}, "--nodes must be at least 1. Received: 0"),
        ({"tasks_per_node": 0}, "--tasks-per-node must be at least 1"),
        ({"cpus_per_task": 0}, "--cpus-per-task must be at least 1"),
        ({"gpus_per_task": -1}, "--gpus-per-task must be at least 0"),
        ({"gpus_per_task": 4, "tasks_per_node": 2}, "A task trains on one device.*Use more tasks: --tasks-per-node 8"),
        ({"time": "tomorrow"}, "--time must be written as in SLURM: 90, 12:00:00 or 2-12. Received: 'tomorrow'"),
        ({"partition": "gpu\n#SBATCH --x"}, "--partition must be one word"),
        ({"account": "a b"}, "--account must be one word of letters.*Received: 'a b'"),
        ({"name": ""}, "--job-name must be one word"),
    ],
)
def test_what_slurm_would_misread(asked, message):
    with pytest.raises(ConfigError, match=message):
        SlurmJob(**asked)
