"""An ONNX model for others: batch norms folded into the layers before them, and paths of this machine left out."""

import ast
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

__all__ = ["fold_norms", "without_traces"]

LAYERS = {"Conv": 0, "ConvTranspose": 1, "Gemm": 0}
"""Operations whose outputs a factor of their weights scales, and the axis of the outputs in these."""
SCOPES = "pkg.torch.onnx.name_scopes"
EPSILON = 1e-5  # of BatchNormalization, by default


def without_traces(proto: "onnx.ModelProto") -> None:
    """Remove what torch's exporter writes about the program: paths of this machine and its lines of code.

    The module that a node comes from stays, as the first part of the node's name: network/conv1/node_conv2d.
    """
    graph = proto.graph
    for node in graph.node:
        if module := module_of(node):
            node.name = f"{module}/{node.name}"
    for part in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""


def module_of(node: "onnx.NodeProto") -> str:
    """The path of the module that torch's exporter made a node of; empty for the outermost one."""
    scopes = next((entry.value for entry in node.metadata_props if entry.key == SCOPES), "")
    parts: list[str] = ast.literal_eval(scopes) if scopes else []
    return parts[-2].replace(".", "/") if len(parts) > 1 else ""


def fold_norms(proto: "onnx.ModelProto") -> None:
    """Fold each BatchNormalization that alone reads a layer's output into that layer, in place.

    (w x + b - mean) g / sqrt(var + eps) + beta = (f w) x + f (b - mean) + beta,  f = g / sqrt(var + eps)
    """
    from onnx import numpy_helper

    graph = proto.graph
    values = {each.name: each for each in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(each.name for each in graph.output)
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        layer: Any = made_by.get(norm.input[0])
        fits = layer is not None and layer.op_type in LAYERS and readers[norm.input[0]] == 1
        if not fits or not all(name in values for name in (*norm.input[1:], *layer.input[1:])):
            continue
        gamma, beta, mean, var = (numpy_helper.to_array(values[name]).astype(np.float64) for name in norm.input[1:5])
        factor = gamma / np.sqrt(var + attribute(norm, "epsilon", EPSILON))
        weight = numpy_helper.to_array(values[layer.input[1]]).astype(np.float64)
        has_bias = len(layer.input) > 2 and layer.input[2]
        bias = numpy_helper.to_array(values[layer.input[2]]).astype(np.float64) if has_bias else np.zeros_like(mean)
        names = [f"{norm.output[0]}_{part}" for part in ("weight", "bias")]
        arrays = scaled(layer, weight, factor), (bias - mean) * factor + beta
        graph.initializer.extend(
            numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name)
            for name, array in zip(names, arrays, strict=True)
        )
        del layer.input[1:]
        layer.input.extend(names)
        layer.output[0] = norm.output[0]
        graph.node.remove(norm)
    drop_unused(graph)


def scaled(layer: Any, weight: NDArray[np.float64], factor: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weights of a layer times a factor for each output."""
    axis = LAYERS[layer.op_type]
    if layer.op_type == "Gemm" and not attribute(layer, "transB", 0):
        axis = 1
    if layer.op_type == "ConvTranspose":  # (inputs, outputs / groups, ...)
        groups = int(attribute(layer, "group", 1))
        parts = weight.reshape(groups, -1, *weight.shape[1:])
        factors = factor.reshape(groups, 1, -1, *[1] * (weight.ndim - 2))
        return (parts * factors).reshape(weight.shape)
    shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
    found: NDArray[np.float64] = weight * factor.reshape(shape)
    return found


def attribute(node: Any, name: str, default: float) -> float:
    """A number that a node holds."""
    import onnx

    return next((float(onnx.helper.get_attribute_value(each)) for each in node.attribute if each.name == name), default)


def drop_unused(graph: Any) -> None:
    """Remove weights that nothing reads any more, and shapes of values that no longer exist."""
    used = {name for node in graph.node for name in node.input} | {each.name for each in graph.output}
    kept = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    made = {name for node in graph.node for name in node.output}
    shapes = [each for each in graph.value_info if each.name in made]
    del graph.value_info[:]
    graph.value_info.extend(shapes)
