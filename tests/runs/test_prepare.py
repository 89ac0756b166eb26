"""What a run does once: open each file, plan the network; and how validation agrees with evaluation."""

import csv
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from neocog import evaluate, recipe, train
from neocog.runs.config import as_resolved
from neocog.runs.prepare import prepare
from neocog.runs.session import session
from neocog.training.distributed import World

OPENED: list[Counter] = []
"""Where to count the files that are opened, if anywhere."""


def note_open(event, arguments):
    if OPENED and event == "open" and isinstance(arguments[0], str | Path):
        OPENED[0][str(arguments[0])] += 1


@pytest.fixture(scope="module")
def hook():
    sys.addaudithook(note_open)  # there is no way to remove one


@contextmanager
def count_opened():
    """How often each file is opened within the block, by path."""
    OPENED[:] = [Counter()]
    try:
        yield OPENED[0]
    finally:
        OPENED.clear()


def tones(folder):
    for name, pitch in (("high", 1500), ("low", 200)):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            wave = 0.4 * np.sin(2 * np.pi * (pitch + 20 * i) * np.arange(2000) / 8000)
            soundfile.write(folder / name / f"{i}.wav", wave, 8000)
    return folder


def reviews(folder):
    for name, words in (("good", "a fine film"), ("bad", "a dull film")):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            (folder / name / f"{i}.txt").write_text(f"{words}, number {i}")
    return folder


def short(config):
    """Two epochs at a rate at which nothing is learned, so that the report shows mistakes."""
    train = replace(config.train, epochs=2, batch_size=8, device="cpu")
    return replace(config, train=train, optimizer=replace(config.optimizer, lr=1e-12))


@pytest.mark.usefixtures("hook")
@pytest.mark.parametrize("kind", ["image", "sound", "text"])
def test_run_opens_each_file_once_from_start_to_report(kind, pictures, tmp_path):
    folder = {"image": lambda _: pictures, "sound": tones, "text": reviews}[kind](tmp_path / kind)
    base = {"image": "lenet5_relu", "sound": "sound", "text": "text"}[kind]
    with count_opened() as opened:
        run = train(short(recipe(base, str(folder))), runs=tmp_path / "runs")
    assert run.finished and run.evaluation.mistakes
    files = [str(path) for path in folder.rglob("*") if path.is_file()]
    assert {path: opened[path] for path in files} == dict.fromkeys(files, 1)


@pytest.mark.usefixtures("hook")
def test_run_without_memory_for_payloads_opens_files_again(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("neocog.runs.prepare.memory_budget", lambda source: 0)
    with count_opened() as opened:
        assert train(short(recipe("lenet5_relu", str(pictures))), runs=tmp_path / "runs").finished
    counts = [opened[str(path)] for path in pictures.rglob("*.png")]
    assert counts.count(2) >= 27 and min(counts) == 1  # those of training are surveyed, then decoded


def test_run_plans_the_network_once(digits, quick, tmp_path, monkeypatch):
    planning = sys.modules["neocog.planning.plan"]
    calls, plain = [], planning.trace
    monkeypatch.setattr(planning, "trace", lambda *args, **named: calls.append(1) or plain(*args, **named))
    train(quick(digits, epochs=1), runs=tmp_path)
    assert len(calls) == 1


def test_prepare_carries_plan_and_loader(digits, quick):
    resolved = as_resolved(quick(digits))
    with session(resolved.config, single_process=True) as world:
        prepared = prepare(resolved, world)
    assert prepared.plan.parameters == sum(p.numel() for p in prepared.model.parameters())
    assert (prepared.loader.num_steps, len(prepared.loader.batch(0, 0)[1])) == (18, 50)
    assert prepared.loader.with_batch_size(300).num_steps == 3
    assert prepared.test is None  # arrays are in memory already


def test_prepare_keeps_decoded_test_samples_if_they_fit(pictures, quick, monkeypatch):
    resolved = as_resolved(quick(pictures))
    kept = prepare(resolved, World()).test
    assert kept is not None and len(kept) == 6
    monkeypatch.setattr("neocog.runs.data.size_in_memory", lambda count, spec: 0 if count != 6 else 10**18)
    assert prepare(resolved, World()).test is None
    assert prepare(resolved, World(rank=1)).test is None  # the first process measures


def test_validation_figures_are_those_of_evaluation(digits, quick, tmp_path):
    run = train(quick(digits, epochs=1), name="r", runs=tmp_path)
    (row,) = csv.DictReader(run.results.read_text().splitlines())
    measured = evaluate(run.bundle, digits, split="val")
    assert float(row["val_accuracy"]) == pytest.approx(measured.top1.value)
