"""`rk.curate`: which episodes of a dataset, changed by which steps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robokata.curation.curate import Curated, curated
from robokata.curation.recipe import Recipe, read_recipe
from robokata.curation.write import Written, write_curated
from robokata.runtime.progress import SILENT, Progress


def plan_curation(recipe: str | os.PathLike[str] | Recipe, *, workers: int | None = None) -> Curated:
    """What a recipe (an object, or its TOML file) makes: `.source` opens its episodes, `.left_out` gives reasons.

    Raises:
        RecipeRefused: it is not a recipe, or asks for what the data cannot give.
        NotADataset: a source is not there.
        SelectionRefused: a family would lie in several splits, or the selection was made from other data.
    """
    return curated(recipe if isinstance(recipe, Recipe) else read_recipe(Path(recipe)), workers=workers)


def curate(
    recipe: str | os.PathLike[str] | Recipe,
    out: str | os.PathLike[str],
    *,
    to: str = "mcap",
    options: Mapping[str, Any] | None = None,
    accept_loss: bool = False,
    workers: int | None = None,
    on_progress: Progress = SILENT,
) -> Written:
    """Write what a recipe makes, read it back and compare it; its receipt lies beside it.

    `to` is the format, `options` are its writer's own. The result does not depend on the number of `workers`.

    Raises:
        RecipeRefused: it is not a recipe, asks for what the data cannot give, or leaves no episode.
        WriteRefused: the target is occupied, the format would lose something, or a source changed meanwhile.
        UnknownName: the format cannot be written.
        DamagedData: an episode cannot be read.
    """
    plan = plan_curation(recipe, workers=workers)
    on_progress.started(len(plan.source.keys()))
    return write_curated(
        plan, Path(out), to=to, options=options, accept_loss=accept_loss, workers=workers, advance=on_progress.advance
    )
