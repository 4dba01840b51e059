"""The verb expand: more data out of data, by an expander of the shelf."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from robokata.core.contracts import ExpansionJobs, ValidatingExpanderLeaf
from robokata.core.declared_rate import rates_from, with_rates
from robokata.core.detection import as_source
from robokata.core.shelf import shelf
from robokata.core.source import Source
from robokata.expansion.expansion import Expansion, refuse_too_few, summarise_expansion
from robokata.runtime.episode_filter import choose_episodes
from robokata.runtime.jobs import produce, with_receipt
from robokata.runtime.options import fitted, options_of, takes
from robokata.runtime.progress import SILENT, Progress


def expand(
    dataset: str | os.PathLike[str] | Source,
    *,
    by: str,
    out: str | os.PathLike[str],
    episodes: int | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    size_px: tuple[int, int] | None = (128, 128),
    only: Sequence[str] | None = None,
    where: str | None = None,
    split: str | None = None,
    rates: Sequence[str | float] = (),
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> Expansion:
    """Make new episodes from those of a dataset; a run that was killed goes on where it stopped.

    Args:
        dataset: A path, or an open dataset.
        by: An expander: `demonstrations`, `factors`, `mirror`, `retime`, `paraphrase`, `world_model`, or one of another
            package.
        out: Folder for the new episodes, one file each.
        episodes: New episodes to make; None: one per source episode.
        seed: The same seed gives the same episodes, whatever the number of workers.
        options: Options of the expander.
        size_px: Height and width of pictures that are rendered; None for no pictures.
        only: Ids of the source episodes to use; None: all.
        where: SQL condition on the table of source episodes.
        split: Split to expand, or `all`; None: `train`, where there are splits.
        rates: Rates of streams without times, Hz: `10`, or `STREAM=10`.
        workers: Processes; None: one per core.
        on_progress: Hears how many episodes are done.

    Raises:
        UnknownName: there is no such expander, episode or split.
        RecipeRefused: an option is unknown or cannot be obeyed.
        Unsupported: the expander cannot use these episodes.
        WriteRefused: the folder cannot be written or holds something else, or too few attempts succeed.
    """
    source = with_rates(as_source(dataset), rates_from(rates))
    chosen = choose_episodes(source, episodes=only, where=where, split=split, is_for_training=True)
    jobs = plan_expansion(source, by, keys=chosen.keys, options=options or {}, seed=seed, size_px=size_px)
    wanted = episodes or len(chosen.keys)
    made = run_expansion(jobs, Path(out), by=by, episodes=wanted, workers=workers, on_progress=on_progress)
    return replace(made, selection=chosen.sentence)


def complete_options(by: str, options: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Options of an expander with every default filled in, refused where no data could obey them.

    Raises:
        UnknownName: there is no such expander.
        RecipeRefused: an option is unknown, of the wrong kind, needed and absent, or cannot be obeyed.
    """
    leaf = shelf("expanders")[by]
    complete = fitted(options, options_of(leaf.plan), where=where)
    if isinstance(leaf, ValidatingExpanderLeaf):
        leaf.validate(where=where, **takes(leaf.validate, complete))
    return complete


def plan_expansion(
    source: Source,
    by: str,
    *,
    keys: Sequence[str],
    options: Mapping[str, Any],
    seed: int = 0,
    size_px: tuple[int, int] | None = (128, 128),
) -> ExpansionJobs:
    """The jobs of an expander on these episodes; nothing is made.

    Raises:
        UnknownName: there is no such expander.
        RecipeRefused: an option is unknown or cannot be obeyed.
        Unsupported: the expander cannot use these episodes.
    """
    leaf = shelf("expanders")[by]
    complete = complete_options(by, options, where=f"expander {by}")
    given = takes(leaf.plan, {"keys": tuple(keys), "seed": seed, "size_px": size_px})
    return leaf.plan(source, **given, **complete)


def run_expansion(
    jobs: ExpansionJobs,
    out: Path,
    *,
    by: str,
    episodes: int,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> Expansion:
    """Do planned jobs until `episodes` succeeded or the sources give no more, and write the receipt.

    Raises:
        WriteRefused: the folder cannot be written or holds something else, or too few attempts succeed.
    """
    progress = on_progress or SILENT
    progress.started(episodes)
    lines = produce(
        jobs.job,
        out,
        wanted=episodes,
        at_most=jobs.at_most(episodes),
        same_as=jobs.recipe,
        workers=workers,
        advance=progress.advance,
    )
    production = with_receipt(out, lines, jobs.recipe, versions=jobs.versions)
    found = summarise_expansion(production, lines, jobs, by=by, asked=episodes)
    refuse_too_few(found, jobs)
    return found
