"""The recipe `auto` from data to a finished run, on sets of a hundred samples within seconds."""

import json
import re

import numpy as np
import pytest
import soundfile
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

import neocog
from neocog.auto.journal import read_journal
from neocog.cli import main
from neocog.errors import ConfigError, DataError, RunError
from neocog.recipes import resolve_config
from neocog.runs import Run
from neocog.training.monitoring import read_events
from tests.auto.conftest import MINUTES, plan_shortly
from tests.support.textures import blobs


def settings_of(run):
    return yaml.safe_load(run.config.read_text())


def weights_of(run):
    return neocog.load(run.bundle).model.state_dict()


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_run_folder_holds_what_was_seen_tried_and_chosen(searched):
    assert searched.finished
    steps = read_journal(searched.path / "search/journal.json")["steps"]
    assert {"look", "weights", "paces", "race", "trial-1-0", "finalists", "choice"} <= steps.keys()
    assert steps["look"]["facts"]["num_train"] == 96 and steps["look"]["facts"]["num_classes"] == 2
    tried = [name for name in steps if name.startswith("trial-")]
    assert all((searched.path / "search" / name / "config.yaml").is_file() for name in tried)
    assert [event["data"] for event in read_events(searched.events, "search")] == ["spots"]


def test_config_has_every_choice_with_its_reason_and_no_search(searched):
    kept = settings_of(searched)
    assert not kept["train"].get("search")
    assert kept["provenance"]["train.search"] == "chosen automatically: the search is done"
    assert kept["model"]["name"] == "speednet"
    for key in ("model.name", "model.widths", "image.size", "optimizer.lr", "train.batch_size", "augment.shift"):
        reason = kept["provenance"][key]
        assert reason.startswith("chosen automatically: won the race: "), key
        assert re.search(r"\d% \[[\d.]+%, [\d.]+%\] after \d+ s in the race", reason)
    assert re.fullmatch(
        r"chosen automatically: (bf16|fp32) with channels last was fastest: [\d,]+ images/s",
        kept["provenance"]["speed.precision"],
    )
    assert kept["provenance"]["augment.flip"] == "chosen automatically: mirror images occur within a class"
    assert kept["provenance"]["data.source"] == "given in Python"


def test_config_repeats_the_run_without_a_search(searched, tmp_path, capsys):
    code = main(["train", "--config", str(searched.config), "--name", "again", "--runs", str(tmp_path)])
    assert code == 0
    again = Run(tmp_path / "again")
    assert not (again.path / "search").exists()
    assert equal(load_file(searched.last), load_file(again.last)) and equal(weights_of(searched), weights_of(again))
    assert "chosen:" not in capsys.readouterr().err


def test_report_shows_the_search(searched):
    page = searched.report.read_text()
    assert '<section id="search">' in page
    assert "120 images" not in page and "86 images in 2 classes" in page  # those that are trained on
    for text in ("chosen: speednet", "first round", "speednet, narrow, 16x16"):
        assert text in page, text


def test_terminal_says_what_was_seen_tried_and_chosen(search_for, spots, capsys):
    search_for(spots, name="r")
    said = capsys.readouterr().err
    assert re.search(r"^  86 images in 2 classes", said, re.MULTILINE)
    assert re.search(r"^  speednet, narrow, 16x16: [\d.]+% \[.*\] by validation data, [\d.]+ s$", said, re.MULTILINE)
    assert re.search(r"^chosen: speednet, \w+, 16x16: ", said, re.MULTILINE)
    assert said.index("chosen:") < said.index("epoch   1/") < said.index("test accuracy")
    assert said.count("2 classes: 0, 1") == 1  # the trials are quiet


def test_arrays_and_minutes_in_python(search_for, tmp_path):
    images, labels = blobs(120, 16, spread=1.5)
    run = search_for((images, labels), name="r")
    assert run.finished and run.evaluation is not None
    kept = settings_of(run)
    assert kept["provenance"]["train.epochs"].startswith("chosen automatically: what fits into ")
    with pytest.raises(RunError, match="A finished run has nothing left to resume"):
        neocog.resume(run.path, data=(images, labels))


def test_data_are_opened_once(search_for, spots, monkeypatch):
    from neocog.data import open as opening

    recognise, calls = opening.recognise, []
    monkeypatch.setattr(opening, "recognise", lambda *given: calls.append(1) or recognise(*given))
    search_for(spots)
    assert len(calls) == 1


def test_settings_of_the_user_stay(search_for, spots):
    flags = {"augment.flip": 0.25, "optimizer.lr": 0.005, "train.batch_size": 16, "image.size": 24, "train.tta": "none"}
    run = search_for(spots, overrides=flags)
    kept = settings_of(run)
    assert kept["augment"]["flip"] == 0.25 and kept["optimizer"]["lr"] == 0.005
    assert kept["train"]["batch_size"] == 16 and kept["image"]["size"] == [24, 24] and kept["train"]["tta"] == "none"
    assert {kept["provenance"][key] for key in flags} == {"given in Python"}


def test_network_of_the_user_stays_and_only_its_settings_race(search_for, spots):
    run = search_for(spots, model="lenet5_relu")
    assert settings_of(run)["model"]["name"] == "lenet5_relu"
    assert settings_of(run)["provenance"]["model.name"] == "given in Python"
    steps = read_journal(run.path / "search/journal.json")["steps"]
    names = {steps[name]["name"] for name in steps if name.startswith("trial-")}
    assert names <= {"lenet5_relu, recipe lenet5_relu", "lenet5_relu, recipe lenet5_relu, 4 times the rate"}


def test_no_weights_where_the_user_wants_none(search_for, spots, monkeypatch):
    monkeypatch.setattr("neocog.auto.search.available", lambda name: "package")
    run = search_for(spots, overrides={"model.pretrained": None})
    steps = read_journal(run.path / "search/journal.json")["steps"]
    assert steps["weights"] == {} and not any(name.startswith("probe-") for name in steps)


WAVES = np.sin(np.arange(64) * np.where(np.arange(60) % 2, 0.2, 0.5)[:, None])[:, None].astype(np.float32)


def write_signals(folder):
    draw = np.random.default_rng(0)
    return WAVES + draw.normal(0, 0.1, WAVES.shape).astype(np.float32), np.arange(60) % 2


def write_sounds(folder):
    for k in range(30):
        path = folder / "sounds" / ("low", "high")[k % 2] / f"{k}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.5 * np.sin(np.arange(8000) * (0.1, 0.9)[k % 2] + k), 8000)
    return folder / "sounds"


def write_texts(folder):
    path = folder / "reviews.csv"
    lines = (f"a {('fine', 'dull')[k % 2]} film number {k},{('good', 'bad')[k % 2]}" for k in range(60))
    path.write_text("text,label\n" + "\n".join(lines) + "\n")
    return path


def write_games(folder):
    root, draw = folder / "games", np.random.default_rng(0)
    root.mkdir()
    for k in range(8):
        places = draw.permutation(81)[:16]
        moves = "".join(f";{'BW'[i % 2]}[{chr(97 + at % 9)}{chr(97 + at // 9)}]" for i, at in enumerate(places))
        (root / f"{k}.sgf").write_text(f"(;GM[1]FF[4]SZ[9]{moves})")
    return root


@pytest.mark.parametrize(
    ("write", "networks"),
    [
        (write_signals, {"time_series_fcn", "time_series_resnet", "inception_time"}),
        (write_sounds, {"speech_res8", "speech_dscnn_s", "speech_res15"}),
        (write_texts, {"text_cnn", "char_cnn_small"}),
    ],
)
def test_other_kinds_of_data_have_candidates_of_their_own(search_for, tmp_path, write, networks, capsys, monkeypatch):
    monkeypatch.setattr("neocog.auto.race.Race.plan", lambda race: plan_shortly(race, most=3))
    run = search_for(write(tmp_path), minutes=0.2)
    assert run.finished and settings_of(run)["model"]["name"] in networks
    steps = read_journal(run.path / "search/journal.json")["steps"]
    assert not [steps[name]["error"] for name in steps if name.startswith("trial-") and steps[name]["error"]]
    assert {steps[name]["name"].split(",")[0] for name in steps if name.startswith("trial-1")} == networks
    assert re.search(
        r"^  \d+ training and validation samples of 2 classes, \d+ to test$", capsys.readouterr().err, re.M
    )


def test_games_have_candidates_of_their_own(search_for, tmp_path):
    run = search_for(write_games(tmp_path), minutes=0.2)
    assert run.finished and settings_of(run)["model"]["name"] in ("go_residual", "go_policy")


def make_classes(folder, counts, size=16):
    draw = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for k in range(count):
            Image.fromarray(draw.integers(0, 256, (size, size), dtype=np.uint8)).save(folder / name / f"{k}.png")
    return folder


SINGLE = (
    r"^Validation needs at least one sample\. It can't be one that is trained on\. few: received a single sample of "
    r"each class\. Add samples: a class needs at least two, better dozens\.$"
)
TOO_FEW = (
    r"^Validation needs at least one sample\. few: received too few samples in each class for a share of 0\.1\. "
    r"Raise --data\.val_fraction, or add samples\.$"
)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 1, "b": 1, "c": 1}, SINGLE),
        ({"a": 2, "b": 1, "c": 1}, TOO_FEW),
        ({"a": 1, "b": 1}, SINGLE),
        ({"a": 2}, r"two classes.*received one: a"),
        ({"a": 20}, r"two classes.*received one: a"),
    ],
)
def test_too_little_data_is_refused_and_leaves_nothing(search_for, tmp_path, counts, message):
    with pytest.raises((DataError, ConfigError), match=message):
        search_for(make_classes(tmp_path / "few", counts))
    assert not (tmp_path / "runs").exists()


def test_class_with_a_single_image_among_larger_ones_is_trained(search_for, tmp_path):
    run = search_for(make_classes(tmp_path / "uneven", {"a": 60, "b": 30, "c": 1}))
    assert run.finished and run.evaluation is not None


def test_setting_that_does_not_fit_is_refused_and_leaves_nothing(search_for, spots, tmp_path):
    with pytest.raises(ConfigError, match="would be ignored"):
        search_for(spots, overrides={"signal.length": 3})
    with pytest.raises(neocog.NeocogError, match="does not fit"):
        search_for(spots, model="lenet5_relu", overrides={"image.size": 28})
    assert not (tmp_path / "runs").exists()


def test_candidate_that_can_not_be_trained_is_left_out(search_for, spots, monkeypatch, capsys):
    from neocog.auto import images

    real = images.scratch

    def frozen(facts, kind, size):
        found = real(facts, kind, size)
        return found if kind == "narrow" else type(found)(found.name, {**found.settings, "train.freeze_epochs": 1})

    monkeypatch.setattr(images, "scratch", frozen)
    run = search_for(spots)
    assert run.finished and settings_of(run)["model"]["widths"] == [32, 64]
    steps = read_journal(run.path / "search/journal.json")["steps"]
    why = "train.freeze_epochs needs pretrained weights. Received: 1, without"
    assert steps["trial-1-1"]["error"].startswith(why) and steps["trial-1-1"]["samples"] == 0
    assert f"\n  speednet, medium, 16x16: left out, {why}" in capsys.readouterr().err
    assert json.dumps(steps, allow_nan=False)
    assert why in run.report.read_text()


def test_config_of_a_run_that_is_not_finished_has_no_search(search_for, spots, monkeypatch, tmp_path):
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("neocog.auto.search.carry_out", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        search_for(spots, name="r")
    resolved, _ = resolve_config(config_file=tmp_path / "runs/r/config.yaml")
    assert not resolved.config.train.search and resolved.config.model.name == "speednet"
    assert 0 < resolved.config.train.minutes <= MINUTES


def test_minutes_are_those_of_the_recipe_unless_given(search_for, spots):
    assert neocog.recipe("auto", data="x").train.minutes == 10.0
    run = search_for(spots, minutes=None, overrides={"train.minutes": MINUTES})
    assert run.finished


def test_search_without_a_number_of_minutes_is_refused_before_a_folder_is_made(spots, tmp_path):
    with pytest.raises(ConfigError, match=r"A search needs a number of minutes\. Received: none\. Set --minutes"):
        neocog.train(spots, recipe="auto", overrides={"train.minutes": None}, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
