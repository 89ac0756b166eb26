"""The loss of a batch that several processes share: exact, however its samples are divided."""

from torch import Tensor

from neocog.training.distributed.world import World

__all__ = ["loss_weight", "scaled_loss"]


def scaled_loss(loss: Tensor, own: float, total: float, world: World) -> Tensor:
    """The loss whose gradient, averaged over processes, is that of the mean over the global batch.

        loss * own * W / total    so that    1/W sum_r grad(scaled_r) = grad(sum_r own_r loss_r / total)

    `own` is what this process's mean divides by: its number of samples, or with class weights their sum (see
    `loss_weight`); `total` is the sum of that over all W processes (see `sum_everywhere`).

    >>> import torch
    >>> scaled_loss(torch.tensor(2.0), own=3, total=8, world=World(size=2))
    tensor(1.5000)
    """
    return loss if world.size == 1 else loss * (own * world.size / total)


def loss_weight(labels: Tensor, class_weights: Tensor | None = None) -> float:
    """What torch's mean cross-entropy of these labels divides by.

    The sum of the weights of the labels (N,); or N, where classes have no weights or labels are probabilities (N, K),
    as there torch takes the mean over the records. Source: torch.nn.CrossEntropyLoss.

    >>> import torch
    >>> loss_weight(torch.tensor([0, 1, 1])), loss_weight(torch.tensor([0, 1, 1]), torch.tensor([2.0, 0.5]))
    (3.0, 3.0)
    """
    if class_weights is None or labels.ndim > 1:
        return float(len(labels))
    return float(class_weights.to(labels.device)[labels].double().sum())
