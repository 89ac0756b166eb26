"""Bundles and images to load servers with: random weights, but answers that differ from image to image."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from harness.pictures import MEDIUM, texture
from neocog.bundle import Predictor, torch_backend, write_bundle
from neocog.data import ImagePreprocess
from neocog.errors import NeocogError
from neocog.tasks import TASKS
from neocog.zoo import create_model

__all__ = ["NETWORKS", "draw_images", "probabilities", "write_network"]

NETWORKS = {"lenet5_relu": ((28, 28), 2, 1, "png"), "resnet18": ((224, 224), 0, 3, "jpeg")}
"""Size of its images, the border that its preprocessing adds, channels, and the type of the files."""
NUM_CLASSES = 10
SPREAD = 4.0  # standard deviation of a logit over the images: the best class has most of the probability


def draw_images(name: str, count: int) -> list[bytes]:
    """Image files for this network."""
    size, _, channels, kind = NETWORKS[name]
    files = []
    for index in range(count):
        light = 45 * texture(size, MEDIUM, 4 * index)
        planes = [light + 30 * texture(size, MEDIUM, 4 * index + 1 + channel) for channel in range(channels)]
        pixels = (128 + np.stack(planes, axis=2)).clip(0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(file, kind)
        files.append(file.getvalue())
    return files


def write_network(path: Path, name: str, images: list[bytes], seed: int = 0) -> Predictor:
    """Write a bundle of this network with random weights whose logits vary over these images."""
    size, border, channels, _ = NETWORKS[name]
    torch.manual_seed(seed)
    model = create_model(name, num_classes=NUM_CLASSES, in_channels=channels)
    preprocess = ImagePreprocess(size=size, channels=channels, resize="squash", pad=(border, border))
    batch = torch.stack([preprocess.decode(image) for image in images])
    preprocess = preprocess.measured(batch)
    task = TASKS["classification"](tuple(f"class {index}" for index in range(NUM_CLASSES)))
    predictor = Predictor(torch_backend(model), preprocess, task, model=model)
    spread_logits(predictor, batch)
    about = {"name": name, "num_classes": NUM_CLASSES, "in_channels": channels, "options": {}}
    write_bundle(path, model, predictor, images[:2], {"model": about})
    return predictor


def spread_logits(predictor: Predictor, batch: torch.Tensor) -> None:
    """Scale and shift the last dense layer until each logit has mean 0 and the same spread over the batch."""
    assert predictor.model is not None
    last = [module for module in predictor.model.modules() if isinstance(module, nn.Linear)][-1]
    logits = predictor.logits(batch)
    scale = SPREAD / logits.std(dim=0)
    with torch.no_grad():
        last.bias.copy_((last.bias - logits.mean(dim=0)) * scale)
        last.weight.mul_(scale[:, None])


def probabilities(predictor: Predictor, content: bytes) -> dict[str, float] | None:
    """Probabilities that the network gives for a file; None if it can't be read."""
    try:
        row = predictor.predict_proba([content])[0]
    except NeocogError:
        return None
    return dict(zip(predictor.classes, row.tolist(), strict=True))
