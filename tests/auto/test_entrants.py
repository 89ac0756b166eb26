"""Who takes part in a search, and the search that is left out because its budget is too short for a race."""

import re

import pytest
import torch
import yaml

from neocog.auto import entrants
from neocog.auto.budget import Budget
from neocog.auto.candidate import Candidate
from neocog.auto.decide import decide
from neocog.auto.entrants import choose_entrants, time_all
from neocog.auto.facts import Facts
from neocog.auto.journal import Journal, read_journal
from neocog.auto.screen import Pace
from neocog.training.distributed import SINGLE_PROCESS

FACTS = Facts(modality="image", num_train=1000, num_test=10, num_classes=2, height=16, width=16)
TABLE = [Candidate(name, {"optimizer.lr": 0.1}) for name in ("slow", "small", "medium", "large")]
PACES = {"slow": 0.1, "small": 0.0001, "medium": 0.0002, "large": 0.0004}


@pytest.fixture
def choose(monkeypatch, tmp_path):
    """The names of those that take part within so many seconds, and the journal; timing one takes a second."""

    def choose(seconds, device="cpu"):
        now = [0.0]

        def time_candidate(candidate, facts):
            now[0] += 1.0
            return Pace(PACES[candidate.name], "fp32")

        monkeypatch.setattr(entrants, "time_candidate", time_candidate)
        journal = Journal(tmp_path / f"{seconds}-{device}.json", SINGLE_PROCESS)
        budget = Budget(seconds=seconds, began=0.0, now=lambda: now[0])
        found = choose_entrants(TABLE, FACTS, journal, budget, torch.device(device))
        return [candidate.name for candidate in found], journal

    return choose


def test_short_budget_trains_the_first_that_learns_in_time(choose):
    names, journal = choose(12.0)
    assert names == ["small"]
    assert list(journal.steps["paces"]) == ["slow", "small"]  # no other is timed
    reason = "the search is left out, as it takes 37 s or more, and 9.6 of 12 s are left for training"
    assert journal.steps["left out"] == reason
    chosen = decide(TABLE[1:2], [], 8.0, (), None, journal.steps["left out"])
    assert (chosen.name, chosen.reason) == ("small", reason)


def test_long_budget_times_all_and_has_a_race(choose):
    names, journal = choose(600.0)
    assert names == ["small", "medium", "large"] and "left out" not in journal.steps


def test_timing_ends_with_its_share_of_the_budget(choose):
    names, journal = choose(50.0)  # three seconds
    assert list(journal.steps["paces"]) == ["slow", "small", "medium"] and names == ["small", "medium"]


def test_two_candidates_are_timed_at_least(monkeypatch):
    monkeypatch.setattr(entrants, "time_candidate", lambda *_: None)
    spent = Budget(seconds=0.0, began=0.0, now=lambda: 9.0)
    assert time_all(TABLE, FACTS, spent, first=False) == {"slow": None, "small": None}


def test_gpu_needs_no_timing(choose):
    assert choose(12.0, "cuda")[0] == ["slow"] and len(choose(600.0, "cuda")[0]) == 4


def test_training_has_its_share_though_nothing_is_left():
    budget = Budget(seconds=12.0, began=0.0, now=lambda: 20.0)
    assert budget.left() < 0 and budget.for_training() == pytest.approx(3.0)


def test_run_of_a_few_seconds_ends_in_a_trained_network_and_says_why(search_for, spots, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(entrants, "shortest_race", lambda _: 37.0)
    run = search_for(spots, name="r")
    reason = r"the search is left out, as it takes \d+ s or more, and [\d.]+ of 3 s are left for training"
    said = capsys.readouterr().err
    assert re.search(rf"^chosen: speednet, narrow, 16x16: {reason}$", said, re.MULTILINE)
    assert re.fullmatch(rf"chosen automatically: {reason}", provenance(run)["model.widths"])
    steps = read_journal(run.path / "search/journal.json")["steps"]
    assert len(steps["paces"]) == 1 and not any(name.startswith("trial") for name in steps)
    assert next(iter(run.evaluation.metrics.values())).value > 0.9
    assert '<section id="search">' in run.report.read_text()


def provenance(run):
    return yaml.safe_load(run.config.read_text())["provenance"]
