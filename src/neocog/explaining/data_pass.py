"""One pass over a data set that gives the feature maps of a layer, a batch at a time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.cpus import num_cpus
from neocog.data import Preprocess, Source, TextPreprocess
from neocog.dataset.record import Payload
from neocog.errors import ConfigError, DataError, agree, some
from neocog.explaining.explainer import Explainer
from neocog.explaining.layers import Layer
from neocog.explaining.maps import Grid, run_until
from neocog.explaining.receptive import Box
from neocog.loading import StreamingDataset
from neocog.modalities.text.tokens import text_of, tokens
from neocog.progress import Bar, note
from neocog.runs.channels import match_channels
from neocog.runs.compute_features import check_kind

__all__ = ["DataPass", "Part", "default_batch"]

READ_AT_ONCE = 8  # samples whose tiles are decoded together
PLACES = {"cpu": 16 * 224 * 224}
"""Of the inputs of a batch: on a CPU, feature maps that its cache can't hold cost more than larger batches save."""
MOST_PLACES = 64 * 224 * 224  # on any other device
LARGEST = 256

Part = tuple[NDArray[np.int64], NDArray[np.int64], Tensor]
"""Indices of samples (n,), which of its views each input is (n,), and the decoded inputs (n, *shape)."""


@dataclass(slots=True, eq=False)
class DataPass:
    """Samples of a source as the inputs of a network. A task with places receives large samples in tiles."""

    explainer: Explainer
    source: Source
    indices: NDArray[np.int64] | None
    preprocess: Preprocess = field(init=False)
    skipped: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.explainer.preprocess is None:
            raise ConfigError(
                "A data set needs the preprocessing of the network.", received="an explainer without preprocessing",
                fix="Explain a bundle, or give Explainer(..., preprocess=...).",
            )  # fmt: skip
        self.preprocess = self.explainer.preprocess
        check_kind(self.source, self.preprocess.modality)
        self.source = match_channels(self.source, self.preprocess)
        if self.indices is None:
            self.indices = np.arange(len(self.source))

    def maps(
        self, layer: Layer, grid: Grid, batch_size: int | None, label: str
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Tensor]]:
        """Indices, views and the feature maps (n, C, *places) of a layer, a batch at a time.

        Raises DataError if no sample can be read.
        """
        assert self.indices is not None
        total, done = len(self.indices), 0
        batch_size = batch_size or default_batch(self.explainer)
        parts = self.tiles(batch_size) if self.explainer.task.dense else self.streamed(batch_size)
        with Bar(label, total) as bar:
            for indices, views, decoded in parts:
                inputs = self.preprocess.normalise(decoded.to(self.explainer.device))
                values = run_until(self.explainer.network, inputs, [layer])[layer]
                yield indices, views, grid.maps(values)
                done += len(np.unique(indices))
                bar.draw(done)
        if self.skipped:
            left_out = agree("{n} sample(|s) can't be read and (is|are) left out", len(self.skipped))
            note(f"{left_out}: {some(self.skipped)}")
        if not done:
            raise DataError(
                "At least one sample must be readable.", received=f"{len(self.skipped):,} that can't be read",
                where=self.source.name, fix="`neocog check` names the fault of each.",
            )  # fmt: skip

    def streamed(self, batch_size: int) -> Iterator[Part]:
        """Whole samples, decoded by threads ahead of need."""
        assert self.indices is not None
        data = StreamingDataset(self.source, self.indices, self.preprocess, on_corrupt="skip")
        rows = [np.arange(at, min(at + batch_size, len(data))) for at in range(0, len(data), batch_size)]
        try:
            for step, part in enumerate(rows):
                decoded, kept = data.take(part, rows[step + 1 : step + 2])
                self.skipped.update(data.skipped)
                if kept.any():
                    yield self.indices[part[kept]], np.zeros(int(kept.sum()), np.int64), decoded
        finally:
            data.close()

    def tiles(self, batch_size: int) -> Iterator[Part]:
        """All views of each sample, a batch at a time."""
        assert self.indices is not None
        with ThreadPoolExecutor(num_cpus()) as pool:
            starts = range(0, len(self.indices), READ_AT_ONCE)
            groups = (self.indices[at : at + READ_AT_ONCE] for at in starts)
            views = chain.from_iterable(chain.from_iterable(pool.map(self.views, group.tolist())) for group in groups)
            while part := list(islice(views, batch_size)):
                samples, numbers, decoded = zip(*part, strict=True)
                yield np.array(samples, np.int64), np.array(numbers, np.int64), torch.stack(decoded)

    def views(self, index: int) -> list[tuple[int, int, Tensor]]:
        """The decoded views of a sample; none if it can't be read."""
        try:
            record = self.source.read(index)
            found = self.preprocess.views(record.payload, f"{self.source.name}: {record.key}")
            return [(index, number, view.inputs) for number, view in enumerate(found)]
        except DataError as error:
            self.skipped[self.source.key(index)] = str(error)
            return []

    def read(self, index: int, view: int) -> tuple[Payload, Tensor]:
        """A sample as it is stored, and one of its views, decoded."""
        record = self.source.read(index)
        where = f"{self.source.name}: {record.key}"
        if self.explainer.task.dense:
            return record.payload, next(islice(self.preprocess.views(record.payload, where), view, None)).inputs
        return record.payload, self.preprocess.decode(record.payload, where)

    def words(self, payload: Payload, seen: Box) -> tuple[str, ...]:
        """The tokens of a text within a box; nothing of anything else."""
        spec = self.preprocess
        if not isinstance(spec, TextPreprocess):
            return ()
        found = list(islice(tokens(text_of(payload, "the text"), spec.level, lowercase=spec.lowercase), spec.length))
        if spec.backward:
            found.reverse()
        low, high = seen[0]
        return tuple(found[low : high + 1])


def default_batch(explainer: Explainer) -> int:
    """How many inputs of a network are computed at once.

    >>> from torch import nn
    >>> [default_batch(Explainer(nn.Conv2d(3, 1, 1), (3, side, side))) for side in (28, 224, 2000)]
    [256, 16, 1]
    """
    places = PLACES.get(explainer.device.type, MOST_PLACES)
    return max(1, min(LARGEST, places // prod(explainer.input_shape[1:])))
