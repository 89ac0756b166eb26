"""Exported networks without files, and small sources whose targets a predictor gets right."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neocog.bundle import Predictor, torch_backend
from neocog.dataset.record import Record
from neocog.exporting.program import ExportProgram
from neocog.modalities.go.game import KIND, MOVE, position_code
from neocog.modalities.go.rules import BLACK, WHITE
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.preprocess import Preprocess
from neocog.runs.evaluate_bundle import Chosen
from neocog.tasks import TASKS

__all__ = [
    "Computed",
    "Pictures",
    "Positions",
    "SmallNet",
    "choose_all",
    "eager",
    "of_onnx",
    "pictures",
    "with_answers",
]

Outputs = Mapping[str, NDArray[Any]]
SIZES = ((40, 56), (41, 33), (56, 40), (30, 31))


class Computed:
    """An exported network that a function computes, with the names and shapes of a program."""

    engine = "a function"

    def __init__(self, program: ExportProgram, run: Callable[[NDArray[Any]], Sequence[NDArray[Any]]]) -> None:
        self.inputs, self.outputs, self.run = (program.inputs,), program.outputs, run

    def __call__(self, array: NDArray[Any], /) -> Outputs:
        return {spec.name: values for spec, values in zip(self.outputs, self.run(array), strict=True)}


def eager(program: ExportProgram, module: nn.Module | None = None) -> Computed:
    """A program as PyTorch computes it, or another module from the same raw inputs."""

    def run(array: NDArray[Any]) -> list[NDArray[Any]]:
        with torch.inference_mode():
            return [values.numpy() for values in (module or program)(torch.from_numpy(np.ascontiguousarray(array)))]

    return Computed(program, run)


def of_onnx(program: ExportProgram, proto: Any) -> Computed:
    """An ONNX model of a program as ONNX Runtime computes it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    names = [spec.name for spec in program.outputs]
    return Computed(program, lambda array: session.run(names, {program.inputs.name: array}))


class Pictures:
    """Colour images of several sizes, smooth and noisy; the targets are those of a predictor, see `with_answers`."""

    modality, format, name = "image", "pictures", "pictures"
    notices: tuple[str, ...] = ()

    def __init__(self, num: int = 24, channels: int = 3) -> None:
        generator = np.random.default_rng(0)
        self.images = []
        for i in range(num):
            height, width = SIZES[i % len(SIZES)]
            coarse = generator.integers(0, 256, (5, 6, channels)).astype(np.float64)
            rows, columns = np.linspace(0, 4, height).astype(int), np.linspace(0, 5, width).astype(int)
            noise = generator.normal(0, 20, (height, width, channels))
            self.images.append((coarse[rows][:, columns] + noise).clip(0, 255).astype(np.uint8))
        self.task: Any = "classification"
        self.classes = ("a", "b", "c")
        self.targets: NDArray[Any] = np.zeros(num, np.int64)
        self.splits = {"val": np.arange(num)}

    def __len__(self) -> int:
        return len(self.images)

    def key(self, index: int) -> str:
        return f"picture {index}"

    def content(self) -> Any:
        return (image.tobytes() for image in self.images)

    def read(self, index: int) -> Record:
        return Record(self.key(index), self.images[index], self.targets[index])


class Positions:
    """Positions of Go on a 9x9 board, a stone more in each; the targets are moves of no meaning."""

    modality, format, name, task = "go", "positions", "positions", "next move"
    notices: tuple[str, ...] = ()

    def __init__(self, classes: tuple[str, ...], num: int = 6) -> None:
        self.classes, self.targets, self.splits = classes, np.arange(num), {"val": np.arange(num)}
        points = np.random.default_rng(0).permutation(81)[:num].tolist()
        moves = [KIND * (MOVE + (BLACK, WHITE)[i % 2]) + point for i, point in enumerate(points)]
        self.payloads = [position_code(9, BLACK, moves[: i + 1]) for i in range(num)]

    def __len__(self) -> int:
        return len(self.targets)

    def key(self, index: int) -> str:
        return f"position {index}"

    def content(self) -> Any:
        yield b""

    def read(self, index: int) -> Record:
        return Record(self.key(index), self.payloads[index], self.targets[index])


class SmallNet(nn.Module):
    """Two convolutions and a dense layer; (N, C, H, W) -> (N, K)."""

    def __init__(self, channels: int = 3, classes: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 8, 5, stride=2)
        self.second = nn.Conv2d(8, 8, 3)
        self.head = nn.Linear(8 * 4, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.second(self.first(images).relu()).relu()
        found: Tensor = self.head(nn.functional.adaptive_avg_pool2d(maps, 2).flatten(1))
        return found


def pictures(task: str = "classification", **settings: Any) -> tuple[Predictor, Pictures]:
    """A predictor for colour images of several sizes, and images whose targets are its answers."""
    torch.manual_seed(0)
    spec = ImagePreprocess(
        **{"size": (24, 32), "channels": 3, "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3), **settings}
    )
    source = Pictures(channels=spec.channels)
    model = SmallNet(spec.channels)
    logits = predictor_of(model, spec, task, source.classes).logits(decode_all(spec, source))
    with torch.no_grad():  # each class is the answer of some images
        model.head.weight.div_(logits.std(dim=0)[:, None])
        model.head.bias.sub_(logits.mean(dim=0)).div_(logits.std(dim=0))
    predictor = predictor_of(model, spec, task, source.classes)
    return predictor, with_answers(predictor, source)


def decode_all(spec: Preprocess, source: Any) -> Tensor:
    return torch.stack([spec.decode(source.read(i).payload) for i in range(len(source))])


def predictor_of(model: nn.Module, spec: Preprocess, task: str, classes: tuple[str, ...]) -> Predictor:
    return Predictor(torch_backend(model), spec, TASKS[task](classes), model=model)


def with_answers(predictor: Predictor, source: Any) -> Any:
    """A source whose targets are the answers of a predictor, so that its metric is the best there is."""
    values = predictor.task.decode(predictor.logits(decode_all(predictor.preprocess, source))).numpy()
    source.task = predictor.task.name
    if predictor.task.by_class:
        source.targets = values.argmax(axis=1)
    elif predictor.task.has_probabilities:
        source.targets = (values > np.median(values, axis=0)).astype(np.float64)
    else:
        source.targets = values
    return source


def choose_all(source: Any, most: int | None = None) -> Chosen:
    return Chosen(source, np.arange(len(source))[:most], "val")
