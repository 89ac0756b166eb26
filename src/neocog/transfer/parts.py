"""The part of a network that computes features: all of it up to its last layer, whatever its head looks like."""

import copy
from typing import cast

from torch import Tensor, nn

from neocog.transfer.dense_head import has_dense_head, without_dense_head
from neocog.zoo import Network

__all__ = ["feature_part", "last_layer_path", "pool"]


def pool(maps: Tensor) -> Tensor:
    """The mean over all places in float32; (N, C, *places) -> (N, C), and (N, D) stays as it is.

    >>> import torch
    >>> pool(torch.ones(2, 3, 4, 4)).shape, pool(torch.ones(2, 5)).shape
    (torch.Size([2, 3]), torch.Size([2, 5]))
    """
    return maps.float() if maps.ndim == 2 else maps.float().flatten(2).mean(dim=2)


class DeepestMaps(nn.Module):
    """The output of a network's last stage; (N, *shape) -> (N, C, *places)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network.features(inputs)[-1]


def last_layer_path(model: Network) -> str | None:
    """The name of the layer of a sequential head whose shape depends on the number of classes; None: there is none.

    >>> from neocog.zoo import create_model
    >>> [last_layer_path(create_model(name)) for name in ("speednet", "squeezenet1_1", "lenet5", "unet")]
    ['head.2', 'head.1', 'head.5', None]
    """
    keys = model.build_spec.class_keys() if model.build_spec is not None else frozenset()
    paths = {key.rpartition(".")[0] for key in keys if key.startswith("head.")}
    found = paths.pop() if len(paths) == 1 else ""
    return found if found.count(".") == 1 and isinstance(model.head, nn.Sequential) else None


def feature_part(model: Network) -> nn.Module:
    """A copy in evaluation mode that ends before the last layer; `pool` makes features (N, D) of what it returns.

    - If the head ends with a dense layer, features are its inputs.
    - If something without classes follows the last layer, as a scale in SpeedNet and a pooling in SqueezeNet, they are
      the inputs of that layer: the one whose shape depends on the number of classes.
    - If there is no such layer, as in networks for masks, boxes and moves, they are the maps of the last stage.

    >>> import torch
    >>> from neocog.zoo import create_model
    >>> images = torch.zeros(2, 3, 64, 64)
    >>> [pool(feature_part(create_model(name))(images)).shape[1] for name in ("resnet18", "squeezenet1_1", "centernet")]
    [512, 512, 512]
    """
    if has_dense_head(model):
        return without_dense_head(model)
    copied = copy.deepcopy(model).eval()
    path = last_layer_path(model)
    if path is None:
        return DeepestMaps(copied).eval()
    head = cast(nn.Sequential, copied.head)
    for place in range(int(path.rpartition(".")[2]), len(head)):
        head[place] = nn.Identity()
    return copied
