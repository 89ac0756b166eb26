"""Engines of a network with what is remembered of it: graphs are written and quantised once, and read afterwards."""

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neocog.cpus import num_threads
from neocog.engines.eager import torch_backend
from neocog.engines.engine import Backend
from neocog.engines.make_engine import ENGINES, build_engine, check_name, check_possible, quantise
from neocog.engines.network import EngineNetwork, describe_network
from neocog.engines.store import Store, digest_of, environment, pack, unpack, versions
from neocog.errors import NeocogError
from neocog.modalities.preprocess import Preprocess

__all__ = ["Workshop"]


class Workshop:
    """Makes engines of one network, and remembers what took time to make.

    Raises PlanError for a network whose modules can't be copied.
    """

    def __init__(self, model: nn.Module, preprocess: Preprocess, *, threads: int | None = None) -> None:
        self.model, self.preprocess, self.threads = model, preprocess, threads or num_threads()
        self.store = Store(digest_of(model, preprocess))
        self.known: EngineNetwork | None = None

    @property
    def network(self) -> EngineNetwork:
        if self.known is None:
            self.known = describe_network(self.model, self.preprocess)
        return self.known

    @property
    def about(self) -> dict[str, Any]:
        """The facts that a choice of an engine depends on, besides the network."""
        network = self.network
        return {"shape": network.shape, "dtype": str(network.decoded_dtype), **environment(self.threads)}

    @property
    def about_graph(self) -> dict[str, Any]:
        return {"shape": self.network.shape, "versions": versions()}

    def build(self, name: str, calibration: Tensor | None = None) -> Backend:
        """As `engines.build`; an int8 engine without `calibration` is made of the graph that was remembered."""
        check_name(name)
        if name == "eager":
            return torch_backend(self.model)
        check_possible(name, self.model)
        if ENGINES[name].modules:
            self.read_network()
        quantised = self.quantised(name, calibration) if ENGINES[name].int8 else None
        engine = build_engine(name, self.network, threads=self.threads, quantised=quantised)
        self.keep_network()
        return engine

    def read_network(self) -> None:
        """Take the network as ONNX from the store, if it is there: writing it takes seconds."""
        network = self.network
        if network.shape in network.written:
            return
        content = self.store.read("network.onnx", self.about_graph)
        if content is not None:
            import onnx

            network.written[network.shape] = onnx.load_from_string(content)

    def keep_network(self) -> None:
        proto = self.network.written.get(self.network.shape)
        if proto is not None and not self.store.path("network.onnx", self.about_graph).exists():
            self.store.write("network.onnx", self.about_graph, proto.SerializeToString())

    def has_quantised(self, name: str) -> bool:
        """Whether the graph of an int8 engine is remembered."""
        return self.store.read(name, self.about_graph) is not None

    def quantised(self, name: str, calibration: Tensor | None) -> Any:
        """The graph of an int8 engine: from this sample of decoded inputs, or as it is remembered."""
        if calibration is None:
            content = self.store.read(name, self.about_graph)
            if content is not None:
                return read_graph(name, content)
        made = quantise(name, self.network, calibration)
        self.store.write(name, self.about_graph, write_graph(name, made))
        return made

    def refuse_reason(self, name: str, error: NeocogError) -> str:
        """Why an engine could not be made, in a few words."""
        return error.received or str(error)


def write_graph(name: str, graph: Any) -> bytes:
    """An ONNX model, or an OpenVINO model with its weights, as bytes."""
    if name.startswith("onnxruntime"):
        content: bytes = graph.SerializeToString()
        return content
    import openvino

    with tempfile.TemporaryDirectory() as folder:  # OpenVINO writes to paths only
        xml, weights = Path(folder, "graph.xml"), Path(folder, "graph.bin")
        openvino.serialize(graph, str(xml), str(weights))
        return pack([xml.read_bytes(), weights.read_bytes()])


def read_graph(name: str, content: bytes) -> Any:
    """The inverse of `write_graph`."""
    if name.startswith("onnxruntime"):
        import onnx

        return onnx.load_from_string(content)
    import numpy as np
    import openvino

    xml, weights = unpack(content)
    blob = openvino.Tensor(np.frombuffer(weights, np.uint8)) if weights else openvino.Tensor(np.zeros(0, np.uint8))
    return openvino.Core().read_model(xml, blob)


def spread(logits: Tensor) -> float:
    """The standard deviation of logits, on whose scale differences are judged."""
    return float(logits.double().std().clamp_min(1e-12)) if logits.numel() > 1 else 1.0


def largest_error(found: Tensor, expected: Tensor, besides: float = 0.0) -> float:
    """The largest difference of a logit, as a share of the spread of the expected ones; infinite for other shapes.

    The `besides` largest differences, a share of all logits, don't count.
    """
    if found.shape != expected.shape or not torch.isfinite(found).all():
        return float("inf")
    gaps = (found.double() - expected.double()).abs().flatten()
    largest = gaps.max() if not besides else gaps.kthvalue(max(1, len(gaps) - int(besides * len(gaps)))).values
    return float(largest) / spread(expected)
