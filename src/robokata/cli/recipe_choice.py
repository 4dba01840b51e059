"""The recipe that a path and the words beside it mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robokata.recipe import Recipe


def recipe_from_words(path: Path, words: dict[str, Any]) -> Recipe:
    """The recipe of a file, or of a dataset and the options given.

    Raises:
        RecipeRefused: options beside a recipe that says them already, or that cannot be obeyed.
        NotADataset: nothing lies at the path.
    """
    from robokata.cli.console import one_dataset_at
    from robokata.core.errors import RecipeRefused
    from robokata.recipe import read_recipe, recipe_of_words

    if path.suffix == ".toml" and path.is_file():
        said = next((f"--{name}" for name, word in words.items() if word is not None), None)
        if said is not None:
            raise RecipeRefused(f"{said} says what the recipe {path} says already: change it there, or name a dataset.")
        return read_recipe(path)
    source = one_dataset_at(path, None)
    return recipe_of_words(str(source.path), words)
