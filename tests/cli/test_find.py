"""`neocog find`, as a user runs it."""

import json
from dataclasses import replace

import pytest
import torch

from neocog.cli import main
from neocog.data import open_source
from neocog.errors import ConfigError
from neocog.report.plots import draw_range_test
from neocog.training.finders import batch_size as batch_size_module
from neocog.training.speed import SpeedConfig
from neocog.verbs import find_batch, find_rate


@pytest.fixture
def run_main(capsys, tmp_path, monkeypatch):
    """Run the program in an empty folder; gives exit code, output and errors."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(batch_size_module, "SECONDS", 0.01)

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    run.work = work
    return run


def test_help_teaches(run_main):
    _, out, _ = run_main("find", "--help")
    assert "neocog find rate mnist" in out and "batch" in out
    _, out, _ = run_main("find", "rate", "--help")
    for part in (
        "neocog find rate",
        "--low",
        "The rate of the first step",
        "--optimizer.name",
        "where the loss falls fastest",
    ):
        assert part in " ".join(out.split()), part
    _, out, _ = run_main("find", "batch", "--help")
    assert "neocog find batch" in out and "90%" in out and "--out" not in out


def test_a_rate_for_mnist_is_found_said_and_drawn(run_main):
    code, out, err = run_main("find", "rate", "mnist", "--low", "1e-4", "--steps", "40", "--out", "rates.png")
    assert code == 0, err
    head, *_ = out.splitlines()
    assert head.startswith("learning rate 0.") and "where" in head
    for rule in ("steepest", "minimum / 10", "valley"):
        assert rule in out
    assert "steps from 0.0001; " in out
    assert f"Train with it: --optimizer.lr {head.split()[2].rstrip(',')}" in out
    assert "drawn in rates.png" in err
    assert (run_main.work / "rates.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in run_main.work.iterdir()) == ["rates.png"], "no run folder is made"


def test_a_rate_as_json_and_svg_and_the_same_in_python(run_main, digits, quick):
    flags = ("--low", "1e-4", "--steps", "30", "--train.batch_size", "50")
    code, out, err = run_main("find", "rate", digits, *flags, "--json", "--out", "rates.svg")
    assert code == 0, err
    found = json.loads(out)
    drawn = (run_main.work / "rates.svg").read_text()
    assert drawn.startswith("<?xml") and "(proposed)" in drawn and "learning rate" in drawn
    curve = find_rate(quick(digits), low=1e-4, steps=30)
    assert found["losses"] == pytest.approx(curve.losses)
    assert found["rate"] == curve.rate
    lines = draw_range_test(curve).axes[0].get_lines()
    assert list(lines[0].get_ydata()) == list(curve.losses)
    assert [line.get_xdata()[0] for line in lines[2:]] == [s.rate for s in curve.suggestions]


def test_data_of_python(digits, quick):
    source = open_source(digits)
    indices = source.splits["train"]
    config = quick("")
    curve = find_rate(config, data=(source.pictures(indices), source.targets[indices]), low=1e-4, steps=30)
    assert 10 < len(curve.losses) <= 30


def test_a_batch_size(run_main, pictures):
    code, out, err = run_main("find", "batch", pictures)
    assert code == 0, err
    line, _, hint, again = out.splitlines()
    assert line.startswith("batch size ") and "/s in " in line and " available. 8: " in line
    assert hint == f"Train with it: --train.batch_size {line.split()[2].rstrip(',')}"
    assert again.startswith("The best learning rate depends on the batch size")
    assert not list(run_main.work.iterdir())
    code, out, _ = run_main("find", "batch", pictures, "--json")
    found = json.loads(out)
    assert found["size"] in [tried["size"] for tried in found["tried"]]
    assert max(tried["size"] for tried in found["tried"]) <= 36


def test_a_batch_size_in_python(pictures, quick, monkeypatch):
    monkeypatch.setattr(batch_size_module, "SECONDS", 0.0)
    found = find_batch(quick(pictures))
    assert found.size in [8, 16, found.tried[-1].size] and found.tried[-1].size <= 36


def test_the_settings_of_speed_are_obeyed(digits, quick):
    config = quick(digits)
    settings = {"low": 1e-4, "steps": 20}
    plain, exact = (find_rate(replace(config, speed=SpeedConfig(mode=mode)), **settings) for mode in ("auto", "exact"))
    rounded = find_rate(replace(config, speed=SpeedConfig(mode="manual", precision="bf16")), **settings)
    assert exact.losses == pytest.approx(plain.losses, rel=1e-4) and not torch.are_deterministic_algorithms_enabled()
    assert rounded.losses[0] != plain.losses[0] and rounded.losses[0] == pytest.approx(plain.losses[0], rel=0.02)


def test_one_batch_is_too_few(digits, quick):
    message = (
        r"needs at least two batches\. Received: [\d,]+ training samples and train\.batch_size 5,000\. Lower train"
    )
    with pytest.raises(ConfigError, match=message):
        find_rate(quick(digits, batch_size=5000))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rate"], "Training needs data. Name it: neocog train mnist"),
        (
            ["rate", "mnist", "--optimizer.lr", "0.1"],
            "--optimizer.lr would be ignored, because it is what is searched for",
        ),
        (
            ["batch", "mnist", "--train.batch_size", "8"],
            "--train.batch_size would be ignored, because it is what is searched",
        ),
        (["rate", "mnist", "--train.epochs", "3"], "--train.epochs would be ignored, because a trial has no epochs."),
        (["rate", "mnist", "--train.tta", "flip"], "--train.tta would be ignored, because a trial has no epochs."),
        (
            ["batch", "mnist", "--train.bf16_gradients", "yes"],
            "--train.bf16_gradients would be ignored, because a trial has no epochs.",
        ),
        (["rate", "mnist", "--schedule.name", "step"], "--schedule.name would be ignored, because in a range test"),
        (["batch", "mnist", "--schedule.name", "step"], "because a trial of a batch size has one learning rate"),
        (
            ["rate", "mnist", "--monitor.warnings", "no"],
            "--monitor.warnings would be ignored, because a trial is not monitored",
        ),
        (["batch", "mnist", "--speed.mode", "manual", "--speed.compile", "yes"], "a trial is too short to be compiled"),
        (["rate", "mnist", "--low", "2", "--high", "1"], "Rates must rise from --low to --high, both above 0."),
        (["rate", "mnist", "--steps", "3"], "A range test needs at least 10 steps. Received: --steps 3."),
        (["rate", "mnist", "--model", "lenet6"], "No network is called 'lenet6'"),
    ],
)
def test_mistakes_are_one_sentence(run_main, arguments, message):
    code, out, err = run_main("find", *arguments)
    assert code == 2 and not out
    assert message in " ".join(err.split())
    assert "Traceback" not in err


def test_plot_of_unknown_format_is_refused(run_main, digits):
    code, _, err = run_main("find", "rate", digits, "--low", "1e-4", "--steps", "20", "--out", "rates.bmp")
    assert code == 2
    assert "A plot is saved as one of svg, png, pdf. Received: rates.bmp" in err


def test_settings_of_a_file_for_the_whole_run_are_accepted(run_main, digits):
    (run_main.work / "c.yaml").write_text(
        f"data: {{source: {digits}}}\nrecipe: lenet5_relu\n"
        "optimizer: {lr: 0.3}\ntrain: {epochs: 3, batch_size: 50}\n"
    )
    code, out, err = run_main("find", "rate", "--config", "c.yaml", "--low", "1e-4", "--steps", "30")
    assert code == 0, err
    assert out.startswith("learning rate ")


def test_a_folder_that_is_not_there_is_said_before_the_trial(capsys, tmp_path):
    assert main(["find", "rate", "mnist", "--out", str(tmp_path / "absent" / "rates.png")]) == 2
    assert "--out needs a folder that exists" in capsys.readouterr().err
