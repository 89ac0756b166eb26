"""EfficientNet-Lite: EfficientNet for devices that compute in integers (Tan & Le, 2019; the Lite variants of 2020).

Paper: https://arxiv.org/abs/1905.11946. Lite: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
EfficientNet without squeeze-and-excitation, with ReLU6 for swish; stem, head, and the depth of the first and the last
stage are not scaled. The weights were trained in TensorFlow, so epsilon is 1e-3 and padding at stride 2 is uneven, as
there. Batch norm's momentum is torch's 0.1: the authors' 0.01 is for epochs of a million images.
The published input sizes of Lite0 to Lite2 are 224, 240 and 260.

Shapes (N batch, C channels, H height, W width, K classes; channels are those of Lite0):

    stem      (N, 3, H, W)   -> (N, 32, H/2, W/2)
    stage i   (N, C, h, w)   -> (N, c, h/s, w/s)    c = 16, 24, 40, 80, 112, 192, 320; s = 2 for i = 1, 2, 3, 5, else 1
    head      (N, C, h, w)   -> (N, K)              1x1 to 1280 channels, mean, dropout, dense
"""

import torch.nn.functional as F
from torch import Tensor, nn

from neocog.layers.initialization import he
from neocog.layers.stochastic_depth import StochasticDepth
from neocog.zoo.network import Network
from neocog.zoo.networks.efficientnet import STAGES, Residual, make_stages
from neocog.zoo.networks.efficientnet import depths as scaled_depths
from neocog.zoo.networks.mobilenet_v2 import scaled

__all__ = ["VARIANTS", "EfficientNetLite", "HalvingConv2d", "depths", "efficientnet_lite"]

# name: (factor of widths, factor of depths, dropout), as in the authors' code.
VARIANTS = {
    "efficientnet_lite0": (1.0, 1.0, 0.2),
    "efficientnet_lite1": (1.0, 1.1, 0.2),
    "efficientnet_lite2": (1.1, 1.2, 0.3),
}


def depths(factor: float) -> list[int]:
    """How many blocks each stage has; the first and the last stage are not scaled."""
    return [STAGES[0][-1], *scaled_depths(factor)[1:-1], STAGES[-1][-1]]


class HalvingConv2d(nn.Conv2d):
    """Convolution of stride 2 and odd kernels that pads as TensorFlow does: where a side is even, one less before.

    (N, c_in, H, W) -> (N, c_out, ceil(H/2), ceil(W/2)).
    """

    pads_maps: bool = False
    """Whether maps are padded on a CPU, too, so that the same operations run everywhere, as in a plan."""

    def __init__(self, c_in: int, c_out: int, kernel_size: int, groups: int) -> None:
        super().__init__(c_in, c_out, kernel_size, 2, kernel_size // 2, groups=groups, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        # A CPU takes several times as long to copy wide maps as to filter them, so there the kernels are padded.
        on_cpu = maps.device.type == "cpu" and not self.pads_maps
        return self.pad_kernels(maps) if on_cpu else self.pad_maps(maps)

    def for_size(self, height: int, width: int) -> nn.Conv2d:
        """A plain convolution that does the same to maps of this size, and to all whose sides are as even or odd."""
        kernels = F.pad(self.weight.detach(), (1 - width % 2, 0, 1 - height % 2, 0))
        size, p = (kernels.shape[2], kernels.shape[3]), self.kernel_size[0] // 2
        conv = nn.Conv2d(self.in_channels, self.out_channels, size, 2, p, groups=self.groups, bias=False)
        conv.weight = nn.Parameter(kernels, requires_grad=False)
        return conv.train(self.training)

    def pad_maps(self, maps: Tensor) -> Tensor:
        height, width = (1 - size % 2 for size in maps.shape[-2:])
        p = self.kernel_size[0] // 2
        around = (p - width, p, p - height, p)
        return F.conv2d(F.pad(maps, around), self.weight, stride=self.stride, groups=self.groups)

    def pad_kernels(self, maps: Tensor) -> Tensor:
        """A row of zeros before a kernel, and even padding, put its other rows where uneven padding puts them."""
        height, width = (1 - size % 2 for size in maps.shape[-2:])
        kernels = F.pad(self.weight, (width, 0, height, 0))
        return F.conv2d(maps, kernels, stride=self.stride, padding=self.padding, groups=self.groups)


def conv_norm(c_in: int, c_out: int, kernel_size: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution then batch norm; (N, c_in, H, W) -> (N, c_out, H/stride, W/stride)."""
    if stride == 2:
        conv: nn.Module = HalvingConv2d(c_in, c_out, kernel_size, groups)
    else:
        conv = nn.Conv2d(c_in, c_out, kernel_size, padding=kernel_size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out, eps=1e-3))


def mbconv(c_in: int, c_out: int, expansion: int, kernel_size: int, stride: int, drop_rate: float) -> nn.Sequential:
    """Widen, filter, narrow; plus the input where shapes agree.

    (N, c_in, H, W) -> (N, c_out, H/stride, W/stride).
    """
    width = expansion * c_in
    widen = [] if expansion == 1 else [conv_norm(c_in, width).append(nn.ReLU6())]
    layers = [
        *widen,
        conv_norm(width, width, kernel_size, stride, groups=width).append(nn.ReLU6()),
        conv_norm(width, c_out),
    ]
    same_shape = stride == 1 and c_in == c_out
    return Residual(*layers, StochasticDepth(drop_rate)) if same_shape else nn.Sequential(*layers)


class EfficientNetLite(Network):
    """Seven stages of inverted residuals; block i of n drops out with chance `stochastic_depth` * i / n."""

    def __init__(
        self, width: float, depth: float, *, in_channels: int, num_classes: int, dropout: float, stochastic_depth: float
    ) -> None:
        super().__init__()
        c_in, c_last = 32, 1280
        self.stem = conv_norm(in_channels, c_in, 3, 2).append(nn.ReLU6())
        self.stages = make_stages(c_in, width, depths(depth), stochastic_depth, mbconv)
        dense = nn.Linear(c_last, num_classes)
        self.head = nn.Sequential(
            *conv_norm(scaled(STAGES[-1][3], width), c_last), nn.ReLU6(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout),
            dense,
        )  # fmt: skip
        self.apply(he)
        nn.init.uniform_(dense.weight, -(num_classes**-0.5), num_classes**-0.5)  # as in the authors' code


def efficientnet_lite(
    variant: str,
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float | None = None,
    stochastic_depth: float = 0.2,
) -> EfficientNetLite:
    """Build a row of VARIANTS, with its dropout unless another is given."""
    width, depth, published = VARIANTS[variant]
    rate = published if dropout is None else dropout
    channels = {"in_channels": in_channels, "num_classes": num_classes}
    return EfficientNetLite(width, depth, **channels, dropout=rate, stochastic_depth=stochastic_depth)
