"""Randomness as a pure function of (seed, epoch, sample, purpose): no generator, no state, nothing to save.

A sample's draws do not depend on its batch, on threads, on ranks, or on where a run was stopped and resumed.
"""

from neocog.rng.draws import bits, derive_seed, integers, normal, uniform
from neocog.rng.permutation import permute
from neocog.rng.philox import philox4x32

__all__ = ["bits", "derive_seed", "integers", "normal", "permute", "philox4x32", "uniform"]
