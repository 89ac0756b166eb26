"""A network as an ONNX model for one shape of inputs, normalised or decoded."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from neocog.engines.convert import to_onnx
from neocog.engines.network import Affine, EngineNetwork

if TYPE_CHECKING:
    import onnx

__all__ = ["INPUT", "OUTPUT", "add_normalisation", "network_to_onnx"]

INPUT, OUTPUT = "inputs", "logits"


def network_to_onnx(network: EngineNetwork, shape: tuple[int, ...]) -> "onnx.ModelProto":
    """The network for normalised inputs (N, *shape), with any N. Raises ConfigError as `to_onnx` does."""
    if shape not in network.written:
        example = torch.zeros(2, *shape, dtype=network.dtype)
        network.written[shape] = to_onnx(network.model, [example], inputs=[INPUT], outputs=[OUTPUT])
    return network.written[shape]


def add_normalisation(proto: "onnx.ModelProto", affine: Affine, dtype: torch.dtype) -> "onnx.ModelProto":
    """The same model for decoded inputs of this type: decoded * factor - shift is computed in front of it."""
    import onnx
    from onnx import helper, numpy_helper

    made = onnx.ModelProto()
    made.CopyFrom(proto)
    (taken,) = made.graph.input
    rank = len(taken.type.tensor_type.shape.dim)
    for name, values in (("factor", affine.factor), ("shift", affine.shift)):
        array = values.numpy().astype(np.float32).reshape(-1, *[1] * (rank - 2))
        made.graph.initializer.append(numpy_helper.from_array(array, f"normalise_{name}"))
    nodes = [
        helper.make_node("Cast", ["decoded"], ["normalise_float"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", ["normalise_float", "normalise_factor"], ["normalise_scaled"]),
        helper.make_node("Sub", ["normalise_scaled", "normalise_shift"], [taken.name]),
    ]
    rest = list(made.graph.node)
    del made.graph.node[:]
    made.graph.node.extend([*nodes, *rest])
    taken.name = "decoded"
    taken.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(str(dtype).removeprefix("torch.")))
    return made
