"""What validation data decide after training: thresholds, errors, a temperature, and the least usual input."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, mean_absolute_error, roc_auc_score

import neocog
from neocog.bundle import read_manifest, read_sealed, write_sealed
from neocog.cli import main
from neocog.errors import BundleError, ConfigError
from neocog.evaluation import best_thresholds
from neocog.runs import evaluate, train
from neocog.tasks import LossConfig
from neocog.training import OptimizerConfig
from neocog.training.speed import SpeedConfig
from tests.support.target_sources import SPLITS, MeasuredImages, TaggedImages


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def settings(quick, **changes):
    optimizer = OptimizerConfig(name="adamw", lr=0.003)
    config = replace(quick("drawn"), speed=SpeedConfig(mode="exact"), optimizer=optimizer, **changes)
    return replace(config, train=replace(config.train, epochs=12, batch_size=20))


@pytest.fixture(scope="module")
def tagged(quick, runs):
    return train(settings(quick), data=TaggedImages(), name="tagged", runs=runs)


@pytest.fixture(scope="module")
def measured(quick, runs):
    return train(settings(quick), data=MeasuredImages(), name="measured", runs=runs)


@pytest.fixture(scope="module")
def calibrated(quick, digits, runs):
    config = quick(digits)
    config = replace(config, train=replace(config.train, calibrate=True, epochs=4))
    return train(config, name="calibrated", runs=runs)


def with_manifest(bundle, path, **changes):
    """A copy of a bundle with another manifest, sealed again."""
    members = read_sealed(bundle)
    manifest = json.loads(members["manifest.json"]) | changes
    write_sealed(path, {**members, "manifest.json": json.dumps(manifest).encode()})
    return path


def test_labels_get_their_thresholds_from_validation_data(tagged):
    source, predictor = TaggedImages(), neocog.load(tagged.bundle)
    val, test = SPLITS["val"], SPLITS["test"]
    probs = predictor.predict_proba(source.images[val])
    assert predictor.task.thresholds == pytest.approx(best_thresholds(probs, source.targets[val]), abs=1e-6)
    assert read_manifest(tagged.bundle)["learned"] == {"thresholds": predictor.task.thresholds.tolist()}
    found, known = evaluate(tagged.bundle, source), ~np.isnan(source.targets[test])
    assert found.to_json() == tagged.evaluation.to_json()
    scores = predictor.predict_proba(source.images[test])
    expected = [average_precision_score(source.targets[test][known[:, k], k], scores[known[:, k], k]) for k in range(3)]
    assert found.mean_average_precision.value == pytest.approx(np.mean(expected), abs=1e-6)


def test_numbers_get_their_error_from_validation_data(measured):
    source, predictor = MeasuredImages(), neocog.load(measured.bundle)
    val, test = SPLITS["val"], SPLITS["test"]
    gaps = np.abs(predictor.predict_values(source.images[val]) - source.targets[val])
    expected = [
        sorted(column[~np.isnan(column)])[int(np.ceil(0.9 * ((~np.isnan(column)).sum() + 1))) - 1] for column in gaps.T
    ]
    assert predictor.task.error_90 == pytest.approx(expected, abs=1e-3)  # targets are float32 in training
    found = evaluate(measured.bundle, source)
    assert found.to_json() == measured.evaluation.to_json()
    values, targets = predictor.predict_values(source.images[test]), source.targets[test]
    known = ~np.isnan(targets)
    errors = [mean_absolute_error(targets[known[:, d], d], values[known[:, d], d]) for d in range(2)]
    assert found.mae.value == pytest.approx(np.mean(errors), rel=1e-4)
    assert found.per_output[0].r2 > 0.5  # it has learned something


@pytest.mark.parametrize(
    ("learned", "message"),
    [
        ({"thresholds": [0.5]}, r"not a valid bundle: thresholds must be a list of length 3, received \[0.5\]"),
        ([0.5], "not a valid bundle: what it has learned must be a mapping"),
    ],
)
def test_bundle_with_damaged_decisions_is_refused(tagged, tmp_path, learned, message):
    path = with_manifest(tagged.bundle, tmp_path / "damaged.neocog", learned=learned)
    with pytest.raises(BundleError, match=message):
        neocog.load(path)


def test_report_and_terminal_show_labels_and_numbers(tagged, measured, capsys):
    page = tagged.report.read_text().partition('<section id="config">')[0]
    for part in ("<h3>test mAP</h3>", "micro F1", '<section id="labels">', "<td>middle</td>"):
        assert part in page, part
    page = measured.report.read_text().partition('<section id="config">')[0]
    for part in ("<h3>test MAE</h3>", "R2", '<section id="scatter">', "balance [mm]", "MAE of a constant"):
        assert part in page, part
    for run, line in ((tagged, "left"), (measured, "brightness")):
        data = TaggedImages() if run is tagged else MeasuredImages()
        evaluate(run.bundle, data)
        assert any(row[0] == line for exhibit in run.evaluation.exhibits for row in exhibit.rows())


def predict(bundle, files, flag, capsys):
    capsys.readouterr()
    assert main(["predict", str(bundle), *map(str, files), *([flag] if flag else [])]) == 0
    found = capsys.readouterr()
    return found.out, found.err


def test_predictions_of_labels_and_numbers_are_printed(tagged, measured, tmp_path, capsys):
    source, file = TaggedImages(), tmp_path / "a.png"
    Image.fromarray(source.images[130]).save(file)
    (labels,) = neocog.load(tagged.bundle).predict(file)
    rows = list(csv.DictReader(io.StringIO(predict(tagged.bundle, [file], "--csv", capsys)[0])))
    assert rows == [{"file": str(file), "labels": ";".join(labels.labels), "error": ""}]
    row = json.loads(predict(tagged.bundle, [file], "--json", capsys)[0])
    assert row["labels"] == list(labels.labels) and "unusual" not in row
    (values,) = neocog.load(measured.bundle).predict(file)
    row = json.loads(predict(measured.bundle, [file], "--json", capsys)[0])
    assert row["balance [mm]"] == values.values[1][1] and set(row["error_90"]) == set(MeasuredImages.classes)
    assert "±" in predict(measured.bundle, [file], None, capsys)[0]


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        (
            TaggedImages,
            "huber",
            "one for multi-label: binary_cross_entropy, asymmetric. drawn: received loss.kind=huber",
        ),
        (MeasuredImages, "cross_entropy", "one for regression: huber, l1, l2. drawn: received loss.kind=cross_entropy"),
    ],
)
def test_loss_of_another_task_is_refused(quick, tmp_path, source, kind, message):
    with pytest.raises(ConfigError, match=message):
        train(settings(quick, loss=LossConfig(kind=kind)), data=source(), runs=tmp_path)


@pytest.mark.parametrize(
    ("source", "loss", "message"),
    [
        (TaggedImages, LossConfig(class_weights="balanced"), "class_weights .*is binary_cross_entropy, as drawn is f"),
        (TaggedImages, LossConfig(huber_delta=2.0), "huber_delta .* would be ignored"),
        (MeasuredImages, LossConfig(label_smoothing=0.1), "label_smoothing .*is huber, as drawn is for regression"),
        (MeasuredImages, LossConfig(focal_gamma=1.0), "focal_gamma .* would be ignored"),
    ],
)  # fmt: skip
def test_setting_that_the_loss_does_not_use_is_refused(quick, tmp_path, source, loss, message):
    with pytest.raises(ConfigError, match=message):
        train(settings(quick, loss=loss), data=source(), runs=tmp_path)


def test_usual_loss_is_chosen_and_said(tagged, measured):
    for run, kind in ((tagged, "binary_cross_entropy"), (measured, "huber")):
        task = read_manifest(run.bundle)["task"]
        assert f"kind: {kind}" in run.config.read_text()
        assert f"loss.kind: 'chosen automatically: the usual loss for {task}'" in run.config.read_text()


def test_calibration_is_stored_applied_and_measured(calibrated, digits):
    manifest, predictor = read_manifest(calibrated.bundle), neocog.load(calibrated.bundle)
    temperature = manifest["learned"]["temperature"]
    source = neocog.open_source(digits)
    images = np.stack([source.read(int(i)).payload for i in source.splits["test"][:20]])
    decoded = torch.stack([predictor.preprocess.decode(image) for image in images])
    expected = (predictor.logits(decoded).double() / temperature).softmax(dim=1)
    np.testing.assert_allclose(predictor.predict_proba(images), expected.numpy(), rtol=1e-9)
    found = evaluate(calibrated.bundle, digits)
    assert found.to_json() == calibrated.evaluation.to_json()
    assert found.temperature == temperature and "ECE before calibration" in found.metrics
    assert f"a temperature of {temperature:.3f}" in calibrated.report.read_text()


def test_calibration_is_said_and_off_by_default(quick, digits, finished_run, tmp_path, capsys):
    assert "temperature" not in read_manifest(finished_run.bundle)["learned"]
    assert finished_run.evaluation.ece_before is None
    config = quick(digits)
    train(replace(config, train=replace(config.train, calibrate=True, epochs=1)), runs=tmp_path)
    assert "calibration: a temperature of" in capsys.readouterr().err


@pytest.mark.parametrize(("source", "task"), [(TaggedImages, "multi-label"), (MeasuredImages, "regression")])
def test_calibration_needs_a_classifier(quick, tmp_path, source, task):
    config = settings(quick)
    config = replace(config, train=replace(config.train, calibrate=True))
    with pytest.raises(ConfigError, match=f"train.calibrate needs a classifier. drawn: received data for {task}"):
        train(config, data=source(), runs=tmp_path)


def test_threshold_of_unusual_inputs_passes_95_of_100_validation_samples(finished_run, digits):
    predictor, source = neocog.load(finished_run.bundle), neocog.open_source(digits)
    data = predictor.manifest["data"]
    from neocog.runs.split import split_as_trained

    val = split_as_trained(source, data).val
    logits = torch.from_numpy(predictor.logits_of(source, val)).double()
    passed = (logits.logsumexp(dim=1) >= predictor.task.least_energy - 1e-5).double().mean()
    assert 0.95 <= passed < 0.95 + 2 / len(val) + 0.01


def test_unusual_input_is_flagged_in_every_form(finished_run, digits, tmp_path, capsys):
    source = neocog.open_source(digits)
    files = [tmp_path / f"{i}.png" for i in range(3)]
    for file, index in zip(files, source.splits["test"], strict=False):
        Image.fromarray(source.read(int(index)).payload).save(file)
    energies = {}
    predictor = neocog.load(finished_run.bundle)
    for file in files:
        decoded = predictor.preprocess.decode(file.read_bytes())[None]
        energies[file] = predictor.logits(decoded).double().logsumexp(dim=1).item()
    lowest, *others = sorted(files, key=energies.get)
    least = (energies[lowest] + energies[others[0]]) / 2
    bundle = with_manifest(finished_run.bundle, tmp_path / "m.neocog", learned={"least_energy": least})
    assert [one.unusual for one in neocog.load(bundle).predict(files)] == [file == lowest for file in files]
    out, err = predict(bundle, files, None, capsys)
    assert err == f"warning: 1 input is unlike the training data, so its prediction may mean nothing: {lowest}\n"
    lines = out.splitlines()
    assert lines[0].split()[-1] == "unusual"
    assert [line.endswith("yes") for line in lines[1:]] == [file == lowest for file in files]
    found = [json.loads(line)["unusual"] for line in predict(bundle, files, "--json", capsys)[0].splitlines()]
    assert found == [file == lowest for file in files]
    rows = list(csv.DictReader(io.StringIO(predict(bundle, files, "--csv", capsys)[0])))
    assert [row["unusual"] for row in rows] == [str(file == lowest).lower() for file in files]
    out, err = predict(bundle, others, None, capsys)
    assert not err and "unusual" not in out.splitlines()[0]


def test_bundle_without_a_threshold_flags_nothing(finished_run, digits, tmp_path, capsys):
    bundle = with_manifest(finished_run.bundle, tmp_path / "m.neocog", learned={})
    file = tmp_path / "a.png"
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(file)
    assert "unusual" not in predict(bundle, [file], "--csv", capsys)[0]
    assert "unusual" not in json.loads(predict(bundle, [file], "--json", capsys)[0])
    with pytest.raises(
        ConfigError, match="Only classifiers tell unusual inputs.* Received: a network for classification, w"
    ):
        evaluate(bundle, digits, unlike=np.zeros((2, 28, 28), np.uint8))


def test_other_data_are_told_from_those_of_the_network(finished_run, digits, tmp_path, capsys):
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (60, 28, 28)).astype(np.uint8)
    np.savez(tmp_path / "noise.npz", x_test=noise, y_test=np.arange(60) % 2, x_train=noise, y_train=np.arange(60) % 2)
    assert main(["eval", str(finished_run.bundle), str(digits), "--unlike", str(tmp_path / "noise.npz"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["unusual"]
    predictor, source = neocog.load(finished_run.bundle), neocog.open_source(digits)
    own = predictor.logits_of(source, source.splits["test"])
    other = predictor.logits(torch.stack([predictor.preprocess.decode(image) for image in noise])).numpy()
    energy = np.logaddexp.reduce(np.concatenate([own, other]).astype(float), axis=1)
    truth = np.r_[np.ones(len(own)), np.zeros(60)]
    assert found["auroc"]["value"] == pytest.approx(roc_auc_score(truth, energy), abs=1e-6)
    assert found["other"]["count"] == 60 and found["own"]["count"] == 300
    assert found["other"]["share"]["value"] == pytest.approx((energy[300:] < predictor.task.least_energy).mean())
    assert main(["eval", str(finished_run.bundle), str(digits), "--unlike", str(tmp_path / "noise.npz")]) == 0
    out = capsys.readouterr().out
    assert "flagged" in out and "AUROC  " in out and "noise" in out


def test_other_data_need_a_classifier(tagged):
    with pytest.raises(ConfigError, match="a network for multi-label, without such a threshold"):
        evaluate(tagged.bundle, TaggedImages(), unlike=TaggedImages(1))
