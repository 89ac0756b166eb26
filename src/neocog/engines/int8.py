"""Networks quantised to int8 after training, from a sample of their inputs."""

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    import nncf
    import onnx
    import openvino

__all__ = ["calibration_dataset", "has_vnni", "overflow_fix", "quantise_onnx", "quantise_openvino"]

BATCH = 16


def quantise_openvino(model: "openvino.Model", calibration: NDArray[Any], *, batch: int = BATCH) -> "openvino.Model":
    """An OpenVINO model with weights and activations in int8, by NNCF; the given one is not changed.

    `calibration` are inputs as the model takes them, (N, ...), from which the ranges of activations follow: weights
    have a scale for each filter, activations one for each map. A few hundred are enough.
    """
    import nncf

    count = -(-len(calibration) // batch)
    with quiet_nncf():
        return nncf.quantize(
            model.clone(), calibration_dataset(calibration, batch), preset=nncf.QuantizationPreset.MIXED,
            subset_size=count, fast_bias_correction=True,
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=overflow_fix()),
        )  # fmt: skip


def calibration_dataset(calibration: NDArray[Any], batch: int = BATCH) -> "nncf.Dataset":
    """Inputs (N, ...) as NNCF takes them, in batches."""
    import nncf

    return nncf.Dataset([calibration[start : start + batch] for start in range(0, len(calibration), batch)])


def has_vnni() -> bool:
    """Whether this CPU adds products of 8 bits in 32 bits; one that adds them in 16 bits saturates."""
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in ("avx512_vnni", "avx_vnni", "amx_int8"))


def overflow_fix() -> Any:
    """Half of the range of weights where the CPU adds products in 16 bits, which overflow; all of it with VNNI."""
    from nncf import OverflowFix

    return OverflowFix.DISABLE if has_vnni() else OverflowFix.ENABLE


def quantise_onnx(proto: "onnx.ModelProto", calibration: NDArray[Any], *, batch: int = BATCH) -> "onnx.ModelProto":
    """An ONNX model with pairs of QuantizeLinear and DequantizeLinear, a scale for each filter; a new one.

    `calibration` are inputs as the only input of the model takes them, (N, ...).
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder, quiet_nncf():
        source, ready, target = (str(Path(folder, name)) for name in ("in.onnx", "ready.onnx", "out.onnx"))
        onnx.save(proto, source)
        quant_pre_process(source, ready, skip_symbolic_shape=True)
        quantize_static(
            ready, target, Batches(proto.graph.input[0].name, calibration, batch), quant_format=QuantFormat.QDQ,
            per_channel=True, reduce_range=not has_vnni(), activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )  # fmt: skip
        return onnx.load(target)


class Batches:
    """Calibration inputs as ONNX Runtime reads them: a batch for each call, None at the end."""

    def __init__(self, name: str, calibration: NDArray[Any], batch: int) -> None:
        self.name, self.left = name, self.cut(calibration, batch)

    def cut(self, calibration: NDArray[Any], batch: int) -> Iterator[NDArray[Any]]:
        for start in range(0, len(calibration), batch):
            yield np.ascontiguousarray(calibration[start : start + batch])

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        batch = next(self.left, None)
        return None if batch is None else {self.name: batch}


@contextmanager
def quiet_nncf() -> Iterator[None]:
    """NNCF draws bars and logs on standard output, ONNX Runtime warns through the root logger."""
    root, nncf_log = logging.getLogger(), logging.getLogger("nncf")
    levels = root.level, nncf_log.level
    root.setLevel(logging.ERROR)
    nncf_log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(levels[0])
        nncf_log.setLevel(levels[1])
