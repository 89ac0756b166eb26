"""Engines by name: which there are, which of them this machine can run, and how each is made from a network."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from neocog.cpus import num_threads
from neocog.engines.eager import Compiled, CompiledBf16, torch_backend
from neocog.engines.engine import Backend, Engine, is_on_cpu
from neocog.engines.network import EngineNetwork, describe_network
from neocog.errors import ConfigError, NeocogError, did_you_mean
from neocog.modalities.preprocess import Preprocess

__all__ = ["ENGINES", "FLOAT_ENGINES", "INT8_ENGINES", "NAMES", "build", "build_engine", "check_name", "missing_reason"]

INSTALL = "pip install 'neocog[export]'"


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineKind:
    """An engine: what it needs, and how far its logits may be from those of eager PyTorch."""

    about: str
    modules: tuple[str, ...] = ()
    """Packages that must be installed."""
    needs_bf16: bool = False
    int8: bool = False
    rounding: float = 1e-3
    """The largest difference of a logit that counts as rounding, as a share of the logits' spread. In bfloat16 the
    metric tells more, so that only gross errors are refused by it."""
    points: float = 0.05
    """How much of the metric it may lose, in percentage points."""


ENGINES: Mapping[str, EngineKind] = {
    "eager": EngineKind(about="PyTorch as it is, float32"),
    "compiled": EngineKind(about="PyTorch with norms folded and channels last, float32"),
    "compiled-bf16": EngineKind(about="the same in bfloat16", needs_bf16=True, rounding=0.3),
    "onnxruntime": EngineKind(about="ONNX Runtime, float32", modules=("onnx", "onnxscript", "onnxruntime")),
    "onnxruntime-int8": EngineKind(
        about="ONNX Runtime, quantised", modules=("onnx", "onnxscript", "onnxruntime"), int8=True,
        rounding=float("inf"), points=0.3,
    ),
    "openvino": EngineKind(about="OpenVINO, float32", modules=("onnx", "onnxscript", "openvino")),
    "openvino-bf16": EngineKind(
        about="OpenVINO, bfloat16", modules=("onnx", "onnxscript", "openvino"), needs_bf16=True, rounding=0.3
    ),
    "openvino-int8": EngineKind(
        about="OpenVINO, quantised", modules=("onnx", "onnxscript", "openvino", "nncf"), int8=True,
        rounding=float("inf"), points=0.3,
    ),
}  # fmt: skip
"""All engines, from the one that is always there to those that need more."""
NAMES = tuple(ENGINES)
FLOAT_ENGINES = tuple(name for name, kind in ENGINES.items() if not kind.int8)
INT8_ENGINES = tuple(name for name, kind in ENGINES.items() if kind.int8)


def check_name(name: str) -> None:
    """Raises ConfigError for a name that no engine has."""
    if name not in ENGINES:
        raise ConfigError(
            "No engine has this name.", received=repr(name), fix=did_you_mean(name, (*NAMES, "auto"))
        )  # fmt: skip


@cache
def missing_reason(name: str) -> str:
    """Why this machine can't run an engine; empty if it can."""
    kind = ENGINES[name]
    missing = [module for module in kind.modules if importlib.util.find_spec(module) is None]
    if missing:
        return f"{', '.join(missing)} not installed: {INSTALL}"
    if kind.needs_bf16 and not has_bf16(name):
        return "this CPU has no instructions for bfloat16"
    return ""


def has_bf16(name: str) -> bool:
    if name.startswith("openvino"):
        from neocog.engines.open_vino import cpu_capabilities

        return "BF16" in cpu_capabilities()
    from neocog.torch_private import has_mkldnn_bf16

    return has_mkldnn_bf16()


def build(
    name: str,
    model: nn.Module,
    preprocess: Preprocess,
    *,
    threads: int | None = None,
    calibration: Tensor | None = None,
) -> Backend:
    """An engine that computes a network, which is not changed.

    `threads` is by default one for each core that this process may use. The int8 engines need `calibration`: decoded
    inputs (N, *shape), a few hundred of the training data.
    Raises ConfigError, with the reason, for an engine that this machine does not have, that can't run the network, or
    that computes something else.

    >>> build("tensorrt", nn.Identity(), None)
    Traceback (most recent call last):
    ...
    neocog.errors.ConfigError: No engine has this name. Received: 'tensorrt'. Known: auto, compiled, compiled-bf16, \
eager, onnxruntime, onnxruntime-int8, openvino, openvino-bf16, openvino-int8.
    """
    check_name(name)
    if name == "eager":
        return torch_backend(model)
    check_possible(name, model)
    return build_engine(name, describe_network(model, preprocess), threads=threads, calibration=calibration)


def check_possible(name: str, model: nn.Module) -> None:
    """Raises ConfigError for an engine that this machine does not have, and for a network on another device."""
    if reason := missing_reason(name):
        raise ConfigError("This engine can't be used here.", received=reason, where=name, fix="Choose another.")
    if not is_on_cpu(model):
        raise ConfigError(
            "Engines compute on the CPU.", received="a network on another device", where=name,
            fix="Take the engine eager, or move the network to the CPU.",
        )  # fmt: skip


def build_engine(
    name: str, network: EngineNetwork, *, threads: int | None = None, calibration: Tensor | None = None,
    quantised: Any = None,
) -> Engine:  # fmt: skip
    """As `build`, of a network that other engines are made of, too; `quantised` is the graph of an int8 engine."""
    try:
        if ENGINES[name].int8:
            graph = quantised if quantised is not None else quantise(name, network, calibration)
            engine = engine_class(name)(network, graph, threads=threads or num_threads())
        else:
            engine = engine_class(name)(network, threads=threads or num_threads())
        check_engine(engine, network, name)
    except NeocogError:
        raise
    except Exception as error:  # whatever a foreign program raises for a network that it can't run
        raise ConfigError(
            "This engine can't run the network.", received=first_line(error), where=name, fix="Choose another.",
            kind="engine",
        ) from error  # fmt: skip
    made: Engine = engine
    return made


def first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def engine_class(name: str) -> Any:
    """The class of an engine; what it needs is imported now."""
    if name.startswith("onnxruntime"):
        from neocog.engines import onnx_runtime

        return {each.name: each for each in (onnx_runtime.OnnxRuntime, onnx_runtime.OnnxRuntimeInt8)}[name]
    if name.startswith("openvino"):
        from neocog.engines import open_vino

        kinds = (open_vino.OpenVino, open_vino.OpenVinoBf16, open_vino.OpenVinoInt8)
        return {each.name: each for each in kinds}[name]
    return {each.name: each for each in (Compiled, CompiledBf16)}[name]


def quantise(name: str, network: EngineNetwork, calibration: Tensor | None) -> Any:
    """The quantised graph of an int8 engine: an ONNX or an OpenVINO model for normalised inputs."""
    if calibration is None or not len(calibration):
        raise ConfigError(
            "An int8 engine is made from a sample of inputs.", received="none", where=name,
            fix="Make it with neocog bench BUNDLE --data DATA --int8, which keeps it.", kind="calibration",
        )  # fmt: skip
    from neocog.engines.int8 import quantise_onnx, quantise_openvino
    from neocog.engines.onnx_graph import network_to_onnx

    inputs = network.normalise(calibration).numpy()
    if name == "onnxruntime-int8":
        return quantise_onnx(network_to_onnx(network, network.shape), inputs)
    from neocog.engines.open_vino import network_to_openvino

    return quantise_openvino(network_to_openvino(network, network.shape), inputs)


def check_engine(engine: Engine, network: EngineNetwork, name: str) -> None:
    """Raises ConfigError if the engine gives another shape than the network, or in float32 other numbers."""
    example = network.example()
    with torch.inference_mode():
        expected = network.model(example)
    found = engine(example)
    if found.shape != expected.shape:
        received = f"{tuple(found.shape)} instead of {tuple(expected.shape)}"
        raise ConfigError("An engine computes what the network does.", received=received, where=name, kind="engine")
    error = float((found - expected).norm() / expected.norm().clamp_min(1e-12))
    if not torch.isfinite(found).all() or (ENGINES[name].rounding <= 1e-3 and error > 1e-3):
        raise ConfigError(
            "An engine computes what the network does.", received=f"outputs that differ by {error:.2g} of their norm",
            where=name, fix="Choose another.", kind="engine",
        )  # fmt: skip
