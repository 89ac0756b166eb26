"""Signals: Neocog beside ROCKET on MNIST-1D (Greydanus 2020), which the package `mnist1d` draws from a seed.

4,000 training and 1,000 test signals of length 40 in ten classes. Neocog runs as a user would run it, `neocog train
FILE --minutes 0.2`: twelve seconds from the start of the process to the test accuracy, with another seed in each turn.
Of six seconds, starting Python with torch, the test and the report take four on one core, so that less than an epoch
of training was left; twelve leave six for training.

ROCKET (Dempster, Petitjean & Webb 2020) is the strongest simple method for series of equal length: random kernels of
lengths 7, 9 and 11 with random dilation and padding, and of each the maximum and the share of positive values; then
ridge regression on standardised features, with a penalty by cross-validation. It is put together here from torch and
scikit-learn. It draws another set of kernels in each turn, as many as take about as long; the note has its seconds.
"""

import importlib
import importlib.util
import itertools
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from harness import Row, Sides
from harness.row import Turn
from neocog.cpus import num_threads

__all__ = ["ROWS", "Rocket"]

MINUTES, KERNELS, KERNEL_SIZES = 0.2, 800, (7, 9, 11)
PENALTIES = np.logspace(-3, 3, 10)


class Rocket:
    """Random kernels in groups of equal size, dilation and padding; signals (N, length) -> features (N, 2 kernels)."""

    def __init__(self, length: int, num_kernels: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.groups: dict[tuple[int, int, int], list[tuple[NDArray[np.float64], float]]] = {}
        for _ in range(num_kernels):
            size = int(rng.choice(KERNEL_SIZES))
            weight = rng.normal(size=size)
            dilation = int(2 ** rng.uniform(0, math.log2((length - 1) / (size - 1))))
            padding = (size - 1) * dilation // 2 if rng.random() < 0.5 else 0
            kernel = weight - weight.mean(), float(rng.uniform(-1, 1))
            self.groups.setdefault((size, dilation, padding), []).append(kernel)

    def __call__(self, signals: NDArray[np.float32]) -> NDArray[np.float32]:
        mean, deviation = (getattr(signals, name)(axis=1, keepdims=True) for name in ("mean", "std"))
        inputs, found = torch.from_numpy((signals - mean) / deviation)[:, None].float(), list[Tensor]()
        for (_, dilation, padding), kernels in self.groups.items():
            weight, bias = (torch.tensor(np.array(part), dtype=torch.float32) for part in zip(*kernels, strict=True))
            maps = F.conv1d(inputs, weight[:, None], bias, padding=padding, dilation=dilation)
            found += [maps.amax(dim=2), (maps > 0).float().mean(dim=2)]
        features: NDArray[np.float32] = torch.cat(found, dim=1).numpy()
        return features


def draw_signals(path: Path) -> dict[str, NDArray[Any]]:
    """Write a file that Neocog takes, and return its arrays."""
    source: Any = importlib.import_module("mnist1d.data")
    drawn = source.make_dataset(source.get_dataset_args())
    arrays = {
        "x_train": drawn["x"].astype(np.float32), "y_train": drawn["y"],
        "x_test": drawn["x_test"].astype(np.float32), "y_test": drawn["y_test"],
    }  # fmt: skip
    np.savez(path, **arrays)
    return arrays


def neocog(path: Path, folder: Path) -> Turn:
    seeds = itertools.count()

    def turn() -> float:
        seed = next(seeds)
        command = [sys.executable, "-m", "neocog", "train", str(path), "--minutes", f"{MINUTES:g}"]
        command += ["--train.seed", str(seed), "--name", f"seed{seed}"]
        environment = {**os.environ, "NEOCOG_CACHE": str(folder / f"cache{seed}")}
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        figures = json.loads((folder / f"runs/seed{seed}/evaluation.json").read_text())
        return 100 * float(figures["top1"]["value"])

    return turn


def rocket(arrays: dict[str, NDArray[Any]], seconds: list[float]) -> Turn:
    linear, pipeline, scaling = (
        importlib.import_module(f"sklearn.{name}") for name in ("linear_model", "pipeline", "preprocessing")
    )
    seeds = itertools.count()

    def turn() -> float:
        torch.set_num_threads(num_threads())
        began = time.perf_counter()
        kernels = Rocket(arrays["x_train"].shape[1], KERNELS, next(seeds))
        model = pipeline.make_pipeline(scaling.StandardScaler(), linear.RidgeClassifierCV(alphas=PENALTIES))
        model.fit(kernels(arrays["x_train"]), arrays["y_train"])
        accuracy = float(model.score(kernels(arrays["x_test"]), arrays["y_test"]))
        seconds.append(time.perf_counter() - began)
        return 100 * accuracy

    return turn


def prepare(folder: Path) -> Iterator[Sides]:
    path = folder / "signals.npz"
    arrays, seconds = draw_signals(path), list[float]()
    turns = {"Neocog": neocog(path, folder)}
    if importlib.util.find_spec("sklearn") is None:
        yield Sides(turns, absent={"ROCKET": "scikit-learn is not installed"})
        return
    turns["ROCKET"] = rocket(arrays, seconds)
    yield Sides(turns, note=lambda: f"{KERNELS:,} kernels take {median(seconds):.1f} s, without imports")


WHAT = f"test accuracy on MNIST-1D, {60 * MINUTES:g} s from process start"
ROWS = (Row("signals-mnist1d", "tasks", WHAT, "%", "more", prepare, warmup=0),)
