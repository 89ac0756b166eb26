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
        needed = ((window - 1 + reach) // jump + 1) * jump + reach
        return cls(field, size, units, min(size, needed + (size - needed) % jump))

    def most(self, window: int) -> int:
        """The most units that a window changes."""
        return min(self.units, (window - 1 + int(self.field.last - self.field.first)) // int(self.field.jump) + 1)

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


Box = tuple[slice, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of a program, between two cuts, that is computed on crops."""

    program: fx.GraphModule
    base: Tensor
    """The maps that it reads for the input itself, (1, C, H, W)."""
    crops: tuple[Crops, Crops]

    def changed(self, boxes: list[Box], patches: list[Tensor]) -> tuple[list[Box], list[Tensor]]:
        """The boxes that differ from the base, (C, h, w) each, as they are behind this part."""
        places = [tuple(c.place(b.start, b.stop) for c, b in zip(self.crops, box, strict=True)) for box in boxes]
        parts = [self.crop(box, patch, place) for box, patch, place in zip(boxes, patches, places, strict=True)]
        made = self.program(torch.stack(parts).contiguous(memory_format=torch.channels_last))
        found = [(place[0][1], place[1][1]) for place in places]
        inside = [tuple(c.inside(*at) for c, at in zip(self.crops, place, strict=True)) for place in places]
        return list(found), [maps[:, *box] for maps, box in zip(made, inside, strict=True)]

    def crop(self, box: Box, patch: Tensor, place: tuple[tuple[int, slice], ...]) -> Tensor:
        """A crop of the base, in which the box is replaced; (C, h, w)."""
        cut = [slice(start, start + crop.length) for (start, _), crop in zip(place, self.crops, strict=True)]
        part = self.base[0][:, *cut].clone()
        both = [(max(b.start, c.start), min(b.stop, c.stop)) for b, c in zip(box, cut, strict=True)]
        if all(low < high for low, high in both):
            into = [slice(low - c.start, high - c.start) for (low, high), c in zip(both, cut, strict=True)]
            taken = [slice(low - b.start, high - b.start) for (low, high), b in zip(both, box, strict=True)]
            part[:, *into] = patch[:, *taken]
        return part


def local_program(program: fx.GraphModule, windows: Windows) -> Callable[[Sequence[int]], Tensor] | None:
    """The outputs of a fused program for windows by number; None if no cut saves work.

    To be called as the program is: in inference mode, and with autocast for bf16.
    """
    base, sizes = windows.values.contiguous(memory_format=torch.channels_last), windows.sizes()
    parts: list[Part] = []
    while (cut := best_cut(program, base, sizes)) is not None:
        node, crops = cut
        first, program = halves(program, node)
        parts.append(Part(first, base, crops))
        base = first(base)
        sizes = crops[0].most(sizes[0]), crops[1].most(sizes[1])

    def run(rows: Sequence[int]) -> Tensor:
        boxes = [windows.boxes[row] for row in rows]
        patches = [windows.hidden[:, *box] for box in boxes]
        for part in parts:
            boxes, patches = part.changed(boxes, patches)
        maps = base.expand(len(boxes), *base.shape[1:]).clone(memory_format=torch.channels_last)
        for whole, box, patch in zip(maps, boxes, patches, strict=True):
            whole[:, *box] = patch
        outputs: Tensor = program(maps)
        return outputs

    return run if parts else None


def best_cut(
    program: fx.GraphModule, base: Tensor, sizes: tuple[int, int]
) -> tuple[fx.Node, tuple[Crops, Crops]] | None:
    """The node up to which crops save most work, if windows of these sizes change in what the program reads."""
    fields, costs = fields_of(program), costs_of(program)
    best, saved_most, before = None, LEAST * sum(costs.values()), 0.0
    for node in program.graph.nodes:
        before += costs[node]
        shape = shape_of(node)
        if node in fields and len(shape) == 4 and is_cut(program, node):
            axes = zip(fields[node], base.shape[2:], shape[2:], sizes, strict=True)
            rows, columns = (Crops.along(*axis) for axis in axes)
            saved = before * (1 - rows.length * columns.length / (rows.size * columns.size))
            if saved > saved_most:
                best, saved_most = (node, (rows, columns)), saved
    return best


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
