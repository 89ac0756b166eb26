"""A search that is stopped at any moment resumes where it was, and ends with the weights of one that was not.

Without a clock, and with the decisions that depend on measured times in the journal, a search has no other freedom.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import neocog
from neocog import verbs
from neocog.auto import search
from neocog.auto.journal import read_journal
from neocog.errors import CheckpointError, RunError
from neocog.recipes import resolve_config
from neocog.runs import Run
from neocog.runs.checkpoints import RunCheckpointer
from neocog.training import Interrupted
from neocog.training.monitoring import read_events

FIXED = ("look", "weights", "paces", "seconds", "race", "finalists", "choice")
SETTINGS = {"train.epochs": 3}


def begin(data, path):
    """A folder as `auto.train` makes it."""
    run = Run(path)
    run.path.mkdir(parents=True)
    (run.path / "checkpoints").mkdir()
    run.config.write_text(resolve_config(data)[0].to_yaml())
    return run


def start_from(journal, data, path):
    """A run whose journal has the decisions of another search."""
    run = begin(data, path)
    (run.path / "search").mkdir()
    steps = {name: journal["steps"][name] for name in FIXED}
    # Enough time for each candidate and trial, however busy the machine is.
    steps |= {"seconds": 600.0, "race": {**steps["race"], "first": 60.0, "second": 61.0}}
    (run.path / "search/journal.json").write_text(json.dumps({"seconds": 1.0, "steps": steps}))
    return run


def without_clock(patch):
    """As many epochs as the recipe says, whatever the time."""
    patch(search, "available", lambda _name: None)
    patch(neocog.runs.train_run, "make_clock", lambda *given, **_: None)
    patch(neocog.runs.train_run, "measure_pace", lambda *given: None)


def trials_of(run):
    return [name for name in read_journal(run.path / "search/journal.json")["steps"] if name.startswith("trial-")]


def weights_of(run):
    return neocog.load(run.bundle).model.state_dict()


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture
def journal(searched):
    return read_journal(searched.path / "search/journal.json")


@pytest.fixture
def whole(journal, spots, tmp_path, monkeypatch):
    """The run that is never stopped."""
    without_clock(monkeypatch.setattr)
    return verbs.resume(start_from(journal, spots, tmp_path / "whole").path)


def test_search_that_was_killed_again_and_again_ends_with_the_same_weights(whole, journal, spots, tmp_path):
    run = start_from(journal, spots, tmp_path / "killed")
    started = []
    for place in ("trial", "choice", "training", "finish"):
        command = [sys.executable, __file__, str(run.path), place]
        killed = subprocess.run(command, env=os.environ, capture_output=True, timeout=300, text=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        started.append(trials_of(run))
        assert not run.finished
    assert len(started[0]) == 1 and len(started[1]) > 1
    resumed = verbs.resume(run.path)
    assert resumed.finished and equal(weights_of(resumed), weights_of(whole))
    assert '<section id="search">' in resumed.report.read_text()
    assert trials_of(resumed) == trials_of(whole) == started[1]


class Killed(BaseException):
    """What no program catches."""


def stop(*_, **__):
    raise Killed


@pytest.mark.parametrize(
    "place",
    ["neocog.auto.search.gather_facts", "neocog.auto.entrants.time_all", "neocog.auto.race.run_trial",
     "neocog.auto.race.choose_finalists", "neocog.auto.search.decide", "neocog.auto.search.prepare",
     "neocog.auto.search.carry_out", "neocog.runs.train_run.finish"],
)  # fmt: skip
def test_search_resumes_from_each_of_its_phases(search_for, spots, tmp_path, monkeypatch, place):
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(place, stop)
        search_for(spots, name="r")
    run = Run(tmp_path / "runs/r")
    assert verbs.resume(run.path).finished
    kept = read_events(run.events, "search")
    assert len(kept) == 1
    assert '<section id="search">' in run.report.read_text()
    with pytest.raises(RunError, match="A finished run has nothing left to resume"):
        verbs.resume(run.path)


def test_finished_trials_are_not_run_again(search_for, spots, tmp_path, monkeypatch):
    from neocog.auto import race

    real, calls = race.run_trial, []

    def counted(candidate, place, rung, *given, **named):
        calls.append((place, rung))
        if len(calls) == 2:
            raise Killed
        return real(candidate, place, rung, *given, **named)

    monkeypatch.setattr(race, "run_trial", counted)
    with pytest.raises(Killed):
        search_for(spots, name="r")
    verbs.resume(tmp_path / "runs/r")
    assert calls[1] == calls[2] and len(calls) == len(set(calls)) + 1


def test_trial_that_was_killed_resumes_from_its_checkpoint(search_for, spots, tmp_path, monkeypatch):
    """By the clock, which may now give it another number of epochs."""
    plan = {"entrants": 2, "first": 1.5, "second": 0.0, "left": 1.0}
    monkeypatch.setattr("neocog.auto.race.Race.plan", lambda race: plan)
    real, calls = RunCheckpointer.epoch_done, []

    def die_in_the_second_epoch(self, training, *, best):
        real(self, training, best=best)
        calls.append(training.state.step)
        if len(calls) == 2:
            assert self.run.path.name == "trial-1-0"
            self.background.wait()
            raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(RunCheckpointer, "epoch_done", die_in_the_second_epoch)
        search_for(spots, name="r")
    run = verbs.resume(tmp_path / "runs/r")
    steps = read_journal(run.path / "search/journal.json")["steps"]
    assert steps["trial-1-0"]["error"] == "" and len(steps["trial-1-0"]["history"]) >= 2
    rows = (run.path / "search/trial-1-0/results.csv").read_text().splitlines()
    assert len(rows) == 1 + len(steps["trial-1-0"]["history"])


@pytest.mark.parametrize("epoch", [2, 10_000])
def test_first_interrupt_leaves_the_best_network_so_far(search_for, spots, tmp_path, monkeypatch, capsys, epoch):
    """A signal in the second trial, or in the first, before any network is whole."""
    real = RunCheckpointer.epoch_done

    def interrupt(self, training, *, best):
        real(self, training, best=best)
        if self.run.path.name == ("trial-1-1" if epoch == 2 else "trial-1-0"):
            signal.raise_signal(signal.SIGINT)

    run, before = Run(tmp_path / "runs/r"), signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patched, pytest.raises(Interrupted) as caught:
            patched.setattr(RunCheckpointer, "epoch_done", interrupt)
            search_for(spots, name="r")
    finally:
        signal.signal(signal.SIGINT, before)
    command = f"Resume with: neocog train --resume {run.path}"
    if epoch == 2:
        best = f" The best network so far is {run.bundle}."
        assert str(caught.value) == f"Stopped in the search; saved.{best} {command}"
        found = neocog.load(run.bundle)
        assert found.manifest["unfinished"].startswith("speednet, narrow, 16x16, a trial of ")
        assert found.manifest["evaluation"]["split"] == "validation"
        assert "accuracy" in found.manifest["evaluation"]
    else:
        assert str(caught.value) == f"Stopped in the search; saved. {command}"
        assert not run.bundle.exists()
    assert caught.value.signum == signal.SIGINT
    assert verbs.resume(run.path).finished
    assert "unfinished" not in neocog.load(run.bundle).manifest


def test_interrupt_while_looking_names_the_command(search_for, spots, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with (
        monkeypatch.context() as patched,
        pytest.raises(Interrupted, match="Stopped in the search; saved. Resume with"),
    ):
        patched.setattr("neocog.auto.search.gather_facts", interrupted)
        search_for(spots, name="r")
    assert verbs.resume(tmp_path / "runs/r").finished


def test_time_of_stopped_processes_counts_once(search_for, spots, tmp_path, monkeypatch):
    """The seconds in the journal are those before this process began, not those that it added."""
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("neocog.auto.race.choose_finalists", stop)
        search_for(spots, name="r")
    path = tmp_path / "runs/r/search/journal.json"
    before, given = read_journal(path)["seconds"], {}
    real = search.carry_out
    monkeypatch.setattr(search, "carry_out", lambda *a, **named: given.update(named) or real(*a, **named))
    verbs.resume(tmp_path / "runs/r")
    assert given["used"] == before < read_journal(path)["seconds"]


def test_number_of_epochs_is_not_for_a_search(search_for, spots, tmp_path, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("neocog.auto.search.gather_facts", stop)
        search_for(spots, name="r")
    run = tmp_path / "runs/r"
    message = rf"A search has no number of epochs\. {run}: received --epochs 9\. Resume it without, and extend the run"
    with pytest.raises(RunError, match=message):
        verbs.resume(run, epochs=9)


@pytest.mark.parametrize("when", ["search", "training"])
def test_damaged_journal_is_an_error(searched, search_for, spots, tmp_path, monkeypatch, when):
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("neocog.auto.race.run_trial" if when == "search" else "neocog.auto.search.carry_out", stop)
        search_for(spots, name="r")
    (tmp_path / "runs/r/search/journal.json").write_text("{")
    with pytest.raises(CheckpointError, match="The journal of the search is damaged"):
        verbs.resume(tmp_path / "runs/r")


def test_run_whose_search_folder_is_gone_resumes_its_training(search_for, spots, tmp_path, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("neocog.auto.search.carry_out", stop)
        search_for(spots, name="r")
    shutil.rmtree(tmp_path / "runs/r/search")
    assert verbs.resume(tmp_path / "runs/r").finished


def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def main(path, place):
    """Resume the run, until the process kills itself at a place."""
    without_clock(setattr)
    done = RunCheckpointer.epoch_done

    def kill_in(folder, epoch):
        def epoch_done(self, training, *, best):
            done(self, training, best=best)
            if self.run.path.name == folder and len(training.state.history) == epoch:
                kill()

        RunCheckpointer.epoch_done = epoch_done

    if place == "trial":
        kill_in("trial-1-1", 2)
    elif place == "choice":
        search.prepare = kill
    elif place == "training":
        kill_in(Path(path).name, 4)
    elif place == "finish":
        neocog.runs.train_run.finish = kill
    verbs.resume(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
