"""Networks for the tests: published ones in a few lines, and random ones with branches."""

import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def alexnet() -> nn.Sequential:
    """The one-column AlexNet; 61,100,840 parameters."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Flatten(), nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(inplace=True),
        nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, 1000),
    )  # fmt: skip


def vgg(depths: tuple[int, ...], hidden: int = 4096) -> nn.Sequential:
    """VGG: 16 layers for depths (2, 2, 3, 3, 3), 19 for (2, 2, 4, 4, 4)."""
    layers: list[nn.Module] = []
    c_in = 3
    for depth, width in zip(depths, (64, 128, 256, 512, 512), strict=True):
        for _ in range(depth):
            layers += [nn.Conv2d(c_in, width, 3, padding=1), nn.ReLU(inplace=True)]
            c_in = width
        layers.append(nn.MaxPool2d(2))
    head = [nn.Flatten(), nn.Linear(512 * 49, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()]
    return nn.Sequential(*layers, *head, nn.Linear(hidden, 1000))


def conv_norm(c_in: int, c_out: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, kernel_size, stride, kernel_size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out))


class Bottleneck(nn.Module):
    """1x1, 3x3 with the stride, 1x1, and a shortcut."""

    def __init__(self, c_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            conv_norm(c_in, width, 1), nn.ReLU(inplace=True),
            conv_norm(width, width, 3, stride), nn.ReLU(inplace=True),
            conv_norm(width, 4 * width, 1),
        )  # fmt: skip
        self.shortcut = nn.Identity() if c_in == 4 * width else conv_norm(c_in, 4 * width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return (self.branch(x) + self.shortcut(x)).relu_()


def resnet(depths: tuple[int, ...]) -> nn.Sequential:
    """ResNet with bottlenecks: 50 layers for (3, 4, 6, 3), 152 for (3, 8, 36, 3)."""
    c_in, blocks = 64, []
    for stage, depth in enumerate(depths):
        width = 64 * 2**stage
        for i in range(depth):
            blocks.append(Bottleneck(c_in, width, 2 if stage > 0 and i == 0 else 1))
            c_in = 4 * width
    stem = [conv_norm(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, 1000))


class RandomNet(nn.Module):
    """A random graph of convolutions, pooling, branches, concatenations, slices and moves, drawn from a seed.

    Smooth throughout but for max pooling, so that whatever a unit reads can change it. Which input wins a maximum
    depends on values; `surrogate` puts means in the place of maxima, which every input changes.
    """

    surrogate = False

    KINDS = (
        "conv", "conv", "depthwise", "grouped", "max", "avg", "add", "add", "cat", "cat", "chunk", "shuffle", "pad",
        "crop", "up", "bilinear", "transposed", "flip", "reflect", "tokens", "pixel", "rows",
    )  # fmt: skip

    def __init__(self, seed: int, steps: int = 7, kinds: tuple[str, ...] = KINDS) -> None:
        super().__init__()
        draw = random.Random(seed)
        torch.manual_seed(seed)
        self.plan: list[tuple[str, list[int], dict[str, object]]] = []
        self.layers = nn.ModuleList()
        with torch.no_grad():
            maps = [torch.zeros(1, 4, 13, 12)]
            while len(self.plan) < steps:
                self.add(draw, maps, draw.choice(kinds))
        self.double().eval()

    def add(self, draw: random.Random, maps: list[Tensor], kind: str) -> None:
        """Try a step on the newest maps; keep it if the result is neither too small nor too large."""
        inputs = [len(maps) - 1]
        channels = maps[-1].shape[1]
        numbers = {
            "stride": draw.choice((1, 1, 2)),
            "dilation": draw.choice((1, 1, 2)),
            "padding": draw.choice((0, 1, 2)),
        }
        kernel, c_out = (draw.choice((1, 2, 3)), draw.choice((1, 2, 3))), 4
        layer: nn.Module = nn.Identity()
        if kind == "conv":
            layer = nn.Conv2d(channels, c_out, kernel, **numbers)
        elif kind == "depthwise":
            layer = nn.Conv2d(channels, channels, kernel, groups=channels, **numbers)
        elif kind == "grouped":
            layer = nn.Conv2d(channels, c_out, kernel, groups=2, **numbers)
        elif kind == "transposed":
            layer = nn.ConvTranspose2d(channels, c_out, draw.choice((2, 3)), draw.choice((1, 2)), draw.choice((0, 1)))
        elif kind == "max":
            layer = nn.MaxPool2d(draw.choice((2, 3)), draw.choice((1, 2)), draw.choice((0, 1)))
        elif kind == "avg":
            layer = nn.AvgPool2d(2, draw.choice((1, 2)), draw.choice((0, 1)), ceil_mode=draw.random() < 0.5)
        elif kind in ("add", "cat"):
            inputs.append(draw.randrange(len(maps)))
        step = (kind, inputs, {"layer": len(self.layers), "amount": draw.choice((1, 2))})
        self.layers.append(layer)
        try:
            result = self.step(step, maps)
        except RuntimeError:
            result = None
        if result is None or min(result.shape[2:]) < 2 or max(result.shape[2:]) > 26 or result.shape[1] not in (4, 8):
            del self.layers[-1]
            return
        maps.append(result)
        self.plan.append(step)

    def step(self, step: tuple[str, list[int], dict[str, object]], maps: list[Tensor]) -> Tensor | None:
        kind, inputs, settings = step
        x, amount = maps[inputs[0]], settings["amount"]
        layer = self.layers[settings["layer"]]
        match kind:
            case "conv" | "depthwise" | "grouped" | "transposed":
                return layer(x).sin() + layer(x)
            case "max":
                positive = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding)
                return (positive if self.surrogate else layer)(x)
            case "avg":
                return layer(x)
            case "add":
                other = maps[inputs[1]]
                return x + other if x.shape == other.shape else None
            case "cat":
                other = maps[inputs[1]]
                return torch.cat([x, other], 1) if x.shape[2:] == other.shape[2:] else None
            case "chunk":
                first, second = x.chunk(2, 1)
                return torch.cat([first, second.tanh()], 1) if amount == 1 else second.repeat(1, 2, 1, 1)
            case "shuffle":
                n, c, h, w = x.shape
                return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
            case "pad":
                return F.pad(x, (amount, 0, 1, 2))
            case "crop":
                return x[:, :, amount:, ::amount]
            case "up":
                return F.interpolate(x, scale_factor=2, mode="nearest")
            case "bilinear":
                return F.interpolate(x, scale_factor=1.5 * amount, mode="bilinear", align_corners=amount == 1)
            case "flip":
                return x.flip(3)
            case "reflect":
                return F.pad(x, (1, 1, 1, 1), mode="reflect" if amount == 1 else "replicate")
            case "tokens":
                n, c, h, w = x.shape
                tokens = x.flatten(2).transpose(1, 2)
                weight = torch.linspace(0.1, 1, c * c, dtype=x.dtype, device=x.device).view(c, c)
                return (tokens @ weight).transpose(1, 2).reshape(n, c, h, w)
            case "pixel":
                return F.pixel_shuffle(torch.cat([x] * 4, 1), 2)
            case "rows":
                return x + x.mean(1 + amount, keepdim=True)
        raise AssertionError(kind)

    def forward(self, images: Tensor) -> Tensor:
        maps = [images]
        for step in self.plan:
            maps.append(self.step(step, maps))
        return maps[-1]
