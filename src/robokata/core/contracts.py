"""What a leaf must define to stand on its shelf. Modules meet these protocols; nothing is inherited."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from robokata.core.clock import ClockQuality
from robokata.core.episode import Episode
from robokata.core.finding import Verdict
from robokata.core.source import EpisodeList, Facts, Source
from robokata.core.stream import Role

T = TypeVar("T")


class FormatLeaf(Protocol):
    """A file in `formats/`."""

    LOOKS_FOR: str
    """What makes a path this format, in words: the error for a path that is no dataset lists these."""

    def sniff(self, path: Path) -> float:
        """Confidence 0..1 that `path` is this format, from names and first bytes only. Never raises."""
        ...

    def read(self, path: Path) -> Source:
        """Open the dataset: indexes only."""
        ...


class WritableFormatLeaf(FormatLeaf, Protocol):
    """A format that can be written too."""

    LOSES: Sequence[str]
    """What this format cannot hold, a phrase each. A leaf whose episodes must all have the same streams says
    `IS_ONE_TABLE = True` beside it: a plan then refuses what differs."""

    def write(self, path: Path, episodes: Iterable[Episode]) -> None:
        """Write episodes; the directory appears in one rename."""
        ...


class Need(enum.StrEnum):
    """What a check needs of an episode; unmet needs make it abstain, with a reason, before it runs."""

    STATE = "state"
    ACTION = "action"
    NUMBERS = "numbers"
    PICTURES = "pictures"
    MEASURED_CLOCK = "measured_clock"
    DECLARED_RATE = "declared_rate"
    INSTRUCTIONS = "instructions"


class Unmet(NamedTuple):
    """Why an episode does not give what a check needs."""

    need: Need
    reason: str


class CheckLeaf(Protocol):
    """A file in `checks/` that judges each episode by itself."""

    NEEDS: Sequence[Need]

    def check(self, episode: Episode) -> Iterator[Verdict]:
        """Findings and abstentions of one episode. Thresholds are keyword-only, with defaults."""
        ...

    def plant(self, episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
        """The same episode with the defect in it. `magnitude` 1.0 is a defect one must find; 0 plants nothing."""
        ...


class DatasetCheckLeaf(Protocol):
    """A file in `checks/` that judges across episodes: gather per episode, judge all rows."""

    NEEDS: Sequence[Need]

    def gather(self, episode: Episode) -> Any:
        """What `judge` needs of one episode; small, picklable. May be an Abstention."""
        ...

    def judge(self, rows: Sequence[Gathered], facts: Facts) -> Iterator[Verdict]:
        """Findings and abstentions from all rows, in the dataset's order, whatever the worker count."""
        ...

    def plant(self, source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
        """The same dataset with the defect in it."""
        ...


class Gathered(NamedTuple):
    """One episode's row for `judge`."""

    episode: str
    value: Any


def unmet_need(episode: Episode, needs: Sequence[Need]) -> Unmet | None:
    """The first need that an episode does not meet, or None where it meets all."""
    for need in needs:
        reason = _REASONS[need](episode)
        if reason is not None:
            return Unmet(need, reason)
    return None


def _lacks_role(role: Role, what: str) -> Callable[[Episode], str | None]:
    return lambda episode: None if any(episode.numeric(role)) else f"the episode has no {what}"


def _lacks_measured_clock(episode: Episode) -> str | None:
    qualities = {stream.clock.quality for stream in episode.streams.values()}
    if ClockQuality.MEASURED in qualities:
        return None
    if ClockQuality.SYNTHESIZED in qualities:
        return "the times are synthesized from sample number and rate: they cannot show what the clock did"
    if ClockQuality.DECLARED in qualities:
        return "the format declares a rate and keeps no times"
    return "the format keeps no times"


_REASONS: dict[Need, Callable[[Episode], str | None]] = {
    Need.STATE: _lacks_role(Role.STATE, "measured robot state"),
    Need.ACTION: _lacks_role(Role.ACTION, "recorded action"),
    Need.NUMBERS: lambda e: None if any(e.numeric()) else "the episode has no numeric streams",
    Need.PICTURES: lambda e: None if any(e.pictures()) else "the episode has no pictures",
    Need.MEASURED_CLOCK: _lacks_measured_clock,
    Need.DECLARED_RATE: lambda e: (
        None
        if e.declared_rate_hz is not None or any(s.clock.declared_rate_hz for s in e.streams.values())
        else "the dataset declares no rate"
    ),
    Need.INSTRUCTIONS: lambda e: None if e.instructions else "the dataset has no place for instructions",
}


def to_plant_into(candidates: Iterable[T], what: str) -> Sequence[T]:
    """What a plant may change.

    Raises:
        ValueError: nothing; `what` names in words what is lacking.
    """
    found = tuple(candidates)
    if not found:
        raise ValueError(f"nothing to plant the defect into: the data has no {what}")
    return found
