"""OpenVINO on the CPU: in float32, in bfloat16, or with a network that was quantised to int8."""

import threading
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from neocog.engines.engine import Engine, Program
from neocog.engines.network import Affine, EngineNetwork
from neocog.engines.onnx_graph import network_to_onnx

if TYPE_CHECKING:
    import openvino

__all__ = ["OpenVino", "OpenVinoBf16", "OpenVinoInt8", "cpu_capabilities", "network_to_openvino"]


def cpu_capabilities() -> frozenset[str]:
    """The types that this CPU has instructions for, by OpenVINO's names: FP32, INT8, BF16 and others."""
    import openvino

    found = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return frozenset(found)


def network_to_openvino(network: EngineNetwork, shape: tuple[int, ...]) -> "openvino.Model":
    """The network for normalised inputs (N, *shape), with any N."""
    import openvino

    return openvino.Core().read_model(network_to_onnx(network, shape).SerializeToString())


def add_normalisation(model: "openvino.Model", affine: Affine, dtype: torch.dtype) -> "openvino.Model":
    """The same model for decoded inputs of this type: (decoded - mean) / scale is computed in front of it."""
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    model = model.clone()
    rank = len(model.input(0).partial_shape)
    taken = PrePostProcessor(model)
    taken.input(0).tensor().set_element_type(getattr(Type, "u8" if dtype == torch.uint8 else "u16"))
    taken.input(0).tensor().set_layout(Layout("NC" + "?" * (rank - 2)))
    steps = taken.input(0).preprocess().convert_element_type(Type.f32)
    steps.mean((affine.shift / affine.factor).tolist()).scale((1 / affine.factor.double()).tolist())
    return taken.build()


class OpenVino(Engine):
    """The network in OpenVINO's own form, run in float32.

    The precision is always stated: where the CPU has bfloat16, the plugin would take it by default.
    """

    name: ClassVar[str] = "openvino"
    precision: ClassVar[str] = "f32"

    def graph(self, shape: tuple[int, ...]) -> "openvino.Model":
        """The model for normalised inputs of this shape."""
        return network_to_openvino(self.network, shape)

    def compile(self, example: Tensor) -> Program:
        import openvino

        model, network = self.graph(tuple(example.shape[1:])), self.network
        if example.dtype != network.dtype:
            assert network.affine is not None
            model = add_normalisation(model, network.affine, example.dtype)
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision, "INFERENCE_NUM_THREADS": self.threads, "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }  # fmt: skip
        compiled = openvino.Core().compile_model(model, "CPU", settings)
        local = threading.local()  # a request computes one batch at a time

        def run(inputs: Tensor) -> Tensor:
            request: Any = getattr(local, "request", None)
            if request is None:
                request = local.request = compiled.create_infer_request()
            request.infer([inputs.contiguous().numpy()], share_inputs=True)
            return torch.from_numpy(request.get_output_tensor(0).data.copy())

        return run


class OpenVinoBf16(OpenVino):
    """As `OpenVino`, computed in bfloat16, which keeps 8 bits of each value."""

    name: ClassVar[str] = "openvino-bf16"
    precision: ClassVar[str] = "bf16"


class OpenVinoInt8(OpenVino):
    """A quantised model; inputs of another shape than it was quantised for are computed in float32."""

    name: ClassVar[str] = "openvino-int8"

    def __init__(self, network: EngineNetwork, quantised: "openvino.Model", *, threads: int) -> None:
        super().__init__(network, threads=threads)
        self.quantised = quantised

    def graph(self, shape: tuple[int, ...]) -> "openvino.Model":
        return self.quantised if shape == self.network.shape else super().graph(shape)
