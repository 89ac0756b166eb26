"""Random settings of the Bench with what torch makes of them, and a network with a layer of every kind."""

import math
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.explaining.explainer import Explainer
from neocog.studio.state import Opened

__all__ = ["Many", "by_torch", "many_layers", "opened_as", "query_of", "random_setting"]


def random_setting(draw: random.Random) -> dict[str, Any]:
    """A setting that fits, with random numbers."""
    axes, op = draw.choice([1, 2, 2]), draw.choice(["conv", "conv", "transposed", "max", "average"])
    pools, some = op in ("max", "average"), range(axes)
    groups = draw.choice([1, 1, 2])
    channels = [groups * draw.randint(1, 2), groups * draw.randint(1, 2)]
    kernel, stride = [draw.randint(1, 3) for _ in some], [draw.randint(1, 3) for _ in some]
    dilation = [1 if op == "average" else draw.randint(1, 2) for _ in some]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = [draw.randint(3, 6) + r - 1 for r in reach]
    padding = [[draw.randint(0, 2), draw.randint(0, 2)] for _ in some]
    if pools:
        padding = [[draw.randint(0, k // 2)] * 2 for k in kernel]
    if op == "transposed":
        size = [draw.randint(3, 4) for _ in some]
        padding = [[draw.randint(0, 1), draw.randint(0, 1)] if r > 1 else [0, 0] for r in reach]
    setting = {
        "op": op, "size": size, "kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation,
        "output_padding": [draw.randint(0, max(s, d) - 1) if op == "transposed" else 0
                           for s, d in zip(stride, dilation, strict=True)],
        "in_channels": channels[0], "out_channels": channels[0] if pools else channels[1],
        "groups": 1 if pools else groups, "flip": op == "conv" and draw.random() < 0.3,
        "ceil_mode": pools and draw.random() < 0.4, "count_include_pad": op != "average" or draw.random() < 0.6,
    }  # fmt: skip
    x = [round(draw.uniform(-9, 9), 2) for _ in range(channels[0] * math.prod(size))]
    setting["x"] = x
    if not pools:
        pair = (channels[0], channels[1] // groups) if op == "transposed" else (channels[1], channels[0] // groups)
        setting["w"] = [round(draw.uniform(-3, 3), 2) for _ in range(math.prod(pair) * math.prod(kernel))]
        setting["bias"] = [round(draw.uniform(-3, 3), 2) for _ in range(channels[1])]
    return setting


def by_torch(s: dict[str, Any]) -> Tensor:
    """The outputs (C_out, *output) of a setting, computed by torch in float64."""
    axes, function = len(s["size"]), cast(Any, F)
    x = torch.tensor(s["x"], dtype=torch.float64).reshape(1, s["in_channels"], *s["size"])
    sides = [side for pair in reversed(s["padding"]) for side in pair]
    stride, dilation, before = tuple(s["stride"]), tuple(s["dilation"]), tuple(pair[0] for pair in s["padding"])
    kernel, found = tuple(s["kernel"]), torch.empty(0)
    if s["op"] == "max":
        found = getattr(function, f"max_pool{axes}d")(x, kernel, stride, before, dilation, s["ceil_mode"])[0]
    elif s["op"] == "average":
        include = s["count_include_pad"]
        found = getattr(function, f"avg_pool{axes}d")(x, kernel, stride, before, s["ceil_mode"], include)[0]
    else:
        w, bias = torch.tensor(s["w"], dtype=torch.float64), torch.tensor(s["bias"], dtype=torch.float64)
        if s["op"] == "conv":
            w = w.reshape(s["out_channels"], -1, *kernel)
            w = w.flip(*range(2, w.ndim)) if s["flip"] else w
            convolve = getattr(function, f"conv{axes}d")
            found = convolve(F.pad(x, sides), w, bias, stride, 0, dilation, s["groups"])[0]
        else:
            w, extra = w.reshape(s["in_channels"], -1, *kernel), tuple(s["output_padding"])
            transpose = getattr(function, f"conv_transpose{axes}d")
            whole = transpose(x, w, bias, stride, 0, extra, s["groups"], dilation)[0]
            rows = zip(s["padding"], whole.shape[1:], strict=True)
            found = whole[(slice(None), *(slice(a, size - b) for (a, b), size in rows))]
    outputs: Tensor = found
    return outputs


def query_of(s: dict[str, Any]) -> dict[str, str]:
    """The address of a setting."""
    text = {
        "op": s["op"], "size": "x".join(map(str, s["size"])), "kernel": "x".join(map(str, s["kernel"])),
        "stride": "x".join(map(str, s["stride"])), "padding": ",".join(str(p) for pair in s["padding"] for p in pair),
        "dilation": "x".join(map(str, s["dilation"])), "outpad": "x".join(map(str, s["output_padding"])),
        "in": str(s["in_channels"]), "out": str(s["out_channels"]), "groups": str(s["groups"]),
    }  # fmt: skip
    text |= {name: ",".join(map(str, s[name])) for name in ("x", "w", "bias") if s.get(name) is not None}
    flags = (("flip", s["flip"], "1"), ("ceil", s["ceil_mode"], "1"), ("count_pad", not s["count_include_pad"], "0"))
    return text | {name: value for name, given, value in flags if given}


class Many(nn.Module):
    """A layer of every kind that the Bench takes apart."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.same = nn.Conv2d(6, 6, 3, padding="same", groups=2)
        self.dilated = nn.Conv2d(6, 4, 3, dilation=2, padding=2, bias=False)
        self.up = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2)
        self.pointed = nn.ConvTranspose2d(6, 4, 1, stride=2)
        self.max = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        self.mean = nn.AvgPool2d(3, 1, 1, count_include_pad=False)
        self.dense = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x), inplace=True)
        x = self.pointed(self.up(self.dilated(self.same(x))))
        x = self.mean(F.max_pool2d(self.max(x), 2, 1))
        outputs: Tensor = self.dense(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return outputs


def many_layers() -> Explainer:
    """That network with fixed weights, for inputs of 3 x 12 x 14."""
    torch.manual_seed(0)
    return Explainer(Many(), (3, 12, 14))


def opened_as(name: str, explainer: Explainer) -> Opened:
    """A network of a test as one that was opened."""
    facts = SimpleNamespace(
        manifest={"model": {"name": name}}, task=explainer.task, classes=explainer.task.classes,
        preprocess=SimpleNamespace(modality="image"),
    )  # fmt: skip
    return Opened(name, Path(f"{name}.neocog"), cast(Any, facts), explainer)
