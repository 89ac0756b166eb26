"""Scoring decoded samples through the predictor: for validation while a network trains, and for its final test."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neocog.bundle import Predictor
from neocog.bundle.dense_pass import BATCH, dense_batch
from neocog.data import TTA, Preprocess
from neocog.loading import Dataset
from neocog.tasks import Task
from neocog.training.distributed import World, gather_logits, my_rows, unsynchronised
from neocog.zoo.network import join_outputs

__all__ = ["score_dataset", "validate"]


@torch.inference_mode()
def validate(model: nn.Module, dataset: Dataset, preprocess: Preprocess, task: Task, world: World) -> dict[str, float]:
    """The metrics of a network on validation data, each sample once, by all processes together."""
    model.eval()
    # The network is still trained: unlike `torch_backend`, this must not change how its weights are laid out.
    predictor = Predictor(lambda inputs: join_outputs(model(inputs)).cpu(), preprocess, task)
    own = my_rows(len(dataset), world)
    with unsynchronised():
        logits = score_dataset(predictor, dataset, np.arange(own.start, own.stop), world.device)
    scored = gather_logits(logits, len(dataset), world)
    assert len(scored) == len(dataset), "samples in = samples scored"
    return task.validation(scored, dataset.labels)


def score_dataset(
    predictor: Predictor,
    dataset: Dataset,
    rows: NDArray[np.int64],
    device: torch.device | str = "cpu",
    tta: TTA = "none",
    plain: Tensor | None = None,
) -> Tensor:
    """Logits (N, K) of these rows of a dataset, a batch at a time, or what `Task.score` keeps of them.

    `plain` are the logits without test-time augmentation.
    """
    size = dense_batch(predictor.preprocess.shape) if predictor.task.dense else BATCH
    parts = np.split(rows, range(size, len(rows), size)) if len(rows) else []
    logits: list[Tensor] = []
    for i, part in enumerate(parts):
        inputs, _ = dataset.take(part, parts[i + 1 : i + 1 + dataset.ahead])
        known = None if plain is None else plain[i * size : i * size + len(part)]
        found = predictor.logits(inputs.to(device), tta, known)
        logits.append(predictor.task.score(found, dataset.labels[torch.from_numpy(part)].cpu()))
    return torch.cat(logits) if logits else torch.empty(0, predictor.task.num_outputs)
