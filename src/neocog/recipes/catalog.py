"""Every recipe by name."""

from collections.abc import Callable

from neocog.data import Modality, Source
from neocog.errors import ConfigError, did_you_mean
from neocog.modalities.table import MODALITIES
from neocog.recipes.auto import auto
from neocog.recipes.cifar import densenet_cifar, resnet_cifar
from neocog.recipes.fast import fast
from neocog.recipes.finetune import check_finetune, finetune
from neocog.recipes.general import general
from neocog.recipes.imagenet import alexnet, densenet_imagenet, googlenet, inception_v3, resnet_imagenet, vgg
from neocog.recipes.lenet import lenet5, lenet5_relu, tutorial_cifar10
from neocog.recipes.modalities import board, keyword, signal, signal_segmentation, sound, sound_values, text
from neocog.recipes.strong import strong_a1, strong_a2, strong_a3
from neocog.recipes.tasks import detection, image_labels, image_values, segmentation, signal_values
from neocog.runs import RunConfig
from neocog.tasks import TASKS

__all__ = ["check_recipe", "list_recipes", "recipe", "recipe_for"]

RECIPES: dict[str, Callable[[str], RunConfig]] = {
    "auto": auto,
    "general": general,
    "fast": fast,
    "finetune": finetune,
    "lenet5": lenet5,
    "lenet5_relu": lenet5_relu,
    "tutorial_cifar10": tutorial_cifar10,
    "resnet_cifar": resnet_cifar,
    "densenet_cifar": densenet_cifar,
    "alexnet": alexnet,
    "vgg": vgg,
    "googlenet": googlenet,
    "inception_v3": inception_v3,
    "resnet_imagenet": resnet_imagenet,
    "densenet_imagenet": densenet_imagenet,
    "strong_a1": strong_a1,
    "strong_a2": strong_a2,
    "strong_a3": strong_a3,
    "board": board,
    "signal": signal,
    "signal_segmentation": signal_segmentation,
    "keyword": keyword,
    "sound": sound,
    "sound_values": sound_values,
    "text": text,
    "image_labels": image_labels,
    "image_values": image_values,
    "segmentation": segmentation,
    "detection": detection,
    "signal_values": signal_values,
}
OF_TASK = {
    ("audio", "multi-label"): "sound_values",
    ("audio", "regression"): "sound_values",
    ("image", "multi-label"): "image_labels",
    ("image", "regression"): "image_values",
    ("image", "segmentation"): "segmentation",
    ("image", "multi-label segmentation"): "segmentation",
    ("image", "detection"): "detection",
    ("signal", "regression"): "signal_values",
    ("signal", "signal segmentation"): "signal_segmentation",
}
"""The default recipe for a kind of data and a task, where it isn't that of the kind of data."""
RETIRED = {"from_scratch_small": "auto"}
"""Recipes of earlier releases, and what takes their place. Their runs resume: `config.yaml` holds every setting."""
# Networks whose recipe of the same name is short enough to be the default; those of the papers take days.
OWN = frozenset({"lenet5", "lenet5_relu", "tutorial_cifar10"})
LOOKING: dict[str, Callable[[str, Source | None], RunConfig]] = {
    "board": board,
    "detection": detection,
    "fast": fast,
    "signal": signal,
}
"""Recipes that depend on the data."""
CHECKS: dict[str, Callable[[RunConfig], None]] = {"finetune": check_finetune}


def list_recipes() -> list[str]:
    """The names of all recipes.

    >>> [name for name in list_recipes() if name.startswith("strong")]
    ['strong_a1', 'strong_a2', 'strong_a3']
    """
    return sorted(RECIPES)


def recipe(name: str, data: str, source: Source | None = None) -> RunConfig:
    """The config of a recipe for a data set. Raises ConfigError for an unknown or retired name.

    A recipe that depends on the data opens it, unless it is open already: `source`.

    >>> recipe("lenet5", data="mnist").model.name
    'lenet5'
    """
    if name in RETIRED:
        new = RETIRED[name]
        fix = f"Use --recipe {new}, which chooses network, image size and augmentation by your data."
        raise ConfigError(f"The recipe {name} is now {new}.", fix=fix, kind="renamed")
    if name not in RECIPES:
        raise ConfigError(f"Unknown recipe: {name!r}.", fix=did_you_mean(name, RECIPES))
    return LOOKING[name](data, source) if name in LOOKING else RECIPES[name](data)


def check_recipe(name: str, config: RunConfig) -> None:
    """Raises ConfigError if the user has not set what this recipe requires.

    >>> check_recipe("finetune", recipe("finetune", data="pets"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    neocog.errors.ConfigError: The recipe finetune starts from published weights. ...
    """
    if name in CHECKS:
        CHECKS[name](config)


def recipe_for(model: str | None, modality: Modality = "image", task: str = "classification") -> str:
    """The default recipe: that of the network if it is short, or else that of the kind of data and the task.

    >>> recipe_for("lenet5"), recipe_for("resnet18"), recipe_for(None, "text"), recipe_for("char_cnn_small", "text")
    ('lenet5', 'general', 'text', 'text')
    >>> recipe_for(None, "image", "segmentation")
    'segmentation'
    >>> recipe_for("alexnet")  # that of the paper, 90 epochs of ImageNet, has to be named
    'general'
    """
    if (modality, task) in OF_TASK and (model is None or TASKS[task].dense):
        return OF_TASK[modality, task]
    if model in OWN:
        return model
    kind = MODALITIES[modality]
    return kind.recipe if model is None else kind.recipe_for_network or kind.recipe
