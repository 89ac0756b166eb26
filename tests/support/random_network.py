"""Random networks with branches, for the tests."""

import random
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Step = tuple[str, list[int], dict[str, int]]
"""The kind, the numbers of the maps that are read, and what was drawn."""


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
        self.plan: list[Step] = []
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
        numbers: dict[str, Any] = {
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
        step: Step = (kind, inputs, {"layer": len(self.layers), "amount": draw.choice((1, 2))})
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

    def step(self, step: Step, maps: list[Tensor]) -> Tensor | None:
        kind, inputs, settings = step
        x, amount = maps[inputs[0]], settings["amount"]
        layer = cast(Callable[[Tensor], Tensor], self.layers[settings["layer"]])
        match kind:
            case "conv" | "depthwise" | "grouped" | "transposed":
                return layer(x).sin() + layer(x)
            case "max":
                assert isinstance(layer, nn.MaxPool2d)
                positive = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding)
                return cast(Callable[[Tensor], Tensor], positive if self.surrogate else layer)(x)
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
            made = self.step(step, maps)
            assert made is not None
            maps.append(made)
        return maps[-1]
