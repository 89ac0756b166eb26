"""Weighted k-nearest neighbours on features, as it is used to judge representations.

Source: Wu et al. 2018, "Unsupervised feature learning via non-parametric instance discrimination", section 3.4.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from neocog.errors import ConfigError

__all__ = ["TEMPERATURE", "neighbour_means"]

TEMPERATURE = 0.07
SIMILARITIES = 2**24  # at once


def neighbour_means(train: Tensor, values: Tensor, features: Tensor, k: int = 20) -> Tensor:
    """The mean of the values of the k training samples with the most similar features, weighted by similarity.

        weight = exp(cosine similarity / 0.07)

    Shapes: train (N, D), values (N, K), features (M, D) -> (M, K) float64. With one-hot values these are the shares of
    the votes. A value that is NaN is not known, and has no vote; the mean of none is NaN.
    Raises ConfigError for a k that isn't in 1..N.

    >>> train, votes = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), torch.eye(2)[[0, 0, 1]]
    >>> neighbour_means(train, votes, torch.tensor([[1.0, 0.05]]), k=2).tolist()
    [[1.0, 0.0]]
    """
    if not 1 <= k <= len(train):
        raise ConfigError(
            "k nearest neighbours must be among the training samples.",
            received=f"k={k}, and {len(train):,} training samples", fix="Choose a smaller k, of at least 1.",
        )  # fmt: skip
    known, values = ~values.isnan(), values.double().nan_to_num()
    there, units = F.normalize(train.float(), dim=1), F.normalize(features.float(), dim=1)
    found: list[Tensor] = []
    for part in torch.split(units, max(1, SIMILARITIES // len(train))):
        similar, nearest = (part @ there.T).topk(k, dim=1)
        # Divided by the largest weight, which changes no mean and keeps the exponentials in range.
        weights = ((similar - similar[:, :1]).double() / TEMPERATURE).exp()[:, :, None]
        counted = weights * known[nearest]
        found.append((counted * values[nearest]).sum(dim=1) / counted.sum(dim=1))
    return torch.cat(found) if found else torch.empty(0, values.shape[1], dtype=torch.float64)
