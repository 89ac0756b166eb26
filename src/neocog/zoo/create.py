"""Networks by name: built, listed, and given another head."""

from dataclasses import replace
from fnmatch import fnmatch

from neocog.errors import ConfigError, did_you_mean
from neocog.zoo.catalog import CATALOG
from neocog.zoo.info import ModelInfo
from neocog.zoo.network import BuildSpec, Network

__all__ = ["create_model", "list_models", "model_info", "replace_head"]


def model_info(name: str) -> ModelInfo:
    """The catalogue's entry of this name.

    Raises ConfigError if there is none.
    """
    if name not in CATALOG:
        raise ConfigError(f"No network is called {name!r}. {did_you_mean(name, CATALOG)}")
    return CATALOG[name]


def list_models(pattern: str = "*") -> list[str]:
    """The names of all networks that match a pattern.

    >>> list_models("lenet*")
    ['lenet5', 'lenet5_relu']
    """
    return sorted(name for name in CATALOG if fnmatch(name, pattern))


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    pretrained: str | None = None,
    **options: object,
) -> Network:
    """Build a network by name; classes and channels are the published ones (1000 and 3 for ImageNet's) unless given.

    Weights are fresh, or published ones with `pretrained="torchvision"` or `"timm/NAME"`, which are fetched into a
    cache and checked, or those of a `.pth` or `.safetensors` file by its path. A head for other classes starts fresh,
    and the first layer is adapted to other channels.

    Raises ConfigError for an unknown name, an option that this network does not have, and weights that nobody has
    published; DataError where they can't be fetched; CheckpointError if a file is of another network.

    >>> sum(p.numel() for p in create_model("lenet5").parameters())
    60000
    """
    found = model_info(name)
    for option in options.keys() - found.options:
        raise ConfigError(
            f"{name} has no {option}. {did_you_mean(option, found.options | {'num_classes', 'in_channels'})}"
        )
    for key, value in (("num_classes", num_classes), ("in_channels", in_channels)):
        if value is not None and value < 1:
            raise ConfigError(f"{key} must be at least 1.", received=f"{value}")
    spec = BuildSpec(
        name=name,
        build=found.build,
        num_classes=found.num_classes if num_classes is None else num_classes,
        in_channels=found.in_channels if in_channels is None else in_channels,
        options=options,
    )
    model = spec.rebuild()
    model.build_spec = spec
    if pretrained is not None:
        from neocog.zoo.weights import load_pretrained  # a dozen files that few calls need

        load_pretrained(model, spec, pretrained)
    return model


def replace_head(model: Network, num_classes: int) -> Network:
    """Replace the classifier of a network by a fresh one for other classes, in place; other layers keep their weights.

    The layers that depend on the number of classes are replaced: the last one, and those of auxiliary heads.
    Raises ConfigError for a network that was not built by `create_model`, or has no classes.

    >>> model = replace_head(create_model("lenet5_relu"), num_classes=3)
    >>> model.head[-1]
    Linear(in_features=84, out_features=3, bias=True)
    """
    if model.build_spec is None:
        raise ConfigError(
            "Only a network that create_model built can get another head.", received=f"{type(model).__name__}"
        )
    fresh, keys = model.build_spec.rebuild(num_classes=num_classes), model.build_spec.class_keys()
    if not keys:
        raise ConfigError(
            f"{model.build_spec.name} has no layer for its classes. Build it again: create_model(num_classes=..)."
        )
    for path in sorted({key.rpartition(".")[0] for key in keys}):
        like = next(iter(model.parameters()))
        model.set_submodule(path, fresh.get_submodule(path).to(like.device, like.dtype))
    model.build_spec = replace(model.build_spec, num_classes=num_classes)
    return model.train(model.training)
