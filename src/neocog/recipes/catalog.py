"""Every recipe by name."""

from collections.abc import Callable

from neocog.errors import ConfigError, did_you_mean
from neocog.recipes.general import general
from neocog.recipes.lenet import lenet5, lenet5_relu, tutorial_cifar10
from neocog.runs import RunConfig

__all__ = ["list_recipes", "recipe", "recipe_for"]

RECIPES: dict[str, Callable[[str], RunConfig]] = {
    "general": general,
    "lenet5": lenet5,
    "lenet5_relu": lenet5_relu,
    "tutorial_cifar10": tutorial_cifar10,
}


def list_recipes() -> list[str]:
    """The names of all recipes.

    >>> list_recipes()
    ['general', 'lenet5', 'lenet5_relu', 'tutorial_cifar10']
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


def recipe_for(model: str | None) -> str:
    """The recipe that is taken where only a network is named: its own, where it has one, else the general one."""
    if model is None:
        return "lenet5_relu"
    return model if model in RECIPES else "general"
