"""A SLURM job of the same run: a script that anyone can read, change and keep."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from neocog.errors import ConfigError

__all__ = ["SlurmJob", "sbatch_script", "submit"]

TIME = re.compile(r"(\d+-)?\d+(:\d{1,2}){0,2}")
WORD = re.compile(r"[\w.,+-]+")  # a #SBATCH line is not parsed by a shell, and ends a value at a blank
SAVE_SECONDS = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class SlurmJob:
    """Resources to request from SLURM; each task is one rank. Raises ConfigError if SLURM would misread one."""

    nodes: int = 1
    tasks_per_node: int = 1
    gpus_per_task: int = 1
    cpus_per_task: int = 8
    time: str | None = None
    partition: str | None = None
    account: str | None = None
    name: str = "neocog"

    def __post_init__(self) -> None:
        for field, least in {"nodes": 1, "tasks_per_node": 1, "gpus_per_task": 0, "cpus_per_task": 1}.items():
            if getattr(self, field) < least:
                flag = field.replace("_", "-")
                raise ConfigError(f"--{flag} must be at least {least}.", received=str(getattr(self, field)))
        if self.gpus_per_task > 1:
            raise ConfigError(
                "A task trains on one device.",
                received=f"--gpus-per-task {self.gpus_per_task}",
                fix=f"Use more tasks: --tasks-per-node {self.tasks_per_node * self.gpus_per_task}.",
            )
        if self.time is not None and not TIME.fullmatch(self.time):
            raise ConfigError("--time must be written as in SLURM: 90, 12:00:00 or 2-12.", received=repr(self.time))
        for field in ("partition", "account", "name"):
            word = getattr(self, field)
            if word is not None and not WORD.fullmatch(word):
                flag = "job-name" if field == "name" else field
                raise ConfigError(f"--{flag} must be one word of letters, digits and . , + - _.", received=repr(word))


def sbatch_script(job: SlurmJob, arguments: Sequence[str], *, python: str = sys.executable) -> str:
    """The script that runs `neocog ARGUMENTS` as nodes x tasks ranks.

    A node's GPUs are requested together, so that each task sees them all and takes the one of its number: bound to its
    task, a GPU could not reach its neighbours directly. Two minutes before its time is up the ranks get SIGTERM and
    save. `srun` starts in the folder where the job was submitted.
    Source: SLURM's manuals of sbatch and srun (--signal, --kill-on-bad-exit; since 22.05 srun takes --cpus-per-task
    from its own variable only).

    >>> script = sbatch_script(SlurmJob(nodes=2, tasks_per_node=4), ["train", "my data/"], python="python")
    >>> print(script.splitlines()[-1])
    srun --kill-on-bad-exit=1 python -m neocog train 'my data/'
    """
    asked = {
        "job-name": job.name,
        "nodes": job.nodes,
        "ntasks-per-node": job.tasks_per_node,
        "cpus-per-task": job.cpus_per_task,
        "gpus-per-node": job.tasks_per_node * job.gpus_per_task or None,
        "time": job.time,
        "partition": job.partition,
        "account": job.account,
        "signal": f"TERM@{SAVE_SECONDS}",
        "output": "%x-%j.log",
    }
    lines = ["#!/bin/bash", *(f"#SBATCH --{key}={value}" for key, value in asked.items() if value is not None)]
    lines += ["", "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK"]
    lines += [f"srun --kill-on-bad-exit=1 {shlex.join([python, '-m', 'neocog', *arguments])}"]
    return "\n".join(lines) + "\n"


def submit(script: str) -> str:
    """Submit the script to sbatch and return its answer. Raises ConfigError if sbatch refuses or is missing."""
    sbatch = shutil.which("sbatch")
    if sbatch is None:
        raise ConfigError(
            "--submit needs SLURM's sbatch, which is not on this machine.",
            fix="Leave --submit out, and copy the script to a machine that submits: neocog launch slurm DATA > job.sh",
        )
    done = subprocess.run([sbatch], input=script, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"sbatch refused the job: {done.stderr.strip().rstrip('.')}.", fix="Change the request.")
    return done.stdout.strip()
