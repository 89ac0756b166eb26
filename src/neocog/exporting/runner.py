"""An exported network run by its engine: ONNX Runtime, OpenVINO, or PyTorch.

Engines take what they should refuse: OpenVINO reads floats from 0 to 1 as bytes, all of them black, and NaN comes out
of some operations as a number. So every input is checked before the engine sees it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import BundleError, ConfigError, DataError
from neocog.exporting.write_files import INTERFACE
from neocog.modalities.tensor_spec import TensorSpec

__all__ = ["Exported", "open_exported"]

Run = Callable[[NDArray[Any]], dict[str, NDArray[Any]]]
Opened = tuple[str, Run, Mapping[str, Any]]
"""The engine's name, what it computes, and the interface that the file holds."""


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """A network in a file, opened by its engine; a call maps one array to named arrays.

    Raises DataError for an array of another type or shape, with values that are not finite, or beyond what the network
    takes; the engine is not called then. Boxes are cut to the most that an image of the batch has.
    """

    path: Path
    engine: str
    """Its name and version."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    interface: Mapping[str, Any]
    """The description that the file holds: task, classes, inputs, outputs, and limits."""
    run: Run

    def __call__(self, array: NDArray[Any], /) -> dict[str, NDArray[Any]]:
        self.check(array)
        found = self.run(np.ascontiguousarray(array))
        if "count" in found:
            most = int(found["count"].max(initial=0))
            found = {name: values if name == "count" else values[:, :most] for name, values in found.items()}
        return found

    def check(self, array: NDArray[Any]) -> None:
        """Raises DataError for an array that the network does not take."""
        spec, name = self.inputs[0], self.path.name
        if not isinstance(array, np.ndarray) or array.dtype != np.dtype(spec.dtype):
            received = str(array.dtype) if isinstance(array, np.ndarray) else type(array).__name__
            fix = (
                "Give pixels as they are decoded, not scaled." if spec.name == "images" else f"Convert to {spec.dtype}."
            )
            raise DataError(f"{spec.name} must be an array of {spec.dtype}.", received=received, where=name, fix=fix)
        fixed = len(array.shape) == len(spec.shape) and all(
            have > 0 and size in (None, have) for have, size in zip(array.shape, spec.shape, strict=True)
        )
        if not fixed:
            shape = " x ".join("any" if size is None else str(size) for size in spec.shape)
            raise DataError(f"{spec.name} must have the shape {shape}.", received=str(array.shape), where=name)
        self.check_values(array)

    def check_values(self, array: NDArray[Any]) -> None:
        """Raises DataError for values, or sizes, that the network does not take."""
        spec, name = self.inputs[0], self.path.name
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError(
                f"{spec.name} must be finite.", received="NaN or infinity", where=name, fix="Fill missing values in."
            )
        largest = self.interface.get("largest")
        if largest and any(have > most for have, most in zip(array.shape[1:], largest, strict=False)):
            raise DataError(
                f"This file takes images of at most {largest[0]} x {largest[1]} pixels: one tile of the network.",
                received=f"{array.shape[1]} x {array.shape[2]} pixels", where=name,
                fix="Use the bundle itself, which joins the boxes of several tiles, or cut the image.",
            )  # fmt: skip
        ids = self.interface.get("ids")
        if ids and (array.min() < 0 or array.max() >= ids):
            raise DataError(
                f"Ids of tokens are from 0 to {ids - 1:,}.", received=f"{array.min():,} to {array.max():,}", where=name
            )


def open_exported(path: str | Path, *, threads: int | None = None) -> Exported:
    """An exported network, ready to run: a file that `neocog export` wrote, .onnx, .xml or .pt2.

    `threads` limits those of ONNX Runtime and OpenVINO; PyTorch's are set for the whole process.
    OpenVINO computes in float32: on some CPUs it would take bfloat16 without being asked.
    Raises BundleError for a file that is missing, damaged, or was not written by Neocog, and ConfigError if its engine
    is not installed.
    """
    path = Path(path)
    opener = OPENERS.get(path.suffix)
    if opener is None:
        raise ConfigError(
            "An exported network is an .onnx, .xml or .pt2 file.", received=path.name, fix="Run neocog export."
        )
    if not path.is_file():
        raise BundleError(f"{path} can't be read: it is not a file.", fix="Check the path.")
    try:
        engine, run, interface = opener(path, threads)
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Exported networks need their engine.", received=f"no module {error.name}", where=path.name,
            fix="Install it: pip install 'neocog[export]'",
        ) from error  # fmt: skip
    except Exception as error:  # an engine may raise anything
        if isinstance(error, BundleError):
            raise
        raise BundleError(
            f"{path} can't be opened: {str(error).strip().splitlines()[0][:300] if str(error).strip() else error!r}",
            fix="Export the network again.",
        ) from error
    inputs, outputs = (specs_of(interface[name]) for name in ("inputs", "outputs"))
    return Exported(path, engine, inputs, outputs, interface, run)


def specs_of(rows: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(row["name"], row["dtype"], tuple(row["shape"])) for row in rows)


def read_interface(text: str | None, path: Path) -> dict[str, Any]:
    """The interface that a file holds. Raises BundleError if there is none."""
    found = json.loads(text) if text else None
    if not isinstance(found, dict) or not {"inputs", "outputs"} <= found.keys():
        raise BundleError(f"{path} was not written by neocog export.", fix="Export the bundle with neocog export.")
    return found


def open_onnx(path: Path, threads: int | None) -> Opened:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    interface = read_interface(session.get_modelmeta().custom_metadata_map.get(INTERFACE), path)
    (name,), names = [each.name for each in session.get_inputs()], [each.name for each in session.get_outputs()]

    def run(array: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return dict(zip(names, session.run(names, {name: array}), strict=True))

    return f"ONNX Runtime {onnxruntime.__version__}", run, interface


def open_openvino(path: Path, threads: int | None) -> Opened:
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    text = model.get_rt_info([INTERFACE]).astype(str) if model.has_rt_info([INTERFACE]) else None
    interface = read_interface(text, path)
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(model, "CPU", settings | ({"INFERENCE_NUM_THREADS": threads} if threads else {}))
    names = [row["name"] for row in interface["outputs"]]
    # A port may have the names of several tensors.
    ports = {name: port for name in names for port in compiled.outputs if name in port.get_names()}

    def run(array: NDArray[Any]) -> dict[str, NDArray[Any]]:
        found = compiled(array)
        return {name: np.array(found[port]) for name, port in ports.items()}

    return f"OpenVINO {openvino.__version__.partition('-')[0]}", run, interface


def open_torch(path: Path, threads: int | None) -> Opened:
    import torch

    extra = {f"{INTERFACE}.json": ""}
    program = torch.export.load(path, extra_files=extra).module()
    interface = read_interface(extra[f"{INTERFACE}.json"], path)
    names = [row["name"] for row in interface["outputs"]]

    def run(array: NDArray[Any]) -> dict[str, NDArray[Any]]:
        with torch.inference_mode():
            return {name: values.numpy() for name, values in zip(names, program(torch.from_numpy(array)), strict=True)}

    return f"PyTorch {torch.__version__}", run, interface


OPENERS: dict[str, Callable[[Path, int | None], Opened]] = {
    ".onnx": open_onnx, ".xml": open_openvino, ".pt2": open_torch
}  # fmt: skip
