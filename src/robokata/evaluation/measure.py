"""Every metric over recorded episodes: demonstrations, or trials of a policy, by the same code."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robokata.core.declared_rate import open_with_rates
from robokata.core.episode import Episode
from robokata.core.errors import RateRefused
from robokata.core.estimate import Estimate, Observation
from robokata.core.shelf import shelf
from robokata.core.source import Source
from robokata.evaluation.metric import summarise
from robokata.runtime.engine import map_episodes, worker_count
from robokata.runtime.episode_filter import choose_episodes
from robokata.runtime.notebook import html_table
from robokata.runtime.progress import SILENT, Progress


@dataclass(frozen=True)
class Measured:
    """What the metrics say of a dataset."""

    path: str
    episodes: int
    metrics: Mapping[str, Estimate]
    """Metric -> value with interval, or why there is none."""
    unread: Mapping[str, str]
    """Episode -> why it could not be read; such episodes are in no number."""
    chosen: str | None = None
    """Which of the dataset's splits were measured, in words; None where it has none."""

    def _repr_html_(self) -> str:
        rows = [(name, str(estimate)) for name, estimate in self.metrics.items()]
        return html_table(f"{self.path}: {self.episodes} episodes", rows, head=("metric", "value"))

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        metrics = {name: estimate.to_json() for name, estimate in self.metrics.items()}
        plain = {"path": self.path, "episodes": self.episodes, "chosen": self.chosen}
        return {**plain, "metrics": metrics, "unread": dict(self.unread)}


def measured(
    source: Source,
    *,
    keys: Sequence[str] | None = None,
    chosen: str | None = None,
    workers: int | None = None,
    started: Callable[[int], None] = lambda episodes: None,
    advance: Callable[[int], None] = lambda episodes: None,
) -> Measured:
    """Observe every episode by itself, then summarise; the answer does not depend on the number of workers.

    `chosen` says in words how the `keys` were chosen, for the report.

    Raises:
        RateRefused: a rate is declared for an episode that it cannot be meant for.
    """
    wanted = list(source.keys() if keys is None else keys)
    started(len(wanted))
    count = workers or worker_count(source, len(wanted), size_bytes=None)
    seen: dict[str, list[Observation]] = {name: [] for name in shelf("metrics").names()}
    unread = {}
    for key, observed, error in map_episodes(source, _observed, keys=wanted, workers=count, advance=advance):
        if observed is None:
            if isinstance(error, RateRefused):
                raise error
            unread[key] = str(error)
            continue
        for name, observation in observed.items():
            seen[name].append(observation)
    metrics = {name: summarise(name, rows) for name, rows in seen.items()}
    return Measured(str(source.path), len(wanted) - len(unread), metrics, unread, chosen)


def _observed(episode: Episode) -> dict[str, Observation]:
    return {name: shelf("metrics")[name].observe(episode) for name in shelf("metrics").names()}


def measure(
    dataset: str | os.PathLike[str] | Source,
    *,
    episodes: Sequence[str] | None = None,
    where: str | None = None,
    split: str | None = None,
    rate_hz: Sequence[str | float] = (),
    format: str | None = None,
    workers: int | None = None,
    on_progress: Progress = SILENT,
) -> Measured:
    """Compute every metric on recorded episodes: of demonstrations, or of a policy's trials.

    `split` is `train` by default, where the dataset has splits; `all` takes every one.

    Raises:
        NotADataset: nothing that is recognised lies at the path.
        UnknownName: the dataset has no such episode or split.
        QueryRefused: the condition is not one, or no episode meets it.
    """
    source = open_with_rates(dataset, format=format, rate_hz=rate_hz)
    choice = choose_episodes(source, episodes=episodes, where=where, split=split, is_for_training=True)
    return measured(
        source,
        keys=list(choice.keys),
        chosen=choice.sentence,
        workers=workers,
        started=on_progress.started,
        advance=on_progress.advance,
    )
