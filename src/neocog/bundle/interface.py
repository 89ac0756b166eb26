"""A network as programs outside of Neocog see it: named arrays in, named arrays out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neocog.bundle.predictor import Predictor
from neocog.modalities.tensor_spec import TensorSpec
from neocog.tasks import DenseTask

__all__ = ["answer_tensors", "input_spec", "output_specs"]


def input_spec(predictor: Predictor) -> TensorSpec:
    """The input of a network: decoded images (N, H, W, C), signals (N, C, L), waveforms (N, samples), or texts (N,)."""
    return predictor.preprocess.payload_spec


def output_specs(predictor: Predictor) -> tuple[TensorSpec, ...]:
    """Its answers: logits and probabilities or values (N, K), masks, or boxes with scores and labels."""
    return predictor.task.tensor_specs


def answer_tensors(predictor: Predictor, inputs: NDArray[Any] | Sequence[Any]) -> dict[str, NDArray[Any]]:
    """The outputs for a batch of payloads, by name. Raises DataError for one that can't be read."""
    preprocess, task = predictor.preprocess, predictor.task
    payloads = [preprocess.payload_of(row) for row in inputs]
    names = [f"input {i}" for i in range(len(payloads))]
    if isinstance(task, DenseTask):
        found = list(predictor.predict_payloads(list(zip(names, payloads, strict=True))))
        return task.tensors_of(found)
    decoded = [preprocess.decode(payload, name) for payload, name in zip(payloads, names, strict=True)]
    logits = predictor.logits(torch.stack(decoded)) if decoded else torch.empty(0, task.num_outputs)
    return {name: np.ascontiguousarray(values) for name, values in task.tensors(logits).items()}
