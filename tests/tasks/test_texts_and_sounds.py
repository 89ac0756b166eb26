"""Several labels, or numbers, for texts and sounds: trained by the recipe of their kind, measured, sealed, reported."""

import json

import numpy as np
import pytest

import neocog
from neocog import evaluate, load, train
from neocog.cli import main
from neocog.data import SignalAugmentConfig
from neocog.recipes import recipe, recipe_for
from neocog.runs import PYTHON, resolve
from tests.support.texts_and_sounds import Notes, Tones

CASES = {
    "texts, multi-label": (Notes, "text", {"train.epochs": 20}),
    "texts, regression": (Notes, "text", {"train.epochs": 30}),
    "sounds, multi-label": (Tones, "sound_values", {"train.epochs": 15}),
    "sounds, regression": (Tones, "sound_values", {"train.epochs": 30}),
}
QUICK = {"train.batch_size": 10, "train.device": "cpu", "speed.mode": "exact"}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return request.param


def source_of(case):
    return CASES[case][0](case.partition(", ")[2])


@pytest.fixture(scope="module")
def run(case, tmp_path_factory):
    _, name, changes = CASES[case]
    config = resolve(recipe(name, "rows"), PYTHON, [(PYTHON, {**QUICK, **changes})])
    return train(config, data=source_of(case), name="run", runs=tmp_path_factory.mktemp("runs"))


def test_it_learns(run, case):
    """Much better than an answer that is the same for all: mAP of the labels' shares, MAE of the mean."""
    source, metrics = source_of(case), run.evaluation.metrics
    test = source.targets[source.splits["test"]]
    if source.task == "multi-label":
        assert metrics["mAP"].value > 0.9 > np.nanmean(test) + 0.2
    else:
        mean = np.nanmean(source.targets[source.splits["train"]], axis=0)
        assert metrics["MAE"].value < 0.5 * np.nanmean(np.abs(test - mean))


def test_metrics_have_intervals(run):
    assert run.evaluation.count == 20
    for name, figure in run.evaluation.metrics.items():
        assert figure.low <= figure.value <= figure.high or figure.method.startswith("none"), name


def test_bundle_measures_as_the_run_did(run, case):
    assert evaluate(run.bundle, source_of(case)).to_json() == run.evaluation.to_json()


def test_files_and_objects_are_predicted(run, case, tmp_path, capsys):
    source, predictor = source_of(case), load(run.bundle)
    payload = source.read(90).payload
    path = tmp_path / ("a.txt" if source.modality == "text" else "a.wav")
    path.write_bytes(payload.encode() if isinstance(payload, str) else payload)
    (found,) = predictor.predict([payload] if isinstance(payload, str) else path)
    assert main(["predict", str(run.bundle), str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said.pop("file") == str(path)
    assert said == json.loads(json.dumps(found.to_json()))
    names = set(said) - {"error_90", "labels", "top"}
    assert names == (set() if source.task == "multi-label" else set(source.classes))
    assert main(["predict", str(run.bundle), str(path), "--csv"]) == 0
    header = "labels" if source.task == "multi-label" else ",".join(source.classes)
    assert capsys.readouterr().out.splitlines()[0] == f"file,{header},error"


def test_report_draws_the_worst_errors(run, case):
    page = run.report.read_text()
    headline = "mAP" if "multi-label" in case else "MAE"
    assert f"<h3>test {headline}</h3>" in page
    drawn = "<blockquote>" if case.startswith("texts") else "<figure><img"
    assert page.count(drawn) >= len(run.evaluation.worst_errors) > 0


@pytest.mark.parametrize("task", ["classification", "multi-label", "regression"])
def test_recipe_is_that_of_the_kind_of_data(task):
    assert recipe_for(None, "text", task) == "text"
    assert recipe_for(None, "audio", task) == ("sound" if task == "classification" else "sound_values")
    assert recipe_for("speech_res15", "audio", task) == "keyword"


def test_recipe_for_numbers_changes_no_pitch():
    masks = recipe("sound", "x").augment_signal
    assert masks.frequency_shift == 3 and masks.time_mask == 0.2
    assert recipe("sound_values", "x").augment_signal == SignalAugmentConfig()


def test_data_alone_finds_recipe_and_network():
    for source, network in ((Notes("regression"), "text_cnn"), (Tones("multi-label"), "speech_dscnn_s")):
        resolved, _ = neocog.resolve_config(source)
        assert (resolved.config.model.name, resolved.config.train.minutes) == (network, 10)
