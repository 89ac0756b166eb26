import csv
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

import neocog
from neocog.cli import main
from neocog.data import AugmentConfig, open_source
from neocog.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    DivergenceError,
    GeometryError,
    RunError,
    StorageError,
)
from neocog.files import folder_lock
from neocog.recipes import recipe
from neocog.runs import FLAG, Provenance, Run, RunConfig, SetBy, evaluate, resolve, resume, train
from neocog.training import Interrupted


def test_train_leaves_the_files_of_a_run(finished_run):
    assert sorted(p.name for p in finished_run.path.iterdir() if not p.name.startswith(".")) == [
        "checkpoints", "config.yaml", "evaluation.json", "events.jsonl", "model.neocog", "report.html", "results.csv",
        "speed.json",
    ]  # fmt: skip
    assert sorted(p.name for p in (finished_run.path / "checkpoints").iterdir()) == [
        "best.safetensors",
        "last.safetensors",
        "step-00000018.safetensors",
    ]
    rows = list(csv.DictReader(finished_run.results.read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["val_accuracy"]) > 0.3
    events = [json.loads(line) for line in finished_run.events.read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "speed", "epoch", "speed", "epoch", "finished"]
    config = yaml.safe_load(finished_run.config.read_text())
    assert config["image"]["pad"] == [2, 2]
    assert config["provenance"]["image.pad"].startswith("chosen automatically")
    assert json.loads(finished_run.figures.read_text())["split"] == "test"


def test_bundle_holds_the_best_weights(digits, quick, tmp_path):
    run = train(quick(digits, epochs=3), name="r", runs=tmp_path)
    with safe_open(run.best, "pt") as file:
        history = json.loads(file.metadata()["neocog"])["state"]["history"]
    accuracies = [float(row["val_accuracy"]) for row in csv.DictReader(run.results.read_text().splitlines())]
    assert len(history) - 1 == accuracies.index(max(accuracies))
    best = load_file(run.best)
    weights = neocog.load(run.bundle).model.state_dict()
    assert all((best[f"model/{key}"] == value).all() for key, value in weights.items())


def test_evaluate_repeats_the_figures_of_the_run(finished_run, digits):
    assert evaluate(finished_run.bundle, digits).to_json() == json.loads(
        json.dumps(finished_run.evaluation.to_json())
    ) | {"classes": finished_run.evaluation.classes}
    assert evaluate(finished_run.bundle, digits, split="train").count == 900
    assert evaluate(finished_run.bundle, digits, split="all").count == 1300
    assert evaluate(finished_run.bundle, digits, split="val").count == 100  # taken from training data, and so known
    with pytest.raises(DataError, match="digits has no split 'dev'. Choose one of train, test, all, val"):
        evaluate(finished_run.bundle, digits, split="dev")


def test_evaluate_scores_the_held_out_test_samples_of_a_set_without_splits(pictures, quick, tmp_path, capsys):
    config = quick(pictures, epochs=1, batch_size=8)
    config = replace(config, data=replace(config.data, val_fraction=0.2))
    run = train(config, name="r", runs=tmp_path)
    again = evaluate(run.bundle, pictures)
    assert again.count == run.evaluation.count == 6
    assert again.top1 == run.evaluation.top1
    assert "the part that was kept for testing is evaluated" in capsys.readouterr().err
    copy = shutil.copytree(pictures, pictures.parent / "more")
    shutil.copy(copy / "red" / "00.png", copy / "red" / "extra.png")
    assert evaluate(run.bundle, copy).count == 37


def test_evaluate_matches_classes_by_name(pictures, quick, tmp_path, draw, capsys):
    run = train(quick(pictures, epochs=1, batch_size=8), name="r", runs=tmp_path)
    draw(tmp_path / "few", {"red": (200, 30, 30), "green": (30, 200, 30)}, count=4)
    few = evaluate(run.bundle, tmp_path / "few")
    assert [row.support for row in few.per_class] == [0, 4, 4]
    assert "few has no samples of blue" in capsys.readouterr().err
    draw(tmp_path / "other", {"red": (200, 30, 30), "pink": (250, 150, 150)}, count=4)
    with pytest.raises(DataError, match="trained on: blue, green, red. other: received pink as well"):
        evaluate(run.bundle, tmp_path / "other")


def test_evaluate_scores_data_with_some_of_the_classes(finished_run, tmp_path, digits):
    source = open_source(digits)
    few = np.flatnonzero(np.isin(source.targets, [3, 7]))
    np.savez(tmp_path / "few.npz", x=source.pictures(few), y=source.targets[few])
    assert evaluate(finished_run.bundle, tmp_path / "few.npz").count == len(few)


def test_run_names_are_numbered_and_checked(tmp_path):
    assert Run.create(tmp_path, None, "a-b").path.name == "a-b-1"
    assert Run.create(tmp_path, None, "a-b").path.name == "a-b-2"
    with pytest.raises(RunError, match=r"a-b-1 exists. Choose another --name, or resume it: neocog train --resume"):
        Run.create(tmp_path, "a-b-1", "")
    for name in ("../x", "", "a/b", ".."):
        with pytest.raises(RunError, match="single folder name"):
            Run.create(tmp_path, name, "")


def test_resume_refuses_finished_and_unknown_runs(finished_run, tmp_path):
    with pytest.raises(
        RunError, match=r"A finished run has nothing left to resume\. Found in .*finished, whose report is"
    ):
        resume(finished_run.path)
    with pytest.raises(RunError, match="absent is not a run folder.*There are no runs"):
        resume("absent", runs=tmp_path)
    shutil.copytree(finished_run.path, tmp_path / "known")
    with pytest.raises(RunError, match="Runs here: known"):
        resume("knwon", runs=tmp_path)


def unfinished(finished_run, tmp_path):
    run = Run(shutil.copytree(finished_run.path, tmp_path / "again"))
    run.figures.unlink()
    return run


def test_resume_of_a_finished_training_only_measures_again(finished_run, tmp_path):
    run = unfinished(finished_run, tmp_path)
    assert resume(run.path).evaluation.to_json() == finished_run.evaluation.to_json()
    assert run.bundle.read_bytes() == finished_run.bundle.read_bytes()


def test_resume_without_checkpoints_trains_from_the_start(finished_run, tmp_path):
    run = unfinished(finished_run, tmp_path)
    for path in run.last.parent.glob("*.safetensors"):
        path.unlink()
    resume(run.path)
    assert run.bundle.read_bytes() == finished_run.bundle.read_bytes()


def test_resume_without_the_last_checkpoint_uses_an_earlier_one(finished_run, tmp_path):
    run = unfinished(finished_run, tmp_path)
    run.last.unlink()
    resume(run.path)
    assert run.bundle.read_bytes() == finished_run.bundle.read_bytes()


def test_resume_with_a_truncated_checkpoint_uses_the_one_before(finished_run, tmp_path, capsys):
    run = unfinished(finished_run, tmp_path)
    run.last.write_bytes(run.last.read_bytes()[:1000])
    resume(run.path)
    assert re.search(r"last\.safetensors .*truncated", capsys.readouterr().err)
    assert run.bundle.read_bytes() == finished_run.bundle.read_bytes()


def test_resume_refuses_a_checkpoint_of_another_network(finished_run, tmp_path):
    run = unfinished(finished_run, tmp_path)
    run.config.write_text(run.config.read_text().replace("lenet5_relu", "lenet5").replace("  dropout: null\n", ""))
    with pytest.raises(CheckpointError, match="belongs to another network"):
        resume(run.path)


def test_resume_refuses_changed_data(finished_run, tmp_path, digits):
    run = unfinished(finished_run, tmp_path)
    changed = tmp_path / "digits.npz"
    with np.load(digits) as archive:
        arrays = dict(archive)
    arrays["y_train"] = arrays["y_train"][::-1]
    np.savez(changed, **arrays)
    run.config.write_text(run.config.read_text().replace(str(digits), str(changed)))
    with pytest.raises(CheckpointError, match="began with other samples or labels"):
        resume(run.path)


def test_resume_refuses_changed_settings(finished_run, tmp_path):
    run = unfinished(finished_run, tmp_path)
    run.config.write_text(run.config.read_text().replace("epochs: 2", "epochs: 3"))
    with pytest.raises(CheckpointError, match=r"settings it began with. .*config\.yaml was changed since"):
        resume(run.path)
    run.config.write_text("provenance: [1]\n")
    with pytest.raises(ConfigError, match="provenance maps settings to where they came from"):
        resume(run.path)


def test_resume_names_lost_best_weights_at_once(finished_run, tmp_path):
    run = unfinished(finished_run, tmp_path)
    run.best.write_bytes(b"")
    with pytest.raises(
        CheckpointError, match=r"The best weights so far, those of epoch \d, are lost.*Remove .*checkpoints"
    ):
        resume(run.path)
    shutil.rmtree(run.best.parent)
    resume(run.path)
    assert run.bundle.read_bytes() == finished_run.bundle.read_bytes()


def test_resume_completes_results_after_a_kill(finished_run, tmp_path):
    run = unfinished(finished_run, tmp_path)
    run.results.write_text("".join(run.results.read_text().splitlines(keepends=True)[:2]))
    resume(run.path)
    assert run.results.read_text() == finished_run.results.read_text()


def test_train_finds_a_broken_test_image_before_training(tmp_path, draw, quick):
    for split in ("train", "val", "test"):
        draw(tmp_path / "d" / split, {"a": (200, 30, 30), "b": (30, 30, 200)}, count=4)
    (tmp_path / "d" / "test" / "b" / "02.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"test/b/02\.png: received a file that is not an image"):
        train(quick(tmp_path / "d"), runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_train_without_a_test_split_scores_validation_and_says_so(tmp_path, draw, quick, capsys):
    for split in ("train", "val"):
        draw(tmp_path / "d" / split, {"a": (200, 30, 30), "b": (30, 30, 200)}, count=4)
    run = train(quick(tmp_path / "d", epochs=1), name="r", runs=tmp_path / "runs")
    assert run.evaluation.split == "validation"
    assert evaluate(run.bundle, tmp_path / "d").count == 8
    assert "There is no test split, so the validation split is evaluated" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "d" / "val")
    assert evaluate(run.bundle, tmp_path / "d").count == 8
    assert "There is no test or validation split, so all samples are evaluated" in capsys.readouterr().err


def test_diverged_run_is_logged(digits, quick, tmp_path):
    config = quick(digits, epochs=1, batch_size=1000)
    wild = replace(config.optimizer, lr=1e38, weight_decay=0.0)
    with pytest.raises(DivergenceError, match="The loss became"):
        train(replace(config, optimizer=wild), name="r", runs=tmp_path)
    assert "diverged" in (tmp_path / "r" / "events.jsonl").read_text()
    assert not (tmp_path / "r" / "model.neocog").exists()


def test_early_stopping_is_reported(digits, quick, tmp_path, capsys):
    run = train(quick(digits, epochs=4, patience=1, min_delta=1.0), name="r", runs=tmp_path)
    assert "No improvement for 1 epochs: stopped early." in capsys.readouterr().err
    assert "stopped early" in run.report.read_text()


def test_config_keeps_the_device_that_was_found(finished_run):
    config = yaml.safe_load(finished_run.config.read_text())
    assert config["train"]["device"] == "cpu"
    assert config["provenance"]["train.device"] == "chosen automatically: there is no GPU"


def test_resume_refuses_a_run_in_use(finished_run, tmp_path):
    run = unfinished(finished_run, tmp_path)
    with folder_lock(run.path), pytest.raises(RunError, match="one process at a time"):
        resume(run.path)


def test_bad_input_leaves_no_run_folder(digits, quick, tmp_path, pictures):
    runs = tmp_path / "runs"
    config = quick(digits)
    with pytest.raises(GeometryError, match=r"1x28x28 does not fit.*made for 32x32"):
        train(replace(config, image=replace(config.image, size=(28, 28))), runs=runs)
    with pytest.raises(ConfigError, match=r"data\.val_fraction .* would be ignored.*brings its own splits"):
        resolved = resolve(
            quick(own_splits(digits, tmp_path)), Provenance(SetBy.RECIPE), [(FLAG, {"data.val_fraction": 0.2})]
        )
        train(resolved, runs=runs)
    with pytest.raises(ConfigError, match=r"must be a device of this machine that computes\. Received: 'cuda:99' \("):
        train(quick(digits, device="cuda:99"), runs=runs)
    (pictures / "red" / "00.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"red/00\.png: received 0 bytes"):
        train(quick(pictures), runs=runs)
    assert not runs.exists()


def own_splits(digits, folder):
    with np.load(digits) as archive:
        arrays = dict(archive)
    path = folder / "own.npz"
    np.savez(path, **arrays, x_val=arrays["x_test"], y_val=arrays["y_test"])
    return path


def test_train_refuses_a_shift_as_large_as_the_image(digits, quick, tmp_path):
    config = quick(digits)
    with pytest.raises(
        ConfigError, match=r"augment\.shift must be smaller than the images. Received: 32 for images of 32x32"
    ):
        train(replace(config, augment=replace(config.augment, shift=32)), runs=tmp_path / "runs")


def test_resume_reports_another_number_of_threads(finished_run, tmp_path, monkeypatch, capsys):
    import torch

    run = unfinished(finished_run, tmp_path)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    resume(run.path)
    assert "resumes with 99: sums are computed in another order" in " ".join(capsys.readouterr().err.split())


def test_full_disk_at_the_start_leaves_no_run_folder(digits, quick, tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"config\.yaml could not be written: No space left"):
        train(quick(digits), name="r", runs=tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []


def test_second_ctrl_c_names_the_resume_command(finished_run, tmp_path, monkeypatch):
    def leave(*_, **__):
        raise KeyboardInterrupt

    run = unfinished(finished_run, tmp_path)
    monkeypatch.setattr("neocog.runs.train_run.finish", leave)
    with pytest.raises(
        Interrupted, match=f"Stopped at once. Resume from the last checkpoint with: .* --resume {run.path}"
    ):
        resume(run.path)


def test_train_never_writes_to_the_data(pictures, quick, tmp_path):
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in pictures.rglob("*") if p.is_file()}
    run = train(quick(pictures, epochs=1, batch_size=8), name="r", runs=tmp_path / "runs")
    evaluate(run.bundle, pictures)
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in pictures.rglob("*") if p.is_file()} == before


def test_resume_after_ctrl_c_gives_the_same_bits(digits, tmp_path, capsys):
    flags = ["--epochs", "6", "--train.batch_size", "50", "--train.checkpoint_seconds", "0", "--runs", str(tmp_path)]
    command = ["train", str(digits), *flags, "--name"]
    assert main([*command, "whole"]) == 0
    process = subprocess.Popen([sys.executable, "-m", "neocog", *command, "stopped"], stderr=subprocess.PIPE, text=True)
    results = tmp_path / "stopped" / "results.csv"
    deadline = time.monotonic() + 60
    while not results.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopping after this step and saving" in errors
    assert f"saved. Resume with: neocog train --resume {tmp_path / 'stopped'}" in errors
    assert main(["train", "--resume", "stopped", "--runs", str(tmp_path)]) == 0
    assert "Resuming after step" in capsys.readouterr().err
    whole, stopped = (load_file(tmp_path / name / "checkpoints" / "last.safetensors") for name in ("whole", "stopped"))
    assert whole.keys() == stopped.keys()
    assert all((whole[key] == stopped[key]).all() for key in whole)


def test_recipe_gives_a_config_in_python():
    config = neocog.recipe("lenet5", data="mnist")
    assert isinstance(config, RunConfig)
    assert config.data.source == "mnist"


def test_train_resumes_after_a_restart_by_torchrun(finished_run, digits, quick, tmp_path, monkeypatch, capsys):
    run = unfinished(finished_run, tmp_path)
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    train(quick(digits), name=run.path.name, runs=run.path.parent)
    assert "exists: resuming from its last checkpoint" in capsys.readouterr().err
    assert run.bundle.read_bytes() == finished_run.bundle.read_bytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"accumulate": 51}, "accumulate must be at most train.batch_size. Received: 51 parts of a batch of 50"),
        (
            {"bf16_gradients": True},
            "must have an effect. Received: train.bf16_gradients, which a single process ignores",
        ),
        (
            {"sync_batch_norm": False},
            "must have an effect. Received: train.sync_batch_norm, which a single process ignores",
        ),
        ({"freeze_epochs": 1}, "freeze_epochs needs pretrained weights. Received: 1, without model.pretrained"),
    ],
)
def test_train_refuses_settings_without_effect(digits, quick, tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        train(quick(digits, **settings), runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_repeats_need_augmentation(digits, quick, tmp_path):
    config = quick(digits, epochs=2)
    config = replace(config, data=replace(config.data, repeats=3))
    with pytest.raises(
        ConfigError, match=r"data\.repeats needs augmentation: .* Received: repeats=3, and no augmentation"
    ):
        train(replace(config, augment=AugmentConfig()), runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    assert train(replace(config, augment=AugmentConfig(shift=1, mixup=0.2)), runs=tmp_path / "runs").finished


def test_tta_needs_images(tmp_path):
    generator = np.random.default_rng(0)
    np.savez(tmp_path / "waves.npz", x=generator.normal(size=(40, 1, 32)).astype("f4"), y=np.arange(40) % 2)
    config = recipe("signal", str(tmp_path / "waves.npz"))
    config = replace(config, train=replace(config.train, tta="flip"))
    with pytest.raises(
        ConfigError, match=r"train\.tta \(test-time augmentation\) needs images\. waves: received 'flip', for signals"
    ):
        train(config, runs=tmp_path / "runs")


def test_tta_accuracy_is_reported(digits, quick, tmp_path, capsys):
    run = train(quick(digits, tta="shift", epochs=1), runs=tmp_path)
    assert re.search(r"test accuracy [0-9.]+% with test-time augmentation .shift.", capsys.readouterr().err)
    assert "accuracy with shift" in run.events.read_text()
