"""Opening a bundle: nothing in it is trusted before it is checked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from neocog.bundle.predictor import Predictor, torch_engine
from neocog.bundle.seal import read_sealed
from neocog.bundle.write import FORMAT, decode_golden
from neocog.errors import BundleError, ConfigError, DataError
from neocog.modalities.table import read_preprocess
from neocog.zoo import create_model

__all__ = ["load", "read_manifest"]

UNFIT = (
    SafetensorError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError, ConfigError, DataError,
)  # fmt: skip
RELATIVE, ABSOLUTE = 1e-4, 1e-3  # what other machines' arithmetic may change in a logit


def load(path: str | Path) -> Predictor:
    """A predictor from a bundle, after its seal and its golden samples are checked.

    Raises BundleError where the file is damaged, unsafe, from a newer Neocog, or computes other numbers than when it
    was written.
    """
    path = Path(path)
    members = read_sealed(path)
    manifest = manifest_in(members, path)
    try:
        predictor = build(manifest, load_tensors(members["weights.safetensors"]))
        check_golden(path, predictor, load_tensors(members["golden.safetensors"]))
    except UNFIT as error:
        raise BundleError(f"{path} does not hold what a bundle holds: {error}.") from error
    return predictor


def read_manifest(path: Path) -> dict[str, Any]:
    """What a bundle says of itself, its seal checked. Raises BundleError as `load` does."""
    return manifest_in(read_sealed(path), path)


def manifest_in(members: Mapping[str, bytes], path: Path) -> dict[str, Any]:
    """The manifest among a bundle's members. Raises BundleError where it can't be read, or is of another format."""
    try:
        manifest = json.loads(members["manifest.json"])
        if not isinstance(manifest, dict):
            raise ValueError("its manifest is no mapping")
    except ValueError as error:
        raise BundleError(f"{path} does not hold what a bundle holds: {error}.") from error
    if manifest.get("format") != FORMAT:
        raise BundleError(
            f"Bundles of format {FORMAT} are understood. {path} has format {manifest.get('format')}, written by "
            f"Neocog {manifest.get('neocog')}. Update Neocog."
        )
    return manifest


def build(manifest: dict[str, Any], weights: dict[str, torch.Tensor]) -> Predictor:
    """The network of the manifest with these weights."""
    spec, classes = manifest["model"], manifest["classes"]
    if not isinstance(classes, list) or len(classes) != spec["num_classes"] or len(set(classes)) != len(classes):
        raise ValueError(f"its {spec['num_classes']} outputs need as many different class names, received {classes!r}")
    model = create_model(
        spec["name"], num_classes=spec["num_classes"], in_channels=spec["in_channels"], **spec["options"]
    )
    model.load_state_dict(weights)
    preprocess = read_preprocess(manifest["preprocess"])
    predictor = Predictor(torch_engine(model), preprocess, tuple(classes), manifest)
    predictor.model = model
    return predictor


def check_golden(path: Path, predictor: Predictor, golden: dict[str, torch.Tensor]) -> None:
    """Raises BundleError where the golden samples no longer give the logits that they gave when they were written."""
    expected = golden.pop("logits")
    inputs = [golden[f"input_{i}"].numpy().tobytes() for i in range(len(golden))]
    decoded = torch.stack(
        [predictor.preprocess.decode(decode_golden(content), "a golden sample") for content in inputs]
    )
    received = predictor.logits(decoded)
    if received.shape != expected.shape or not torch.allclose(received, expected, rtol=RELATIVE, atol=ABSOLUTE):
        gap = f"{(received - expected).abs().max():g}" if received.shape == expected.shape else "other shapes"
        raise BundleError(
            f"{path} computes other numbers than when it was written: logits of its golden samples differ by {gap}. "
            "The file was tampered with, or this machine's arithmetic is wrong. Copy it again, or update torch."
        )
