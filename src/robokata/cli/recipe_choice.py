"""The recipe that a path and the words beside it mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robokata.curation.recipe import Recipe


def recipe_from_words(path: Path, words: dict[str, Any]) -> Recipe:
    """The recipe of a file, or of a dataset and the options given.

    Raises:
        RecipeRefused: options beside a recipe, or that cannot be obeyed.
        NotADataset: nothing lies at the path.
    """
    from robokata.cli.console import one_dataset_at
    from robokata.core.errors import RecipeRefused
    from robokata.curation.recipe import read_recipe, recipe_of_words
    from robokata.runtime.episode_filter import choose_episodes

    if path.suffix == ".toml" and path.is_file():
        given = next((f"--{name}" for name, word in words.items() if word is not None), None)
        if given is not None:
            raise RecipeRefused(
                f"{given} goes with a dataset, and {path} is a recipe: write it there ({_IN_A_RECIPE[given]})."
            )
        return read_recipe(path)
    source = one_dataset_at(path, None)
    if words["split"] is None and words["families"] is None:
        # Families and shares concern all splits; everything else chooses what will be learnt from.
        words = {**words, "split": choose_episodes(source, where=words["where"], is_for_training=True).split}
    return recipe_of_words(str(source.path), words)


_IN_A_RECIPE = {
    "--by": "[selection] curator",
    "--keep": "[selection] keep",
    "--step": "[[step]]",
    "--drop": "[checks] level",
    "--where": "[[source]] where",
    "--families": "families",
    "--split": "[[source]] split, or splits for shares",
    "--seed": "seed",
}
