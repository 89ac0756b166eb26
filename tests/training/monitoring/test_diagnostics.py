import math

import pytest

from neocog.training.monitoring.diagnostics import dead_layers, overfitting, plateau, slow_data, still_improving


def rows(train, val, loss):
    return [{"train_accuracy": t, "val_accuracy": v, "val_loss": x} for t, v, x in zip(train, val, loss, strict=True)]


def test_data_is_slow_above_a_quarter_of_the_epoch():
    assert slow_data(2, seconds=100, waited=25) is None
    assert "limited by data: 26% of epoch 2 (26.0 of 100.0 s)" in (slow_data(2, seconds=100, waited=26) or "")
    assert "neocog pack" in (slow_data(2, seconds=100, waited=26) or "")
    assert slow_data(2, seconds=1, waited=0.9) is None  # nobody minds a second


def test_dead_layers_are_named():
    assert dead_layers([], [], 3) is None
    both = dead_layers(["a.relu"], ["a.conv", "a.norm"], 3) or ""
    assert "in each of 3 probed steps a.relu gave zero in every channel for every input, and a.conv, a.norm got" in both
    assert "gave zero" not in (dead_layers([], ["a.conv"], 3) or "gave zero")


PARTED = ([0.7, 0.8, 0.9, 0.98], [0.68, 0.7, 0.72, 0.73], [0.9, 0.95, 1.0, 1.2])


def test_overfitting_is_found():
    said = overfitting(rows(*PARTED)) or ""
    assert "accuracy is 98.0% on training and 73.0% on validation data" in said
    assert "loss rose from 0.900 to 1.200" in said and "augmentation" in said and "--train.patience" in said


@pytest.mark.parametrize(
    ("which", "change"),
    [
        (0, [0.69, 0.72, 0.76, 0.82]),  # the gap is 9 points
        (0, [0.7, 0.9, 0.85, 0.98]),  # it shrank once
        (2, [0.9, 0.95, 0.94, 1.2]),  # validation loss fell once
    ],
)
def test_other_curves_are_not_overfitting(which, change):
    parts = list(PARTED)
    parts[which] = change
    assert overfitting(rows(*parts)) is None
    assert overfitting(rows(*PARTED)[1:]) is None  # three epochs are two growths


def test_loss_at_the_level_of_guessing_is_a_plateau():
    guess = math.log(10)
    stuck = {"train_loss": guess * 1.002, "val_loss": guess * 0.995}
    said = plateau(stuck, 10, num_steps=100) or ""
    assert "guessing among 10 classes gives ln(10) = 2.3026" in said and "ten times higher, or ten times lower" in said
    came_down = plateau({"train_loss": guess * 1.3, "val_loss": guess}, 10, num_steps=100) or ""
    assert "Try a rate ten times lower (--optimizer.lr)" in came_down
    assert plateau(stuck, 10, num_steps=5) is None
    assert plateau({"train_loss": guess * 1.002, "val_loss": guess * 0.98}, 10, num_steps=100) is None
    assert plateau({"train_loss": guess * 0.9, "val_loss": guess}, 10, num_steps=100) is None
    assert plateau({"train_loss": 0.0, "val_loss": 0.0}, 1, num_steps=100) is None


def validated(losses, accuracies):
    return [{"val_loss": loss, "val_accuracy": share} for loss, share in zip(losses, accuracies, strict=True)]


def test_improvement_is_judged_by_loss_and_accuracy():
    said = still_improving(validated([0.9, 0.7, 0.5], [0.6, 0.7, 0.7]))
    assert said == "Still improving: the validation loss fell in each of the last 2 epochs, from 0.900 to 0.500."
    assert still_improving(validated([0.9, 0.7], [0.6, 0.7])) is None  # too few epochs to tell
    assert still_improving(validated([0.9, 0.7, 0.699], [0.6, 0.7, 0.7])) is None  # as good as still
    assert still_improving(validated([0.9, 0.95, 0.5], [0.6, 0.7, 0.7])) is None  # not each
    assert still_improving(validated([0.9, 0.7, 0.5], [0.6, 0.8, 0.7])) is None  # it was better before
    assert still_improving(validated([0.9, 0.7, 0.5], [0.6, 1.0, 1.0])) is None  # nothing to improve


def test_tasks_without_accuracy_are_judged_by_their_loss():
    rows = [{"train_mae": 1.0, "val_mae": 1.0, "val_loss": loss} for loss in (0.9, 0.8, 0.7, 0.6)]
    assert overfitting(rows) is None
    assert "0.800 to 0.600" in still_improving(rows)
