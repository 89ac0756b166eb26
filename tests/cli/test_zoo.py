"""`neocog zoo`, as a user runs it."""

import json
import re

import pytest

from neocog import list_models
from neocog.cli import main
from neocog.zoo.published import PUBLISHED


def test_zoo_lists_all_networks_in_one_table(capsys):
    assert main(["zoo"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["network", "paper", "input", "parameters", "MACs", "sees", "top-1", "top-5", "source"]
    assert [row.split()[0] for row in rows] == list_models()


def test_a_pattern_and_what_a_row_says(capsys):
    assert main(["zoo", "resnet50"]) == 0
    (_, row) = capsys.readouterr().out.splitlines()
    assert re.match(r"resnet50 +He et al\. 2015 +3x224x224 +25,557,032 +4\.09 G +427 +76\.1% +92\.9% +torchvision", row)
    assert main(["zoo", "text_*"]) == 0
    assert re.search(r"text_cnn +Kim 2014 +50 +6,360,902", capsys.readouterr().out)


def test_json(capsys):
    assert main(["zoo", "lenet5*", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["lenet5"] == {
        "paper": "LeCun et al. 1998",
        "year": 1998,
        "task": "classification",
        "modality": "image",
        "input_shape": [1, 32, 32],
        "num_classes": 10,
        "parameters": 60_000,
        "macs": 416_520,
        "receptive_field": 16,
        "imagenet": None,
    }


def test_a_pattern_that_matches_nothing(capsys):
    assert main(["zoo", "resnt*"]) == 2
    assert "No network matches 'resnt*'. Did you mean" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "begins"), [("n.svg", b"<?xml"), ("n.png", b"\x89PNG"), ("n.pdf", b"%PDF")])
def test_the_plot_is_drawn_in_the_form_that_its_name_asks_for(name, begins, tmp_path, capsys):
    assert main(["zoo", "*net1*", "--plot", str(tmp_path / name)]) == 0
    content = (tmp_path / name).read_bytes()
    assert content.startswith(begins)
    assert f"drawn in {tmp_path / name}" in capsys.readouterr().err
    if name == "n.svg":
        assert all(network.encode() in content for network in list_models("*net1*") if network in PUBLISHED)


def test_a_plot_of_another_kind_and_of_nothing(tmp_path, capsys):
    assert main(["zoo", "--plot", str(tmp_path / "n.bmp")]) == 2
    assert "A plot is saved as one of svg, png, pdf. Received: " in capsys.readouterr().err
    assert main(["zoo", "lenet*", "--plot", str(tmp_path / "n.svg")]) == 2
    assert "--plot shows networks whose ImageNet accuracy is published. Received: lenet5" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
