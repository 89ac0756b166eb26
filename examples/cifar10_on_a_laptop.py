"""CIFAR-10 to 94% on a laptop: ten classes of small photographs, without pretrained weights.

python examples/cifar10_on_a_laptop.py    # fetches 170 MB; half an hour on two CPU cores, a minute on a GPU
"""

# %% The recipe: what it sets, and why
import sys
import tempfile
from pathlib import Path

import numpy as np

import neocog

SMALL = "--small" in sys.argv
config = neocog.recipe("fast", data="cifar10")
print(f"{config.model.name}, {config.train.epochs} epochs of batches of {config.train.batch_size}")

# %% Training. Every image is augmented as a function of seed, epoch and image, so that a run can be repeated
runs = Path(tempfile.mkdtemp()) if SMALL else Path("runs")
if SMALL:  # coloured noise, to see that the code runs
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 10
    images = (rng.integers(0, 80, (200, 32, 32, 3)) + 17 * labels[:, None, None, None]).astype(np.uint8)
    run = neocog.train((images, labels), recipe="fast", epochs=1, overrides={"data.val_fraction": 0.1}, runs=runs)
else:
    run = neocog.train("cifar10", recipe="fast", runs=runs, download=True)

# %% The figure, with the interval that ten thousand test images leave
print("test accuracy", run.evaluation.metrics["accuracy"].percent())
print("report", run.report)
