"""Measure a row, in this process."""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

from harness.machine import commit, describe
from harness.operators import declare_torchvision
from harness.results import Result
from harness.row import Row
from harness.turns import take_turns

__all__ = ["measure"]


def measure(row: Row, folder: Path, *, repeats: int | None = None, warmup: int | None = None) -> Result:
    """Take the turns of a row, and return what it found; see `harness.results`. The folder is empty.

    Neocog keeps what it measures of the machine in this folder: nothing of earlier runs is known.
    """
    (folder / "cache").mkdir()
    (folder / "work").mkdir()
    os.environ["NEOCOG_CACHE"] = str(folder / "cache")
    declare_torchvision()
    began = datetime.now(UTC)
    with contextlib.contextmanager(row.prepare)(folder / "work") as sides:
        figures = take_turns(
            sides.turns,
            repeats=row.repeats if repeats is None else repeats,
            warmup=row.warmup if warmup is None else warmup,
        )
    return {
        "schema": 1, "name": row.name, "area": row.area, "what": row.what, "unit": row.unit, "better": row.better,
        "target": row.target, "limit": row.limit, "bound": row.bound, "turns": figures.turns, "note": sides.note,
        "absent": sides.absent, "seconds": round((datetime.now(UTC) - began).total_seconds(), 1),
        "date": f"{began:%Y-%m-%d %H:%M}", "commit": commit(), "machine": describe(),
    }  # fmt: skip
