"""`neocog launch`: `neocog train` on a cluster."""

from typing import Annotated

from cyclopts import Parameter

from neocog.cli.app import app
from neocog.cli.section_flags import flag_settings
from neocog.cli.stdout import write_out
from neocog.errors import ConfigError
from neocog.launch import SlurmJob, run_on_ray, sbatch_script, submit
from neocog.recipes import resolve_config

Passed = Annotated[
    str, Parameter(allow_leading_hyphen=True, help="The arguments of `neocog train`: DATA and any settings.")
]


def launch_ray(
    *arguments: Passed,
    workers: int = 2,
    gpus_per_worker: int = 0,
    cpus_per_worker: int = 1,
    address: str | None = None,
) -> int:
    """Train on a Ray cluster, with the settings of `neocog train`.

    neocog launch ray mnist --workers 2
    neocog launch ray images/ --model resnet50 --workers 8 --gpus-per-worker 1

    Each worker reads the data at the same path. Needs: pip install "neocog[scale]"
    In Python: neocog.launch.run_on_ray.

    Parameters
    ----------
    workers
        Number of training processes.
    gpus_per_worker
        1 for one GPU per process, 0 to train on CPUs.
    cpus_per_worker
        Cores that Ray reserves per process.
    address
        The cluster, such as auto or ray://head:10001; by default RAY_ADDRESS, a cluster on this machine, or a new one.
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
    submit_it: Annotated[bool, Parameter(name="--submit", negative="", show_default=False)] = False,
) -> int:
    """Print an sbatch script that trains with N nodes x K tasks, or submit it.

    neocog launch slurm images/ --nodes 4 --tasks-per-node 8
    neocog launch slurm images/ --nodes 4 --tasks-per-node 8 --submit

    In Python: neocog.launch.sbatch_script.

    Parameters
    ----------
    nodes
        Number of machines.
    tasks_per_node
        Processes per machine, one per device.
    gpus_per_task
        1, or 0 to train on CPUs.
    cpus_per_task
        Cores per process.
    time
        Time limit as SLURM writes it: 90 (minutes), 12:00:00, 2-12 (days-hours).
    partition
        Partition to queue the job in.
    account
        Account to charge.
    job_name
        Name of the job in the queue and in its log.
    submit_it
        Submit the job with sbatch instead of printing it.
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
    """The arguments of the `neocog train` that a cluster is to run.

    Raises for arguments that `train` would refuse, before the job waits in a queue.
    """
    words = ["train", *arguments]
    _, bound, *_ = app.parse_args(words, exit_on_error=False, print_error=False)
    given = bound.arguments
    if "devices" in given:
        raise ConfigError(
            "The launcher sets the number of processes, so --devices would be ignored.",
            fix="Leave it out.",
            kind="ignored",
        )
    if given.get("resume") is None:
        named = {name: given.get(name) for name in ("model", "recipe", "epochs", "config")}
        resolve_config(given.get("data"), **flag_settings(given.get("flags"), **named))
    return words


def run_train(words: list[str]) -> None:
    """Run `neocog train` in a worker. Errors are raised, so that the launcher reports them."""
    app(words, exit_on_error=False, print_error=False, result_action="return_value")
