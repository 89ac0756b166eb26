"""The decoding of a network's outputs as a part of a graph: probabilities, values, masks and boxes."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.exporting.axes import Length, blend, enlarge, number, tiles_of
from neocog.exporting.image_program import fit_axes
from neocog.exporting.signal_program import kept_samples
from neocog.modalities.image.preprocess import ImagePreprocess
from neocog.modalities.signal.preprocess import SignalPreprocess
from neocog.tasks import Task
from neocog.tasks.centre_points import split_maps
from neocog.tasks.detection import Detection
from neocog.zoo.networks.centernet import STRIDE

__all__ = ["BoxWriter", "MaskWriter", "RowWriter"]

STEPS = 64
LOWEST = -1e4
"""The logit of a place without a peak: its score is zero. Some engines don't keep infinity."""


class RowWriter(nn.Module):
    """Logits, and the task's probabilities or values; (N, K) -> twice (N, K)."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def forward(self, logits: Tensor, raw: Tensor) -> tuple[Tensor, ...]:
        return logits, self.task.decode(logits).float()


class MaskWriter(nn.Module):
    """The class of each place of the input, or a mask for each class; (N * tiles, K, *shape) -> (N, [K,] *places).

    What `neocog.tasks.stitch` does: probabilities of tiles are blended, those of a whole input brought to its size.
    """

    def __init__(self, task: Task, spec: Any, *, several: bool) -> None:
        """`several`: classes may share a place."""
        super().__init__()
        self.task, self.spec, self.several = task, spec, several

    def forward(self, logits: Tensor, raw: Tensor) -> tuple[Tensor, ...]:
        probs = logits.sigmoid() if self.several else logits.softmax(dim=1)
        sums, weights = self.whole(probs, raw) if self.scales else self.tiles(probs, raw)
        if not self.several:
            return (sums.argmax(dim=1).to(torch.uint8),)
        return ((sums / weights > 0.5).to(torch.uint8),)

    @property
    def scales(self) -> bool:
        """Whether the only view of an input is all of it, rather than tiles."""
        spec = self.spec
        return spec.resize != "tile" if isinstance(spec, ImagePreprocess) else spec.fit in ("pad", "resample")

    def sizes(self, raw: Tensor) -> tuple[Length, ...]:
        return tuple(raw.shape[1:3]) if isinstance(self.spec, ImagePreprocess) else (raw.shape[2],)

    def whole(self, probs: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        sizes, spec = self.sizes(raw), self.spec
        if isinstance(spec, ImagePreprocess):
            places = [(fit.offset + pad, fit.parts) for fit, pad in zip(fit_axes(spec, *sizes), spec.pad, strict=True)]
        else:
            assert isinstance(spec, SignalPreprocess)
            places = [(torch.zeros((), dtype=torch.float64), kept_samples(spec, sizes[0]))]
        for axis, (length, (offset, parts)) in enumerate(zip(sizes, places, strict=True), 2):
            probs = enlarge(probs, axis, length, offset, parts)
        return probs, torch.ones(())

    def tiles(self, probs: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        sizes, shape = self.sizes(raw), probs.shape[2:]
        tiles = [tiles_of(length, int(side)) for length, side in zip(sizes, shape, strict=True)]
        counts = [each.count for each in tiles]
        split = probs.reshape(raw.shape[0], *counts, *probs.shape[1:])
        num = len(shape)
        order = [0, 1 + num, *(axis for k in range(num) for axis in (1 + k, 2 + num + k))]
        joined = split.permute(order).reshape(
            raw.shape[0], probs.shape[1], *(count * side for count, side in zip(counts, shape, strict=True))
        )
        weights = torch.ones(())
        for axis, each in enumerate(tiles, 2):
            joined, share = blend(joined, axis, each)
            weights = weights[..., None] * share
        return joined, weights


class BoxWriter(nn.Module):
    """The boxes of each image, the surest first, and how many there are; (N, K + 4, h, w) -> boxes (N, n, 4), ...

    What `neocog.tasks.detection` does with the only view of an image: peaks, their places in the image, without boxes
    that a surer one of their class overlaps, cut off at the image's edges. Behind the boxes are zeros and labels of -1.
    """

    def __init__(self, task: Detection, spec: ImagePreprocess) -> None:
        super().__init__()
        self.task, self.spec = task, spec

    def forward(self, maps: Tensor, raw: Tensor) -> tuple[Tensor, ...]:
        boxes, scores, labels = surest_peaks(maps, len(self.task.classes), self.task.most)
        there = (scores > 0) & (boxes[..., 2:] > boxes[..., :2]).all(dim=2)
        boxes = self.in_image(boxes, raw)
        if self.task.overlap < 1:
            there = suppressed(boxes, labels, there, self.task.overlap)
        ends = torch.stack([number(raw.shape[2]), number(raw.shape[1])])
        centre = (boxes[..., :2] + boxes[..., 2:]) / 2
        boxes = torch.minimum(boxes.clamp(min=0), ends.repeat(2))
        there = there & ((boxes[..., 2:] > boxes[..., :2]) & (centre >= 0) & (centre < ends)).all(dim=2)
        return first_boxes(boxes.float(), scores, labels, there)

    def in_image(self, boxes: Tensor, raw: Tensor) -> Tensor:
        """Boxes in pixels of the network's input as those of the image; (N, n, 4) float64."""
        origins, scales = [], []
        for fit, pad in zip(fit_axes(self.spec, raw.shape[1], raw.shape[2]), self.spec.pad, strict=True):
            scale = fit.parts / (fit.end - fit.begin)
            scales.append(scale)
            origins.append(fit.begin - (fit.offset + pad) / scale)
        scale, origin = (torch.stack([*pair[::-1], *pair[::-1]]) for pair in (scales, origins))
        return boxes.double() / scale + origin


def surest_peaks(maps: Tensor, num_classes: int, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """`neocog.zoo.networks.centernet.peaks` without infinity; (N, K + 4, h, w) -> (N, n, 4), (N, n), (N, n)."""
    heat, size, offset = split_maps(maps, num_classes)
    height, width = heat.shape[2:]
    is_peak = heat >= F.max_pool2d(heat, 3, stride=1, padding=1)
    highest = torch.where(is_peak, heat, LOWEST).flatten(1)
    logits, found = highest.topk(min(most, num_classes * height * width))
    labels, cells = found // (height * width), found % (height * width)
    at = cells[:, None].expand(-1, 2, -1)
    sides, shift = (each.flatten(2).gather(2, at) for each in (size, offset))
    centre = torch.stack([cells % width, cells // width], dim=1) + shift
    boxes = STRIDE * torch.cat([centre - sides / 2, centre + sides / 2], dim=1)
    return boxes.transpose(1, 2), torch.where(logits > LOWEST / 2, logits.sigmoid(), 0.0), labels


def suppressed(boxes: Tensor, labels: Tensor, there: Tensor, most: float) -> Tensor:
    """Which boxes stay: those that no surer one of their class, which stays, overlaps by more than `most`; (N, n).

    Boxes come the surest first. Each step decides at least one box more of every chain in which a box overlaps the
    next, so nothing changes any more after as many steps as the longest chain has boxes; `STEPS` at most are taken.
    """
    ends = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    begins = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    shared = (ends - begins).clamp(min=0).prod(dim=3)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(dim=2)
    union = areas[:, :, None] + areas[:, None] - shared
    surer = torch.arange(boxes.shape[1])[:, None] > torch.arange(boxes.shape[1])
    alike = labels[:, :, None] == labels[:, None]
    overlaps = (shared > most * union) & surer & alike & there[:, None]
    rivals, candidates = overlaps.float(), there.float()[..., None]
    kept = candidates
    for _ in range(min(STEPS, boxes.shape[1] - 1)):
        kept = (candidates - rivals @ kept).relu()
    return kept[..., 0] > 0.5


def first_boxes(boxes: Tensor, scores: Tensor, labels: Tensor, there: Tensor) -> tuple[Tensor, ...]:
    """Those that are there moved to the front, in their order, and their number."""
    count = boxes.shape[1]
    rank = torch.arange(count) + count * (~there).long()
    order = (-rank.float()).topk(count, dim=1).indices
    kept = there.gather(1, order)
    boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4)) * kept[..., None].float()
    scores = scores.gather(1, order) * kept.float()
    labels = torch.where(kept, labels.gather(1, order), -1)
    return boxes, scores, labels, kept.long().sum(dim=1)
