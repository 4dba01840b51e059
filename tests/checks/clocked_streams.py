"""Small episodes with the clocks and files that a test names."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from robokata.core.clock import Clock, grid_clock, measured_clock, step_clock
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues, Media
from robokata.media.images import RawImages

MS = 1_000_000


def stream(
    name: str,
    clock: Clock,
    *,
    role: Role = Role.STATE,
    kind: Kind = Kind.TENSOR,
    other_clocks: dict[str, Clock] | None = None,
) -> Stream:
    rng = np.random.default_rng(len(name))
    values: Any = ArrayValues(rng.normal(size=(len(clock), 2)).astype(np.float32))
    if kind is Kind.IMAGE:
        values = RawImages(ArrayValues(np.zeros((len(clock), 8, 8, 3), np.uint8)), where=name)
    if kind in (Kind.TEXT, Kind.MESSAGE):
        values = ArrayValues(np.full(len(clock), "", dtype=object))
    return Stream(name, kind, role, clock, values, other_clocks=other_clocks or {})


def at_ms(*times_ms: float, declared_hz: int | None = None) -> Clock:
    """A measured clock with these times."""
    rate_hz = None if declared_hz is None else Fraction(declared_hz)
    return measured_clock(np.round(np.asarray(times_ms) * MS).astype(np.int64), declared_rate_hz=rate_hz)


def regular(count: int, period_ms: float, *, start_ms: float = 0.0, declared_hz: int | None = None) -> Clock:
    """A measured clock that ticks exactly."""
    return at_ms(*(start_ms + np.arange(count) * period_ms), declared_hz=declared_hz)


def grid(count: int, rate_hz: int | None) -> Clock:
    """A clock that nobody measured."""
    return step_clock(count) if rate_hz is None else grid_clock(count, Fraction(rate_hz))


def episode(*streams: Stream, declared_hz: int | None = None) -> Episode:
    rate_hz = None if declared_hz is None else Fraction(declared_hz)
    return Episode("7", {s.name: s for s in streams}, declared_rate_hz=rate_hz)


def findings(verdicts: Any) -> list[Finding]:
    return [verdict for verdict in verdicts if isinstance(verdict, Finding)]


def abstentions(verdicts: Any) -> list[Abstention]:
    return [verdict for verdict in verdicts if isinstance(verdict, Abstention)]


class ToldPictures(RawImages):
    """Pictures with a media record of the test's own."""

    def __init__(self, count: int, media: Media) -> None:
        super().__init__(ArrayValues(np.zeros((count, 8, 8, 3), np.uint8)), where="told")
        self.told = media

    def media(self) -> Media:
        return self.told


def camera(count: int, declared_hz: int = 30, **facts: Any) -> Stream:
    """A camera of `count` rows whose media says `facts`."""
    media = replace(Media("videos/file-000.mp4", "h264", frames_expected=count, frames_in_span=count), **facts)
    clock = grid(count, declared_hz)
    return Stream("cam", Kind.VIDEO, Role.CAMERA, clock, ToldPictures(count, media))
