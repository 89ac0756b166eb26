"""Starting a run on many devices: on this machine through torchrun's engine, on a cluster through SLURM or Ray.

In every case each rank is one `neocog train` with the same arguments. `neocog.planning.scaling` forecasts what more
devices bring.
"""

from neocog.launch.ranks import start_ranks
from neocog.launch.ray import run_on_ray
from neocog.launch.slurm import SlurmJob, sbatch_script, submit

__all__ = [
    "SlurmJob",
    "run_on_ray",
    "sbatch_script",
    "start_ranks",
    "submit",
]
