"""Cost and receptive field of each network at its published input: counted, and kept in figures.json.

`python -m neocog.zoo.figures` counts all of them, which takes about a minute; a test compares.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from neocog.files import write_whole
from neocog.planning import Plan, plan
from neocog.progress import track
from neocog.zoo.create import create_model, list_models, model_info

__all__ = ["Figures", "count_figures", "read_figures"]

FILE = Path(__file__).with_name("figures.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Counts of one network, for one input of its published shape."""

    parameters: int
    """Trainable ones."""
    macs: int
    receptive_field: int | None
    """Of a unit at the end of the stages, along the first axis of the input; None: it sees all."""


def count_figures(name: str) -> Figures:
    """Plan a network on the meta device.

    >>> count_figures("lenet5_relu")
    Figures(parameters=61706, macs=416520, receptive_field=16)
    """
    found = model_info(name)
    with torch.device("meta"):
        model = create_model(name)
    planned = plan(model, found.input_shape, dtype=found.input_dtype)
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Figures(parameters=parameters, macs=planned.macs, receptive_field=field_of_stages(planned))


def field_of_stages(planned: Plan) -> int | None:
    """The receptive field of a unit after the last operation of the stages."""
    last = [row for row in planned.rows if row.name.startswith("stages") and row.receptive_field][-1]
    return None if last.whole[0] else last.receptive_field[0]


def read_figures() -> dict[str, Figures]:
    """The counts of all networks."""
    return {name: Figures(**figures) for name, figures in json.loads(FILE.read_text()).items()}


if __name__ == "__main__":
    counted = {name: asdict(count_figures(name)) for name in track(list_models(), "counting")}
    write_whole(FILE, json.dumps(counted, indent=1) + "\n")
