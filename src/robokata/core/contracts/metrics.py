"""What a file in `metrics/` defines."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation


class Mean(enum.StrEnum):
    """How the values of trials become one estimate."""

    RATE = "rate"
    """Values are 0 or 1: a rate, with the interval of Clopper and Pearson."""
    OF_SHARES = "mean of shares"
    """Values lie in 0..1: their mean, with Student's interval after one 0 and one 1."""
    OF_COUNTS = "mean of counts"
    """Values are counts: their mean, with Garwood's interval and their dispersion."""
    OF_NUMBERS = "mean of numbers"
    """Values are any numbers: their mean, with Student's interval."""

    @property
    def is_share(self) -> bool:
        """True where no value lies outside of 0 and 1."""
        return self in (Mean.RATE, Mean.OF_SHARES)


class MetricPart(NamedTuple):
    """A further number of a trial, `Observation.parts`, and how it is summarised."""

    mean: Mean
    unit: str | None = None


class PlantedTrial(NamedTuple):
    """A trial whose value is known."""

    trial: Episode
    truth: float | None
    """What `observe` must say: None where the metric is a number that only its formula knows."""


@runtime_checkable
class MetricLeaf(Protocol):
    """A file in `metrics/`: `observe` per trial, then one estimate of all, as `MEAN` says.

    It is in every table and in every study by itself. The docstring has five sections: Definition, Unit, Needs, Limits,
    Source.
    """

    UNIT: str | None
    """SI unit of the value, None for shares, counts and numbers without a unit."""
    MEAN: Mean
    """How trials become one estimate."""
    PARTS: Mapping[str, MetricPart] = MappingProxyType({})
    """Further numbers of a trial, by name."""
    IS_HEADLINE: bool = False
    """True where the effects of a study show it at once; the others fold out."""
    IS_STUDIED: bool = True
    """False where a difference of two arms means nothing: a category."""

    def observe(self, trial: Episode, **parameters: Any) -> Observation:
        """What one trial says. Parameters besides the trial are keyword-only, with defaults."""
        ...

    def plant(self, rng: np.random.Generator) -> PlantedTrial:
        """A trial drawn at random, and its true value."""
        ...


@runtime_checkable
class SummarisingMetricLeaf(MetricLeaf, Protocol):
    """A metric whose estimate is no plain mean: censored times, causes."""

    def summarise(self, observations: Sequence[Observation]) -> Estimate:
        """The estimate from all trials' rows; their order does not matter."""
        ...
