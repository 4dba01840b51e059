"""Dataset sources: what yields Episodes, and what a dataset says about itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from robokata.core.episode import Episode
from robokata.core.errors import UnknownName
from robokata.core.stream import Role


@dataclass(frozen=True)
class EpisodeRow:
    """What the dataset's indexes say about one episode, without opening it."""

    id: str
    steps: int | None = None
    """Steps (rows) that the index promises, None where only opening tells."""
    duration_s: float | None = None
    instructions: tuple[str, ...] = ()
    split: str | None = None
    robot: str | None = None
    success: bool | None = None
    session: str | None = None
    file: str | None = None
    """File that holds the episode's numbers, relative to the dataset."""
    first_row: int | None = None
    end_row: int | None = None
    """Rows first_row..end_row-1 of the whole dataset that the index gives to this episode."""


@dataclass(frozen=True)
class Declaration:
    """One thing that a dataset says of itself, beside what its bytes say."""

    subject: str
    """What is declared: `total_frames`, `splits.train`, `features.observation.image`."""
    declared: Any
    found: Any
    where: str
    """File (and key) that makes the statement."""
    hint: str = ""
    """What the difference means for the user, where that is known."""

    @property
    def holds(self) -> bool:
        """True where the bytes agree with the statement."""
        return bool(self.declared == self.found)


class Size(NamedTuple):
    """Bytes on disk."""

    bytes: int
    is_estimate: bool = False
    """True where part of the files was measured and the rest scaled up."""


@dataclass(frozen=True)
class Facts:
    """What a dataset says about itself, from its indexes alone."""

    format: str
    version: str | None
    """Version of the format as the files declare it, None where they declare none."""
    rows: Sequence[EpisodeRow] = ()
    robots: tuple[str, ...] = ()
    licence: str | None = None
    declared_rate_hz: Fraction | None = None
    splits: Mapping[str, int] = field(default_factory=dict)
    """Episodes per split, as the index assigns them; where a format gives none, as the rows say."""
    declarations: tuple[Declaration, ...] = ()
    """Everything declared that could be compared with the bytes cheaply, true or not."""
    statistics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Statistics that the dataset declares over all episodes: stream -> `mean`, `std`, `min`, `max`, `count`."""
    sizes: Mapping[str, Size] = field(default_factory=dict)
    """Bytes on disk per stream, where they can be told apart."""
    total_size: Size | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Dataset-wide fields of the source that have no other home."""

    def __post_init__(self) -> None:
        # What the index says of each episode, it says of the dataset: a format states it where it knows more.
        if not self.robots:
            robots = dict.fromkeys(row.robot for row in self.rows if row.robot)
            object.__setattr__(self, "robots", tuple(robots))
        if not self.splits:
            object.__setattr__(self, "splits", dict(Counter(row.split for row in self.rows if row.split)))


@runtime_checkable
class Source(Protocol):
    """Yields Episodes of one dataset. Opening one reads indexes only."""

    @property
    def format(self) -> str: ...
    @property
    def path(self) -> Path: ...
    def keys(self) -> Sequence[str]:
        """Ids of the episodes, in the dataset's own order."""
        ...

    def episode(self, key: str) -> Episode:
        """Open one episode.

        Raises:
            UnknownName: no episode has this id.
            DamagedData: its bytes are not what the format promises.
        """
        ...

    def facts(self) -> Facts:
        """What the dataset says about itself, from indexes."""
        ...


class EpisodeList:
    """Episodes in memory as a Source; `facts` as given, with one row per episode where it holds none."""

    format = "memory"

    def __init__(self, episodes: Sequence[Episode], facts: Facts | None = None) -> None:
        self.episodes = {episode.id: episode for episode in episodes}
        if len(self.episodes) != len(episodes):
            raise ValueError(f"{len(episodes)} episodes, but only {len(self.episodes)} different ids")
        self._facts = facts or Facts(
            format=self.format,
            version=None,
            rows=[row_of(episode) for episode in episodes],
            robots=tuple(sorted({e.embodiment.name for e in episodes if e.embodiment})),
        )
        self.path = Path("memory")

    def keys(self) -> Sequence[str]:
        return list(self.episodes)

    def episode(self, key: str) -> Episode:
        """One episode by id.

        Raises:
            UnknownName: no episode has this id.
        """
        if key not in self.episodes:
            raise UnknownName("episode", key, self.episodes)
        return self.episodes[key]

    def facts(self) -> Facts:
        return self._facts


def row_of(episode: Episode) -> EpisodeRow:
    """The row that an index would hold for an open episode."""
    steps = max((len(s) for s in episode.of_role(Role.STATE, Role.ACTION)), default=None)
    if steps is None:
        steps = max((len(s) for s in episode.streams.values()), default=0)
    return EpisodeRow(
        id=episode.id,
        steps=steps,
        duration_s=episode.duration_s,
        instructions=tuple(dict.fromkeys(i.text for i in episode.instructions)),
        split=episode.origin.split,
        robot=episode.embodiment.name if episode.embodiment else None,
        success=episode.outcome.success,
        session=episode.origin.session,
    )
