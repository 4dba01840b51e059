"""What a check says: something is wrong here, or I cannot tell and why."""

from __future__ import annotations

import enum
from dataclasses import asdict, dataclass
from typing import Any


class Level(enum.StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """The data contradicts itself, or cannot be used as it is."""
    WARNING = "warning"
    """Statistical evidence of a defect."""
    INFO = "info"
    """A property to know before training."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Level).index(self)


@dataclass(frozen=True)
class Finding:
    """A defect: which check, where, what was measured, what was expected, and what to do."""

    check: str
    level: Level
    message: str
    """One sentence with the numbers in it."""
    episode: str | None = None
    """None for a finding about the dataset as a whole."""
    stream: str | None = None
    channel: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    """Seconds from the episode's start; None at both ends: the whole episode."""
    is_timed: bool = True
    """False where the format keeps no times for the stream: `start_s` and `end_s` then are sample numbers."""
    twin: str | None = None
    """The other episode of a finding about two: the one that this is a copy of."""
    measured: float | int | str | None = None
    expected: float | int | str | None = None
    unit: str | None = None
    """Unit of `measured` and `expected`, None where they are words or counts."""
    repair: str | None = None
    """What to do, in the user's words; nothing is ever repaired silently."""

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {**asdict(self), "level": self.level.value}


@dataclass(frozen=True)
class Abstention:
    """A check that could not decide. Not a pass."""

    check: str
    reason: str
    episode: str | None = None
    """None where the reason holds for the dataset as a whole."""
    stream: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


Verdict = Finding | Abstention
