"""`neocog plan`, as a user runs it."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from neocog.cli import main
from neocog.planning import machine


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home of its own, and a measurement that does not take two seconds."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(machine, "SECONDS", 0.02)


def test_a_network_of_the_zoo_with_its_own_input(capsys):
    assert main(["plan", "lenet5_relu"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("lenet5_relu on 1x32x32\n")
    assert re.search(r"stages\.0\.0 +conv2d 5x5 +16x10x10 +2,416 +240,000 +6\.2 KiB +14 +2 +0", shown)
    assert "416,520 MACs = 833,040 FLOPs for one sample" in shown
    assert re.search(r"training  .* a batch \(not below .*at most [\d,]+ samples at once", shown)
    assert "- A receptive field smaller than the image" in shown


def test_forms(capsys, tmp_path):
    assert main(["plan", "lenet5", "--json", "--samples", "60000", "--batch-size", "8"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == 60_000
    assert found["forecast"]["epoch_seconds"] > 0 and found["forecast"]["batch_size"] == 8
    assert main(["plan", "lenet5", "--markdown", "--depth", "1", "--no-forecast"]) == 0
    assert capsys.readouterr().out.startswith("## LeNet5 on 1x32x32")
    drawing = tmp_path / "net.svg"
    assert main(["plan", "lenet5", "--json", "--no-forecast", "--svg", str(drawing)]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["forecast"] is None and f"drawn in {drawing}" in printed.err
    assert ET.parse(drawing).getroot().tag.endswith("svg")


def test_an_epoch_and_all_rows(capsys):
    assert main(["plan", "lenet5_relu", "--samples", "1000", "--all", "--input", "3x32x32"]) == 0
    shown = capsys.readouterr().out
    assert "an epoch of 1,000 samples: " in shown and re.search(r"head\.0 +view +400", shown)
    assert "62,006 parameters" in shown


def test_a_bundle_and_a_file(capsys, finished_run, tmp_path):
    assert main(["plan", str(finished_run.bundle), "--no-forecast"]) == 0
    assert "model.neocog on 1x32x32" in capsys.readouterr().out
    nets = tmp_path / "nets.py"
    nets.write_text("from torch import nn\ndef words(): return nn.Embedding(9, 4)\n")
    assert main(["plan", f"{nets}:words", "--input", "12", "--dtype", "int64", "--no-forecast"]) == 0
    assert "words on 12" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["lenet5_relu", "--input", "1x36x36"],
            "takes 400 features and receives 16x6x6 = 576. Use an input from 1x32x32",
        ),
        (["lenet5_relu", "--input", "1x10x10"], "reads windows of 5x5, more than the 3x3 that is left"),
        (["lenet5_relu", "--input", "big"], "--input is channels and sizes, such as 3x224x224. Received: 'big'."),
        (["lenet5_relu", "--input", "3x0x4"], "Received: '3x0x4'."),
        (["lenet5_relu", "--json", "--markdown"], "A plan has one form. Received: --json and --markdown."),
        (["lenet5_relu", "--depth", "0"], "--depth must be at least 1. Received: 0."),
        (["lenet5_relu", "--object", "-3"], "--object must be at least 1. Received: -3."),
        (["lenet5_relu", "--batch-size", "0"], "--batch-size must be at least 1. Received: 0."),
        (
            ["lenet5_relu", "--no-forecast", "--samples", "9"],
            "--samples would be ignored with --no-forecast. Remove one.",
        ),
        (["lenet5_relu", "--no-forecast", "--batch-size", "9"], "--batch-size would be ignored with --no-forecast."),
        (["lenet5_relu", "--json", "--depth", "1"], "--depth would be ignored with --json."),
        (["lenet5_relu", "--markdown", "--object", "9"], "--object would be ignored with --markdown."),
        (["lenet5_relu", "--samples", "0"], "samples must be at least 1. Received: 0."),
        (["lenet5_relu", "--no-forecast", "--svg", "no/such/folder/net.svg"], "no/such/folder/net.svg"),
        (["lenet6"], "Did you mean 'lenet5'?"),
        (["{nets}:build"], "{nets}:build needs the shape of its input. Add, for example, --input 3x224x224."),
    ],
)
def test_mistakes_are_named_with_exit_code_2(capsys, tmp_path, arguments, message):
    nets = tmp_path / "nets.py"
    nets.write_text("from torch import nn\ndef build(): return nn.Linear(3, 4)\n")
    assert main(["plan", *(argument.format(nets=nets) for argument in arguments)]) == 2
    assert message.format(nets=nets) in capsys.readouterr().err


def test_a_batch_that_does_not_fit_is_said(capsys):
    assert main(["plan", "lenet5_relu", "--batch-size", "99999999999"]) == 0
    assert "; does not fit: at most " in capsys.readouterr().out


def test_a_full_disk_is_said():
    """The table is printed by us alone: nothing is left in a buffer for Python to complain about."""
    command = [sys.executable, "-m", "neocog", "plan", "lenet5", "--no-forecast"]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 2
    assert ended.stderr == "error: Standard output could not be written: No space left on device.\n"


def test_a_gpu_that_is_not_there(capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["plan", "lenet5", "--device", "cuda"]) == 2
    assert "--device cuda needs a GPU, and there is none. Use --device cpu." in capsys.readouterr().err


def test_help_teaches(capsys):
    assert main(["plan", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "neocog plan nets.py:build --input 3x224x224" in shown and "--object" in shown
