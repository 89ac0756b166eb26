"""The last dense layer of a network: found, cut off for features, and set from a fitted head."""

import copy

import torch
from torch import Tensor, nn

from neocog.errors import ConfigError
from neocog.zoo import Network

__all__ = ["dense_head_path", "has_dense_head", "set_dense_head", "without_dense_head"]


def dense_head_path(model: Network) -> str | None:
    """The name of the dense layer whose outputs are the logits; None if the head ends with anything else.

    >>> from neocog.zoo import create_model
    >>> dense_head_path(create_model("resnet18")), dense_head_path(create_model("speednet"))
    ('head.2', None)
    """
    name, last = list(model.head.named_modules(prefix="head"))[-1]
    return name if isinstance(last, nn.Linear) else None


def has_dense_head(model: Network) -> bool:
    """Whether the logits come from a dense layer, so that logistic regression on its inputs can set it."""
    return dense_head_path(model) is not None


def without_dense_head(model: Network) -> Network:
    """A copy in evaluation mode that ends before its last dense layer, so that it returns features (N, D).

    Raises ConfigError for a network without one.
    """
    path = find_path(model)
    copied = copy.deepcopy(model).eval()
    copied.set_submodule(path, nn.Identity())
    return copied


def set_dense_head(model: Network, weight: Tensor, bias: Tensor) -> None:
    """Copy weight (K, D) and bias (K,) into the last dense layer, in place.

    A layer without a bias gets one. Raises ConfigError for a network without such a layer, or of another shape.
    """
    path = find_path(model)
    dense = model.get_submodule(path)
    assert isinstance(dense, nn.Linear)
    if weight.shape != dense.weight.shape:
        raise ConfigError(
            "A fitted head must have the shape of the network's last dense layer.",
            received=f"{tuple(weight.shape)}, and the layer has {tuple(dense.weight.shape)}",
        )
    with torch.no_grad():
        dense.weight.copy_(weight)
        if dense.bias is None:
            dense.bias = nn.Parameter(torch.zeros_like(dense.weight[:, 0]))
        dense.bias.copy_(bias)


def find_path(model: Network) -> str:
    path = dense_head_path(model)
    if path is None:
        name = model.build_spec.name if model.build_spec else type(model).__name__
        raise ConfigError(
            "Features are the inputs of a network's last dense layer.",
            received=f"{name}, whose head does not end with one",
            fix="Choose another network.",
        )
    return path
