"""Speed chosen by measurement: precision, memory format and compilation, timed on this network on this machine.

What computes wrong is dropped before it is timed, and choosing never takes more than a small share of the run.
"""

from neocog.training.speed.candidates import PLAIN, Candidate
from neocog.training.speed.choose import choose_speed
from neocog.training.speed.config import SpeedConfig
from neocog.training.speed.decision import Decision
from neocog.training.speed.exact import exact_arithmetic
from neocog.training.speed.memory import keep_memory
from neocog.training.speed.threads import right_threads, use_threads

__all__ = [
    "PLAIN",
    "Candidate",
    "Decision",
    "SpeedConfig",
    "choose_speed",
    "exact_arithmetic",
    "keep_memory",
    "right_threads",
    "use_threads",
]
