"""Which episodes of a dataset a verb works on: by id, by an SQL condition, by split. What drops out is said or refused.

Verbs that learn take the split `train` where a dataset has splits, unless another is named (`--split val`, `--split
all`), episodes are named one by one, or the condition itself speaks of splits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from robokata.core.errors import QueryRefused, RobokataError, UnknownName
from robokata.core.source import EpisodeRow, Source
from robokata.runtime.query import rows_where, unknown_columns

TRAIN, ALL = "train", "all"
VALIDATION = ("val", "valid", "validation", "dev")
"""Names of the split that a policy is not trained on while its loss is watched there, in order of preference."""
_HELD_OUT = (*VALIDATION, "test", "eval")
_SAMPLED_EPISODES = 3


@dataclass(frozen=True)
class EpisodeChoice:
    """The chosen episodes, and what the dataset has besides."""

    keys: tuple[str, ...]
    """In the dataset's order."""
    split: str | None
    """The split that they were chosen from, None where the choice goes over all."""
    splits: Mapping[str, int]
    """Episodes of each split, empty where the dataset has none."""
    episodes: int
    """Episodes of the dataset."""
    validation: tuple[str, ...] = ()
    """Episodes of the validation split that meet the same condition, where `split` is the training split."""
    validation_split: str | None = None

    @property
    def sentence(self) -> str | None:
        """What was chosen of which splits, in words; None where there is one split at most, and all is in it."""
        if not self.splits or (len(self.splits) == 1 and self.episodes == sum(self.splits.values())):
            return None
        others = ", ".join(f"{name} {count}" for name, count in self.splits.items() if name != self.split)
        outside = self.episodes - sum(self.splits.values())
        others += f"{', ' if others else ''}{outside} in no split" if outside else ""
        chosen = f"{len(self.keys)} of {self.episodes} episodes"
        if self.split is None:
            return f"all splits ({others}): {chosen}"
        return f"split {self.split}: {chosen}" + (f"; not used: {others} (--split NAME or all)" if others else "")


def choose_episodes(
    source: Source,
    *,
    episodes: Sequence[str] | None = None,
    where: str | None = None,
    split: str | None = None,
    is_for_training: bool = False,
) -> EpisodeChoice:
    """The episodes that are asked for. `is_for_training`: the training split where no other is asked for.

    Raises:
        UnknownName: an episode or a split that the dataset does not have; the message lists what there is.
        QueryRefused: the condition is none, or no episode is left.
    """
    keys = list(source.keys())
    known = set(keys)
    unknown = next((key for key in episodes or () if key not in known), None)
    if unknown is not None:
        raise UnknownName(f"episode of {source.path}", unknown, keys)
    if not keys:
        raise QueryRefused(f"{source.path}: holds no episode.")
    is_default = split is None and is_for_training and not episodes and not _speaks_of_splits(where)
    needs_rows = where is not None or split is not None or is_default
    rows = list(source.facts().rows) if needs_rows else []
    split_of = _split_of_each(source, rows) if split is not None or is_default else {}
    splits = dict(Counter(name for name in split_of.values() if name is not None))
    chosen_split = _training_split(source, splits) if is_default else _named_split(source, split, splits)
    meeting = known if where is None else {row.id for row in rows_where(rows, where)}
    asked = meeting & set(episodes) if episodes else meeting
    chosen = [key for key in keys if key in asked and chosen_split in (None, split_of.get(key))]
    if not chosen:
        raise QueryRefused(_why_none(source, len(keys), where, episodes, len(asked), chosen_split, splits))
    held_out = next((name for name in VALIDATION if name in splits), None) if chosen_split is not None else None
    held_out = None if held_out == chosen_split or chosen_split in _HELD_OUT else held_out
    validation = [key for key in keys if held_out is not None and key in asked and split_of.get(key) == held_out]
    return EpisodeChoice(tuple(chosen), chosen_split, splits, len(keys), tuple(validation), held_out)


def mixture_id(key: str, *, source: int, sources: int) -> str:
    """The id of an episode among several sources: `s2-KEY` is KEY of the second; of one source, KEY itself."""
    return key if sources == 1 else f"s{source + 1}-{key}"


def _speaks_of_splits(where: str | None) -> bool:
    return where is not None and re.search(r"\bsplit\b", where, re.IGNORECASE) is not None


def _split_of_each(source: Source, rows: Sequence[EpisodeRow]) -> dict[str, str | None]:
    """Episode -> its split: as the index says, or where it says nothing of any, as the episodes themselves do."""
    split_of = {row.id: row.split for row in rows}
    if any(split_of.values()):
        return split_of
    keys = list(source.keys())
    sampled = {keys[at] for at in (0, len(keys) // 2, len(keys) - 1)}
    if not any(_split_in(source, key) for key in sampled):
        return {}
    return {key: _split_in(source, key) for key in keys}


def _split_in(source: Source, key: str) -> str | None:
    try:
        return source.episode(key).origin.split
    except RobokataError:
        return None  # damage is said by the verb that reads the episode


def _training_split(source: Source, splits: Mapping[str, int]) -> str | None:
    if not splits or TRAIN in splits:
        return TRAIN if splits else None
    if not any(name in _HELD_OUT for name in splits):
        return None
    raise QueryRefused(
        f"{source.path}: has no split {TRAIN!r} to learn from. It has: {_listed(splits)}. Name one with --split "
        f"(split = in TOML), or take all with --split {ALL}."
    )


def _named_split(source: Source, split: str | None, splits: Mapping[str, int]) -> str | None:
    if split is None or (split == ALL and ALL not in splits):
        return None
    if not splits:
        raise QueryRefused(
            f"{source.path}: has no splits, and {split!r} is asked for. Leave --split out, or say {ALL}."
        )
    if split not in splits:
        raise UnknownName(f"split of {source.path}", split, [f"{name}" for name in splits] + [ALL])
    return split


def _why_none(
    source: Source,
    episodes: int,
    where: str | None,
    named: Sequence[str] | None,
    meeting: int,
    split: str | None,
    splits: Mapping[str, int],
) -> str:
    words = [f"--where {where!r}"] if where is not None else []
    words += [f"--episode {', '.join(list(named)[:5])}"] if named else []
    words += [f"split {split!r}"] if split is not None else []
    beside = f" {meeting} meet the rest, outside of split {split!r} ({_listed(splits)})." if split and meeting else ""
    asked_for = " and ".join(words)
    unknown = [] if where is None else unknown_columns(source.facts().rows, where)
    if unknown:
        beside = f" The index of this dataset does not say {' or '.join(unknown)} of any episode.{beside}"
    return f"{source.path}: none of {episodes} episodes meets {asked_for}.{beside} kata look shows what there is."


def _listed(splits: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in splits.items())
