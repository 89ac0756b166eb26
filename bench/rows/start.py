"""How long a user waits at the start: from the start of a process to its end.

Importing torch, without which nothing can be computed, takes most of that, so it is what Neocog is compared with. Each
turn starts a process; the turn before them leaves the files in the system's cache and Python's bytecode on the disk.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness import Row, Sides, seconds_of
from serve_apps.networks import draw_images, write_network

__all__ = ["ROWS"]

TORCH = "import torch"
TORCH_LATER = "torch is loaded when something of it is used first"
PREDICTED = "lenet5_relu"


def run(*arguments: str) -> str:
    """Output of a Python process with these arguments. Raises CalledProcessError if it fails."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout


def started(*arguments: str) -> Callable[[], float]:
    """A turn: seconds of a Python process with these arguments."""
    return seconds_of(lambda: run(*arguments))


def import_neocog(folder: Path) -> Iterator[Sides]:
    loads = run("-c", "import sys, neocog; print('torch' in sys.modules)").strip() == "True"
    yield Sides({"Neocog": started("-c", "import neocog")}, note="torch is loaded too" if loads else TORCH_LATER)


def show_help(folder: Path) -> Iterator[Sides]:
    assert "predict" in run("-m", "neocog", "--help")
    yield Sides({"Neocog": started("-m", "neocog", "--help")})


def predict_image(folder: Path) -> Iterator[Sides]:
    images = draw_images(PREDICTED, 8)
    predictor = write_network(folder / "model.neocog", PREDICTED, images)
    (folder / "image.png").write_bytes(images[0])
    words = ("-m", "neocog", "predict", str(folder / "model.neocog"), str(folder / "image.png"))
    best = predictor.classes[int(predictor.predict_proba([images[0]])[0].argmax())]
    assert best in run(*words), "the command must print the class that the predictor finds"
    yield Sides({"Neocog": started(*words), TORCH: started("-c", TORCH)})


def plan_network(folder: Path) -> Iterator[Sides]:
    words: Sequence[str] = ("-m", "neocog", "plan", "resnet152")
    assert "60,192,808" in run(*words), "the published number of parameters"
    yield Sides({"Neocog": started(*words), TORCH: started("-c", TORCH)})


ROWS = (
    Row("start-import", "start", "`import neocog`, a process", "s", "less", import_neocog, limit=0.3),
    Row("start-help", "start", "`neocog --help`, a process", "s", "less", show_help, limit=0.5),
    Row("start-predict", "start", "`neocog predict` of one image (LeNet-5 with ReLU), a process", "s", "less",
        predict_image, target=1 / 1.5, limit=1.5, bound=True),
    Row("start-plan", "start", "`neocog plan resnet152`, a process", "s", "less", plan_network, bound=True),
)  # fmt: skip
