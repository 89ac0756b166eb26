"""The weights of a network that was trained here, put into a fresh one of the same make."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from neocog.errors import ConfigError, some
from neocog.zoo.network import BuildSpec, Network
from neocog.zoo.weights.key_map import translate
from neocog.zoo.weights.pretrained import adapt_channels, own_names

__all__ = ["load_own"]


def load_own(model: Network, weights: Mapping[str, Tensor], before: Sequence[str], now: Sequence[str]) -> str:
    """Load weights of the same network; returns a sentence on what became of its head.

    `before` are the classes that its outputs stood for, `now` those that they stand for from here on. For the same
    classes the head is kept, with its rows brought into the new order by name; for others it starts fresh. The first
    layer is adapted to another number of channels.
    Raises ConfigError if a network has no head that could start fresh, CheckpointError for weights of another make.
    """
    spec, expected = model.build_spec, model.state_dict()
    assert spec is not None, "built by create_model"
    found, class_keys = dict(weights), spec.class_keys()
    fresh: frozenset[str] = frozenset()
    if list(before) == list(now):
        told = f"the same {len(now)} classes: the head is kept"
    elif sorted(before) == sorted(now) and class_keys:
        rows = torch.tensor([list(before).index(name) for name in now])
        for key, axis in class_axes(spec, class_keys).items():
            assert found[key].shape[axis] == len(rows), "an output for each class"
            found[key] = found[key].index_select(axis, rows)
        told = f"the same {len(now)} classes in another order: the head is kept, its outputs ordered by name"
    else:
        if not class_keys:
            raise ConfigError(
                f"{spec.name} has no layer for its classes alone, so it resumes the same ones, in their order. "
                f"Trained on {len(before)}: {some(before)}. Received {len(now)}: {some(now)}. Train it from the start."
            )
        fresh = class_keys
        told = f"other classes ({difference(before, now)}): the head starts fresh"
    adapt_channels(found, expected, own_names(expected), spec.channel_keys() - fresh)
    model.load_state_dict(translate(own_names(expected), found, expected, fresh))
    return told


def class_axes(spec: BuildSpec, keys: frozenset[str]) -> dict[str, int]:
    """By the key of each tensor that depends on the number of classes, the axis that counts them."""
    with torch.device("meta"):
        fewer, more = spec.rebuild().state_dict(), spec.rebuild(num_classes=spec.num_classes + 1).state_dict()
    return {
        key: next(axis for axis, size in enumerate(fewer[key].shape) if size != more[key].shape[axis]) for key in keys
    }


def difference(before: Sequence[str], now: Sequence[str]) -> str:
    """
    >>> difference(["cat", "dog"], ["cat", "hen"])
    'new: hen; gone: dog'
    """
    new, gone = ([name for name in names if name not in others] for names, others in ((now, before), (before, now)))
    parts = [f"{word}: {some(names)}" for word, names in (("new", new), ("gone", gone)) if names]
    return "; ".join(parts)
