"""The loss of a network that finds objects as points.

For each class there is a map of where the centres of its objects are. A centre's cell is 1, and cells around it fall
off as a Gaussian, because a centre that is a little off still gives a good box. Where Gaussians meet, the highest
counts; two objects of one class whose centres share a cell are one peak, and can only be found as one.

    focal  = -1/M sum over cells of (1 - p)^2 log p               where y = 1
                                    (1 - y)^4 p^2 log(1 - p)      elsewhere
    size   =  1/M sum over objects of |w - w'| + |h - h'|          in cells
    offset =  1/M sum over objects of |x - x'| + |y - y'|          of the centre in its cell
    loss   =  focal + 0.1 size + offset

M is the number of objects of one image, so that a batch's loss is the mean over its images, whatever the batch.
Source: Zhou et al. 2019, "Objects as points", equations 1 to 4.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from neocog.tasks.box_targets import counted, valid
from neocog.zoo.networks.centernet import STRIDE, Points

__all__ = ["centre_losses", "centre_maps", "gaussian_radius", "split_maps"]

OVERLAP = 0.7  # of the box at a centre that is off by the Gaussian's radius
SIZE_WEIGHT = 0.1  # Zhou et al., section 3
AT_ONCE = 2**22  # values of the maps of some objects


def split_maps(logits: Tensor, num_classes: int) -> Points:
    """The three maps that `join_outputs` joined; (N, K + 4, h, w)."""
    return Points(logits[:, :num_classes], logits[:, num_classes:-2], logits[:, -2:])


def gaussian_radius(width: Tensor, height: Tensor) -> Tensor:
    """How many whole cells around a centre are near it, by the sides of its box in cells.

        (sqrt(b^2 + 4 a (1 - o) w h) - b) / 2,    a = 4 o,  b = 2 o (w + h),  o = 0.7

    The centre may be off by this much along both axes, and the box still overlaps by 0.7; times 2.8, as the authors'
    code has it, where it works. Source: Law & Deng 2018, "CornerNet", section 3.2; `gaussian_radius` of CenterNet.

    >>> gaussian_radius(torch.tensor([4.0, 12.0]), torch.tensor([4.0, 12.0])).tolist()
    [1.0, 3.0]
    """
    a, b = 4 * OVERLAP, 2 * OVERLAP * (width + height)
    return (((b**2 + 4 * a * (1 - OVERLAP) * width * height).sqrt() - b) / 2).floor().clamp(min=0)


@torch.no_grad()
def centre_maps(targets: Tensor, num_classes: int, cells: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where centres are, and where it does not matter, because an ignored object is there.

    (N, M, 6) -> (N, K, h, w) twice.

    >>> objects = torch.tensor([[[0.0, 0.0, 8.0, 8.0, 1.0, 0.0], [8.0, 0.0, 16.0, 4.0, 0.0, 2.0]]])
    >>> heat, masked = centre_maps(objects, 2, (2, 4))
    >>> heat[0, 1].tolist(), masked[0, 0].tolist()
    ([[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]], [[False, False, True, True], [False, False, False, False]])
    """
    num, height, width = len(targets), *cells
    heat = targets.new_zeros(num, num_classes, height, width)
    masked = torch.zeros_like(heat)
    if targets.device.type == "cpu":  # elsewhere the host would wait for it
        targets = targets[:, : 1 + max(valid(targets).any(dim=0).nonzero().flatten().tolist(), default=-1)]
        if not targets.shape[1]:
            return heat, masked > 0
    for part in torch.split(targets, max(1, AT_ONCE // (num * height * width or 1)), dim=1):
        labels = part[..., 4].long().clamp(min=0)
        centre, sides = centres_of(part)
        radius = gaussian_radius(*sides.unbind(-1))
        bumps = (bump(n, centre[..., axis].floor(), radius) for n, axis in ((height, 1), (width, 0)))
        raise_to(heat, labels, product(*bumps) * counted(part)[..., None, None])
        ignored = valid(part) & (part[..., 5] > 0)
        if targets.device.type != "cpu" or bool(ignored.any()):
            inside = (within(n, part[..., axis], part[..., axis + 2]) for n, axis in ((height, 1), (width, 0)))
            raise_to(masked, labels, product(*inside) * ignored[..., None, None])
    return heat, masked > 0


def centres_of(targets: Tensor) -> tuple[Tensor, Tensor]:
    """The centres and sides of boxes, along x and y, in cells; (N, M, 6) -> (N, M, 2) twice."""
    low, high = targets[..., :2] / STRIDE, targets[..., 2:4] / STRIDE
    return (low + high) / 2, high - low


def bump(length: int, cell: Tensor, radius: Tensor) -> Tensor:
    """A Gaussian around a cell, 1 there and 0 beyond the radius, with a third of the window as deviation.

    (N, M) -> (N, M, length).
    """
    away = torch.arange(length, device=cell.device, dtype=cell.dtype) - cell[..., None]
    deviation = (2 * radius[..., None] + 1) / 6
    return (-(away**2) / (2 * deviation**2)).exp() * (away.abs() <= radius[..., None])


def within(length: int, low: Tensor, high: Tensor) -> Tensor:
    """1 for cells whose middle lies between two places in pixels; (N, M) -> (N, M, length)."""
    middle = (torch.arange(length, device=low.device, dtype=low.dtype) + 0.5) * STRIDE
    return ((middle >= low[..., None]) & (middle <= high[..., None])).to(low.dtype)


def product(rows: Tensor, columns: Tensor) -> Tensor:
    """(N, M, h), (N, M, w) -> (N, M, h, w)."""
    return rows[..., :, None] * columns[..., None, :]


def raise_to(maps: Tensor, labels: Tensor, values: Tensor) -> None:
    """Raise each class's map to the values of its objects, in place; (N, K, h, w), (N, M), (N, M, h, w)."""
    if maps.shape[1] == 1:
        torch.maximum(maps, values.amax(dim=1, keepdim=True), out=maps)
    else:
        maps.scatter_reduce_(1, labels[..., None, None].expand_as(values), values, "amax")


def centre_losses(logits: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """The loss of each image; (N, K + 4, h, w), (N, M, 6) -> (N,)."""
    heat, size, offset = split_maps(logits.float(), num_classes)
    height, width = heat.shape[2:]
    centre_of, masked = centre_maps(targets, num_classes, (height, width))
    probs = heat.sigmoid()
    hits = (1 - probs) ** 2 * F.logsigmoid(heat)
    misses = (1 - centre_of) ** 4 * probs**2 * F.logsigmoid(-heat) * ~masked
    focal = -torch.where(centre_of == 1, hits, misses).flatten(1).sum(dim=1)
    used = counted(targets)
    centre, sides = centres_of(targets)
    column, row = centre.floor().long().unbind(-1)
    cells = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
    at = cells[:, None].expand(-1, 2, -1)
    found_size, found_offset = (maps.flatten(2).gather(2, at).transpose(1, 2) for maps in (size, offset))
    errors = SIZE_WEIGHT * (found_size - sides).abs() + (found_offset - (centre - centre.floor())).abs()
    placed = (errors.sum(dim=2) * used).sum(dim=1)
    return (focal + placed) / used.sum(dim=1).clamp(min=1)
