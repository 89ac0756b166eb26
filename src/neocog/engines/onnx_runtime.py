"""ONNX Runtime on the CPU, in float32 or with a network that was quantised to int8."""

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from neocog.engines.engine import Engine, Program
from neocog.engines.network import EngineNetwork
from neocog.engines.onnx_graph import add_normalisation, network_to_onnx

if TYPE_CHECKING:
    import onnx
    import onnxruntime

__all__ = ["OnnxRuntime", "OnnxRuntimeInt8", "open_session"]

QUIET = 3  # ONNX Runtime's level for errors


def open_session(content: bytes, threads: int) -> "onnxruntime.InferenceSession":
    """A session on the CPU. Its threads don't spin while they wait: other threads of this program have work."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = QUIET
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class OnnxRuntime(Engine):
    """The network as an ONNX model, run in float32."""

    name: ClassVar[str] = "onnxruntime"

    def graph(self, shape: tuple[int, ...]) -> "onnx.ModelProto":
        """The model for normalised inputs of this shape."""
        return network_to_onnx(self.network, shape)

    def compile(self, example: Tensor) -> Program:
        proto, network = self.graph(tuple(example.shape[1:])), self.network
        if example.dtype != network.dtype:
            assert network.affine is not None
            proto = add_normalisation(proto, network.affine, example.dtype)
        session = open_session(proto.SerializeToString(), self.threads)
        (taken,) = session.get_inputs()

        def run(inputs: Tensor) -> Tensor:
            found: Any = session.run(None, {taken.name: inputs.contiguous().numpy()})[0]
            return torch.from_numpy(found)

        return run


class OnnxRuntimeInt8(OnnxRuntime):
    """A quantised ONNX model; inputs of another shape than it was quantised for are computed in float32."""

    name: ClassVar[str] = "onnxruntime-int8"

    def __init__(self, network: EngineNetwork, quantised: "onnx.ModelProto", *, threads: int) -> None:
        super().__init__(network, threads=threads)
        self.quantised = quantised

    def graph(self, shape: tuple[int, ...]) -> "onnx.ModelProto":
        return self.quantised if shape == self.network.shape else super().graph(shape)
