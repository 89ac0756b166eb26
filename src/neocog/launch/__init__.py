"""Starting a run on many devices: this machine's through torchrun's engine, a cluster's through SLURM or Ray.

Every way ends in the same place: each rank is one `neocog train` with the same arguments. `scaling` is the model on
paper of what more devices bring.
"""

from neocog.launch.ranks import start_ranks
from neocog.launch.ray import run_on_ray
from neocog.launch.scaling import Cluster, Job, Link, StepForecast, forecast_step
from neocog.launch.slurm import SlurmJob, sbatch_script, submit

__all__ = [
    "Cluster",
    "Job",
    "Link",
    "SlurmJob",
    "StepForecast",
    "forecast_step",
    "run_on_ray",
    "sbatch_script",
    "start_ranks",
    "submit",
]
