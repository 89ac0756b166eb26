"""Compare the time to reach an accuracy: the recipe `fast`, and the recipes that users start from.

    python bench/time_to_accuracy.py mnist [--seeds 10] [--limit 900] [--only pytorch]
    python bench/time_to_accuracy.py cifar10 [--seeds 3] [--limit 900]

Neocog runs as a user would run it, `neocog train DATA --recipe fast`, each time with a new seed and without cached
measurements. Its seconds are from the start of the process to the printed test accuracy. For MNIST a second setting,
`--train.epochs 7`, aims at the last tenths of a per cent.

The other recipes follow their documentation; published_recipes.py has them: `pytorch` and, if it is installed, `keras`
for MNIST; `tutorial` and `resnet18` for CIFAR-10.
They get normalised images as tensors in memory, so their seconds begin with the first step. They are scored on the test
data after each epoch, which doesn't count as time. A recipe that exceeds the limit is stopped, and the time to its end
is extrapolated.
"""

import argparse
import importlib.util
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import torch

from neocog.data import find_data
from published_recipes import EPOCHS, RECIPES, Deadline, Images, Recipe, load_images

NEOCOG = [sys.executable, "-m", "neocog"]


class Setting(NamedTuple):
    """One way to run the recipe, with its targets."""

    arguments: tuple[str, ...]
    seeds: int
    accuracy: float = 0.0
    seconds: float = math.inf
    with_tta: bool = False
    """Whether the accuracy is the one with test-time augmentation."""


SETTINGS = {
    "mnist": {
        "neocog fast, 1 epoch": Setting(("--train.epochs", "1"), 10, 0.990, 10.0),
        "neocog fast, 7 epochs": Setting(("--train.epochs", "7"), 10, 0.995, 40.0),
    },
    "cifar10": {
        "neocog fast, 1 epoch": Setting(("--train.epochs", "1"), 1, with_tta=True),
        "neocog fast": Setting((), 3, 0.940, 780.0, with_tta=True),
    },
}


OTHERS = {"mnist": ("pytorch", "keras"), "cifar10": ("tutorial", "resnet18")}


class Result(NamedTuple):
    """The result of one run of Neocog."""

    seconds: float
    accuracy: float
    with_tta: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=SETTINGS)
    parser.add_argument("--seeds", type=int, help="number of runs of Neocog; by default 10 for mnist, 3 for cifar10")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds after which the other recipes are stopped")
    parser.add_argument("--only", help="measure only this row, such as pytorch")
    given = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}", flush=True
    )
    reached = {}
    for name, setting in SETTINGS[given.data].items():
        if given.only in (None, name):
            results = [neocog(given.data, seed, setting) for seed in range(given.seeds or setting.seeds)]
            reached[name] = show_neocog(name, setting, results)
    for name in OTHERS[given.data]:
        if given.only in (None, name):
            show_recipe(name, RECIPES[name], load_images(find_data(given.data)), given.limit, reached)


def neocog(data: str, seed: int, setting: Setting) -> Result:
    """Run the command line once in an empty folder, and time it until the test accuracy is printed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [*NEOCOG, "train", data, "--recipe", "fast", "--train.seed", str(seed), *setting.arguments]
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "NEOCOG_CACHE": folder},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        found = [
            (time.perf_counter() - began, float(percent[1]) / 100)
            for line in process.stdout
            if (percent := re.match(r"test accuracy ([\d.]+)%", line))  # first without TTA, then with it
        ]
        if process.wait() or not found:
            raise SystemExit(f"{' '.join(command)} failed")
    return Result(found[-1 if setting.with_tta else 0][0], found[0][1], found[-1][1])


def show_neocog(name: str, setting: Setting, results: list[Result]) -> tuple[float, float]:
    """Print the means; returns mean accuracy and mean seconds."""
    seconds, accuracy, tta = (statistics.mean(column) for column in zip(*results, strict=True))
    spread = statistics.stdev(result.accuracy for result in results) if len(results) > 1 else math.nan
    print(
        f"{name:<24}{accuracy:>8.2%} (standard deviation {spread:.2%}, {len(results)} seeds), {tta:.2%} with TTA"
        f"{seconds:>9.1f} s on average, {max(result.seconds for result in results):.1f} s at most",
        flush=True,
    )
    figure = tta if setting.with_tta else accuracy
    if setting.accuracy:
        verdict = "met" if figure >= setting.accuracy and seconds <= setting.seconds else "missed"
        print(f"{'':<24}target {setting.accuracy:.1%} in {setting.seconds:g} s: {verdict}", flush=True)
    return figure, seconds


def show_recipe(
    name: str,
    recipe: Recipe,
    data: Images,
    limit: float,
    reached: dict[str, tuple[float, float]],
) -> None:
    """Run a recipe to its end or the limit, and print when it reached Neocog's accuracies."""
    if name == "keras" and not importlib.util.find_spec("keras"):
        print(f"{name:<24}not measured: keras is not installed")
        return
    torch.manual_seed(0)
    points = []
    for point in recipe(data, Deadline(math.inf)):
        points.append(point)
        print(f"{name:<24}{point.accuracy:>8.2%} after {point.epochs:.2f} epochs, {point.seconds:,.1f} s", flush=True)
        if point.seconds > limit:
            break
    last, num_epochs = points[-1], EPOCHS[name]
    whole = last.seconds / last.epochs * num_epochs
    text = "at its end" if last.epochs >= num_epochs else f"stopped; its {num_epochs} epochs take {whole:,.0f} s"
    print(f"{'':<24}{text}", flush=True)
    for whose, (accuracy, seconds) in reached.items():
        first = next((point.seconds for point in points if point.accuracy >= accuracy), None)
        against = f"after {first:,.1f} s, {first / seconds:.1f} times as long" if first else "not reached"
        print(f"{'':<24}{accuracy:.2%}, which {whose} reached in {seconds:.1f} s: {against}", flush=True)


if __name__ == "__main__":
    main()
