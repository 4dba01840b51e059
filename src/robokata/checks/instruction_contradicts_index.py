"""An instruction that the rows point to and the list of episodes does not name, or the other way round.

What it finds:
    Episodes whose rows carry task numbers of other texts than the list of episodes names for them.

Why it hurts:
    Loaders read the rows: a policy is told to fold the shirt while it watches a towel being folded, and whoever
    chooses episodes by the list gets other ones than the policy is trained on. Nothing crashes.

Example:
    lerobot #4401 counts published sets with 432 million frames whose tasks are not those of their episodes; in one of
    them 1,588 episodes name tasks that the table of tasks lacks.

Limits:
    Says that two places disagree, not which of them is right: for that somebody has to look at the pictures. Abstains
    where the format has one place for instructions, or the rows have no task numbers.

Repair:
    Look at an episode of each text, then correct the task numbers or the list. Correcting the numbers changes what a
    policy is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from robokata.core.contracts import Gathered, Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.source import EpisodeList, Facts, row_of
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues

NEEDS: Sequence[Need] = (Need.INSTRUCTIONS,)


class Pointed(NamedTuple):
    """Instructions of an episode that one of its streams points to."""

    tasks: tuple[str, ...]
    """By the column that loaders read."""
    others: tuple[str, ...]
    """By annotations beside it."""


class _Difference(NamedTuple):
    listed_only: tuple[str, ...]
    rows_only: tuple[str, ...]


def gather(episode: Episode) -> Pointed:
    """Texts by the streams that point to them."""
    by_rows = [i for i in episode.instructions if i.source in episode.streams]
    tasks = dict.fromkeys(i.text for i in by_rows if i.source == "task_index")
    return Pointed(tuple(tasks), tuple(dict.fromkeys(i.text for i in by_rows if i.text not in tasks)))


def judge(rows: Sequence[Gathered], facts: Facts) -> Iterator[Verdict]:
    """One finding per difference, however many episodes have it. Exact: there are no thresholds."""
    listed = {row.id: row.instructions for row in facts.rows}
    compared = 0
    groups: dict[_Difference, list[str]] = {}
    for episode, pointed in rows:
        texts = listed.get(episode, ())
        if not isinstance(pointed, Pointed) or not pointed.tasks or not texts:
            continue
        compared += 1
        known = {*pointed.tasks, *pointed.others}
        difference = _Difference(
            tuple(text for text in texts if text not in known),
            tuple(text for text in pointed.tasks if text not in texts),
        )
        if any(difference):
            groups.setdefault(difference, []).append(episode)
    if not compared:
        yield Abstention("no episode has both task numbers in its rows and a list that names its tasks")
    for difference, episodes in groups.items():
        yield _finding(difference, episodes, compared)


def _finding(difference: _Difference, episodes: Sequence[str], compared: int) -> Finding:
    listed, held = _quoted(difference.listed_only), _quoted(difference.rows_only)
    said = (
        f"the list of episodes names {listed}, and the rows point to {held}"
        if difference.listed_only and difference.rows_only
        else f"the list of episodes names {listed}, and no row points to it"
        if difference.listed_only
        else f"rows point to {held}, which the list of episodes does not name"
    )
    first = ", ".join(episodes[:3]) + (", ..." if len(episodes) > 3 else "")
    return Finding(
        # Texts beside the one that is read mislead a search; another text misleads the policy.
        level=Level.ERROR if difference.rows_only else Level.WARNING,
        message=f"{said}: {len(episodes)} of {compared} episodes ({first})",
        episode=episodes[0] if len(episodes) == 1 else None,
        measured=held or None,
        expected=listed or None,
        repair="look at the pictures of one episode, then correct the task numbers of the rows or the list of episodes",
    )


def _quoted(texts: Sequence[str]) -> str:
    return ", ".join(repr(text if len(text) <= 60 else f"{text[:57]}...") for text in texts)


def plant(source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
    """Let the list name another task than the rows of one episode point to (of `magnitude` of them, from 1 on)."""
    episodes = list(source.episodes.values())
    count = min(len(episodes), max(1, round(magnitude))) if magnitude > 0 else 0
    filled = [at for at, episode in enumerate(episodes) if episode.streams and episode.instructions]
    chosen = rng.permutation(to_plant_into(filled, "episode with an instruction"))[:count].tolist()
    rows = list(source.facts().rows) or [row_of(episode) for episode in episodes]
    for at in chosen:
        clock = next(iter(episodes[at].streams.values())).clock
        numbers = ArrayValues(np.zeros(len(clock), np.int64))
        column = Stream("task_index", Kind.TENSOR, Role.BOOKKEEPING, clock, numbers)
        pointing = [replace(i, source="task_index") for i in episodes[at].instructions]
        episodes[at] = replace(episodes[at].with_stream(column), instructions=tuple(pointing), ref=None)
        where = next(number for number, row in enumerate(rows) if row.id == episodes[at].id)
        rows[where] = replace(rows[where], instructions=("fold the towel",))
    return EpisodeList(episodes, replace(source.facts(), rows=rows))
