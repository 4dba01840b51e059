"""What a file in `checks/` defines, and what it may need of an episode."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np

from robokata.core.clock import ClockQuality
from robokata.core.episode import Episode
from robokata.core.finding import Verdict
from robokata.core.source import EpisodeList, Facts
from robokata.core.stream import Role

T = TypeVar("T")


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


class CurveKind(enum.StrEnum):
    """What a report draws beside the findings of a check."""

    VALUES = "values"
    """The channels that the finding names; of a camera, how its pictures change."""
    INTERVALS = "intervals"
    """Time from each sample to the next."""
    LAGS = "lags"
    """Time between the clocks of one stream."""
    TRAVEL = "travel"
    """How far the robot goes from sample to sample."""


@runtime_checkable
class CheckLeaf(Protocol):
    """A file in `checks/` that judges each episode by itself.

    Verdicts need not name the check: whoever runs it does.
    """

    NEEDS: Sequence[Need]
    CURVE: CurveKind = CurveKind.VALUES
    """What a report draws beside its findings."""

    def check(self, episode: Episode, **thresholds: Any) -> Iterator[Verdict]:
        """Findings and abstentions of one episode. Thresholds are keyword-only, with defaults."""
        ...

    def plant(self, episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
        """The same episode with the defect in it. `magnitude` 1.0 is a defect one must find; 0 plants nothing."""
        ...


class Gathered(NamedTuple):
    """One episode's row for `judge`."""

    episode: str
    value: Any


@runtime_checkable
class DatasetCheckLeaf(Protocol):
    """A file in `checks/` that judges across episodes: gather per episode, judge all rows."""

    NEEDS: Sequence[Need]
    CURVE: CurveKind = CurveKind.VALUES

    def gather(self, episode: Episode, **thresholds: Any) -> Any:
        """What `judge` needs of one episode; small, picklable. May be an Abstention."""
        ...

    def judge(self, rows: Sequence[Gathered], facts: Facts, **thresholds: Any) -> Iterator[Verdict]:
        """Findings and abstentions from all rows, in the dataset's order, whatever the worker count."""
        ...

    def plant(self, source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
        """The same dataset with the defect in it."""
        ...


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
