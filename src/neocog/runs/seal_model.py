"""Writing the network of a run as its bundle: with the data that it knows, and what it was measured on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from neocog.bundle import Predictor, write_bundle
from neocog.data import divide, divides_by_class
from neocog.runs.folder import Run
from neocog.runs.prepare import Prepared
from neocog.runs.split import digest_split

__all__ = ["describe_data", "seal_model"]

NUM_GOLDEN, NUM_DENSE = 8, 2  # golden samples; of a dense task, whose images are large


def seal_model(
    run: Run,
    prepared: Prepared,
    model: nn.Module,
    predictor: Predictor,
    indices: NDArray[np.int64],
    about: dict[str, Any],
) -> None:
    """Write `model.neocog`, with golden samples out of these records; `about` is added to its manifest."""
    source = prepared.source
    most = NUM_DENSE if prepared.task.dense else NUM_GOLDEN
    spread = np.linspace(0, len(indices) - 1, min(most, len(indices))).astype(int)
    golden = [source.read(int(index)).payload for index in indices[spread]]
    facts: dict[str, Any] = {"model": prepared.model_spec, "data": describe_data(prepared)}
    if predictor.tta != "none":
        facts["tta"] = predictor.tta
    if prepared.start is not None:
        facts["started from"] = str(prepared.start.path)
        facts["trained before on"] = prepared.start.lineage
    write_bundle(run.bundle, model, predictor, golden, facts | about)


def describe_data(prepared: Prepared) -> dict[str, Any]:
    """The data as a bundle names it, so that its splits can be repeated."""
    config, source = prepared.resolved.config, prepared.source
    data, signal, folders = config.data, config.signal, getattr(source, "folders", None)
    reading = {"window": signal.window, "step": signal.step, "columns": signal.columns and list(signal.columns)}
    return {
        "name": source.name,
        "fingerprint": prepared.fingerprint,
        "seed": config.train.seed,
        "val_fraction": data.val_fraction,
        "test_fraction": data.test_fraction,
        **({"signal": reading} if any(reading.values()) else {}),
        **({"groups_by_class": True} if divides_by_class(source) else {}),
        **({"test_fold": folders.test_fold} if folders is not None and folders.test_fold else {}),
        "training part": training_part(prepared),
    }


def training_part(prepared: Prepared) -> str:
    """A short name for the records of the training split, before the skip list and the limit."""
    config, parts = prepared.resolved.config, prepared.splits
    if config.data.skip_list is not None or config.data.limit is not None:
        data, seed = config.data, config.train.seed
        parts = divide(prepared.source, val_fraction=data.val_fraction, test_fraction=data.test_fraction, seed=seed)
    return digest_split(prepared.source, parts.train)
