"""Small networks to be explained: one function written in several ways, and one whose answer is known by hand."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.explaining.explainer import Explainer

RELUS: dict[str, Callable[[Tensor], Tensor]] = {
    "F.relu": F.relu,
    "torch.relu": torch.relu,
    "Tensor.relu": lambda maps: maps.relu(),
    "Tensor.relu_": lambda maps: maps.relu_(),
    "F.relu inplace": lambda maps: F.relu(maps, inplace=True),
    "F.relu_": F.relu_,
    "clamp": lambda maps: maps.clamp(min=0),
    "clamp_min_": lambda maps: maps.clamp_min_(0),
}


class Branched(nn.Module):
    """Two convolutions with a shortcut, max pooling and a dense layer; (N, 2, 8, 8) -> (N, 3).

    `act` is called twice. The pooling overlaps if `stride` is 1.
    """

    def __init__(self, act: Callable[[Tensor], Tensor], stride: int = 2, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.dense = nn.Linear(4 * (16 if stride == 2 else 49), 3)
        for parameter in self.parameters():
            with torch.no_grad():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
        self.norm.running_mean = torch.linspace(-0.5, 0.5, 4)
        self.norm.running_var = torch.linspace(0.5, 2, 4)
        self.act, self.stride = act, stride

    def forward(self, images: Tensor) -> Tensor:
        maps = self.act(self.first(images))
        maps = self.act(self.norm(self.second(maps)) + maps)
        outputs: Tensor = self.dense(F.max_pool2d(maps, 2, self.stride).flatten(1))
        return outputs


def branched(act: Callable[[Tensor], Tensor] | nn.Module = F.relu, stride: int = 2) -> Branched:
    return Branched(act, stride).double()


def images(shape: tuple[int, ...] = (1, 2, 8, 8), seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def planted() -> tuple[Explainer, Tensor]:
    """A network that tells bright from dark spots, and an image (1, 1, 32, 32) of noise with one of each.

    The bright spot is at rows and columns 4 to 8, the dark one at 22 to 26. Class 0 is bright, class 1 dark.
    """
    find, join, decide = nn.Conv2d(1, 2, 5, padding=2), nn.Conv2d(2, 4, 3, padding=1), nn.Linear(4, 2)
    net = nn.Sequential(
        find, nn.ReLU(), nn.AvgPool2d(2), join, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), decide
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        find.weight.copy_(torch.tensor([1 / 25, -1 / 25]).view(2, 1, 1, 1).expand(2, 1, 5, 5))
        find.bias = nn.Parameter(torch.full((2,), -0.3))
        join.weight.zero_()
        for channel in range(4):
            join.weight[channel, channel % 2] = 1 / 9
        join.bias = None
        decide.weight.copy_(torch.tensor([[100.0, -20.0, 100.0, -20.0], [-20.0, 100.0, -20.0, 100.0]]))
        decide.bias.zero_()
    inputs = torch.randn(1, 1, 32, 32, generator=generator) * 0.1
    inputs[..., 4:9, 4:9] += 2
    inputs[..., 22:27, 22:27] -= 2
    return Explainer(net, (1, 32, 32), classes=("bright", "dark")), inputs
