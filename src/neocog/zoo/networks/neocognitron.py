"""Neocognitron: pattern recognition unaffected by shift in position, self-organised (Fukushima, 1980).

Paper: Biological Cybernetics 36, 193-202. The ancestor of all convolutional networks, and it learns without gradients:
cells compete for what they see, and the winners' connections grow. S-cells find features, C-cells allow for shift, and
so each stage says more of what an image shows and less of where, until single cells of the head see all of it.
Having seen 6,000 digits once, it reads 96.3% of MNIST's test digits, and 94.7% when they are moved by 4 pixels both
ways (`tests/slow/test_neocognitron.py`). `SCells` and `CCells` tell the rest of the story.

From 1980: the cascade of S- and C-cells, one set of connections for all cells of a plane, inhibition that divides,
competition, features learnt without a teacher, C-cells that saturate and inhibit those of other planes. From Fukushima
2003 (Neurocomputing 51, 161-180): contrast before the first stage, planes that begin where all cells are silent, cells
with labels in the head. From Fukushima and Tanigawa 1996 (Neurocomputing 11, 1-17): a higher threshold in learning.
Ours: sizes and thresholds for MNIST, and a head that also looks one step aside, where the papers add C-cells.

Shapes (N batch, C channels, H height, W width, K classes; P planes: 16, 80):

    stem      (N, C, H, W)   -> (N, 2C, H, W)      contrast
    stage i   (N, c, h, w)   -> (N, P, h/2, w/2)   S 5x5, C 5x5
    head      (N, 80, 7, 7)  -> (N, K)             S 7x7; of larger maps, the best position counts
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.errors import DataError
from neocog.layers.c_cells import CCells, bell
from neocog.layers.s_cells import SCells
from neocog.progress import track
from neocog.rng import permute
from neocog.zoo.network import Network

__all__ = ["Contrast", "Neocognitron", "Recognition"]


class Contrast(nn.Module):
    """On-centre cells, each point minus its surroundings, then off-centre cells; (N, C, H, W) -> (N, 2C, H, W)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        centre, surround = (window / window.sum() for window in (bell(7, sigma=1.0), bell(7, sigma=2.0)))
        self.in_channels = in_channels
        self.register_buffer("weight", centre - surround, persistent=False)
        self.weight: Tensor

    def forward(self, images: Tensor) -> Tensor:
        weight = self.weight.expand(self.in_channels, 1, -1, -1)
        contrast = F.conv2d(images, weight, padding=3, groups=self.in_channels)
        return F.relu(torch.cat([contrast, -contrast], 1))


class Recognition(nn.Module):
    """S-cells that see a whole image, each with the class that it stands for; a class is as sure as its best cell."""

    def __init__(self, in_channels: int, num_cells: int, size: int, num_classes: int) -> None:
        super().__init__()
        self.cells, self.num_classes = SCells(in_channels, num_cells, size), num_classes
        self.register_buffer("labels", torch.full((num_cells,), -1))
        self.labels: Tensor

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, h, w) maps -> (N, num_classes) logits; all are 0 if an image is like nothing that was learnt."""
        responses = self.cells(F.pad(maps, (1, 1, 1, 1))).amax((2, 3))
        stands_for = self.labels == torch.arange(self.num_classes, device=maps.device)[:, None]
        logits: Tensor = (responses[:, None] * stands_for).amax(2)
        return logits

    @torch.no_grad()
    def learn(self, maps: Tensor, label: int) -> None:
        """Strengthen the winner if it stands for this class; if not, or if all are silent, the next cell will."""
        responses = self.cells.respond(maps, self.cells.learning_threshold).flatten()
        response, winner = responses.max(0)
        right = response > 0 and self.labels[winner] == label
        cell = int(winner) if right else self.cells.num_used
        if cell < len(responses):
            self.cells.reinforce(cell, maps[0])
            self.labels[cell] = label


class Neocognitron(Network):
    """Contrast, stages of S- and C-cells that learn by themselves, and cells that are told what they see.

    All planes and cells are there from the beginning, silent until they learn. When all have learnt, new patterns are
    ignored. To see what a stage has learnt, look at its S-cells' `a`; for what it finds in an image, at `features`.

    >>> bar = torch.zeros(1, 1, 28, 28)
    >>> bar[..., 6:22, 12:15] = 1.0
    >>> model = Neocognitron(num_classes=2, planes=(8, 20), num_cells=10)
    >>> model.learn(torch.cat([bar, bar.mT]), torch.tensor([0, 1]))
    >>> [model(seen.roll((3, -4), (2, 3))).argmax().item() for seen in (bar, bar.mT)]
    [0, 1]
    """

    head: Recognition

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: int = 28,
        planes: Sequence[int] = (16, 80),
        num_cells: int = 1000,
    ) -> None:
        super().__init__()
        self.image_shape = (in_channels, image_size, image_size)
        self.stem = Contrast(in_channels)
        self.stages = nn.Sequential()
        c_in, size = 2 * in_channels, image_size
        for num_planes in planes:
            self.stages.append(nn.Sequential(SCells(c_in, num_planes, 5, padding=2), CCells(5, stride=2, sigma=1.0)))
            c_in, size = num_planes, (size + 1) // 2
        self.head = Recognition(c_in, num_cells, size, num_classes)

    @torch.no_grad()
    def learn(self, images: Tensor, labels: Tensor, *, seed: int = 0, num_unlabelled: int = 500) -> None:
        """See (N, in_channels, image_size, image_size) images once, in an order that the seed decides.

        The stages learn one after the other, each from the first `num_unlabelled` images and no labels; then the head
        learns from all images and labels (N,). Learning again adds to what is known.
        Raises DataError if images or labels have another shape, or labels are out of range for this network.
        """
        self.check(images, labels)
        order = torch.from_numpy(permute(range(len(images)), len(images), seed, epoch=0))
        for depth, cells in enumerate(layer for layer in self.stages.modules() if isinstance(layer, SCells)):
            for i in track(order[:num_unlabelled].tolist(), f"stage {depth + 1} learns"):
                cells.learn(self.stages[:depth](self.stem(images[i : i + 1])))
        for batch in track(torch.split(order, 100), "head learns"):
            for maps, label in zip(self.features(images[batch])[-1], labels[batch].tolist(), strict=True):
                self.head.learn(maps[None], label)

    def check(self, images: Tensor, labels: Tensor) -> None:
        """Raises DataError for images or labels that can't be learnt from."""
        (c, h, w), num_classes = self.image_shape, self.head.num_classes
        if images.shape[1:] != (c, h, w) or labels.shape != images.shape[:1] or not len(labels):
            raise DataError(
                f"Learning takes images (N, {c}, {h}, {w}) and labels (N,), N at least 1.",
                received=f"{tuple(images.shape)} and {tuple(labels.shape)}",
                fix="Resize the images or set image_size, and give each image its label.",
            )
        if labels.min() < 0 or labels.max() >= num_classes:
            raise DataError(
                f"Labels must lie in 0..{num_classes - 1}.",
                received=f"{int(labels.min())}..{int(labels.max())}",
                fix="Set num_classes, or number the classes from 0.",
            )
