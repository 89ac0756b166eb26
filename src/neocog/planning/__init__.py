"""The plan of any network before a step is trained: operations, costs, memory, exact receptive fields, time, advice."""

from neocog.planning.plan import Plan, plan
from neocog.planning.rows import Row

__all__ = ["Plan", "Row", "plan"]
