"""Batches for training: any step of any epoch, computed from its number alone."""

from collections.abc import Callable, Iterator
from copy import copy
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from neocog.errors import ConfigError, DataError
from neocog.loading.dataset import Dataset
from neocog.loading.sampler import RandomSampler, Sampler
from neocog.modalities.augment import Key
from neocog.modalities.image.augment.config import AugmentConfig
from neocog.modalities.image.augment.mix import mix
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.table import MODALITIES

__all__ = ["Loader"]

BLOCK_VALUES = 2**20  # values gathered at once: 4 MB as float32, about a second-level cache

Batch = tuple[Tensor, Tensor]


class Loader:
    """Shuffled, augmented, normalised batches of a dataset.

    There is no state: `batch(epoch, step)` is a pure function, so resuming costs nothing and any order of calls gives
    the same batches. Every position of the sampler comes once in an epoch; batches differ by at most one sample in
    size, so no epoch ends with a tiny one. Small batches are gathered and augmented several at a time, which does not
    change the result, because each sample's draws are its own.

    Each of `world` processes reads its own part of every batch; together they read what a single process would.
    `move` moves targets that have places, such as masks, as augmentation moves their inputs.
    Raises ConfigError for more processes than samples in a batch.
    """

    def __init__(
        self,
        data: Dataset,
        preprocess: Preprocess,
        *,
        batch_size: int,
        seed: int,
        augment: Any = None,
        move: Callable[[Tensor, Key], Tensor] | None = None,
        sampler: Sampler | None = None,
        num_classes: int = 0,
        rank: int = 0,
        world: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        self.data, self.preprocess, self.seed, self.augment, self.move = data, preprocess, seed, augment, move
        self.sampler = sampler or RandomSampler(len(data), seed)
        self.num_classes, self.rank, self.world, self.device = num_classes, rank, world, torch.device(device)
        self.labels = data.labels.to(self.device)
        self.mixes = isinstance(self.augment, AugmentConfig) and self.augment.mixes
        self.set_batch_size(batch_size)

    def set_batch_size(self, batch_size: int) -> None:
        self.num_steps = -(-self.sampler.size // min(batch_size, self.sampler.size))
        smallest = self.sampler.size // self.num_steps
        if smallest < self.world:
            rule, fix = f"Each of {self.world} processes needs a sample of each batch.", "Raise --train.batch_size."
            raise ConfigError(rule, received=f"batches of {smallest}", fix=fix)
        self.steps_per_block = max(1, BLOCK_VALUES // (batch_size * int(np.prod(self.preprocess.shape))))
        self.block_at: tuple[int, int] | None = None
        self.block: list[Batch] = []

    def with_batch_size(self, batch_size: int) -> "Loader":
        """The same samples in batches of another size."""
        other = copy(self)
        other.set_batch_size(batch_size)
        return other

    def own_positions(self, step: int) -> range:
        """The positions of a step that this process reads."""
        start, stop = (k * self.sampler.size // self.num_steps for k in (step, step + 1))
        return range(*(start + k * (stop - start) // self.world for k in (self.rank, self.rank + 1)))

    def batch(self, epoch: int, step: int) -> Batch:
        """Inputs (n, *shape) of one step, and labels (n,), or probabilities (n, K) if inputs are mixed."""
        first = step - step % self.steps_per_block
        if self.block_at != (epoch, first):
            self.block = []  # free the last batches before the next are made
            self.block, self.block_at = self.gather(epoch, first), (epoch, first)
        return self.block[step - first]

    def gather(self, epoch: int, first: int) -> list[Batch]:
        """The batches of a block of steps, augmented and normalised."""
        positions = self.positions(first)
        rows = self.sampler.records(positions, epoch)
        later = islice(self.blocks_after(epoch, first), self.data.ahead)
        decoded, kept = self.data.take(rows, [self.sampler.records(self.positions(b), e) for e, b in later])
        rows, positions = rows[kept], positions[kept]
        inputs = decoded.to(self.device, non_blocking=True)
        del decoded  # each stage's input is freed as soon as its output is there
        if inputs.dtype == torch.uint16:  # torch computes little with other unsigned integers
            inputs = inputs.float()
        samples = distinguish(self.data.samples(rows), self.sampler.times(positions, epoch))
        augment = MODALITIES[self.preprocess.modality].augment if self.augment is not None else None
        key: Key = {"seed": self.seed, "epoch": epoch, "samples": samples}
        # Each stage is applied in turn, so that at most two results are held.
        for stage in augment(self.augment, self.preprocess, key) if augment else [self.preprocess.normalise]:
            inputs = stage(inputs)
        labels = self.labels[torch.from_numpy(rows).to(self.device)]
        if self.move is not None:
            labels = self.move(labels, key)
        if self.mixes:
            inputs, labels = self.mixed(inputs, labels, samples, positions, epoch)
        batches = []
        for step in self.steps(first):
            own = self.own_positions(step)
            low, high = np.searchsorted(positions, [own.start, own.stop])
            if low == high:
                rule = "Each batch needs a sample that can be read."
                raise DataError(rule, received=f"none in step {step}", fix="Check the data.")
            batches.append((inputs[low:high], labels[low:high]))
        return batches

    def steps(self, first: int) -> range:
        """The steps of a block."""
        return range(first, min(first + self.steps_per_block, self.num_steps))

    def positions(self, first: int) -> NDArray[np.int64]:
        """The positions that a block of steps needs, ascending: its own, and their partners if inputs are mixed."""
        own = np.concatenate([np.arange(part.start, part.stop) for part in map(self.own_positions, self.steps(first))])
        # Positions 2i and 2i + 1 are mixed; the last of an odd number is its own partner.
        return np.union1d(own, np.minimum(own ^ 1, self.sampler.size - 1)) if self.mixes else own

    def blocks_after(self, epoch: int, first: int) -> Iterator[tuple[int, int]]:
        """The blocks that come next: epoch and first step."""
        while True:
            first += self.steps_per_block
            if first >= self.num_steps:
                epoch, first = epoch + 1, 0
            yield epoch, first

    def mixed(
        self, inputs: Tensor, labels: Tensor, samples: NDArray[np.uint64], positions: NDArray[np.int64], epoch: int
    ) -> Batch:
        """Each two neighbouring positions mixed, so that no pair depends on the batch size.

        A sample whose partner could not be read stays as it is.
        """
        assert isinstance(self.augment, AugmentConfig)
        probabilities = F.one_hot(labels, self.num_classes).to(inputs.dtype)
        firsts = np.flatnonzero((positions[:-1] % 2 == 0) & (positions[1:] == positions[:-1] + 1))
        pairs = torch.from_numpy(np.stack([firsts, firsts + 1], axis=1).ravel()).to(self.device)
        if len(pairs):
            some, their = mix(
                inputs[pairs], probabilities[pairs], samples[pairs.cpu().numpy()], self.augment,
                seed=self.seed, epoch=epoch,
            )  # fmt: skip
            inputs, probabilities = inputs.index_copy(0, pairs, some), probabilities.index_copy(0, pairs, their)
        return inputs, probabilities


def distinguish(samples: NDArray[np.uint64], times: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Different draws for a sample each time it comes in an epoch; the first time, its own."""
    return samples + times.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: far from small ids
