"""MNIST in eight seconds: from the start of a process to its printed test accuracy.

Neocog runs as a user would run it, `neocog train mnist --recipe fast --epochs 1`, in an empty folder, without cached
measurements, and with another seed in each turn. The first row counts its seconds. The second counts its accuracy, and
that of two recipes that users start from, when each gets as many seconds as Neocog took in its last turn: PyTorch's
MNIST example and Keras's convnet, as published_recipes.py has them. Their own 14 and 15 epochs take minutes;
time_to_accuracy.py, which is not part of the bench, measures those, and the recipes for CIFAR-10.
"""

import importlib.util
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, median, stdev

import published_recipes
from harness import Row, Sides
from harness.row import Turn
from neocog.data import find_data
from time_to_accuracy import SETTINGS, Result, neocog

__all__ = ["ROWS"]

SETTING = SETTINGS["mnist"]["neocog fast, 1 epoch"]
SECONDS, ASKED = 8.0, 0.99


class Runs:
    """Runs of Neocog, each with the next seed."""

    def __init__(self) -> None:
        self.seeds, self.results = itertools.count(), list[Result]()
        os.environ["NEOCOG_DATA"] = str(find_data("mnist").parent)  # the run's own cache is empty

    def next(self) -> Result:
        self.results.append(neocog("mnist", next(self.seeds), SETTING))
        return self.results[-1]

    def seconds(self) -> float:
        return self.next().seconds

    def percent(self) -> float:
        return 100 * self.next().accuracy

    def note(self) -> str:
        """Accuracy and seconds of all runs."""
        accuracies, seconds = ([result[i] for result in self.results] for i in (1, 0))
        spread = f", standard deviation {stdev(accuracies):.2%}" if len(accuracies) > 1 else ""
        enough = sum(accuracy >= ASKED for accuracy in accuracies)
        return (
            f"accuracy {mean(accuracies):.2%} on average{spread}; {enough} of {len(accuracies)} reach {ASKED:.0%}; "
            f"{median(seconds):.1f} s from start to accuracy"
        )


def time_to_99(folder: Path) -> Iterator[Sides]:
    runs = Runs()
    yield Sides({"Neocog": runs.seconds}, note=runs.note)


def in_the_same_seconds(folder: Path) -> Iterator[Sides]:
    runs = Runs()
    turns: dict[str, Turn] = {"Neocog": runs.percent, "PyTorch's example": peer("pytorch", runs)}
    absent = {}
    if importlib.util.find_spec("keras"):
        turns["Keras's convnet"] = peer("keras", runs)
    else:
        absent["Keras's convnet"] = "not installed"
    yield Sides(turns, note=runs.note, absent=absent)


def peer(recipe: str, runs: Runs) -> Turn:
    """The accuracy of a recipe in the seconds of Neocog's last run; its process starts with the next seed too."""
    folder, seeds = find_data("mnist"), itertools.count()

    def turn() -> float:
        seconds = runs.results[-1].seconds if runs.results else SECONDS
        command = [sys.executable, published_recipes.__file__, recipe, str(folder)]
        command += ["--seconds", f"{seconds:.2f}", "--seed", str(next(seeds))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = re.search(r"^test accuracy ([\d.]+)%", done.stdout, re.MULTILINE)
        assert found, done.stdout
        return float(found[1])

    return turn


WORDS = "MNIST from process start to the printed test accuracy, `neocog train mnist --recipe fast --epochs 1`"
ROWS = (
    Row("mnist-seconds", "training", WORDS, "s", "less", time_to_99, limit=SECONDS, warmup=0),
    Row(
        "mnist-accuracy", "training", "test accuracy on MNIST in the seconds that Neocog takes from process start", "%",
        "more", in_the_same_seconds, target=1.0, warmup=0,
    ),
)  # fmt: skip
