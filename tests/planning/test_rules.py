"""Each operation alone: what every unit is made of, against changing every value of the input in turn."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from neocog.planning import plan
from tests.support.dependence import measure_dependence

SHAPE = (4, 6, 8)

OPERATIONS = {
    "relu in place": lambda x: (x * 1).sin_().add_(1),
    "softmax over channels": lambda x: x.softmax(1),
    "log softmax over rows": lambda x: x.log_softmax(2),
    "cumulative sum": lambda x: x.sum(3, keepdim=True) + x.cumsum(3),
    "sum of channels": lambda x: x.sum(1, keepdim=True),
    "norm": lambda x: F.normalize(x, dim=1),
    "variance": lambda x: x.var(1),
    "mean of all": lambda x: x + x.mean(),
    "layer norm": lambda x: F.layer_norm(x, (8,)),
    "group norm": lambda x: F.group_norm(x, 2),
    "instance norm": lambda x: F.instance_norm(x),
    "response norm": lambda x: F.local_response_norm(x, 7),
    "avg pool, uneven": lambda x: F.avg_pool2d(x, (2, 3), (1, 2), (1, 1), ceil_mode=True),
    "lp pool": lambda x: F.lp_pool2d(x, 2, 2),
    "adaptive pool": lambda x: F.adaptive_avg_pool2d(x, (4, 3)),
    "adaptive pool to one row": lambda x: F.adaptive_avg_pool2d(x, (1, 8)),
    "pool of one axis": lambda x: F.avg_pool1d(x.flatten(0, 2), 3)[None],
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "nearest, uneven": lambda x: F.interpolate(x, size=(9, 5)),
    "nearest-exact": lambda x: F.interpolate(x, size=(9, 13), mode="nearest-exact"),
    "bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "bilinear, corners": lambda x: F.interpolate(x, size=(11, 15), mode="bilinear", align_corners=True),
    "bilinear, smaller": lambda x: F.interpolate(x, size=(4, 5), mode="bilinear"),
    "bilinear, scale": lambda x: F.interpolate(x, scale_factor=1.3, mode="bilinear"),
    "bicubic": lambda x: F.interpolate(x, size=(9, 11), mode="bicubic"),
    "antialiased": lambda x: F.interpolate(x, size=(3, 5), mode="bilinear", antialias=True),
    "linear in one axis": lambda x: F.interpolate(x.flatten(0, 1), scale_factor=2, mode="linear")[None],
    "zero padding": lambda x: F.pad(x, (1, 2, 0, 3)),
    "padding of channels": lambda x: F.pad(x, (0, 0, 0, 0, 1, 2)),
    "cropping": lambda x: F.pad(x, (-1, -2, -1, 0)),
    "reflection": lambda x: F.pad(x, (1, 2, 2, 1), mode="reflect"),
    "replication": lambda x: F.pad(x, (1, 2, 2, 1), mode="replicate"),
    "flip": lambda x: x.flip(1, 3),
    "roll of channels": lambda x: x.roll(1, 1),
    "roll of rows": lambda x: x.roll((1, -2), (2, 3)),
    "repeat of channels": lambda x: x.repeat(1, 2, 1, 1),
    "repeat of rows": lambda x: x.repeat(1, 1, 2, 1),
    "interleaved channels": lambda x: x.repeat_interleave(2, 1),
    "chunks": lambda x: torch.cat([part * (i + 1) for i, part in enumerate(x.chunk(2, 1))][::-1], 1),
    "unequal split": lambda x: x.split([1, 3], 1)[1] * 2,
    "unbind and stack": lambda x: torch.stack(x.unbind(1)[::-1], 1),
    "stack again": lambda x: torch.stack([x, x.flip(3)], 2),
    "concatenated rows": lambda x: torch.cat([x, x[:, :, :2]], 2),
    "slices with steps": lambda x: x[:, 1::2, ::2, 1:-1:3],
    "last column": lambda x: x[..., -1],
    "chosen channels": lambda x: x[:, 2:3] * x,
    "channel shuffle": lambda x: F.channel_shuffle(x, 2),
    "shuffle by views": lambda x: x.view(1, 2, 2, 6, 8).transpose(1, 2).reshape(1, 4, 6, 8),
    "pixel shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "patches by views": lambda x: x.view(1, 4, 3, 2, 4, 2).permute(0, 1, 3, 5, 2, 4).reshape(1, 16, 3, 4),
    "unfold": lambda x: F.unfold(x, (2, 3), padding=1, stride=2),
    "unfold of a tensor": lambda x: x.unfold(3, 3, 2),
    "glu": lambda x: F.glu(x, 1) + F.glu(x.flip(3), 1),
    "glu of rows": lambda x: F.glu(x, 2),
    "largest channels": lambda x: x.topk(2, 1)[0] + x.sum(1, keepdim=True),
    "gathered channels": lambda x: x.gather(1, torch.zeros_like(x[:, :1], dtype=torch.int64)) + x.sum(1, keepdim=True),
    "shape of a map": lambda x: torch.ones_like(x.mean((2, 3), keepdim=True)) + x,
    "activations": lambda x: F.hardswish(F.prelu(F.logsigmoid(x), torch.ones(4, dtype=x.dtype, device=x.device))),
    "all pairs of places": lambda x: x.mean(2).unsqueeze(-1) * x.mean(3).unsqueeze(-2),
    "products of all pairs": lambda x: (x.mT @ x)[..., 0],
    "transposed in place": lambda x: (x * 2).transpose_(2, 3),
    "squeezed in place": lambda x: x.sum(1, keepdim=True).squeeze_(1),
    "interleaved rows": lambda x: x.repeat_interleave(3, 2),
    "windows and back": lambda x: (
        x.view(1, 4, 3, 2, 4, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, 12, 16).cumsum(1).view(1, 3, 4, 4, 2, 2)
    ),
    "an empty part": lambda x: torch.cat([torch.empty(0, dtype=x.dtype, device=x.device), x], 1),
    "cumulative rows": lambda x: x.cumsum(2),
    "a predicted weight": lambda x: torch.cat(
        [F.conv2d(one[None], one.mean((1, 2)).view(1, 4, 1, 1)) for one in x]
    ),
    "written in place": lambda x: written(x),
    "columns and back": lambda x: F.fold(F.unfold(x, 3), SHAPE[1:], 3),
    "channels last and back": lambda x: (x.permute(0, 2, 3, 1).tanh()).movedim(-1, 1),
    "tokens": lambda x: (x.flatten(2).mT @ torch.ones(4, 3, dtype=x.dtype, device=x.device)).mT.unflatten(2, (6, 8)),
    "matrix times vector": lambda x: (x[0, 0] @ torch.ones(8, dtype=x.dtype, device=x.device))[None],
    "products of two maps": lambda x: x @ x.mT,
    "einsum": lambda x: torch.einsum("nchw,cd->ndhw", x, torch.ones(4, 5, dtype=x.dtype, device=x.device)),
    "outer sum": lambda x: x.mean(2, keepdim=True) * x.mean(3, keepdim=True),
    "where": lambda x: torch.where(torch.ones_like(x) > 0, x, x.sum(1, keepdim=True)) + x.sum(1, keepdim=True),
    "written in part": lambda x: torch.zeros_like(x).index_copy(1, torch.tensor([1], device=x.device), x[:, :1]),
}  # fmt: skip


def written(x):
    """The first channel is doubled where it stands; the others are seen through another view."""
    y = x * 1
    y[:, 0] *= y[:, 1]
    return y + 1


COARSE = {
    "products of all pairs", "written in place", "windows and back", "cumulative rows", "a predicted weight",
    "layer norm", "group norm", "instance norm", "norm",  # statistics cancel in some places
    "cumulative sum", "response norm", "columns and back", "written in part", "where",
}  # fmt: skip
"""Operations of which more is said to be read than is: an unknown order, or no rule."""


def field_holds(found, changes):
    """Every unit's box, cut to the image, holds all that changes the unit; where the axes are as in the input."""
    row = found.rows[-1]
    if changes.ndim != 4 or found.trace.operations[row.operation].outputs[0] != found.trace.outputs[0]:
        return
    anywhere = changes.any(1)
    for axis, field in enumerate(row.fields):
        for unit in range(changes.shape[2 + axis] if axis_kept(found, axis) else 0):
            touched = np.flatnonzero(anywhere.take(unit, 1 + axis).any(1).reshape(SHAPE).any((0, 2 - axis)))
            box = field.box(unit)
            assert not touched.size or (box[0] <= touched[0] and touched[-1] <= box[1]), (axis, unit)


def axis_kept(found, axis):
    """Whether the last two dimensions are still rows and columns; borders that are mirrored see what is not theirs."""
    names = {row.operator for row in found.rows}
    return not names & {"reflection_pad2d", "replication_pad2d", "transpose", "im2col", "view", "unfold"}


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_unit_of_an_operation_reads_what_changes_it(name):
    model = Function(OPERATIONS[name]).double()
    found = plan(model, SHAPE)
    changes = measure_dependence(model, SHAPE, at_once=1)
    field_holds(found, changes)
    row = next(row for row in found.rows if found.trace.operations[row.operation].outputs[0] == found.trace.outputs[0])
    shape = changes.shape[1:]
    assert row.output_shape == shape
    draw = np.random.default_rng(0)
    for _ in range(25):
        place = tuple(int(draw.integers(size)) for size in shape)
        read = found.support(row, place[1:], place[0])
        changed = changes[(slice(None), *place)].reshape(SHAPE)
        if name in COARSE:
            assert (read | ~changed).all(), place
        else:
            assert np.array_equal(read, changed), place
