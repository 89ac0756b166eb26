"""Every recipe by name."""

from collections.abc import Callable

from neocog.data import Modality
from neocog.errors import ConfigError, did_you_mean
from neocog.recipes.general import general
from neocog.recipes.lenet import lenet5, lenet5_relu, tutorial_cifar10
from neocog.recipes.modalities import board, signal, sound, text
from neocog.runs import RunConfig

__all__ = ["list_recipes", "recipe", "recipe_for"]

RECIPES: dict[str, Callable[[str], RunConfig]] = {
    "general": general,
    "lenet5": lenet5,
    "lenet5_relu": lenet5_relu,
    "tutorial_cifar10": tutorial_cifar10,
    "board": board,
    "signal": signal,
    "sound": sound,
    "text": text,
}
FOR_MODALITY: dict[Modality, str] = {
    "image": "lenet5_relu",
    "signal": "signal",
    "audio": "sound",
    "text": "text",
    "board": "board",
}


def list_recipes() -> list[str]:
    """The names of all recipes.

    >>> list_recipes()
    ['board', 'general', 'lenet5', 'lenet5_relu', 'signal', 'sound', 'text', 'tutorial_cifar10']
    """
    return sorted(RECIPES)


def recipe(name: str, data: str) -> RunConfig:
    """The config of a recipe for a data set. Raises ConfigError for an unknown name.

    >>> recipe("lenet5", data="mnist").model.name
    'lenet5'
    """
    if name not in RECIPES:
        raise ConfigError(f"No recipe is called {name!r}. {did_you_mean(name, RECIPES)}")
    return RECIPES[name](data)


def recipe_for(model: str | None, modality: Modality = "image") -> str:
    """The recipe that is taken where none is named: the network's own, or that of the kind of data.

    >>> recipe_for("lenet5"), recipe_for("resnet18"), recipe_for(None, "text"), recipe_for("char_cnn_small", "text")
    ('lenet5', 'general', 'text', 'text')
    """
    if model in RECIPES:
        return model
    return "general" if modality == "image" and model is not None else FOR_MODALITY[modality]
