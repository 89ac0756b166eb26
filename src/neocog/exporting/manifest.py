"""The description of an exported network: `manifest.json`, for people and programs that have no Neocog."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from neocog import __version__
from neocog.bundle.predictor import Predictor
from neocog.engines.convert import OPSET
from neocog.exporting.program import ExportProgram
from neocog.exporting.snippets import snippet
from neocog.exporting.words import decoding_words, input_words, output_words, reading_words
from neocog.files.fetch import file_hash
from neocog.modalities.text.preprocess import TextPreprocess
from neocog.modalities.text.tokens import patterns

__all__ = ["file_entry", "interface_of", "manifest_of"]

PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "openvino", "nncf", "numpy", "pillow")


def interface_of(program: ExportProgram, predictor: Predictor, bundle: Path) -> dict[str, Any]:
    """The interface that each file holds: task, classes, what was learned, inputs, outputs and limits."""
    spec = predictor.preprocess
    return {
        "task": predictor.task.name,
        "classes": list(predictor.task.classes),
        "learned": predictor.task.learned,
        "inputs": [program.inputs.to_json()],
        "outputs": [each.to_json() for each in program.outputs],
        "largest": list(program.largest) if program.largest else None,
        "ids": spec.in_channels + (1 - spec.unknown) if isinstance(spec, TextPreprocess) else None,
        "bundle": file_hash(bundle),
    }


def manifest_of(
    predictor: Predictor, interface: Mapping[str, Any], bundle: Path, files: Mapping[str, Any]
) -> dict[str, Any]:
    """All of it; `files` are those of `file_entry` by name."""
    inputs = [dict(row) | {"meaning": input_words(predictor)} for row in interface["inputs"]]
    outputs = [dict(row) | {"meaning": output_words(predictor, row["name"])} for row in interface["outputs"]]
    settings = {key: value for key, value in predictor.preprocess.to_json().items() if key != "vocabulary"}
    return {
        "written by": f"neocog {__version__}",
        "task": interface["task"],
        "network": predictor.manifest.get("model", {}),
        "classes": interface["classes"],
        "learned": interface["learned"],
        "inputs": inputs,
        "outputs": outputs,
        "limits": {"largest image": interface["largest"], "ids below": interface["ids"]},
        "before the graph": reading_words(predictor),
        "in the graph": decoding_words(predictor),
        "preprocessing": settings,
        **texts_of(predictor),
        "opset": OPSET,
        "files": dict(files),
        "bundle": {"name": bundle.name, "sha256": interface["bundle"]},
        "versions": {"python": platform.python_version(), **versions()},
        "example": snippet(predictor, files).splitlines(),
    }


def file_entry(path: Path, precision: str, report: Mapping[str, Any] | None) -> dict[str, Any]:
    """A written file: its size, hash and precision, and what the gate has measured."""
    return {
        "bytes": path.stat().st_size, "sha256": file_hash(path), "precision": precision,
        "gate": dict(report) if report else None,
    }  # fmt: skip


def texts_of(predictor: Predictor) -> dict[str, Any]:
    """How a text becomes ids: for a network that reads texts."""
    spec = predictor.preprocess
    if not isinstance(spec, TextPreprocess):
        return {}
    return {
        "vocabulary": list(spec.vocabulary),
        "first id": spec.unknown + 1,
        "unknown id": spec.unknown,
        "padding id": 0,
        "token pattern": "." if spec.level == "character" else patterns()[0].pattern,
    }


def versions() -> dict[str, str]:
    """The versions of the packages that took part."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
