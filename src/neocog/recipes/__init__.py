"""Complete settings by name: functions that return a run's config, with their figures at their head."""

from neocog.recipes.catalog import list_recipes, recipe, recipe_for

__all__ = ["list_recipes", "recipe", "recipe_for"]
