"""`rk.look`: what is in a dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence

from robokata.core.declared_rate import open_with_rates
from robokata.core.source import Source
from robokata.survey.dataset_survey import EpisodeSurvey, Survey, survey, survey_episode


def look(
    dataset: str | os.PathLike[str] | Source,
    *,
    episode: str | None = None,
    where: str | None = None,
    rate_hz: Sequence[str | float] = (),
    format: str | None = None,
) -> Survey | EpisodeSurvey:
    """Say what is in a dataset (of one `episode`, where it is named), from its indexes and a few samples.

    `where` counts the episodes that meet an SQL condition on the table of episodes; `rate_hz` declares rates of data
    without times.

    Raises:
        NotADataset: nothing that is recognised lies at the path.
        UnknownName: the dataset has no such episode.
        QueryRefused: the condition is not one.
        DamagedData: the indexes cannot be read.
    """
    source = open_with_rates(dataset, format=format, rate_hz=rate_hz)
    return survey(source, where=where) if episode is None else survey_episode(source, episode)
