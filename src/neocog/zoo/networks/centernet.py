"""CenterNet on ResNet-18: objects as points (Zhou et al., 2019).

Paper: https://arxiv.org/abs/1904.07850. No anchors and no suppression of overlapping boxes: an object is the peak of
its class's heat map at the centre of its box, and two more maps say there how large the box is and where in the cell
its centre lies. Three transposed convolutions of 256, 128 and 64 channels, bilinear at first, bring ResNet's maps from
1/32 to 1/4 of the input's size; before each is a 3x3 convolution, which the paper has deformable and this not.

Shapes (N batch, C channels, H height, W width, K classes; H/32 and W/32 are rounded up, h and w 8 times that):

    stem      (N, C, H, W)          -> (N, 64, H/4, W/4)
    stages    (N, 64, H/4, W/4)     -> (N, 512, H/32, W/32)    those of ResNet-18
    head      (N, 512, H/32, W/32)  -> (N, 64, h, w) -> heat (N, K, h, w), size (N, 2, h, w), offset (N, 2, h, w)
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.layers.initialization import he
from neocog.zoo.network import Network
from neocog.zoo.networks.fcn import bilinear, enlarge
from neocog.zoo.networks.resnet import conv_norm, resnet

__all__ = ["CenterNet", "Detections", "Points", "peaks"]

STRIDE = 4  # input pixels to a cell of the maps
SCORE = 0.1  # of each place before training: the many empty places must not drown the few objects


class Points(NamedTuple):
    """The outputs for each cell of the input; maps of h x w cells, in units of cells."""

    heat: Tensor
    """(N, K, h, w): logits of an object's centre being here, for each class."""
    size: Tensor
    """(N, 2, h, w): width and height of the box of the object whose centre is here."""
    offset: Tensor
    """(N, 2, h, w): from the cell's left and upper edge to the object's centre, along x and y."""


class Detections(NamedTuple):
    """Boxes of each image, the surest first."""

    boxes: Tensor
    """(N, top, 4): x1, y1, x2, y2 in input pixels from the left and upper edge; not clipped to the image."""
    scores: Tensor
    """(N, top), from 0 to 1; 0 if an image has fewer peaks."""
    labels: Tensor
    """(N, top): the class of each."""


def peaks(points: Points, top: int = 100) -> Detections:
    """The boxes of the highest peaks: places where the heat is no less than at the eight around, class by class.

        box = 4 * (cell + offset -+ size / 2)

    Equal neighbours are both peaks. Source: the paper's section 3.

    >>> heat, size, offset = torch.full((1, 2, 3, 5), -9.0), torch.full((1, 2, 3, 5), 2.0), torch.zeros(1, 2, 3, 5)
    >>> heat[0, 1, 1, 3] = 9.0
    >>> boxes, scores, labels = peaks(Points(heat, size, offset), top=1)
    >>> boxes.tolist(), scores.round(decimals=2).tolist(), labels.tolist()
    ([[[8.0, 0.0, 16.0, 8.0]]], [[1.0]], [[1]])
    """
    heat, (height, width) = points.heat, points.heat.shape[2:]
    is_peak = heat == F.max_pool2d(heat, 3, stride=1, padding=1)  # of logits: a sigmoid makes equal what is not
    highest = heat.where(is_peak, -math.inf).flatten(1)
    logits, found = highest.topk(min(top, highest.shape[1]))
    labels, cells = found // (height * width), found % (height * width)
    at = cells[:, None].expand(-1, 2, -1)
    size, offset = (maps.flatten(2).gather(2, at) for maps in (points.size, points.offset))
    centre = torch.stack([cells % width, cells // width], 1) + offset
    boxes = STRIDE * torch.cat([centre - size / 2, centre + size / 2], 1)
    return Detections(boxes.transpose(1, 2), logits.sigmoid(), labels)


def step_up(c_in: int, c_out: int) -> nn.Sequential:
    """3x3, then twice the size; (N, c_in, h, w) -> (N, c_out, 2h, 2w)."""
    up = [enlarge(c_out, 2), nn.BatchNorm2d(c_out), nn.ReLU()]
    return nn.Sequential(conv_norm(c_in, c_out, 3), nn.ReLU(), *up)


def branch(c_out: int, bias: float = 0.0) -> nn.Sequential:
    """3x3 and 1x1, of which the bias alone is seen at first; (N, 64, h, w) -> (N, c_out, h, w)."""
    last = nn.Conv2d(64, c_out, 1)
    layers = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), last).apply(he)
    nn.init.normal_(last.weight, std=0.001)
    last.bias = nn.Parameter(torch.full((c_out,), bias))
    return layers


class PointHead(nn.Module):
    """Three steps up to 1/4 of the input's size, then a branch for each map."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.up = nn.Sequential(step_up(512, 256), step_up(256, 128), step_up(128, 64)).apply(he).apply(bilinear)
        self.heat = branch(num_classes, bias=math.log(SCORE / (1 - SCORE)))
        self.size, self.offset = branch(2), branch(2)

    def forward(self, maps: Tensor) -> Points:
        maps = self.up(maps)
        return Points(self.heat(maps), self.size(maps), self.offset(maps))


class CenterNet(Network):
    """ResNet-18's stem and stages, and a head that gives `Points`; `peaks` makes boxes of them."""

    def __init__(self, *, in_channels: int = 3, num_classes: int = 80) -> None:
        super().__init__()
        backbone = resnet("resnet18", in_channels=in_channels)
        self.stem, self.stages = backbone.stem, backbone.stages
        self.head = PointHead(num_classes)

    def forward(self, images: Tensor) -> Points:  # type: ignore[override]
        """(N, in_channels, H, W) images -> three maps at stride 4."""
        return self.head(self.stages(self.stem(images)))  # type: ignore[no-any-return]
