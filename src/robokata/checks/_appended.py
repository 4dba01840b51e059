"""One more episode at the end of a dataset, with every index and count that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from robokata.core.episode import Episode
from robokata.core.source import Declaration, EpisodeList, EpisodeRow, Facts, row_of
from robokata.core.stream import Role, Stream
from robokata.core.values import ArrayValues


def noisy_copy(episode: Episode, rng: np.random.Generator, *, noise_share: float) -> Episode:
    """A copy whose state and action carry white noise of `noise_share` of each channel's range."""
    if noise_share <= 0:
        return episode
    copy = episode
    for stream in list(episode.numeric(Role.STATE, Role.ACTION)):
        if stream.values.dtype.kind == "f" and len(stream):
            values = np.asarray(stream.values[:])
            noise = rng.normal(0, 1, values.shape) * noise_share * np.ptp(values, axis=0)
            copy = copy.with_stream(stream.with_values(ArrayValues((values + noise).astype(values.dtype))))
    return copy


def with_appended(source: EpisodeList, episode: Episode, *, split: str | None) -> EpisodeList:
    """The same dataset with `episode` once more at its end, under a new id, in `split`.

    Counters, pointers and counts follow, so that the only thing wrong is that the episode is there.
    Statistics over all episodes are left out: they would be those of the dataset before.
    """
    facts, known = source.facts(), source.keys()
    new_id = _unused_id(episode.id, known)
    ends = [row.end_row for row in facts.rows if row.end_row is not None]
    first_row = max(ends) if ends else None
    streams = {name: _renumbered(stream, new_id, first_row) for name, stream in episode.streams.items()}
    copy = replace(episode, id=new_id, streams=streams, origin=replace(episode.origin, split=split), ref=None)
    row = row_of(copy)
    if first_row is not None and row.steps is not None:
        row = replace(row, first_row=first_row, end_row=first_row + row.steps)
    episodes = [*(source.episode(key) for key in known), copy]
    return EpisodeList(episodes, _counted(facts, row.steps or 0, split, [*facts.rows, row]))


def _counted(facts: Facts, steps: int, split: str | None, rows: Sequence[EpisodeRow]) -> Facts:
    added = {"total_episodes": 1, "total_frames": steps, f"splits.{split}": 1}

    def one_more(stated: Declaration) -> Declaration:
        more = added.get(stated.subject)
        if more is None or not (isinstance(stated.declared, int) and isinstance(stated.found, int)):
            return stated
        return replace(stated, declared=stated.declared + more, found=stated.found + more)

    splits = dict(facts.splits)
    if split is not None:
        splits[split] = splits.get(split, 0) + 1
    return replace(
        facts,
        rows=rows,
        splits=splits,
        declarations=tuple(one_more(stated) for stated in facts.declarations),
        statistics={},
    )


def _unused_id(like: str, known: Sequence[str]) -> str:
    if all(key.isdigit() for key in known):
        return str(max(int(key) for key in known) + 1)
    names = (f"{like}-again{number or ''}" for number in range(len(known) + 1))
    return next(name for name in names if name not in known)


def _renumbered(stream: Stream, new_id: str, first_row: int | None) -> Stream:
    """A counter that goes on where the dataset ended; every other stream as it is."""
    if stream.role is not Role.BOOKKEEPING or not stream.is_numeric:
        return stream
    values = np.asarray(stream.values[:])
    if stream.name == "episode_index" and new_id.isdigit():
        return stream.with_values(ArrayValues(np.full_like(values, int(new_id))))
    if stream.name == "index" and first_row is not None:
        counted = first_row + np.arange(len(values), dtype=values.dtype).reshape(values.shape)
        return stream.with_values(ArrayValues(counted))
    return stream
