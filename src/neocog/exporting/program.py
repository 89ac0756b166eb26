"""A network with its preprocessing and decoding, as one module that can be written down as a graph."""

from typing import Any

import torch
from torch import Tensor, nn

from neocog.bundle.interface import input_spec, output_specs
from neocog.bundle.predictor import Predictor
from neocog.engines.convert import Dynamic
from neocog.errors import ConfigError
from neocog.exporting.audio_program import AudioReader
from neocog.exporting.image_program import ImageReader, ImageTiles
from neocog.exporting.outputs import BoxWriter, MaskWriter, RowWriter
from neocog.exporting.signal_program import SignalReader, SignalTiles
from neocog.modalities.audio.preprocess import AudioPreprocess
from neocog.modalities.go.preprocess import BoardPreprocess
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.modalities.tensor_spec import TensorSpec
from neocog.modalities.text.preprocess import TextPreprocess
from neocog.planning.meta_copy import shared_copy
from neocog.tasks.dense import DenseTask
from neocog.tasks.detection import Detection
from neocog.tasks.multi_label_segmentation import MultiLabelSegmentation
from neocog.tasks.segmentation import Segmentation
from neocog.zoo.network import join_outputs

__all__ = ["ExportProgram", "graph_input", "one_tile"]

AXES = {"images": ("batch", "height", "width"), "signals": ("batch", None, "length"), "waveforms": ("batch", "samples")}
"""Names of the axes of any size."""


class ExportProgram(nn.Module):
    """From raw inputs to answers: what `answer_tensors` does, as one graph; the predictor is not changed.

    `inputs` says what it takes: that of `input_spec`, but ids (N, length) int64 for texts, and planes (N, P, S, S)
    uint8 for positions of Go, since a graph splits no text and replays no game. `outputs` are those of `output_specs`.
    Test-time augmentation is left out. Raises ConfigError for a kind of input or task that has no graph.

    >>> from neocog.exporting.axes import tiles_of
    >>> tiles_of(129, 128).starts.tolist()
    [0, 1]
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        if predictor.model is None:
            raise ConfigError("Only a network of PyTorch is exported.", received="a predictor without a model")
        self.inputs = graph_input(predictor)
        self.outputs = output_specs(predictor)
        self.reader = reader_of(predictor)
        self.network = shared_copy(predictor.model)
        self.writer = writer_of(predictor)
        self.largest = one_tile(predictor)
        self.eval()

    def forward(self, raw: Tensor) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = self.writer(join_outputs(self.network(self.reader(raw))).float(), raw)
        return found

    @property
    def dynamic(self) -> Dynamic:
        """The axes of the input that may have any size, and their names."""
        names = AXES.get(self.inputs.name, ("batch",))
        return {axis: name for axis, name in enumerate(names) if name is not None}

    def example(self, batch: int = 2) -> Tensor:
        """An input to trace with, of odd sizes that are larger than the network's unless it takes one tile; zeros."""
        spec, sizes = self.inputs, self.example_sizes()
        shape = [batch if axis == 0 else size or sizes[axis - 1] for axis, size in enumerate(spec.shape)]
        return torch.zeros(shape, dtype=getattr(torch, spec.dtype))

    def example_sizes(self) -> tuple[int, ...]:
        spec: Any = self.reader.spec if hasattr(self.reader, "spec") else None
        if isinstance(spec, ImagePreprocess):
            return spec.size if self.largest else (spec.size[0] * 2 + 5, spec.size[1] * 2 + 3)
        if isinstance(spec, SignalPreprocess):
            return 0, spec.length * 2 + 3
        return (spec.num_samples + 5,) if isinstance(spec, AudioPreprocess) else ()


class Ids(nn.Module):
    """Ids of tokens as they are; (N, length) int64."""

    def forward(self, ids: Tensor) -> Tensor:
        return ids


class Planes(nn.Module):
    """Zeros and ones as float32; (N, planes, S, S) uint8."""

    def forward(self, planes: Tensor) -> Tensor:
        return planes.float()


def graph_input(predictor: Predictor) -> TensorSpec:
    """The input of the graph."""
    spec = predictor.preprocess
    if isinstance(spec, TextPreprocess):
        return TensorSpec("ids", "int64", (None, spec.length))
    if isinstance(spec, BoardPreprocess):
        return TensorSpec("planes", "uint8", (None, *spec.shape))
    return input_spec(predictor)


def one_tile(predictor: Predictor) -> tuple[int, int] | None:
    """Height and width that images may have at most; None: any.

    Boxes of overlapping tiles are joined across their seams step by step, which a graph can't do.
    """
    spec = predictor.preprocess
    tiled = isinstance(spec, ImagePreprocess) and spec.resize == "tile" and isinstance(predictor.task, Detection)
    return spec.size if tiled and isinstance(spec, ImagePreprocess) else None


def reader_of(predictor: Predictor) -> nn.Module:
    spec, dense = predictor.preprocess, isinstance(predictor.task, DenseTask)
    if isinstance(spec, ImagePreprocess):
        tiled = dense and spec.resize == "tile" and not isinstance(predictor.task, Detection)
        return ImageTiles(spec) if tiled else ImageReader(spec)
    if isinstance(spec, SignalPreprocess):
        return SignalTiles(spec) if dense and spec.fit in ("crop", "tile") else SignalReader(spec)
    if isinstance(spec, AudioPreprocess):
        return AudioReader(spec)
    if isinstance(spec, TextPreprocess):
        return Ids()
    if isinstance(spec, BoardPreprocess):
        return Planes()
    raise ConfigError(
        "Images, signals, audio, texts and positions of Go are exported.", received=f"{spec.modality} inputs"
    )


def writer_of(predictor: Predictor) -> nn.Module:
    task, spec = predictor.task, predictor.preprocess
    if isinstance(task, Detection):
        assert isinstance(spec, ImagePreprocess)
        return BoxWriter(task, spec)
    if isinstance(task, MultiLabelSegmentation):
        return MaskWriter(task, spec, several=True)
    if isinstance(task, Segmentation):
        return MaskWriter(task, spec, several=False)
    if isinstance(task, DenseTask):
        raise ConfigError(
            "Masks and boxes are exported, of outputs with places.", received=f"a network for {task.name}"
        )
    return RowWriter(task)
