"""Loading from memory: augmented, normalised float32 batches of MNIST.

All sides deliver batches of 128 in random order, with the same augmentations of each image's own. The peers:

DataLoader        two workers, augmentations drawn and applied image by image with torch, in a Dataset's __getitem__
batched torch     no DataLoader: all images in one tensor, whole batches augmented by a few operations, each image with
                  draws of its own, as the fastest hand-written loops for small images do (Jordan 2024, "94% on CIFAR-10
                  in 3.29 Seconds on a Single GPU", section 3, and its code, airbench)

A turn takes whole epochs, so that no worker is still busy when another side's turn begins. The sides are checked by the
mean and the mean square of each pixel over an epoch, which a shift, an angle or an erased rectangle would move.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import count, repeat
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from harness import Row, Sides, per_second
from neocog.cpus import num_threads
from neocog.data import AugmentConfig, ImagePreprocess, divide, open_source
from neocog.loading import InMemoryDataset, Loader, load_in_memory
from neocog.progress import quiet

__all__ = ["ROWS"]

BATCH, NUM = 128, 20_000
PASSES = 5  # epochs of a turn of the sides that take less than a tenth of a second for one
SETTINGS = {
    "shift": AugmentConfig(shift=2),
    "flip": AugmentConfig(shift=2, flip=0.5),
    "all": AugmentConfig(shift=2, rotate=10, scale=0.1, erase=0.25),
}
WORDS = {"shift": "shift", "flip": "shift, flip", "all": "shift, rotate, scale, erase"}
ERASED_AREA, ERASED_ASPECT = (0.02, 0.2), 0.3  # as in Neocog

Batches = Iterable[tuple[Tensor, Tensor]]


class PerSample(Dataset[tuple[Tensor, int]]):
    """The augmentations, one image at a time."""

    def __init__(self, data: InMemoryDataset, preprocess: ImagePreprocess, config: AugmentConfig) -> None:
        self.data, self.preprocess, self.config = data, preprocess, config
        self.mean, self.std = torch.tensor(preprocess.mean)[:, None, None], torch.tensor(preprocess.std)[:, None, None]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        config = self.config
        image = self.data.inputs[index].float() / 255
        if config.flip and torch.rand(()) < config.flip:
            image = image.flip(2)
        if config.rotate or config.scale:
            image = turn(image, config)
        if config.shift:
            image = shift(image, config.shift)
        image = (image - self.mean) / self.std
        if config.erase and torch.rand(()) < config.erase:
            erase(image)
        return image, int(self.data.labels[index])


def turn(image: Tensor, config: AugmentConfig) -> Tensor:
    angle = math.radians(config.rotate) * (2 * torch.rand(()).item() - 1)
    zoom = 1 + config.scale * (2 * torch.rand(()).item() - 1)
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    matrix = torch.tensor([[[cos, sin, 0.0], [-sin, cos, 0.0]]])
    grid = F.affine_grid(matrix, [1, *image.shape], align_corners=False)
    return F.grid_sample(image[None], grid, align_corners=False)[0]


def shift(image: Tensor, s: int) -> Tensor:
    _, height, width = image.shape
    top, left = torch.randint(0, 2 * s + 1, (2,)).tolist()
    return F.pad(image, (s, s, s, s))[:, top : top + height, left : left + width]


def erase(image: Tensor) -> None:
    _, height, width = image.shape
    low, high = ERASED_AREA
    area = height * width * (low + (high - low) * torch.rand(()).item())
    aspect = math.exp(math.log(ERASED_ASPECT) * (1 - 2 * torch.rand(()).item()))
    h, w = min(height, round(math.sqrt(area * aspect))), min(width, round(math.sqrt(area / aspect)))
    top, left = int(torch.randint(0, height - h + 1, ())), int(torch.randint(0, width - w + 1, ()))
    image[:, top : top + h, left : left + w] = 0


class Batched:
    """The augmentations, a batch at a time, on images that are padded and scaled once."""

    def __init__(self, data: InMemoryDataset, preprocess: ImagePreprocess, config: AugmentConfig) -> None:
        mean, std = (torch.tensor(values)[:, None, None] for values in (preprocess.mean, preprocess.std))
        self.config, self.labels, self.black = config, data.labels, mean / std
        self.images = data.inputs.float() / 255 / std
        _, _, height, width = self.images.shape
        s = config.shift
        self.windows = F.pad(self.images - self.black, (s, s, s, s), value=-self.black.item())
        self.windows = self.windows.unfold(2, height, 1).unfold(3, width, 1)  # (N, C, 2s + 1, 2s + 1, H, W), a view

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.split(torch.randperm(len(self.labels)), BATCH):
            yield self.augment(rows), self.labels[rows]

    def augment(self, rows: Tensor) -> Tensor:
        config, num = self.config, len(rows)
        if config.rotate or config.scale:
            images = self.resample(rows)
        else:
            top, left = torch.randint(0, 2 * config.shift + 1, (2, num))
            images = self.windows[rows, :, top, left]
        if config.flip:
            images = torch.where((torch.rand(num) < config.flip)[:, None, None, None], images.flip(3), images)
        return images.masked_fill_(self.erased(num), 0) if config.erase else images

    def resample(self, rows: Tensor) -> Tensor:
        """Rotate, scale and shift by one interpolation."""
        config, num, (height, width) = self.config, len(rows), self.images.shape[2:]
        angle = math.radians(config.rotate) * (2 * torch.rand(num) - 1)
        zoom = 1 + config.scale * (2 * torch.rand(num) - 1)
        cos, sin = angle.cos() / zoom, angle.sin() / zoom
        y, x = torch.randint(-config.shift, config.shift + 1, (2, num))
        x, y = 2 * x / width, 2 * y / height  # the grid spans -1 to 1
        matrix = torch.stack([cos, sin, cos * x + sin * y, -sin, cos, cos * y - sin * x], dim=1).view(num, 2, 3)
        grid = F.affine_grid(matrix, [num, 1, height, width], align_corners=False)
        return F.grid_sample(self.images[rows], grid, align_corners=False).sub_(self.black)

    def erased(self, num: int) -> Tensor:
        """Which pixels are erased; (num, 1, H, W)."""
        height, width = self.images.shape[2:]
        low, high = ERASED_AREA
        area = height * width * (low + (high - low) * torch.rand(num))
        aspect = (math.log(ERASED_ASPECT) * (1 - 2 * torch.rand(num))).exp()
        h, w = (area * aspect).sqrt().round().clamp(max=height), (area / aspect).sqrt().round().clamp(max=width)
        top, left = (torch.rand(num) * (height - h + 1)).floor(), (torch.rand(num) * (width - w + 1)).floor()
        y, x = torch.arange(height)[None], torch.arange(width)[None]
        in_rows = (y >= top[:, None]) & (y < (top + h)[:, None])
        in_columns = (x >= left[:, None]) & (x < (left + w)[:, None])
        chosen = (torch.rand(num) < self.config.erase)[:, None, None]
        return (in_rows[:, :, None] & in_columns[:, None, :] & chosen)[:, None]


def moments(batches: Batches) -> tuple[Tensor, Tensor]:
    """The mean and the mean square of each pixel, with the number of samples of each class before them."""
    images, labels = zip(*batches, strict=True)
    every = torch.cat(images)
    assert every.dtype == torch.float32
    return torch.bincount(torch.cat(labels)), torch.stack([every.mean(0), every.square().mean(0)])


def check_alike(sides: dict[str, Batches]) -> str:
    """Fail if an epoch differs in its classes or its pixels' moments; returns the largest difference in words."""
    (counts, own), *others = [moments(batches) for batches in sides.values()]
    worst = 0.0
    for peer_counts, peer in others:
        assert torch.equal(counts, peer_counts)
        worst = max(worst, float(((own[0] - peer[0]).abs()).max()))
        assert worst < 0.08, worst  # means of 20,000 values of about 1
        assert float((own[1] - peer[1]).abs().max()) < 0.3
    return f"mean images of an epoch differ by at most {worst:.3f} standard deviations"


def exhaust(batches: Batches, passes: int = 1) -> Callable[[], None]:
    def work() -> None:
        for _ in range(passes):
            for _ in batches:
                pass

    return work


def epochs_of(loader: Loader) -> Batches:
    """Each iteration is the next epoch."""

    class Epochs:
        numbers = count()

        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            return map(loader.batch, repeat(next(self.numbers)), range(loader.num_steps))

    return Epochs()


def augmented(name: str) -> Row:
    def prepare(folder: Path) -> Iterator[Sides]:
        torch.set_num_threads(num_threads())
        torch.manual_seed(0)
        source = open_source("mnist", download=True)
        splits = divide(source, val_fraction=0.1, test_fraction=0.2, seed=0)
        plain, config = ImagePreprocess(size=(28, 28), channels=1, pad=(2, 2)), SETTINGS[name]
        with quiet():
            data = load_in_memory(source, splits.train[:NUM], plain)
        preprocess = plain.measured(data.inputs)
        ours = epochs_of(Loader(data, preprocess, batch_size=BATCH, seed=0, augment=config))
        dataset = PerSample(data, preprocess, config)
        theirs: Batches = DataLoader(dataset, BATCH, shuffle=True, num_workers=2, persistent_workers=True)
        batched = Batched(data, preprocess, config)
        note = check_alike({"": ours, "DataLoader": theirs, "batched": batched})
        yield Sides(
            {
                "Neocog": per_second(NUM * PASSES, exhaust(ours, PASSES)),
                "DataLoader, two workers": per_second(NUM, exhaust(theirs)),
                "batched torch": per_second(NUM * PASSES, exhaust(batched, PASSES)),
            },
            note=note,
        )

    what = f"Batches of {BATCH} MNIST images: {WORDS[name]}"
    return Row(f"loader-{name}", "data", what, "images/s", "more", prepare, target=10.0)


ROWS = tuple(map(augmented, SETTINGS))
