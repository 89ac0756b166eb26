"""Compare Neocog's in-memory loader with a torch DataLoader with two workers, on augmented batches of MNIST.

    python bench/loader.py

Both deliver normalised float32 batches of 128 with the same augmentations. The DataLoader draws and applies them image
by image with torch, as a Dataset's __getitem__ does. The two alternate; medians of five passes each.
Target: at least 10 times the samples per second.
"""

import math
import statistics
import time
from collections.abc import Iterable
from itertools import repeat

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from neocog.data import AugmentConfig, ImagePreprocess, divide, open_source
from neocog.loading import InMemoryDataset, Loader, load_in_memory
from neocog.progress import quiet

BATCH, PASSES = 128, 5
SETTINGS = {
    "shift": AugmentConfig(shift=2),
    "shift, flip": AugmentConfig(shift=2, flip=0.5),
    "shift, rotate, scale, erase": AugmentConfig(shift=2, rotate=10, scale=0.1, erase=0.25),
}


class PerSample(Dataset[tuple[Tensor, int]]):
    """The same augmentations, one image at a time."""

    def __init__(self, data: InMemoryDataset, preprocess: ImagePreprocess, config: AugmentConfig) -> None:
        self.data, self.preprocess, self.config = data, preprocess, config
        self.mean, self.std = torch.tensor(preprocess.mean)[:, None, None], torch.tensor(preprocess.std)[:, None, None]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        config = self.config
        image = self.data.inputs[index].float() / 255
        _, height, width = image.shape
        if config.flip and torch.rand(()) < config.flip:
            image = image.flip(2)
        if config.rotate or config.scale:
            angle = math.radians(config.rotate) * (2 * torch.rand(()).item() - 1)
            zoom = 1 + config.scale * (2 * torch.rand(()).item() - 1)
            cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
            matrix = torch.tensor([[[cos, sin, 0.0], [-sin, cos, 0.0]]])
            grid = F.affine_grid(matrix, [1, *image.shape], align_corners=False)
            image = F.grid_sample(image[None], grid, align_corners=False)[0]
        if config.shift:
            s = config.shift
            top, left = torch.randint(0, 2 * s + 1, (2,)).tolist()
            image = F.pad(image, (s, s, s, s))[:, top : top + height, left : left + width]
        image = (image - self.mean) / self.std
        if config.erase and torch.rand(()) < config.erase:
            area = height * width * (0.02 + 0.18 * torch.rand(()).item())
            ratio = math.exp(math.log(0.3) * (1 - 2 * torch.rand(()).item()))
            h, w = min(height, round(math.sqrt(area * ratio))), min(width, round(math.sqrt(area / ratio)))
            top, left = torch.randint(0, height - h + 1, ()).item(), torch.randint(0, width - w + 1, ()).item()
            image[:, top : top + h, left : left + w] = 0
        return image, int(self.data.labels[index])


def timed(num: int, batches: Iterable[object]) -> float:
    """Samples per second over a whole epoch, so that no worker is still busy when the other loader's turn begins."""
    began = time.perf_counter()
    for _ in batches:
        pass
    return num / (time.perf_counter() - began)


def main() -> None:
    source = open_source("mnist")
    splits = divide(source, val_fraction=0.1, test_fraction=0.2, seed=0)
    plain = ImagePreprocess(size=(28, 28), channels=1, pad=(2, 2))
    with quiet():
        data = load_in_memory(source, splits.train, plain)
    preprocess = plain.measured(data.inputs)
    print(f"{'augmentation':<30}{'Neocog /s':>12}{'DataLoader /s':>15}{'ratio':>8}")
    for name, config in SETTINGS.items():
        ours = Loader(data, preprocess, batch_size=BATCH, seed=0, augment=config)
        theirs = DataLoader(
            PerSample(data, preprocess, config), BATCH, shuffle=True, num_workers=2, persistent_workers=True
        )
        own, peer = [], []
        for epoch in range(PASSES + 1):
            own.append(timed(len(data), map(ours.batch, repeat(epoch), range(ours.num_steps))))
            peer.append(timed(len(data), theirs))
        mine, other = statistics.median(own[1:]), statistics.median(peer[1:])  # the first pass starts the workers
        print(f"{name:<30}{mine:>12,.0f}{other:>15,.0f}{mine / other:>8.1f}")


if __name__ == "__main__":
    main()
