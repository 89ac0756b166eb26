"""A small untrained model for each task and kind of data, with one of its inputs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.bundle import Predictor, torch_backend
from neocog.modalities import Preprocess
from neocog.modalities.audio.preprocess import AudioPreprocess
from neocog.modalities.go.game import KIND, MOVE, position_code
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.go.rules import BLACK, WHITE, point_name
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.text.preprocess import TextPreprocess
from neocog.tasks import TASKS
from neocog.zoo.networks.char_cnn import CharCNN
from neocog.zoo.networks.go_policy import GoPolicy
from tests.support.scenes import Scenes, SignalScenes
from tests.support.texts_and_sounds import Notes, Tones
from tests.support.untrained import untrained

__all__ = ["MODELS", "Spots", "spot_boxes", "spot_masks"]

Made = tuple[Predictor, Any]
LETTERS = "abcdefghijklmnopqrstuvwxyz "


def predictor_of(model: nn.Module, spec: Preprocess, task: str, classes: tuple[str, ...], name: str) -> Predictor:
    return Predictor(torch_backend(model), spec, TASKS[task](classes), manifest={"model": {"name": name}}, model=model)


def from_source(network: str, source: Any) -> Made:
    return untrained(network, source), source.read(0).payload


def characters() -> Made:
    torch.manual_seed(0)
    model = CharCNN(8, 16, 0.2, in_channels=len(LETTERS), num_classes=2, length=130, dropout=0.0)
    spec = TextPreprocess(level="character", length=130, vocabulary=tuple(LETTERS), unknown=0)
    predictor = predictor_of(model, spec, "classification", ("good", "bad"), "char_cnn")
    return predictor, "a quick brown fox jumps over 2 lazy dogs"


def sound() -> Made:
    torch.manual_seed(0)
    source = Tones("multi-label", num=4)
    layers: list[nn.Module] = [nn.Conv2d(1, 6, 3, stride=2), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    spec = AudioPreprocess(sample_rate=8000, seconds=0.5, features="mel", num_mels=24)
    return predictor_of(model, spec, "multi-label", source.classes, "sounds"), source.read(0).payload


def board() -> Made:
    torch.manual_seed(0)
    classes = (*(point_name(point, 9) for point in range(81)), "pass")
    model = GoPolicy(in_channels=17, num_classes=82, width=6)
    spec = BoardPreprocess(features="zero17", size=9)
    steps = [KIND * (MOVE + BLACK) + 40, KIND * (MOVE + WHITE) + 20]
    return predictor_of(model, spec, "next move", classes, "go_policy"), position_code(9, BLACK, steps)


MODELS: dict[str, Callable[[], Made]] = {
    "image classification": lambda: from_source("lenet5_relu", Scenes("classification")),
    "image multi-label": lambda: from_source("lenet5_relu", Scenes("multi-label")),
    "image regression": lambda: from_source("lenet5_relu", Scenes("regression")),
    "segmentation": lambda: spot_masks((32, 32)),
    "detection": lambda: spot_boxes((32, 32)),
    "signal classification": lambda: from_source("time_series_fcn", SignalScenes("classification")),
    "signal segmentation": lambda: from_source("unet_1d", SignalScenes("signal segmentation")),
    "sound": sound,
    "sound as coefficients": lambda: from_source("speech_dscnn_s", Tones("multi-label", num=12)),
    "words": lambda: from_source("text_cnn", Notes("multi-label", num=20)),
    "characters": characters,
    "go": board,
}


class Spots(nn.Module):
    """Bright 3x3 spots on a dark ground: a class for each pixel, or the three maps of a detector.

    (N, 1, H, W) -> (N, 2, H, W), or (N, 1 + 4, H / 4, W / 4) with `boxes`.
    """

    def __init__(self, *, boxes: bool) -> None:
        super().__init__()
        self.boxes = boxes
        self.blur = nn.Conv2d(1, 2, 3, padding=1, bias=False)
        self.rate = nn.Conv2d(2, 2, 1)
        with torch.no_grad():
            self.blur.weight.fill_(1 / 9)
            self.rate.weight.copy_(torch.tensor([[-4.0, -4.0], [4.0, 4.0]])[:, :, None, None])
            self.rate.bias.copy_(torch.tensor([2.0, -2.0]))  # type: ignore[union-attr]

    def forward(self, images: Tensor) -> Tensor:
        logits = self.rate(F.relu(self.blur(images)))
        if not self.boxes:
            found: Tensor = logits
            return found
        heat = F.max_pool2d(logits[:, 1:], 4)
        sizes = torch.ones_like(heat).expand(-1, 2, -1, -1)
        return torch.cat([heat, sizes, sizes / 2], dim=1)


def spot_image(size: tuple[int, int], places: tuple[tuple[int, int], ...] = ((20, 10), (8, 22))) -> Any:
    """Grey, with spots at these rows and columns, the first the brightest; (H, W) uint8."""
    image = np.full(size, 5, np.uint8)
    for k, (row, column) in enumerate(places):
        image[row - 1 : row + 2, column - 1 : column + 2] = 250 - 40 * k
    return image


def spot_masks(size: tuple[int, int], places: tuple[tuple[int, int], ...] = ((20, 10), (8, 22))) -> Made:
    """A segmentation of 32x32 tiles, and an image with spots."""
    spec = ImagePreprocess(size=(32, 32), channels=1, resize="tile")
    model = Spots(boxes=False)
    return predictor_of(model, spec, "segmentation", ("ground", "spot"), "spots"), spot_image(size, places)


def spot_boxes(size: tuple[int, int], places: tuple[tuple[int, int], ...] = ((20, 10), (8, 22))) -> Made:
    """A detector on 32x32 tiles, and an image with spots."""
    spec = ImagePreprocess(size=(32, 32), channels=1, resize="tile")
    return predictor_of(Spots(boxes=True), spec, "detection", ("spot",), "spots"), spot_image(size, places)
