"""`neocog launch`: the same training on a cluster."""

from typing import Annotated

from cyclopts import Parameter

from neocog.cli.app import app
from neocog.cli.stdout import write_out
from neocog.cli.train import resolve_flags
from neocog.errors import ConfigError
from neocog.launch import SlurmJob, run_on_ray, sbatch_script, submit

Passed = Annotated[str, Parameter(allow_leading_hyphen=True, help="What `neocog train` takes: DATA and any settings.")]


def launch_ray(
    *arguments: Passed,
    workers: int = 2,
    gpus_per_worker: int = 0,
    cpus_per_worker: int = 1,
    address: str | None = None,
) -> int:
    """Train on a Ray cluster; `neocog.launch.run_on_ray` does the same.

    Parameters
    ----------
    workers
        How many processes train together.
    gpus_per_worker
        1: each has a GPU of its own.
    cpus_per_worker
        Cores that Ray sets aside for each.
    address
        The cluster, such as auto or ray://head:10001; by default RAY_ADDRESS, or one that runs here, or a new one.
    """
    run_on_ray(run_train, check_train(arguments), workers=workers, gpus_per_worker=gpus_per_worker,
               cpus_per_worker=cpus_per_worker, address=address)  # fmt: skip
    return 0


def launch_slurm(
    *arguments: Passed,
    nodes: int = 1,
    tasks_per_node: int = 1,
    gpus_per_task: int = 1,
    cpus_per_task: int = 8,
    time: str | None = None,
    partition: str | None = None,
    account: str | None = None,
    job_name: str = "neocog",
    submit_it: Annotated[bool, Parameter(name="--submit", negative="")] = False,
) -> int:
    """Print a job for SLURM; `neocog.launch.sbatch_script` gives the same.

    Parameters
    ----------
    nodes
        Machines.
    tasks_per_node
        Processes on each, one for each device.
    gpus_per_task
        1, or 0 to train on CPUs.
    cpus_per_task
        Cores of each process.
    time
        How long the job may run, as SLURM writes it: 90 (minutes), 12:00:00, 2-12 (days-hours).
    partition
        Where the job is queued.
    account
        Whom it is charged to.
    job_name
        Its name in the queue and in its log.
    submit_it
        Give it to sbatch rather than print it.
    """
    job = SlurmJob(
        nodes=nodes,
        tasks_per_node=tasks_per_node,
        gpus_per_task=gpus_per_task,
        cpus_per_task=cpus_per_task,
        time=time,
        partition=partition,
        account=account,
        name=job_name,
    )
    script = sbatch_script(job, check_train(arguments))
    write_out(submit(script) if submit_it else script.rstrip("\n"))
    return 0


def check_train(arguments: tuple[str, ...]) -> list[str]:
    """The words of a `neocog train` that a cluster is to run.

    Raises for what `train` would refuse, before anyone waits for the cluster.
    """
    words = ["train", *arguments]
    _, bound, *_ = app.parse_args(words, exit_on_error=False, print_error=False)
    given = bound.arguments
    if "devices" in given:
        raise ConfigError("A launcher says how many processes there are. --devices would be ignored. Leave it out.")
    if given.get("resume") is None:
        data, model, recipe, epochs, config = map(given.get, ("data", "model", "recipe", "epochs", "config"))
        resolve_flags(data, model, recipe, epochs, config, given.get("flags") or {})
    return words


def run_train(words: list[str]) -> None:
    """What a worker runs: `neocog train`, with errors left to who started it."""
    app(words, exit_on_error=False, print_error=False, result_action="return_value")
