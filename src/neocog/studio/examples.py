"""Networks and runs that the lessons open, so that nothing has to be there before: drawn digits, and what learns them.

Training takes seconds and happens when a lesson asks for it; the folder is the user's cache, and may be deleted.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.bundle import Predictor, torch_backend
from neocog.errors import ConfigError, did_you_mean
from neocog.explaining.explainer import Explainer
from neocog.files import cache_dir, whole_file
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.recipes import recipe
from neocog.runs import Run, RunConfig
from neocog.studio.state import Opened, Studio
from neocog.tasks import Classification
from neocog.verbs import train
from neocog.zoo import create_model, model_info
from neocog.zoo.networks.lenet5 import digit_codes

__all__ = ["EXAMPLES", "Example", "draw_digits", "example_folder", "example_runs", "open_example"]

SIDE = 32
GLYPH = (12, 7)
VERSION = "1"  # of the drawn digits and the settings below; another one trains again
NOISE = 14  # standard deviation, of 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A network of the lessons."""

    says: str
    network: str
    epochs: int = 0
    """Of training on drawn digits; 0: its weights are random, drawn from a seed."""
    samples: int = 0
    """Training samples."""
    overrides: tuple[tuple[str, Any], ...] = ()
    """Settings by dotted key that differ from the recipe's."""

    @property
    def trained(self) -> bool:
        return self.epochs > 0


EXAMPLES = {
    "lenet-digits": Example(
        says="LeNet-5 with ReLU, trained on 3,000 drawn digits", network="lenet5_relu", epochs=6, samples=3000
    ),
    "lenet-overfits": Example(
        says="the same network on 200 digits, without augmentation, dropout or weight decay",
        network="lenet5_relu", epochs=40, samples=200,
        overrides=(("augment.shift", 0), ("optimizer.weight_decay", 0.0), ("optimizer.lr", 0.05)),
    ),
    "lenet-regularised": Example(
        says="the same 200 digits, with shifted copies, dropout and weight decay",
        network="lenet5_relu", epochs=40, samples=200,
        overrides=(("augment.shift", 3), ("model.dropout", 0.3), ("optimizer.weight_decay", 2e-3),
                   ("optimizer.lr", 0.05)),
    ),
    "resnet20": Example(says="ResNet-20 for CIFAR-10, with random weights", network="resnet20_cifar"),
    "resnet18": Example(says="ResNet-18, with random weights", network="resnet18"),
}  # fmt: skip


def example_folder() -> Path:
    """The folder of their runs."""
    return cache_dir("studio", f"examples-{VERSION}").resolve()


def example_runs() -> list[Path]:
    """The run folders of the examples that have been trained, or are being trained."""
    return [path for name in EXAMPLES if (path := example_folder() / name).is_dir()]


def draw_digits(num: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Digits of LeNet's output codes, 7 wide and 12 high, moved, turned, sheared, enlarged and noisy, bright on dark.

    Shapes: (num, 32, 32) images and (num,) labels; the same for the same seed.

    >>> images, labels = draw_digits(20, seed=0)
    >>> images.shape, sorted(set(labels.tolist()))
    ((20, 32, 32), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num) % 10
    glyphs = (digit_codes(10).reshape(10, 1, *GLYPH) > 0).float()[labels]

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(num, generator=generator)

    angle, shear, cell = draw(-0.35, 0.35), draw(-0.35, 0.35), draw(1.35, 2.1)
    squeeze, right, down = draw(0.85, 1.25), draw(-4, 4), draw(-3, 3)
    half = SIDE / 2
    columns = torch.stack([angle.cos(), angle.sin() + shear, -right / half], dim=1) / (squeeze * GLYPH[1])[:, None]
    rows = torch.stack([-angle.sin(), angle.cos(), -down / half], dim=1) / GLYPH[0]
    theta = torch.stack([columns, rows], dim=1) * (SIDE / cell)[:, None, None]
    grid = F.affine_grid(theta, [num, 1, SIDE, SIDE], align_corners=False)
    drawn = F.grid_sample(glyphs, grid, padding_mode="zeros", align_corners=False)[:, 0]
    bright = draw(150, 255)[:, None, None] * drawn + NOISE * torch.randn(num, SIDE, SIDE, generator=generator).abs()
    return bright.clamp(0, 255).round().to(torch.uint8).numpy(), labels.numpy()


def digits_file(samples: int) -> Path:
    """Drawn digits as an .npz with training, validation and test split."""
    path = example_folder() / "data" / f"digits-{samples}.npz"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        parts: dict[str, Any] = {}
        for place, (split, num) in enumerate({"train": samples, "val": 500, "test": 1000}.items()):
            parts[f"x_{split}"], parts[f"y_{split}"] = draw_digits(num, seed=1 + place)
        with whole_file(path) as file:
            np.savez(file, **parts)
    return path


def settings_of(example: Example) -> RunConfig:
    """How a trained example is trained."""
    config = recipe("lenet5_relu", str(digits_file(example.samples)))
    sections: dict[str, dict[str, Any]] = {"train": {"epochs": example.epochs, "batch_size": 64}}
    for key, value in example.overrides:
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = value
    parts = {name: replace(getattr(config, name), **values) for name, values in sections.items()}
    return replace(config, **parts)


def open_example(studio: Studio, name: str) -> Callable[[Any], str]:
    """The work that opens an example, and trains it first if that hasn't been done; gives the name of the network.

    Raises ConfigError for a name that no example has.
    """
    if name not in EXAMPLES:
        raise ConfigError(f"No example is called {name!r}. {did_you_mean(name, EXAMPLES)}")
    example = EXAMPLES[name]

    def work(job: Any) -> str:
        if name in studio.networks:
            return name
        if not example.trained:
            studio.networks[name] = untrained(name, example)
            return name
        run = Run(example_folder() / name)
        if not run.finished:
            job.progress("training", 0.0)
            train_example(run, example)
        studio.open_network(run.bundle, run.path)
        return name

    return work


def train_example(run: Run, example: Example) -> None:
    """Train an example from the start; what an earlier attempt left is removed."""
    for path in sorted(run.path.rglob("*"), reverse=True) if run.path.is_dir() else []:
        path.unlink() if path.is_file() else path.rmdir()
    if run.path.is_dir():
        run.path.rmdir()
    train(settings_of(example), name=run.path.name, runs=run.path.parent)


def untrained(name: str, example: Example) -> Opened:
    """A network of the zoo with random weights, the same each time; its classes are numbers."""
    info = model_info(example.network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = create_model(example.network)
    size = (info.input_size[0], info.input_size[1])
    spec = ImagePreprocess(size=size, channels=info.in_channels, mean=(0.5,) * info.in_channels,
                           std=(0.25,) * info.in_channels)  # fmt: skip
    task = Classification(tuple(str(k) for k in range(info.num_classes)))
    manifest = {"model": {"name": example.network}}
    predictor = Predictor(torch_backend(model.eval()), spec, task, manifest=manifest, model=model)
    return Opened(name, Path(f"{name}.example"), predictor, Explainer.of(predictor))
