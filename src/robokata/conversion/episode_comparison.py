"""Compares an episode with what was written of it, stream by stream: clocks, numbers, texts and pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from robokata.core.clock import Clock
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData
from robokata.core.layout import Way
from robokata.core.stream import Kind, Role, Stream
from robokata.media.comparison import compare_pictures

_LOWEST_PSNR_DB = 15.0
"""Below this a picture that was encoded again is another picture: x264 at its coarsest (crf 51) keeps some 20 dB."""
_ROWS_AT_ONCE_BYTES = 64 * 2**20


class Difference(NamedTuple):
    """One thing that was read back otherwise than it was given."""

    episode: str
    stream: str | None
    """None where it is a fact of the episode."""
    what: str
    is_broken: bool
    """True where the target cannot be used there: pictures that nobody can decode, samples that are not there."""


class Counts(NamedTuple):
    """How many values were compared."""

    numbers: int = 0
    times: int = 0
    texts: int = 0
    coded_bytes: int = 0
    pictures: int = 0
    pictures_decoded: int = 0


class EpisodeComparison(NamedTuple):
    """What the comparison of one episode gave."""

    counts: Counts
    differences: tuple[Difference, ...]
    worst_psnr_db: float | None


class Plan(NamedTuple):
    """What a conversion said that it would do, and how closely that is looked at."""

    ways: tuple[tuple[str, frozenset[Way]], ...]
    """Stream -> how it gets into the target, over all episodes."""
    counted_anew: frozenset[str]
    """Counters of the source's rows: the target has its own."""
    is_full: bool
    """True: every picture is decoded."""
    is_spot_check: bool
    """True: some pictures are decoded although their coded bytes are equal."""


def compare_episodes(before: Episode, after: Episode, plan: Plan) -> EpisodeComparison:
    """Compare what was read back with what was given; only what `plan` calls lost may be absent or differ."""
    return _Comparison(before, after, plan).run()


def lower(one: float | None, other: float | None) -> float | None:
    """The lower of two numbers, one of which may be absent."""
    return one if other is None else other if one is None else min(one, other)


class _Comparison:
    """One episode beside what was written of it. A class, because counts and differences add up stream by stream."""

    def __init__(self, before: Episode, after: Episode, plan: Plan) -> None:
        self.before, self.after, self.plan = before, after, plan
        self._ways = dict(plan.ways)
        self._counts: Counter[str] = Counter()
        self._differences: list[Difference] = []
        self._worst_psnr_db: float | None = None

    def run(self) -> EpisodeComparison:
        for what, one, other in _facts(self.before, self.after):
            if one != other:
                self._differ(None, f"{what}: {_short(other)} instead of {_short(one)}")
        for stream in self.before.streams.values():
            if stream.role is Role.BOOKKEEPING and stream.name in self.plan.counted_anew:
                continue
            try:
                self._stream(stream, self.after.streams.get(stream.name))
            except DamagedData as damage:
                self._differ(stream.name, f"cannot be read: {damage}", is_broken=True)
        return EpisodeComparison(Counts(**self._counts), tuple(self._differences), self._worst_psnr_db)

    def _differ(self, stream: str | None, what: str, *, is_broken: bool = False) -> None:
        self._differences.append(Difference(self.before.id, stream, what, is_broken))

    def _may(self, stream: Stream, way: Way) -> bool:
        return way in self._ways.get(stream.name, frozenset())

    def _stream(self, before: Stream, after: Stream | None) -> None:
        if after is None:
            if not self._may(before, Way.DROPPED):
                self._differ(before.name, "is not there")
            return
        if len(after) != len(before):
            if not self._may(before, Way.THINNED) or len(after) > len(before):
                self._differ(before.name, f"{len(after)} samples instead of {len(before)}", is_broken=True)
            return
        self._clock(before, "times", before.clock, after.clock)
        for name, clock in before.other_clocks.items():
            if name in after.other_clocks:
                self._clock(before, f"times of the clock {name}", clock, after.other_clocks[name])
            else:
                self._differ(before.name, f"the clock {name} is not there")
        for what, one, other in _meaning(before, after):
            if one != other:
                self._differ(before.name, f"{what}: {_short(other)} instead of {_short(one)}")
        self._values(before, after)

    def _clock(self, stream: Stream, what: str, before: Clock, after: Clock) -> None:
        self._counts["times"] += len(before)
        if before.quality != after.quality:
            self._differ(stream.name, f"{what}: {after.quality} instead of {before.quality}")
        if before.declared_rate_hz != after.declared_rate_hz:
            self._differ(
                stream.name, f"{what}: declared {after.declared_rate_hz} Hz instead of {before.declared_rate_hz}"
            )
        if before.counter != after.counter:
            self._differ(stream.name, f"{what}: samples numbered by {after.counter!r} instead of {before.counter!r}")
        if not np.array_equal(before.places, after.places):
            at, unit = _first_unequal(before.places, after.places), " ns" if after.has_times else ""
            self._differ(stream.name, f"{what}: sample {at} at {after.places[at]}{unit}, not {before.places[at]}")

    def _values(self, before: Stream, after: Stream) -> None:
        if before.is_picture and after.is_picture:
            self._pictures(before, after)
        elif before.kind in (Kind.TEXT, Kind.MESSAGE, Kind.RAGGED) or before.values.dtype.hasobject:
            self._counts["texts"] += len(before)
            unequal = next(
                (at for at in range(len(before)) if not _is_same_cell(before.values[at], after.values[at])), None
            )
            if unequal is not None:
                self._differ(before.name, f"sample {unequal} differs")
        else:
            self._numbers(before, after)

    def _numbers(self, before: Stream, after: Stream) -> None:
        one, other = before.values, after.values
        if one.dtype.newbyteorder("=") != other.dtype.newbyteorder("=") or one.shape != other.shape:
            found, expected = f"{other.dtype}{list(other.shape)}", f"{one.dtype}{list(one.shape)}"
            self._differ(before.name, f"{found} instead of {expected}")
            return
        self._counts["numbers"] += int(np.prod(one.shape, dtype=np.int64))
        row_bytes = one.dtype.itemsize * int(np.prod(one.shape[1:], dtype=np.int64))
        step = max(1, _ROWS_AT_ONCE_BYTES // max(1, row_bytes))
        for start in range(0, len(before), step):
            left, right = np.asarray(one[start : start + step]), np.asarray(other[start : start + step])
            if not _is_same_array(left, right):
                at = start + next(i for i in range(len(left)) if not _is_same_array(left[i], right[i]))
                self._differ(before.name, f"the numbers of sample {at} differ")
                return

    def _pictures(self, before: Stream, after: Stream) -> None:
        found = compare_pictures(
            before.pictures,
            after.pictures,
            is_copy=self._ways.get(before.name) == frozenset({Way.COPIED}),
            decode_all=self.plan.is_full,
            spot_check=self.plan.is_spot_check,
        )
        self._counts["coded_bytes"] += found.coded_bytes
        self._counts["pictures"] += found.pictures
        self._counts["pictures_decoded"] += found.decoded
        self._worst_psnr_db = lower(self._worst_psnr_db, found.worst_psnr_db)
        if found.difference is None:
            return
        is_other = found.worst_psnr_db is not None and found.worst_psnr_db < _LOWEST_PSNR_DB
        if found.is_unreadable or found.worst_psnr_db is None or is_other or not self._may(before, Way.REENCODED):
            self._differ(before.name, found.difference, is_broken=found.is_unreadable or is_other)


def _facts(before: Episode, after: Episode) -> Iterator[tuple[str, Any, Any]]:
    """What the episode says besides its streams, on both sides."""
    yield (
        "instructions",
        [i.text for i in before.instructions if i.text],
        [i.text for i in after.instructions if i.text],
    )
    yield "outcome", before.outcome, after.outcome
    yield "origin", before.origin, after.origin
    yield "annotations", before.annotations, after.annotations
    yield "robot", before.embodiment and before.embodiment.name, after.embodiment and after.embodiment.name
    yield "declared rate", before.declared_rate_hz, after.declared_rate_hz


def _meaning(before: Stream, after: Stream) -> Iterator[tuple[str, Any, Any]]:
    yield "role", before.role, after.role
    yield "channels", before.channels, after.channels
    yield "meaning", before.meaning, after.meaning
    if not (before.is_picture and after.is_picture):
        yield "kind", before.kind, after.kind


def _first_unequal(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> int:
    return int(np.flatnonzero(one != other)[0])


def _is_same_array(one: Any, other: Any) -> bool:
    """Equal to the bit: -0.0 is not 0.0, and a NaN is itself."""
    left, right = np.ascontiguousarray(one), np.ascontiguousarray(other)
    if left.dtype.byteorder != right.dtype.byteorder:
        left, right = left.astype(left.dtype.newbyteorder("=")), right.astype(right.dtype.newbyteorder("="))
    return left.tobytes() == right.tobytes()


def _is_same_cell(one: Any, other: Any) -> bool:
    left, right = np.asarray(one), np.asarray(other)
    if left.dtype.hasobject or right.dtype.hasobject:
        return bool(left.shape == right.shape and left.tolist() == right.tolist())
    return left.dtype == right.dtype and left.shape == right.shape and _is_same_array(left, right)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
