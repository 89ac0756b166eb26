import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

import neocog
from neocog.cli import main
from neocog.errors import ConfigError, DataError
from neocog.evaluation import Estimate
from neocog.runs import Comparison, train
from neocog.training import OptimizerConfig
from neocog.training.speed import SpeedConfig
from tests.support.target_sources import SPLITS, MeasuredImages, TaggedImages


@pytest.fixture(scope="module")
def other(quick, digits, tmp_path_factory):
    """A network that has seen too little."""
    config = quick(digits)
    config = replace(config, train=replace(config.train, epochs=1, seed=5), data=replace(config.data, limit=60))
    return train(config, name="other", runs=tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def pairs(quick, tmp_path_factory):
    """Two networks for labels and two for numbers: one that has learned, and one that has not."""
    folder, found = tmp_path_factory.mktemp("pairs"), {}
    for source in (TaggedImages, MeasuredImages):
        runs = []
        for epochs in (1, 12):
            optimizer = OptimizerConfig(name="adamw", lr=0.003)
            config = replace(quick("drawn"), speed=SpeedConfig(mode="exact"), optimizer=optimizer)
            config = replace(config, train=replace(config.train, epochs=epochs, batch_size=20))
            runs.append(train(config, data=source(), name=f"{source.task}-{epochs}", runs=folder))
        found[source] = runs
    return found


def answers(run, source, indices):
    return neocog.load(run.bundle).logits_of(source, indices).argmax(axis=1)


def test_classifiers_are_compared_by_mcnemar_on_the_same_samples(finished_run, other, digits):
    found, source = neocog.compare(other.bundle, finished_run.bundle, digits), neocog.open_source(digits)
    test = source.splits["test"]
    of_a, of_b = (answers(run, source, test) for run in (other, finished_run))
    right_a, right_b = of_a == source.targets[test], of_b == source.targets[test]
    assert (found.only_a, found.only_b) == ((right_a & ~right_b).sum(), (right_b & ~right_a).sum())
    assert found.p_value == pytest.approx(binomtest(found.only_a, found.only_a + found.only_b).pvalue)
    assert found.difference.value == pytest.approx(right_b.mean() - right_a.mean())
    assert found.better == "B" and found.count == 300 and found.metric == "accuracy"
    assert found.metrics["accuracy"] == (other.evaluation.top1, finished_run.evaluation.top1)
    assert found.num_differing == (of_a != of_b).sum() == len(found.differing)
    keys = {source.key(int(i)): (int(a), int(b), source.targets[i]) for i, a, b in zip(test, of_a, of_b, strict=True)}
    for one in found.differing:
        a, b, target = keys[one.key]
        assert (one.a.split()[0], one.b.split()[0], one.target) == (str(a), str(b), str(target))
        assert (one.score_a, one.score_b) == (a == target, b == target)
    sure = [abs(one.score_a - one.score_b) for one in found.differing]
    assert sure == sorted(sure, reverse=True)


def test_comparison_turned_round_is_the_same_with_other_signs(finished_run, other, digits):
    one, two = (neocog.compare(a.bundle, b.bundle, digits) for a, b in ((other, finished_run), (finished_run, other)))
    assert (one.better, two.better) == ("B", "A") and one.p_value == two.p_value
    assert (one.difference.low, one.difference.high) == pytest.approx((-two.difference.high, -two.difference.low))
    assert one.sentence().partition(";")[0][1:] == two.sentence().partition(";")[0][1:]


def test_network_against_itself_shows_no_difference(finished_run, digits):
    found = neocog.compare(finished_run.bundle, finished_run.bundle, digits)
    assert found.better is None and found.p_value == 1 and found.differing == [] and found.difference.value == 0
    assert found.sentence().startswith("A and B can't be told apart: B minus A is +0.00 points of accuracy [-1.")


def test_numbers_are_compared_by_a_paired_bootstrap_and_less_is_better(pairs):
    poor, good = pairs[MeasuredImages]
    source = MeasuredImages()
    found = neocog.compare(good.bundle, poor.bundle, source)
    errors = []
    for run in (good, poor):
        gaps = np.abs(
            neocog.load(run.bundle).predict_values(source.images[SPLITS["test"]]) - source.targets[SPLITS["test"]]
        )
        errors.append(np.nanmean(gaps, axis=0).mean())
    assert found.difference.value == pytest.approx(errors[1] - errors[0], rel=1e-3)
    assert found.lower_is_better and found.better == "A" and found.p_value is None
    assert found.difference.low > 0 and found.difference.method == "paired bootstrap, 1,000 resamples"
    assert found.sentence().startswith("A is better by ") and " in MAE [" in found.sentence()
    assert found.num_differing == 40 - np.isnan(source.targets[SPLITS["test"]]).all(axis=1).sum()
    first = found.differing[0]
    assert abs(first.score_a - first.score_b) == max(abs(one.score_a - one.score_b) for one in found.differing)
    assert first.a.startswith("brightness ") and "balance [mm]" in first.target


def test_labels_are_compared_by_map(pairs):
    poor, good = pairs[TaggedImages]
    found = neocog.compare(poor.bundle, good.bundle, TaggedImages())
    assert found.metric == "mAP" and not found.lower_is_better and found.difference.is_share
    assert found.difference.value == pytest.approx(
        good.evaluation.mean_average_precision.value - poor.evaluation.mean_average_precision.value
    )
    assert found.difference.low < found.difference.value < found.difference.high
    assert all(one.a != one.b for one in found.differing)


def test_command_line_takes_two_bundles_in_two_ways(finished_run, other, digits, capsys):
    a, b = str(other.bundle), str(finished_run.bundle)
    assert main(["eval", a, b, str(digits)]) == 0
    out = capsys.readouterr().out
    assert main(["eval", a, str(digits), "--against", b]) == 0
    assert capsys.readouterr().out == out
    expected = neocog.compare(a, b, digits)
    lines = out.splitlines()
    assert lines[0] == f"A  {a}" and lines[1] == f"B  {b}"
    assert lines[3].split()[-2:] == ["A", "B"] and lines[3].startswith("digits, test, 300 samples")
    assert expected.sentence() in lines
    assert lines[-1] == f"and {expected.num_differing - 12:,} more, which --json lists"
    capsys.readouterr()
    assert main(["eval", a, b, str(digits), "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["sentence"] == expected.sentence() and len(tree["differing"]) == expected.num_differing


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["BUNDLE"], "takes a bundle and a data set, or two bundles and a data set. Received: a bundle alone"),
        (["BUNDLE", "x", "y"], "Received: 2 more names after the bundle. Write neocog eval model.neocog DATA"),
        (["BUNDLE", "BUNDLE", "DATA", "DATA"], "Received: 3 more names after the bundle"),
        (["BUNDLE", "BUNDLE", "DATA", "--against", "BUNDLE"], "Received: 2 more names after the bundle"),
        (["BUNDLE", "BUNDLE", "DATA", "--unlike", "DATA"], "--unlike is for one network. Received: two"),
        (["BUNDLE", "DATA", "--against", "absent.neocog"], "absent.neocog can't be read"),
    ],
)
def test_operands_that_are_not_clear_are_refused(finished_run, digits, capsys, names, message):
    known = {"BUNDLE": str(finished_run.bundle), "DATA": str(digits)}
    assert main(["eval", *(known.get(name, name) for name in names)]) == 2
    assert message in capsys.readouterr().err


def test_networks_with_other_tasks_or_kinds_of_data_are_refused(finished_run, pairs, digits):
    tags, numbers = pairs[TaggedImages][0], pairs[MeasuredImages][0]
    with pytest.raises(
        ConfigError, match="same task can be compared. Received: one for multi-label and one for regress"
    ):
        neocog.compare(tags.bundle, numbers.bundle, TaggedImages())
    signals = neocog.load("tests/bundle/made_before/signals.neocog")
    with pytest.raises(DataError, match="kind of data that it was trained on: signals"):
        neocog.compare(finished_run.bundle, signals, digits)


def test_samples_that_one_network_was_trained_on_are_left_out_or_warned_of(quick, draw, tmp_path, capsys):
    draw(tmp_path / "colours", {"red": (200, 30, 30), "green": (30, 200, 30)}, count=40)
    runs = []
    for seed in (1, 2):
        config = quick(tmp_path / "colours")
        config = replace(config, train=replace(config.train, epochs=1, batch_size=8, seed=seed))
        runs.append(train(config, name=f"{seed}", runs=tmp_path / "runs"))
    capsys.readouterr()
    found = neocog.compare(runs[0].bundle, runs[1].bundle, tmp_path / "colours")
    said = capsys.readouterr().err
    assert 0 < found.count < runs[0].evaluation.count
    assert (
        f"They are compared on the {found.count} of {runs[0].evaluation.count} samples that neither was train" in said
    )
    assert "looks better than it is" not in said
    neocog.compare(runs[0].bundle, runs[1].bundle, tmp_path / "colours", split="all")
    said = capsys.readouterr().err
    assert "warning: A was trained or selected on " in said and "warning: B was trained or selected on " in said


def test_bundle_is_known_without_its_suffix(finished_run, digits, tmp_path, capsys):
    shutil.copy(finished_run.bundle, tmp_path / "best")
    assert main(["eval", str(finished_run.bundle), str(tmp_path / "best"), str(digits)]) == 0
    assert "can't be told apart" in capsys.readouterr().out


def test_sentence_of_a_metric_that_should_be_low():
    def told(low, high, better):
        return Comparison(
            a="", b="", data="", split="", count=9, metric="MAE", lower_is_better=True,
            difference=Estimate((low + high) / 2, low, high, "paired bootstrap, 1,000 resamples"), better=better,
            metrics={}, only_a=None, only_b=None, p_value=None, num_differing=0, differing=[],
        ).sentence()  # fmt: skip

    assert told(-3.0, -1.0, "B") == "B is better by 2 in MAE [1, 3] (paired bootstrap, 1,000 resamples)."
    assert told(1.0, 3.0, "A") == "A is better by 2 in MAE [1, 3] (paired bootstrap, 1,000 resamples)."
    assert told(-1.0, 3.0, None) == (
        "A and B can't be told apart: B minus A is +1 in MAE [-1, +3] (paired bootstrap, 1,000 resamples)."
    )
