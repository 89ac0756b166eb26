"""Loading a bundle: nothing in it is trusted before it is checked."""

from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from neocog.bundle.format import decode_golden, parse_manifest, task_of
from neocog.bundle.predictor import Predictor
from neocog.bundle.seal import read_sealed
from neocog.engines.eager import torch_backend
from neocog.errors import BundleError, ConfigError, DataError
from neocog.modalities.image.tta import TTA
from neocog.modalities.preprocess import Preprocess
from neocog.modalities.table import read_preprocess
from neocog.tasks import TASKS
from neocog.zoo import create_model

__all__ = ["decode_golden_samples", "load"]

INVALID = (
    SafetensorError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError, ConfigError, DataError,
)  # fmt: skip
RELATIVE, ABSOLUTE = 1e-4, 1e-3  # by which a logit may differ between machines


def load(path: str | Path, backend: str = "eager", *, threads: int | None = None) -> Predictor:
    """A predictor from a bundle, after its seal and its golden samples are checked.

    `backend` names the engine that computes: one of `neocog.engines.NAMES`, or auto for the fastest on this machine
    within the tolerance. The choice is remembered; the first time it is measured, with the golden samples, which takes
    some ten seconds. `neocog.bench` measures it with data. `threads` are those of other engines than PyTorch; by
    default one for each core.
    Raises BundleError if the file is damaged, unsafe, of a newer Neocog or an unknown task, or no longer computes the
    logits that it was written with; ConfigError for an engine that this machine does not have, or that can't run the
    network.
    """
    path = Path(path)
    members = read_sealed(path)
    manifest = parse_manifest(members, path)
    if task_of(manifest) not in TASKS:
        raise BundleError(
            f"A bundle's task must be known: {', '.join(TASKS)}.",
            received=repr(task_of(manifest)),
            where=str(path),
            fix="Import the module that registers this task, or update Neocog.",
        )
    try:
        predictor = build_predictor(manifest, load_tensors(members["weights.safetensors"]))
        decoded = check_golden(path, predictor, load_tensors(members["golden.safetensors"]))
    except INVALID as error:
        raise BundleError(f"{path} is not a valid bundle: {error}.") from error
    if backend == "eager":
        return predictor
    from neocog.bundle.use_engine import use_engine  # with what measures engines

    return use_engine(predictor, backend, decoded, threads=threads)


def build_predictor(manifest: dict[str, Any], weights: dict[str, torch.Tensor]) -> Predictor:
    """The network of the manifest with these weights."""
    spec, classes = manifest["model"], manifest["classes"]
    if not isinstance(classes, list) or len(classes) != spec["num_classes"] or len(set(classes)) != len(classes):
        raise ValueError(f"its {spec['num_classes']} outputs need a different class name each, received {classes!r}")
    model = create_model(
        spec["name"], num_classes=spec["num_classes"], in_channels=spec["in_channels"], **spec["options"]
    )
    model.load_state_dict(weights)
    if manifest.get("tta", "none") not in get_args(TTA):
        raise ValueError(f"its test-time augmentation is unknown: {manifest['tta']!r}")
    learned = manifest.get("learned", {})
    if not isinstance(learned, dict):
        raise ValueError(f"what it has learned must be a mapping, received {learned!r:.200}")
    task = TASKS[task_of(manifest)].restore(tuple(classes), learned)
    preprocess = read_preprocess(manifest["preprocess"])
    return Predictor(torch_backend(model), preprocess, task, manifest=manifest, model=model)


def decode_golden_samples(path: str | Path, preprocess: Preprocess) -> torch.Tensor:
    """The golden samples of a bundle as its preprocessing decodes them; (N, *shape)."""
    golden = load_tensors(read_sealed(Path(path))["golden.safetensors"])
    return decode_all(golden, preprocess)


def decode_all(golden: dict[str, torch.Tensor], preprocess: Preprocess) -> torch.Tensor:
    inputs = [golden[f"input_{i}"].numpy().tobytes() for i in range(sum(name != "logits" for name in golden))]
    return torch.stack([preprocess.decode(decode_golden(content), "a golden sample") for content in inputs])


def check_golden(path: Path, predictor: Predictor, golden: dict[str, torch.Tensor]) -> torch.Tensor:
    """The golden samples, decoded; (N, *shape).

    Raises BundleError if they no longer give the logits that were stored with them.
    """
    expected = golden.pop("logits")
    decoded = decode_all(golden, predictor.preprocess)
    found = predictor.task.thin(predictor.logits(decoded))
    if found.shape != expected.shape or not torch.allclose(found, expected, rtol=RELATIVE, atol=ABSOLUTE):
        gap = f"by {(found - expected).abs().max():g}" if found.shape == expected.shape else "in their shape"
        raise BundleError(
            f"{path} no longer computes what it did when written: the logits of its golden samples differ {gap}.",
            fix="Either the file was tampered with or this machine computes wrongly. Copy it again, or update torch.",
        )
    return decoded
