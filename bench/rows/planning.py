"""Planning: how long it takes to trace a network and to list its operations."""

from collections.abc import Iterator
from pathlib import Path

import neocog
from harness import Row, Sides, seconds_of
from neocog.bundle import find_model

__all__ = ["ROWS"]


def planned(name: str) -> Row:
    def prepare(folder: Path) -> Iterator[Sides]:
        found = find_model(name)
        shape = found.input_shape or (3, 224, 224)
        rows = len(neocog.plan(found.model, shape).rows)
        yield Sides({"Neocog": seconds_of(lambda: neocog.plan(found.model, shape))}, note=f"{rows} operations")

    return Row(f"plan-{name}", "start", f"`neocog.plan` of {name}", "s", "less", prepare, limit=1.0)


ROWS = (planned("resnet50"), planned("resnet152"))
