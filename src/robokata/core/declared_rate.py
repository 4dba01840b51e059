"""Rates that the user declares for streams without times: kept as the user's word wherever the data go."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from robokata.core.clock import Clock, paced_clock, rate_fraction
from robokata.core.detection import as_source, reopen
from robokata.core.episode import Episode
from robokata.core.errors import RateRefused
from robokata.core.source import EpisodeList, EpisodeRow, Facts, Source
from robokata.core.stream import Stream

EVERY = "*"
_ASSIGNED = re.compile(r"(?P<streams>.+)=(?P<rate>[^=]+)")


class Rate(NamedTuple):
    """The rate of some streams."""

    streams: str
    """Their name, with `*` and `?` for several; `*` alone: every stream without times."""
    rate_hz: Fraction
    only_untimed: bool = False
    """True for a rate of the target (`--option rate_hz=10`): an episode that has times keeps them."""

    def __str__(self) -> str:
        return str(self.rate_hz) if self.streams == EVERY else f"{self.streams}={self.rate_hz}"


def rates_from(words: Iterable[str | float]) -> tuple[Rate, ...]:
    """Rates as a user writes them: `5`, `29.97`, `states=5`, `action.*=15`.

    Raises:
        RateRefused: a word is no rate.
    """
    return tuple(_rate(str(word)) for word in words)


def with_rates(source: Source, rates: Sequence[Rate]) -> Source:
    """The source with declared rates; itself where there are none.

    Raises:
        RateRefused: the rates cannot be meant for an episode in memory (one in a file says so when it is opened).
    """
    if not rates:
        return source
    if isinstance(source, EpisodeList):
        return EpisodeList([declare_rates(source.episode(key), rates) for key in source.keys()])
    return PacedSource(source, tuple(rates))


def declare_rates(episode: Episode, rates: Sequence[Rate]) -> Episode:
    """The episode with the declared rates on the clocks that have no times; all else as it is.

    Raises:
        RateRefused: a rate is declared for a stream that has times, or one rate for streams of different steps.
    """
    untimed = {name: s for name, s in episode.streams.items() if not s.clock.has_times}
    for rate in rates:
        if not rate.only_untimed:
            _refuse_idle(episode, rate, untimed)
    # The last word counts: `5 states=15` is for all but one.
    chosen = {name: meant for name in untimed if (meant := _meant(name, rates)) is not None}
    for rate in rates:
        _refuse_other_steps(episode, rate, [untimed[name] for name, of in chosen.items() if of is rate])
    paced: dict[tuple[int, Fraction], Clock] = {}

    def clock_of(stream: Stream) -> Clock:
        key = id(stream.clock), chosen[stream.name].rate_hz
        return paced.setdefault(key, paced_clock(stream.clock, key[1]))

    streams = {name: replace(s, clock=clock_of(s)) if name in chosen else s for name, s in episode.streams.items()}
    return replace(episode, streams=streams, ref=None)


class PacedSource:
    """A dataset whose untimed streams have a rate that the user declared. A class, because it is a source."""

    travels = True

    def __init__(self, source: Source, rates: tuple[Rate, ...]) -> None:
        self.source, self.rates = source, rates

    def __reduce__(self) -> tuple[object, ...]:
        if getattr(self.source, "travels", False):
            return PacedSource, (self.source, self.rates)
        return reopen_paced, (str(self.source.path), self.source.format, self.rates)

    @property
    def format(self) -> str:
        """Format of the dataset beneath."""
        return self.source.format

    @property
    def path(self) -> Path:
        """Where the dataset beneath lies."""
        return self.source.path

    def keys(self) -> Sequence[str]:
        return self.source.keys()

    def episode(self, key: str) -> Episode:
        """Open one episode.

        Raises:
            RateRefused: the rates cannot be meant for it.
            UnknownName: no episode has this id.
            DamagedData: it cannot be read.
        """
        found = self.source.episode(key)
        return replace(declare_rates(found, self.rates), ref=found.ref)

    def facts(self) -> Facts:
        """What the dataset says about itself, with durations that follow from one rate of all steps."""
        return self._facts

    @cached_property
    def _facts(self) -> Facts:
        facts = self.source.facts()
        if len(self.rates) > 1 or self.rates[0].streams != EVERY:
            return facts
        return replace(facts, rows=[_lasting(row, self.rates[0].rate_hz) for row in facts.rows])


def rates_in(source: Source) -> tuple[Rate, ...]:
    """The rates that the user declared for a source."""
    rates: tuple[Rate, ...] = getattr(source, "rates", ())
    return rates


def reopen_paced(path: str, format_name: str, rates: tuple[Rate, ...]) -> Source:
    """The dataset of a reference with the rates that were declared for it.

    Raises:
        NotADataset: nothing lies there any more.
    """
    return with_rates(reopen(path, format_name), rates)


def _rate(word: str) -> Rate:
    named = _ASSIGNED.fullmatch(word.strip())
    streams, number = (named["streams"].strip(), named["rate"]) if named else (EVERY, word)
    rate_hz = rate_fraction(number.strip())
    if rate_hz is None:
        raise RateRefused(f"--rate-hz {word!r} is no rate. Write a number of hertz (--rate-hz 10), or STREAM=10.")
    return Rate(streams, rate_hz)


def _lasting(row: EpisodeRow, rate_hz: Fraction) -> EpisodeRow:
    if row.duration_s is not None or row.steps is None:
        return row
    return replace(row, duration_s=float(row.steps / rate_hz))


def _meant(name: str, rates: Sequence[Rate]) -> Rate | None:
    return next((rate for rate in reversed(rates) if fnmatchcase(name, rate.streams)), None)


def _refuse_idle(episode: Episode, rate: Rate, untimed: dict[str, Stream]) -> None:
    """Refuse a rate that no stream without times takes."""
    if any(fnmatchcase(name, rate.streams) for name in untimed):
        return
    timed = next((s for name, s in episode.streams.items() if fnmatchcase(name, rate.streams)), None)
    if timed is not None:
        raise RateRefused(
            f"episode {episode.id}: {timed.name} has times ({timed.clock.quality}), and --rate-hz {rate} is for "
            "streams that have none. Leave it out."
        )
    there = ", ".join(untimed) or "none"
    raise RateRefused(f"episode {episode.id}: no stream is called {rate.streams!r}. Streams without times: {there}.")


def _refuse_other_steps(episode: Episode, rate: Rate, streams: Sequence[Stream]) -> None:
    """Refuse one word for streams that number different steps: they cannot all have this rate."""
    filled = [stream for stream in streams if len(stream)]
    first = filled[0] if filled else None
    other = next((s for s in filled if first is not None and not s.clock.aligns_with(first.clock)), None)
    if first is not None and other is not None:
        raise RateRefused(
            f"episode {episode.id}: {first.name} ({len(first)} samples, a {first.clock.counter} each) and {other.name} "
            f"({len(other)} samples, a {other.clock.counter} each) number different steps and cannot both go at "
            f"{rate.rate_hz} Hz. Declare each: --rate-hz {first.name}=RATE --rate-hz {other.name}=RATE."
        )


def open_with_rates(
    dataset: str | os.PathLike[str] | Source, *, format: str | None = None, rate_hz: Sequence[str | float] = ()
) -> Source:
    """The dataset that a verb is given, open, with rates for its streams without times: `10`, or `STREAM=10`.

    Raises:
        RobokataError: the path cannot be opened; see `open_source`.
        RateRefused: a rate is not one, or is declared for no stream without times.
    """
    return with_rates(as_source(dataset, format=format), rates_from(tuple(map(str, rate_hz))))
