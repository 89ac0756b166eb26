"""Variants of an input that differ from it in one window: the first layers are computed only where the window reaches.

A unit whose receptive field doesn't meet the window has the value that it has for the input itself. So a program is cut
in two where one layer's maps are all that the rest reads. Its first half runs on crops, each as large as the fields of
the units that change; these are put into the maps of the whole input, on which the second half runs. Within a crop,
units at its edges see zeros where the input continues, but the units that are taken see the crop only.
"""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from neocog.arithmetic import Window
from neocog.explaining.scoring import Windows
from neocog.layers.fuse import FusedConv, module_of, shape_of

__all__ = ["local_program"]

ELEMENTWISE = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Hardswish, nn.Sigmoid, nn.Identity, nn.Dropout,
    nn.Dropout2d, nn.BatchNorm2d,
)  # fmt: skip
SUMS: tuple[object, ...] = (operator.add, torch.add)
RECTIFIED: tuple[object, ...] = (F.relu, torch.relu, "relu")
LEAST = 0.1  # of all multiplications that must be saved

Fields = tuple[Window, Window]


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """How crops along one axis are made: of `length` samples, from a multiple of the field's jump."""

    field: Window
    size: int
    """Of the input."""
    units: int
    """Of the maps."""
    length: int

    @classmethod
    def along(cls, field: Window, size: int, units: int, window: int) -> "Crops":
        jump, reach = int(field.jump), int(field.last - field.first)
        changed = (window - 1 + reach) // jump + 1
        needed = changed * jump + reach
        return cls(field, size, units, min(size, needed + (size - needed) % jump))

    def place(self, begin: int, end: int) -> tuple[int, slice]:
        """Where the crop for a window begins, and the units of the whole maps that the window changes."""
        jump, first, last = int(self.field.jump), int(self.field.first), int(self.field.last)
        low = max(0, math.ceil((begin - last) / jump))
        high = min(self.units, (end - 1 - first) // jump + 1)
        start = min(max(0, first + jump * low) // jump * jump, self.size - self.length)
        return start, slice(low, max(low, high))

    def inside(self, start: int, units: slice) -> slice:
        """The same units in the maps of the crop."""
        begin = start // int(self.field.jump)
        return slice(units.start - begin, units.stop - begin)


def local_program(program: fx.GraphModule, windows: Windows) -> Callable[[Sequence[int]], Tensor] | None:
    """The outputs of a fused program for windows by number; None if no cut saves work.

    To be called as the program is: in inference mode, and with autocast for bf16.
    """
    height, width = windows.values.shape[2:]
    sizes = windows.sizes()
    fields, costs = fields_of(program), costs_of(program)
    best: tuple[float, fx.Node, tuple[Crops, Crops]] | None = None
    before = 0.0
    for node in program.graph.nodes:
        before += costs[node]
        if node not in fields or not is_cut(program, node) or len(shape_of(node)) != 4:
            continue
        units = shape_of(node)[2:]
        crops = (
            Crops.along(fields[node][0], height, units[0], sizes[0]),
            Crops.along(fields[node][1], width, units[1], sizes[1]),
        )
        saved = before * (1 - crops[0].length * crops[1].length / (height * width))
        if saved > max(LEAST * sum(costs.values()), best[0] if best else 0.0):
            best = saved, node, crops
    return None if best is None else split(program, best[1], best[2], windows)


def split(
    program: fx.GraphModule, node: fx.Node, crops: tuple[Crops, Crops], windows: Windows
) -> Callable[[Sequence[int]], Tensor]:
    """The two halves of a program around a node, as one function of the numbers of windows."""
    first, second = halves(program, node)
    base: Tensor = first(windows.values.contiguous(memory_format=torch.channels_last))

    def run(rows: Sequence[int]) -> Tensor:
        found = [
            tuple(c.place(b.start, b.stop) for c, b in zip(crops, windows.boxes[row], strict=True)) for row in rows
        ]
        parts = [crop_of(windows, row, each, crops) for row, each in zip(rows, found, strict=True)]
        made = first(torch.stack(parts).contiguous(memory_format=torch.channels_last))
        maps = base.expand(len(parts), *base.shape[1:]).clone(memory_format=torch.channels_last)
        for whole, crop, ((y, rows_of), (x, columns)) in zip(maps, made, found, strict=True):
            whole[:, rows_of, columns] = crop[:, crops[0].inside(y, rows_of), crops[1].inside(x, columns)]
        outputs: Tensor = second(maps)
        return outputs

    return run


def crop_of(windows: Windows, row: int, found: tuple[tuple[int, slice], ...], crops: tuple[Crops, Crops]) -> Tensor:
    """The crop of a window, which is replaced in it; (C, h, w)."""
    cut = [slice(start, start + crop.length) for (start, _), crop in zip(found, crops, strict=True)]
    box = [
        slice(max(along.start, crop.start), max(along.start, crop.start, min(along.stop, crop.stop)))
        for along, crop in zip(windows.boxes[row], cut, strict=True)
    ]
    part = windows.values[0][:, cut[0], cut[1]].clone()
    inner = [slice(along.start - crop.start, along.stop - crop.start) for along, crop in zip(box, cut, strict=True)]
    part[:, inner[0], inner[1]] = windows.hidden[:, box[0], box[1]]
    return part


def halves(program: fx.GraphModule, node: fx.Node) -> tuple[fx.GraphModule, fx.GraphModule]:
    """The program up to a node, and from it on."""
    graphs, copies = (fx.Graph(), fx.Graph()), dict[fx.Node, fx.Node]()
    part = 0
    for each in program.graph.nodes:
        copies[each] = graphs[part].node_copy(each, lambda old: copies[old])
        if each is node:
            graphs[0].output(copies[each])
            copies[each] = graphs[1].placeholder("maps")
            part = 1
    return fx.GraphModule(program, graphs[0]), fx.GraphModule(program, graphs[1])


def is_cut(program: fx.GraphModule, node: fx.Node) -> bool:
    """Whether nothing behind a node reads anything before it."""
    nodes = list(program.graph.nodes)
    at = nodes.index(node)
    before = set(nodes[:at])
    return all(read not in before for each in nodes[at + 1 :] for read in each.all_input_nodes)


def costs_of(program: fx.GraphModule) -> dict[fx.Node, float]:
    """Multiplications of each node, for one input."""
    costs = {}
    for node in program.graph.nodes:
        module = module_of(program, node)
        conv = module.conv if isinstance(module, FusedConv) else module
        shape = shape_of(node)
        costs[node] = (
            float(math.prod(shape[1:]) * math.prod(conv.weight.shape[1:]))
            if isinstance(conv, nn.Conv2d) and len(shape) == 4
            else 0.0
        )
    return costs


def fields_of(program: fx.GraphModule) -> dict[fx.Node, Fields]:
    """The receptive fields of all nodes between the input and the first operation that is not known to be local."""
    fields: dict[fx.Node, Fields] = {}
    for node in program.graph.nodes:
        if node.op == "placeholder":
            fields[node] = (Window(), Window())
        elif node.all_input_nodes and all(read in fields for read in node.all_input_nodes):
            found = field_of(program, node, [fields[read] for read in node.all_input_nodes])
            if found is not None:
                fields[node] = found
    return fields


def field_of(program: fx.GraphModule, node: fx.Node, inputs: list[Fields]) -> Fields | None:
    """The receptive field of a node behind those of its inputs; None for an operation that is not known."""
    module = module_of(program, node)
    if isinstance(module, FusedConv):
        return joined([through(module.conv, inputs[0]), *inputs[1:]])
    if type(module) is nn.Conv2d and module.padding_mode == "zeros" and not isinstance(module.padding, str):
        return through(module, inputs[0])
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d) and not module.ceil_mode:
        return through(module, inputs[0])
    if isinstance(module, ELEMENTWISE) or node.target in RECTIFIED:
        return inputs[0] if len(inputs) == 1 else None
    return joined(inputs) if node.target in SUMS and len(inputs) == 2 else None


def through(module: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d, fields: Fields) -> Fields:
    def pair(value: Any) -> tuple[int, int]:
        return (value, value) if isinstance(value, int) else (value[0], value[1])

    dilation = getattr(module, "dilation", 1)
    numbers = zip(pair(module.kernel_size), pair(module.stride), pair(module.padding), pair(dilation), strict=True)
    y, x = (field.through(*each) for field, each in zip(fields, numbers, strict=True))
    return y, x


def joined(fields: Sequence[Fields]) -> Fields | None:
    """The field of a sum of maps; None if they move at different steps."""
    (y, x), *others = fields
    for other in others:
        if (other[0].jump, other[1].jump) != (y.jump, x.jump):
            return None
        y, x = y | other[0], x | other[1]
    return y, x
