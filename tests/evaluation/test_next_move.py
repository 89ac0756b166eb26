"""Accuracy by the phase of the game."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, top_k_accuracy_score

from neocog.evaluation import evaluate_moves
from neocog.modalities.go.rules import point_name

POINTS = 81
CLASSES = (*(point_name(point, 9) for point in range(POINTS)), "pass")


def predicted(count=400, seed=0):
    """Logits that are right about half of the time, moves, and their numbers."""
    draw = np.random.default_rng(seed)
    targets = draw.integers(0, POINTS + 1, count)
    targets[::10] = POINTS
    logits = draw.normal(size=(count, POINTS + 1)).astype(np.float32)
    logits[np.arange(count), targets] += draw.choice([0.0, 4.0], count)
    return logits, targets, draw.integers(1, 70, count)


def score_moves(logits, targets, numbers, classes=CLASSES):
    keys = [f"a.sgf#{number}" for number in numbers]
    return evaluate_moves(logits, targets, classes, keys, numbers, num_points=POINTS, data="games", split="test")


def test_phases_are_scored_as_scikit_learn_scores_their_samples():
    logits, targets, numbers = predicted()
    found = score_moves(logits, targets, numbers)
    places = {"opening": (1, 10), "middle game": (11, 40), "end": (41, 999)}
    assert [phase.name for phase in found.phases] == [*places, "passes"]
    for phase in found.phases:
        low, high = places.get(phase.name, (0, 0))
        rows = (numbers >= low) & (numbers <= high) & (targets < POINTS) if high else targets == POINTS
        assert phase.count == rows.sum() > 0
        assert phase.top1.value == pytest.approx(accuracy_score(targets[rows], logits[rows].argmax(axis=1)))
        five = top_k_accuracy_score(targets[rows], logits[rows], k=5, labels=range(POINTS + 1))
        assert phase.top5.value == pytest.approx(five)
        assert phase.top1.low <= phase.top1.value <= phase.top1.high
    assert sum(phase.count for phase in found.phases) == found.count == len(targets)


def test_headline_has_all_moves_and_points_alone():
    logits, targets, numbers = predicted()
    found = score_moves(logits, targets, numbers)
    names = ["accuracy", "accuracy without passes", "top-5 accuracy", "loss", "calibration error (ECE)"]
    assert list(found.metrics) == names
    points = targets < POINTS
    hits = logits.argmax(axis=1) == targets
    assert found.metrics["accuracy"].value == pytest.approx(hits.mean())
    assert found.metrics["accuracy without passes"].value == pytest.approx(hits[points].mean())
    assert found.metrics["accuracy without passes"].low < hits[points].mean()


def test_games_without_a_pass_and_samples_without_a_number():
    logits, targets, _ = predicted()
    points = targets < POINTS
    found = score_moves(logits[points, :POINTS], targets[points], np.zeros(points.sum(), int), CLASSES[:-1])
    assert [(phase.name, phase.moves) for phase in found.phases] == [("unknown", "without a number")]
    assert "accuracy without passes" not in found.metrics
    passes = score_moves(logits[~points], targets[~points], np.ones((~points).sum(), int))
    assert [phase.name for phase in passes.phases] == ["passes"] and passes.top1_points is None


def test_table_has_a_row_for_each_phase():
    table, calibration = score_moves(*predicted()).exhibits
    head, opening, *_, passes = table.rows()
    assert head == ("phase", "moves", "samples", "top-1", "95% interval", "top-5", "95% interval")
    assert opening[:2] == ("opening", "1 to 10") and passes[:2] == ("passes", "all")
    assert all(cell.endswith("%") for cell in opening[3:]) and " to " in opening[4]
    assert table.title == "By phase of the game" and calibration.title == "Calibration"


def test_phases_are_in_the_json():
    stored = score_moves(*predicted()).to_json()
    assert stored["phases"][0]["name"] == "opening" and 0 < stored["phases"][0]["top1"]["value"] < 1
    assert stored["top1_points"]["is_share"]
