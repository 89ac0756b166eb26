"""Complete settings by name: functions that return the config of a run, each with its figures at its head."""

from neocog.recipes.catalog import check_recipe, list_recipes, recipe, recipe_for
from neocog.recipes.resolve import resolve_config

__all__ = ["check_recipe", "list_recipes", "recipe", "recipe_for", "resolve_config"]
