"""A network as an ONNX model: the form from which ONNX Runtime and OpenVINO start."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.errors import ConfigError

if TYPE_CHECKING:
    import onnx

__all__ = ["OPSET", "Dynamic", "export_program", "to_onnx"]

OPSET = 20
"""The version of ONNX's operators: the newest that torch's exporter writes without converting."""
Dynamic = Mapping[int, str]
"""The axes of an input that may have any size, and their names."""

aten = torch.ops.aten


def to_onnx(
    model: nn.Module,
    example: Sequence[Tensor],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: Sequence[Dynamic] = ({0: "batch"},),
) -> "onnx.ModelProto":
    """A network in evaluation mode as an ONNX model; it is not changed.

    `example` are inputs as the network takes them; axes in `dynamic` may have other sizes later, and need an example of
    at least 2, since a size of 1 would be written down as it is. `inputs` and `outputs` are names.
    Raises ConfigError for a network that can't be written down exactly.
    """
    for tensor, axes in zip(example, dynamic, strict=True):
        assert all(tensor.shape[axis] > 1 for axis in axes), "an example size of 1 would be written down as it is"
    program = export_program(model, example, dynamic)
    with quiet():
        made = torch.onnx.export(
            program, (), dynamo=True, opset_version=OPSET, input_names=list(inputs), output_names=list(outputs),
            verbose=False,
        )  # fmt: skip
    assert made is not None
    proto: onnx.ModelProto = made.model_proto
    name_axes(proto, dynamic)
    fold_padded_weights(proto)
    return proto


def export_program(
    model: nn.Module, example: Sequence[Tensor], dynamic: Sequence[Dynamic] = ({0: "batch"},)
) -> torch.export.ExportedProgram:
    """A network as torch's own archive holds it, with operations replaced that other engines would compute otherwise.

    Raises ConfigError for a network whose path depends on its values.
    """
    shapes = tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in dynamic)
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(model.eval(), tuple(example), dynamic_shapes=forwarded(model, shapes))
            exact: torch.export.ExportedProgram = program.run_decompositions(dict(EXACT))
            return exact
    except Exception as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            "A network is exported as one graph, without decisions that depend on values.",
            received=f"{type(error).__name__}: {str(error).splitlines()[0][:300]}", where=type(model).__name__,
            fix="Write such decisions as torch.where, and sizes as they follow from the input.",
        ) from error  # fmt: skip


def forwarded(model: nn.Module, shapes: tuple[Any, ...]) -> Any:
    """Dynamic shapes in the form that torch wants: those of `*args` are one argument."""
    import inspect

    kinds = [each.kind for each in inspect.signature(model.forward).parameters.values()]
    return (shapes,) if inspect.Parameter.VAR_POSITIONAL in kinds[:1] else shapes


@contextmanager
def quiet() -> Iterator[None]:
    """torch's exporters tell what they do on standard output, and that torchvision is missing."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def name_axes(proto: "onnx.ModelProto", dynamic: Sequence[Dynamic]) -> None:
    """Give the dynamic axes of the inputs their names, and those of the outputs that have the same sizes."""
    names: dict[str, str] = {}
    for value, axes in zip(proto.graph.input, dynamic, strict=True):
        for axis, name in axes.items():
            names[value.type.tensor_type.shape.dim[axis].dim_param] = name
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_param = names[dim.dim_param]


def fold_padded_weights(proto: "onnx.ModelProto") -> None:
    """Store filters that are padded in the graph as they are after that.

    ONNX Runtime (1.32) merges such padding with the convolution as if it padded the maps, and then refuses the model.
    """
    from onnx import numpy_helper

    stored = {each.name: each for each in proto.graph.initializer}
    made = []
    for node in list(proto.graph.node):
        names = [name for name in node.input if name]
        mode = next((each.s for each in node.attribute if each.name == "mode"), b"constant")
        if node.op_type != "Pad" or mode != b"constant" or not all(name in stored for name in names):
            continue
        filters, pads, *rest = (numpy_helper.to_array(stored[name]) for name in names)
        if len(rest) > 1:  # axes of its own
            continue
        half = len(pads) // 2
        widths = list(zip(pads[:half].tolist(), pads[half:].tolist(), strict=True))
        padded = np.pad(filters, widths, constant_values=rest[0] if rest else 0)
        made.append(numpy_helper.from_array(padded, node.output[0]))
        proto.graph.node.remove(node)
    if made:
        read = {name for node in proto.graph.node for name in node.input}
        kept = [each for each in proto.graph.initializer if each.name in read]
        del proto.graph.initializer[:]
        proto.graph.initializer.extend([*kept, *made])


def exact_avg_pool(
    maps: Tensor, kernel_size: Sequence[int], stride: Sequence[int] = (), padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """Average pooling whose divisor is a factor of its own, since ONNX has none; (N, C, H, W)."""
    if divisor_override is None:
        return NotImplemented  # type: ignore[no-any-return]  # which leaves the operation as it is
    if ceil_mode:
        raise ConfigError(
            "Average pooling with a divisor of its own is exported if its windows don't reach beyond the maps.",
            received=f"ceil_mode=True, divisor_override={divisor_override}", fix="Set ceil_mode to False.",
        )  # fmt: skip
    pooled = F.avg_pool2d(maps, list(kernel_size), list(stride) or None, list(padding), count_include_pad=True)
    return pooled * (kernel_size[0] * kernel_size[-1] / divisor_override)


def exact_adaptive_avg_pool(maps: Tensor, output_size: Sequence[int]) -> Tensor:
    """Adaptive average pooling for maps of any size, as products with matrices of shares; (N, C, H, W).

    torch's exporter would write down the window that the example had.
    """
    height, width = maps.shape[2:]
    if isinstance(height, int) and isinstance(width, int):
        return NotImplemented  # type: ignore[no-any-return]
    rows, columns = (
        shares(length, int(parts), maps) for length, parts in zip((height, width), output_size, strict=True)
    )
    return torch.matmul(torch.matmul(rows, maps), columns.T)


def shares(length: Any, parts: int, like: Tensor) -> Tensor:
    """The share of each place of an axis in each of its parts, which may overlap; (parts, length).

    Part k reaches from floor(k L / parts) to ceil((k + 1) L / parts).
    """
    numbers, places = torch.arange(parts, device=like.device), torch.arange(length, device=like.device)
    starts, ends = numbers * length // parts, ((numbers + 1) * length + parts - 1) // parts
    inside = (places >= starts[:, None]) & (places < ends[:, None])
    found: Tensor = inside.to(like.dtype) / (ends - starts)[:, None]
    return found


def exact_log_sigmoid(values: Tensor) -> Tensor:
    """log(sigmoid(x)) without the overflow of log(0) for x below -88."""
    return -F.softplus(-values)


EXACT: dict[Any, Callable[..., Tensor]] = {
    aten.avg_pool2d.default: exact_avg_pool,
    aten.adaptive_avg_pool2d.default: exact_adaptive_avg_pool,
    aten.log_sigmoid.default: exact_log_sigmoid,
}
"""Operations that torch's ONNX exporter (2.13) writes as another function, each by one that it writes exactly."""
