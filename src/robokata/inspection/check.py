"""`rk.check`: every check on a dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from robokata.core.declared_rate import open_with_rates
from robokata.core.errors import SuiteRefused
from robokata.core.finding import Level
from robokata.core.source import Source
from robokata.core.suite import Suite, read_suite
from robokata.inspection.run import Report, check_dataset
from robokata.runtime.episode_filter import choose_episodes
from robokata.runtime.progress import SILENT, Progress


def check(
    dataset: str | os.PathLike[str] | Source,
    *,
    suite: str | os.PathLike[str] | Suite | None = None,
    fail_on: str | None = None,
    episodes: Sequence[str] | None = None,
    where: str | None = None,
    split: str | None = None,
    rate_hz: Sequence[str | float] = (),
    format: str | None = None,
    workers: int | None = None,
    on_progress: Progress = SILENT,
) -> Report:
    """Run every check on every episode, then across episodes.

    `suite` is a TOML file or a `Suite` with thresholds, checks turned off and waivers; `fail_on` (error, warning, info)
    overrules its level. `episodes`, `where` (SQL on the table of episodes) and `split` choose episodes; default: all.
    The answer does not depend on the number of `workers`.

    Raises:
        NotADataset: nothing that is recognised lies at the path.
        SuiteRefused: the suite cannot be obeyed.
        UnknownName: the dataset has no such episode or split.
        QueryRefused: the condition is not one, or no episode meets it.
    """
    chosen = read_suite_with(suite, fail_on=fail_on)
    source = open_with_rates(dataset, format=format, rate_hz=rate_hz)
    keys = None
    if episodes or where is not None or split is not None:
        keys = list(choose_episodes(source, episodes=episodes, where=where, split=split).keys)
    return check_dataset(
        source,
        suite=chosen,
        keys=keys,
        workers=workers,
        started=on_progress.started,
        advance=on_progress.advance,
    )


def read_suite_with(suite: str | os.PathLike[str] | Suite | None, *, fail_on: str | None) -> Suite:
    """A suite, or that of a file, or the default one; `fail_on` wins over what it says.

    Raises:
        SuiteRefused: the file cannot be obeyed, or the level does not exist.
    """
    chosen = Suite() if suite is None else suite if isinstance(suite, Suite) else read_suite(Path(suite))
    if fail_on is None:
        return chosen
    if fail_on not in list(Level):
        raise SuiteRefused(f"--fail-on is {fail_on!r}. It is one of {', '.join(Level)}.")
    return replace(chosen, fail_on=Level(fail_on))
