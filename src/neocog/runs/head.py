"""The last dense layer of a run's network, fitted to frozen features before training (`model.head logistic`).

Source: Kumar et al. 2022, "Fine-tuning can distort pretrained features and underperform out-of-distribution": linear
probing, then fine-tuning.
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neocog.data import Preprocess, Source
from neocog.dataset.split import read_groups
from neocog.errors import ConfigError
from neocog.loading import Dataset, InMemoryDataset
from neocog.loading.dataset import Rows
from neocog.progress import note
from neocog.runs.config import ResolvedConfig, RunConfig
from neocog.runs.modality import augment_settings
from neocog.tasks import Regression, Task
from neocog.training.distributed import World, broadcast_json, on_first
from neocog.zoo import Network
from neocog.zoo.network import join_outputs

if TYPE_CHECKING:
    from neocog.transfer import LabelHead, LogisticHead, RidgeHead

__all__ = ["check_head", "fit_head", "limit_head"]

SHARE = 0.25  # of the minutes of a run, that features may take
FEWEST, TIMED = 64, 16  # samples that a head is fitted to at least, and whose forward pass is timed
MOST, MOST_STREAMED = 100_000, 20_000  # samples that the head is fitted to: features take 5 KB each
BATCH = 64


def check_head(config: RunConfig) -> None:
    """Raises ConfigError if a head is to be fitted to the features of a network without pretrained weights."""
    if config.model.head == "logistic" and config.model.pretrained is None:
        raise ConfigError(
            "model.head logistic fits the last layer to the features of pretrained weights.",
            received="no model.pretrained",
            fix="Name weights, such as --model.pretrained auto, or leave model.head out.",
        )


def fit_head(
    model: Network,
    train: Dataset,
    preprocess: Preprocess,
    config: RunConfig,
    source: Source,
    task: Task,
    indices: NDArray[np.int64],
) -> "LogisticHead | LabelHead | RidgeHead":
    """Set the last dense layer by logistic regression on the features of training samples, in place.

    For numbers it is ridge regression.

    `indices` are those of the training samples in the source, (N,), by which groups are held out together.
    Mirrored images count as further samples if training mirrors them. Of a large set, evenly spread samples are used.
    Raises ConfigError for a task without classes, or a network whose head does not end with a dense layer.
    """
    from neocog.transfer import FeatureExtractor, mirror, set_dense_head  # torch.fx takes a second

    if task.linear_head is None:
        raise ConfigError(
            "model.head logistic is for classes, labels and numbers.",
            received=f"the task {task.name}",
            fix="Leave model.head out.",
        )
    began = time.perf_counter()
    most = config.model.head_limit or most_samples(train)
    rows = np.unique(np.linspace(0, len(train) - 1, min(most, len(train))).astype(np.int64))
    kept: list[Rows] = []
    settings = augment_settings(config, source.modality)
    views = [mirror] if getattr(settings, "flip", 0.0) > 0 else []
    batches = take_batches(train, rows, kept)
    features = FeatureExtractor(model, preprocess.normalise).extract_views(batches, len(rows), views)
    rows = np.concatenate(kept)
    labels, groups = train.labels[rows], read_groups(source)
    weights = None if task.weights is None else task.weights.cpu()[labels]
    # Rows of a dataset that left out unreadable samples don't match the indices.
    known = groups is not None and len(indices) == len(train)
    together, seed = groups[indices[rows]] if groups is not None and known else None, config.train.seed
    head, found = fit_rows(task, features, labels, weights, together, seed)
    set_dense_head(model, head.weight.float(), head.bias.float())
    kind = "ridge" if task.linear_head == "values" else "logistic"
    note(f"head: {kind} regression on frozen features, {found}, {time.perf_counter() - began:.0f} s")
    return head


def fit_rows(
    task: Task,
    features: Tensor,
    labels: Tensor,
    weights: Tensor | None,
    groups: NDArray[np.int64] | None,
    seed: int,
) -> "tuple[LogisticHead | LabelHead | RidgeHead, str]":
    """The head of this task for features (N, D), or (A, N, D) of A views, and how well it does on held-out groups."""
    from neocog.transfer import fit_labels, fit_logistic

    if isinstance(task, Regression):
        return fit_values(features, task.standardised(labels.cpu()))
    if task.linear_head == "labels":
        several = fit_labels(features, labels.cpu().numpy(), groups=groups, seed=seed)
        return several, f"mAP {several.mean_average_precision:.1%} on a fifth that was held out"
    head = fit_logistic(features, labels.numpy(), len(task.classes), groups=groups, weights=weights, seed=seed)
    share = head.cv_accuracy
    return head, f"cross-validated accuracy {share.value:.1%} ({100 * share.low:.1f} to {100 * share.high:.1f})"


def fit_values(features: Tensor, targets: Tensor) -> "tuple[RidgeHead, str]":
    """Ridge regression of features (N, D), or (A, N, D) of A views, to targets (N, K), and how well it fits."""
    from neocog.transfer import fit_ridge

    copies = features if features.ndim == 3 else features[None]
    rows, values = copies.flatten(0, 1), targets.repeat(len(copies), 1)
    head = fit_ridge(rows, values.numpy())
    error = (head(rows) - values).abs().nanmean()
    return head, f"whose mean error on training samples is {error:.2f} standard deviations"


def most_samples(train: Dataset) -> int:
    """The number of samples that a head is fitted to, if there is no limit."""
    return MOST if isinstance(train, InMemoryDataset) else MOST_STREAMED


def limit_head(
    resolved: ResolvedConfig, model: Network, train: Dataset, preprocess: Preprocess, task: Task, world: World
) -> ResolvedConfig:
    """The settings with the number of samples whose features fit into a share of `train.minutes`, if it is limited.

    It is measured by the first process, and noted, so that the run can be repeated without a clock. A race has found
    it out already for classes.
    """
    config = resolved.config
    timed = config.train.minutes is not None and config.train.replanned is None
    if not timed or config.model.head_limit is not None or task.linear_head not in ("labels", "values"):
        return resolved
    assert config.train.minutes is not None
    found = broadcast_json(on_first(lambda: time_features(model, train, preprocess), world), world)
    most = max(FEWEST, int(SHARE * 60 * config.train.minutes / found))
    if most >= min(len(train), most_samples(train)):
        return resolved
    return resolved.choose({"model.head_limit": (most, f"what fits into the time at {1 / found:,.0f} samples/s")})


@torch.inference_mode()
def time_features(model: Network, train: Dataset, preprocess: Preprocess) -> float:
    """Seconds for the network's forward pass of a sample, by the faster of two small batches."""
    inputs, _ = train.take(np.arange(min(TIMED, len(train))))
    device = next(model.parameters()).device
    images, times = preprocess.normalise(inputs.to(device)), []
    mode = model.training
    model.eval()
    for _ in range(2):
        begin = time.perf_counter()
        join_outputs(model(images)).cpu()
        times.append(time.perf_counter() - begin)
    model.train(mode)
    return min(times) / len(inputs)


def take_batches(train: Dataset, rows: Rows, kept: list[Rows]) -> Iterator[Tensor]:
    """Decoded inputs of these rows, a batch at a time; the rows that could be read are appended to `kept`."""
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    for i, part in enumerate(parts):
        inputs, readable = train.take(part, parts[i + 1 : i + 1 + train.ahead])
        kept.append(part[readable])
        yield inputs
