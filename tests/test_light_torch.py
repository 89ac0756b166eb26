"""Importing torch without the rules of tensors that have no values: they are there as soon as anything needs them."""

import subprocess
import sys

import pytest

from neocog.light_torch import RULES, complete_torch, import_light_torch

START = f"""
import sys
from neocog.light_torch import complete_torch, import_light_torch
import_light_torch()
import torch
from torch import nn
there = lambda: {RULES!r} in sys.modules and torch._meta_registrations is sys.modules[{RULES!r}]
assert not there()
"""
VALUES = """
from neocog.zoo import create_model
from neocog.zoo.network import WithoutDraws
assert nn.Conv2d(3, 4, 3)(torch.zeros(1, 3, 9, 9)).shape == (1, 4, 7, 7)
for name in ('lenet5', 'resnet18', 'efficientnet_lite0', 'unet_lite0', 'text_cnn', 'speech_res8'):
    with WithoutDraws():  # no time for random weights
        create_model(name)
assert not there()
from torch._meta_registrations import meta_index_Tensor
assert there()
"""
SHAPES = """
from neocog import plan
assert plan(nn.Conv2d(3, 4, 3), (3, 9, 9)).parameters == 112
assert there()
"""
EXPORT = """
exported = torch.export.export(nn.Conv2d(3, 4, 3), (torch.zeros(1, 3, 9, 9),))
assert there()
"""


@pytest.mark.parametrize("program", [VALUES, SHAPES, EXPORT], ids=["values", "shapes", "export"])
def test_rules_are_there_once_they_are_needed(program):
    """`neocog predict` builds networks of the zoo; one that needed a rule would fail in the first program."""
    done = subprocess.run([sys.executable, "-c", START + program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nothing_happens_if_torch_is_there():
    before = list(sys.meta_path)
    import_light_torch()
    complete_torch()
    assert sys.meta_path == before and RULES in sys.modules
