"""An exported program in the files of three engines: ONNX, OpenVINO IR, and torch's own archive.

Each file holds the names, types and shapes of its inputs and outputs, so that `runner` needs nothing else.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from neocog.engines.convert import OPSET, export_program, quiet, to_onnx
from neocog.exporting.program import ExportProgram
from neocog.files.whole import storage_errors
from neocog.torch_private import drop_guards

if TYPE_CHECKING:
    import onnx
    import openvino

__all__ = ["ENDINGS", "INTERFACE", "Kind", "make_onnx", "read_openvino", "save_onnx", "save_openvino", "save_torch"]

Kind = Literal["onnx", "openvino", "torch"]
ENDINGS: dict[Kind, str] = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
INTERFACE = "neocog"
"""The name under which each file holds its interface, as JSON."""


def make_onnx(program: ExportProgram) -> "onnx.ModelProto":
    """The program as an ONNX model, checked. Raises ConfigError for a network that can't be written down exactly."""
    import onnx

    proto = to_onnx(
        program, [program.example()], inputs=[program.inputs.name], outputs=[each.name for each in program.outputs],
        dynamic=[program.dynamic],
    )  # fmt: skip
    onnx.checker.check_model(proto)
    return proto


def save_onnx(proto: "onnx.ModelProto", path: Path, interface: Mapping[str, Any]) -> None:
    """Write an ONNX model with its interface. Raises StorageError if the system refuses."""
    import onnx

    onnx.helper.set_model_props(proto, {INTERFACE: json.dumps(interface)})
    proto.producer_name, proto.doc_string = "neocog", f"{interface['task']}, opset {OPSET}"
    with storage_errors(path):
        path.write_bytes(proto.SerializeToString())


def read_openvino(path: Path) -> "openvino.Model":
    """The OpenVINO model of an ONNX file."""
    import openvino

    return openvino.convert_model(path)


def save_openvino(model: "openvino.Model", path: Path, interface: Mapping[str, Any]) -> None:
    """Write an OpenVINO model, .xml and .bin, with its interface and with float32 weights as they are."""
    import openvino

    model.set_rt_info(json.dumps(interface), [INTERFACE])
    with storage_errors(path):
        try:
            openvino.save_model(model, path, compress_to_fp16=False)
        except RuntimeError as error:  # a full disk
            raise OSError(str(error).splitlines()[0]) from error


def save_torch(program: ExportProgram, path: Path, interface: Mapping[str, Any]) -> None:
    """Write the program as an archive of torch.export, which torch loads without Neocog."""
    exported = export_program(program, [program.example()], [program.dynamic])
    drop_guards(exported)
    for node in exported.graph.nodes:
        node.meta.pop("stack_trace", None)  # with paths of this machine
    with storage_errors(path), quiet():
        torch.export.save(exported, path, extra_files={f"{INTERFACE}.json": json.dumps(interface)})
