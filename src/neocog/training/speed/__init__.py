"""Speed chosen by measurement: precision, memory format and compilation, timed on this network on this machine.

Candidates that compute wrong results are dropped before they are timed, and choosing never takes more than a small
share of the run.
"""

from neocog.training.speed.candidates import PLAIN, Candidate
from neocog.training.speed.choose import Decision, choose_speed
from neocog.training.speed.config import SpeedConfig
from neocog.training.speed.session import exact_arithmetic, keep_memory, use_threads

__all__ = [
    "PLAIN",
    "Candidate",
    "Decision",
    "SpeedConfig",
    "choose_speed",
    "exact_arithmetic",
    "keep_memory",
    "use_threads",
]
