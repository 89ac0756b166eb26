"""The plan as table, Markdown and image."""

import xml.etree.ElementTree as ET

import pytest
import torch
from torch import nn

from neocog import create_model
from neocog.planning import COLUMNS, lines, markdown, plan, size_in_bytes, svg, text, totals
from tests.support.networks import resnet

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def fifty():
    with torch.device("meta"):
        return plan(resnet((3, 4, 6, 3)), (3, 224, 224))


def test_a_line_for_each_operation_and_moves_only_if_asked_for():
    found = plan(create_model("lenet5_relu"), (1, 32, 32))
    cells = [line.cells for line in lines(found)]
    assert cells[0] == ("stem.0", "conv2d 5x5", "6x28x28", "156", "117,600", "18.4 KiB", "5", "1", "0")
    assert cells[-1] == ("head.7", "linear", "10", "850", "840", "40 B", "whole input", "", "")
    assert "view" not in [line.row.operator for line in lines(found)]
    assert "view" in [line.row.operator for line in lines(found, moves=True)]


def test_folded_lines_add_up(fifty):
    folded = lines(fifty, depth=1)
    assert [line.cells[0] for line in folded][:4] == ["0", "1", "2", "3"]
    assert sum(int(line.cells[3].replace(",", "") or 0) for line in folded) == fifty.parameters
    assert sum(int(line.cells[4].replace(",", "") or 0) for line in folded) == fifty.macs
    assert folded[3].cells[1] == "12 operations"


def test_a_second_use_of_a_layer_is_marked():
    layer = nn.Conv2d(8, 8, 3)
    assert [line.cells[3] for line in lines(plan(nn.Sequential(layer, layer), (8, 9, 9)))] == ["584", "shared"]


def test_fields_that_differ_along_the_axes_and_fractions_of_a_stride():
    model = nn.Sequential(nn.Conv2d(8, 8, (3, 5)), nn.ConvTranspose2d(8, 8, 2, 2))
    cells = [line.cells for line in lines(plan(model, (8, 9, 9)))]
    assert cells[0][6] == "3 x 5"
    assert cells[1][7] == "1/2"
    partly = lines(plan(nn.AdaptiveAvgPool2d((None, 1)), (8, 9, 9)))[0].cells
    assert partly[6] == "1 x whole"


def test_totals_and_sizes():
    found = plan(create_model("lenet5_relu"), (1, 32, 32))
    assert totals(found)[:2] == [
        "61,706 parameters, 241.0 KiB with buffers",
        "416,520 MACs = 833,040 FLOPs for one sample; biases add 6,518",
    ]
    assert [size_in_bytes(n) for n in (0, 1023, 2**20, 5 * 2**40)] == ["", "1023 B", "1.0 MiB", "5.0 TiB"]


def test_a_plan_shows_itself():
    found = plan(create_model("lenet5_relu"), (1, 32, 32))
    shown = str(found).splitlines()
    assert shown[0] == "LeNet5ReLU on 1x32x32" and shown[2].split() == list(COLUMNS)
    assert shown[3].split() == ["stem.0", "conv2d", "5x5", "6x28x28", "156", "117,600", "18.4", "KiB", "5", "1", "0"]
    assert shown[-2].startswith("416,520 MACs")
    assert found._repr_markdown_() == markdown(found)
    assert len(repr(found)) < 500


def test_narrow_terminals_shorten_names_and_keep_numbers():
    found = plan(create_model("lenet5_relu"), (1, 32, 32))
    narrow = text(found, width=40).splitlines()
    assert max(map(len, narrow)) <= 88 and "whole input" in narrow[-1] and "…" in text(found, width=40)
    assert "…" not in text(found)


def test_markdown_is_a_table(fifty):
    written = markdown(fifty, depth=1).splitlines()
    assert written[0] == "## Sequential on 3x224x224"
    table = [line for line in written if line.startswith("|")]
    assert len(table) == 2 + len(lines(fifty, depth=1))
    assert all(line.count("|") == len(COLUMNS) + 1 for line in table)


def test_the_drawing_has_a_box_for_each_layer_and_joins_its_branches(fifty):
    root = ET.fromstring(svg(fifty))
    texts = [element.text for element in root.iter(f"{SVG}text")]
    boxes = list(root.iter(f"{SVG}g"))
    convolutions, sums = 53, 16
    assert len(boxes) == 1 + convolutions + sums + 3  # the input; pooling, mean, linear
    assert sum(text.startswith("conv2d") for text in texts) == convolutions
    assert sum(text == "add · relu" for text in texts) == sums
    assert len(list(root.iter(f"{SVG}path"))) == len(boxes) - 1 + sums  # a sum has one edge more
    assert "2048x7x7 · 1,052,672 parameters · sees 427" in texts
    places = [(box.find(f"{SVG}rect").get("x"), box.find(f"{SVG}rect").get("y")) for box in boxes]
    assert len(set(places)) == len(places)


def test_names_with_markup_are_escaped():
    class Odd(nn.Module):
        pass

    Odd.__name__ = "<b>&"
    Odd.forward = lambda self, x: x + 1
    assert "&lt;b&gt;&amp;" in svg(plan(Odd(), (1, 4, 4)))
