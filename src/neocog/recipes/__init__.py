"""Complete settings by name: functions that return a run's config, with their figures at their head."""

from neocog.recipes.catalog import check_recipe, list_recipes, recipe, recipe_for

__all__ = ["check_recipe", "list_recipes", "recipe", "recipe_for"]
