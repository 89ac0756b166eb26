"""Every task goes the same way: trained, killed, resumed, measured, sealed, loaded, evaluated, predicted, reported."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import neocog
from neocog.cli import main
from neocog.recipes import recipe
from neocog.runs import PYTHON, Run, evaluate, resolve, resume, train
from neocog.tasks import TASKS
from tests.support.scenes import Scenes, SignalScenes

CASES = {
    "classification": ("lenet5_relu", Scenes),
    "multi-label": ("lenet5_relu", Scenes),
    "regression": ("lenet5_relu", Scenes),
    "segmentation": ("unet_small", Scenes),
    "multi-label segmentation": ("unet_small", Scenes),
    "detection": ("centernet_lite0", Scenes),
    "signal segmentation": ("unet_1d", SignalScenes),
    "multi-label of signals": ("time_series_fcn", SignalScenes),
    "regression of signals": ("time_series_fcn", SignalScenes),
}
"""Task, and the kind of data if it isn't images -> a network that is quick, and the set."""
SMALL = {
    "train.epochs": 2,
    "train.batch_size": 5,
    "train.checkpoint_seconds": 0.0,
    "train.checkpoint_steps": 1,
    "speed.mode": "manual",
    "optimizer.lr": 0.002,
}


def source_of(case):
    return CASES[case][1](case.partition(" of ")[0])


def settings(case):
    network, kind = CASES[case]
    name = "signal" if kind is SignalScenes else "general"
    moves = {} if kind is SignalScenes else {"augment.shift": 2, "augment.flip": 0.5}
    return resolve(recipe(name, "scenes"), PYTHON, [(PYTHON, {**SMALL, **moves, "model.name": network})])


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def run(case, tmp_path_factory):
    return train(settings(case), data=source_of(case), name="whole", runs=tmp_path_factory.mktemp("runs"))


def test_metrics_have_intervals_and_the_criterion_is_among_those_of_validation(run, case):
    task = TASKS[case.partition(" of ")[0]]
    assert run.evaluation.count == 8
    for name, figure in run.evaluation.metrics.items():
        assert figure.low <= figure.value <= figure.high or figure.method.startswith("none"), name
    rows = run.results.read_text().splitlines()
    assert {f"val_{task.criterion.metric}", f"val_{task.progress_metric}", f"train_{task.progress_metric}"} <= set(
        rows[0].split(",")
    )
    assert len(rows) == 3


def test_bundle_evaluates_as_the_run_did(run, case):
    assert evaluate(run.bundle, source_of(case)).to_json() == run.evaluation.to_json()


def test_bundle_is_loaded_with_what_the_task_has_learned(run):
    first, second = neocog.load(run.bundle), neocog.load(run.bundle)
    assert first.task.learned == second.task.learned
    assert first.task.learned == first.manifest.get("learned", {})


def test_predictions_of_one_input_are_those_among_many(run, case):
    source, predictor = source_of(case), neocog.load(run.bundle)
    inputs = [source.read(i).payload for i in (28, 29, 30)]
    together = predictor.predict(inputs)
    (alone,) = predictor.predict([inputs[1]])
    assert nearly(together[1].to_json(), alone.to_json())
    assert all(prediction.cells() for prediction in together)


def nearly(one, other):
    """Whether two JSON values are equal but for the last digits of numbers."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(nearly(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(nearly, one, other))
    return one == pytest.approx(other, rel=1e-3, abs=1e-4) if isinstance(one, float) else one == other


def test_command_line_predicts_in_every_form(run, case, tmp_path, capsys):
    source = source_of(case)
    np.save(tmp_path / "a.npy", source.read(28).payload)
    forms = {}
    for flag in ("--json", "--csv", ""):
        assert main(["predict", str(run.bundle), str(tmp_path / "a.npy"), *filter(None, [flag])]) == 0
        forms[flag] = capsys.readouterr().out.splitlines()
    found = json.loads(forms["--json"][0])
    assert found.pop("file") == str(tmp_path / "a.npy") and found
    assert len(forms[""]) == 2
    assert forms["--csv"][0].startswith("file,") and forms["--csv"][0].endswith(",error")


def test_report_shows_the_headline_and_the_worst_errors(run):
    page, (name, figure) = run.report.read_text(), next(iter(run.evaluation.metrics.items()))
    assert f"<h3>test {name}</h3>" in page
    for exhibit in run.evaluation.exhibits:
        assert f'<section id="{exhibit.anchor}">' in page
    assert page.count("<figcaption>") == len(run.evaluation.worst_errors)
    assert figure.text(figure.low) in page


def test_killed_run_resumes_with_equal_bits(run, case, tmp_path):
    """The other process is killed after its sixth step, in its second epoch."""
    killed = subprocess.run(
        [sys.executable, "-m", "tests.tasks.test_every_task", str(tmp_path), case],
        env=os.environ, capture_output=True, timeout=300, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not Run(tmp_path / "killed").bundle.exists()
    resumed = resume(tmp_path / "killed", data=source_of(case))
    found, whole = (neocog.load(each.bundle).model.state_dict() for each in (resumed, run))
    assert found.keys() == whole.keys()
    assert all(torch.equal(found[key], whole[key]) for key in whole)
    assert resumed.evaluation.to_json() == run.evaluation.to_json()


def test_two_processes_train_the_same_and_count_each_sample_once(run, case, tmp_path):
    """Sums are taken in another order, so figures are only nearly equal; batch norms are synchronised."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.tasks.test_every_task", str(tmp_path), case, "two"],
            env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2",
                 "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2],
        )
        for rank in (0, 1)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    two = Run(tmp_path / "two")
    figures = json.loads(two.figures.read_text())
    assert figures["count"] == run.evaluation.count
    first, second = (list(csv.DictReader(each.results.read_text().splitlines())) for each in (run, two))
    assert [row["epoch"] for row in first] == [row["epoch"] for row in second]
    # Rounding errors grow from step to step, so only the first epoch is compared.
    assert float(second[0]["train_loss"]) == pytest.approx(float(first[0]["train_loss"]), rel=0.02)


if __name__ == "__main__":
    if sys.argv[3:] == ["two"]:
        config = resolve(settings(sys.argv[2]).config, PYTHON, [(PYTHON, {"train.sync_batch_norm": True})])
        train(config, data=source_of(sys.argv[2]), name="two", runs=Path(sys.argv[1]))
        sys.exit()
    from neocog.training import loop

    step, steps = loop.train_step, []

    def step_and_die(*given):
        step(*given)
        steps.append(1)
        if len(steps) == 7:
            os.kill(os.getpid(), signal.SIGKILL)

    loop.train_step = step_and_die
    train(settings(sys.argv[2]), data=source_of(sys.argv[2]), name="killed", runs=Path(sys.argv[1]))
