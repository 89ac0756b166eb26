"""Networks by name, by file and from a bundle."""

import sys

import pytest

from neocog.bundle import find_model
from neocog.errors import PlanError

NETS = """
from __future__ import annotations
import dataclasses
import torch
from torch import nn
import beside

@dataclasses.dataclass
class Settings:
    width: int = 8

def build():
    return nn.Sequential(nn.Conv2d(3, beside.WIDTH, 3), nn.Flatten(), nn.Linear(8 * 36, 2))

class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3)

ready = nn.Linear(3, 4)
values = lambda: nn.Linear(int(torch.ones(1).item()) + 1, 1)

def quits():
    raise SystemExit(4)

def needs(width, depth=2):
    return nn.Linear(width, depth)

def fails():
    raise KeyError("no such thing")

def text():
    return "no network"
"""


@pytest.fixture
def nets(tmp_path):
    (tmp_path / "beside.py").write_text("WIDTH = 8\n")
    path = tmp_path / "nets.py"
    path.write_text(NETS)
    return path


def test_network_of_the_zoo_takes_no_memory_and_the_channels_of_the_input():
    found = find_model("lenet5_relu", (3, 32, 32))
    assert found.input_shape == (1, 32, 32)
    assert found.model.stem[0].in_channels == 3
    assert all(p.device.type == "meta" for p in found.model.parameters())


@pytest.mark.parametrize(("name", "parameters"), [("build", 224 + 578), ("Net", 40), ("ready", 16), ("values", 3)])
def test_function_class_or_network_of_a_file_is_found(nets, name, parameters):
    found = find_model(f"{nets}:{name}")
    assert sum(p.numel() for p in found.model.parameters()) == parameters
    assert (found.name, found.input_shape) == (name, None)
    assert str(nets.parent) not in sys.path


def test_bundle_is_found(finished_run):
    found = find_model(str(finished_run.bundle))
    assert found.input_shape == (1, 32, 32)
    assert sum(p.numel() for p in found.model.parameters()) == 61_706


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("lenet", r"a name from the zoo, file.py:function, or a bundle. Received: 'lenet'. Did you mean 'lenet5'\?"),
        (
            "{nets}",
            r"is named with the function that builds it. Received: '.*nets.py'. Write .*nets.py:build.",
        ),
        ("{nets}:bild", r"nets.py has no function 'bild'. Did you mean 'build'\?"),
        ("{nets}:needs", r"without arguments. Received: one that needs width. Give them defaults"),
        ("{nets}:fails", r"nets.py:fails did not build a network: KeyError: 'no such thing'."),
        ("{nets}:quits", r"nets.py:quits did not build a network: SystemExit: 4."),
        ("{nets}:text", r"nets.py:text must return an nn.Module. Received: str."),
        ("{folder}/none.py:build", r"none.py does not exist. Name a Python file"),
        ("{folder}/broken.py:build", r"broken.py could not be run: SyntaxError"),
        ("{folder}/empty.py:build", r"empty.py has no function 'build'. It has no functions at all."),
    ],
)
def test_invalid_network_is_named(nets, tmp_path, what, message):
    (tmp_path / "broken.py").write_text("def build(:\n")
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(PlanError, match=message):
        find_model(what.format(nets=nets, folder=tmp_path))
