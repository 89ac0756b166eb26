"""Batches for training: any step of any epoch, computed from its number alone."""

import torch
from torch import Tensor

from neocog.data.augment.images import AugmentConfig, augment
from neocog.data.feeding.resident import Resident
from neocog.data.preprocess.preprocess import Preprocess
from neocog.rng import permute

__all__ = ["Loader"]

BLOCK_VALUES = 2**20  # values gathered at once: 4 MB as float32, about a second-level cache


class Loader:
    """Shuffled, augmented, normalised batches of a resident set.

    There is no state: `batch(epoch, step)` is a pure function, so resuming costs nothing and any order of calls gives
    the same batches. Every sample comes once in an epoch; batches differ by at most one sample in size, so that no
    epoch ends with a tiny one. Small batches are gathered and augmented several at a time, which no one can tell from
    the result, because each sample's draws are its own.
    """

    def __init__(
        self,
        data: Resident,
        preprocess: Preprocess,
        *,
        batch_size: int,
        seed: int,
        augment: AugmentConfig | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.data, self.preprocess, self.seed = data, preprocess, seed
        self.augment = augment or AugmentConfig()
        self.num_steps = -(-len(data) // min(batch_size, len(data)))
        # A whole-picture set on the device costs one copy for the run instead of one for each batch.
        self.images, self.labels = movable(data.inputs, device).to(device), data.labels.to(device)
        self.fill = preprocess.fill
        values = batch_size * data.inputs[0].numel()
        self.steps_per_block = max(1, BLOCK_VALUES // values)
        self.block_at: tuple[int, int] | None = None

    def start(self, step: int) -> int:
        """The first position of a step in the epoch's order."""
        return step * len(self.data) // self.num_steps

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Images (n, C, H, W) float32 and labels (n,) of one step, 0 <= step < num_steps."""
        first = step - step % self.steps_per_block
        if self.block_at != (epoch, first):
            last = min(first + self.steps_per_block, self.num_steps)
            self.block_images, self.block_labels = self.gather(epoch, self.start(first), self.start(last))
            self.block_at, self.block_start = (epoch, first), self.start(first)
        low, high = self.start(step) - self.block_start, self.start(step + 1) - self.block_start
        return self.block_images[low:high], self.block_labels[low:high]

    def gather(self, epoch: int, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """The samples at these positions of the epoch's order, augmented and normalised."""
        indices = permute(range(start, stop), len(self.data), self.seed, epoch)
        chosen = torch.from_numpy(indices).to(self.images.device)
        images = self.images.index_select(0, chosen)
        if images.dtype != torch.uint8:  # torch computes little with other unsigned integers
            images = images.float()
        samples = self.data.samples[indices]
        images = augment(images, samples, self.augment, seed=self.seed, epoch=epoch, fill=self.fill)
        return self.preprocess.normalise(images), self.labels.index_select(0, chosen)


def movable(images: Tensor, device: torch.device | str) -> Tensor:
    """16-bit pictures as 32-bit integers where a GPU selects them; the CPU selects 16 bits as they are."""
    return images.to(torch.int32) if images.dtype == torch.uint16 and torch.device(device).type != "cpu" else images
