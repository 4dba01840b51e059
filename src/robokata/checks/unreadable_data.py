"""Bytes that cannot be read as what they claim to be.

What it finds:
    Streams whose numbers, times, texts, messages or pictures cannot be read, with file, byte, reason and next
    move; cameras whose pictures change in size, channels or bits; streams that have another number of samples than
    times.

Why it hurts:
    Most loaders meet the broken byte in the middle of a training run, and stop; some fill in zeros and go on.

Example:
    A recorder that is killed leaves Parquet files without a footer ("Parquet magic bytes not found",
    lerobot #3522); a full disk leaves a JPEG that ends in its middle.

Limits:
    Reads all numbers, times, texts and pictures, but of messages and point clouds the first, middle and last only.
    Where a video stops early is truncated_video's, a file that is absent missing_media's. Damage that decodes to
    plausible numbers is not seen here.

Repair:
    Restore the file from the original, or drop the episode.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Need
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, MediaMissing, MissingPart, Unsupported
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.stream import Kind, Stream
from robokata.core.values import Index, Values
from robokata.geometry.runs import span_of
from robokata.media.luma_summary import glance

NEEDS: Sequence[Need] = ()

_REPAIR = "restore the file from the original, or drop the episode"


def check(episode: Episode) -> Iterator[Verdict]:
    """One finding per stream that cannot be read."""
    said: set[str] = set()
    for stream in episode.streams.values():
        for verdict in _judge(episode, stream):
            # Columns of one broken table fail with one message: it is one defect.
            words = verdict.message if isinstance(verdict, Finding) else verdict.reason
            if words not in said:
                said.add(words)
                yield verdict


def _judge(episode: Episode, stream: Stream) -> Iterator[Verdict]:
    try:
        if stream.is_picture:
            yield from _pictures(episode, stream)
        else:
            _touch(stream)
        times = len(stream.clock.places)
    except MediaMissing as error:
        # Absent pictures belong to missing_media; an absent table is told here, because nothing else can be.
        if not stream.is_picture:
            yield _finding(episode, stream, str(error))
    except (DamagedData, Unsupported) as error:
        yield _finding(episode, stream, str(error))
    except MissingPart as error:
        yield Abstention(str(error), episode.id, stream.name)
    else:
        if times != len(stream):
            yield _finding(episode, stream, f"{stream.name} has {len(stream)} samples and {times} times")


def _touch(stream: Stream) -> None:
    """Read a stream that holds no pictures, and keep nothing but what other checks will want."""
    count = len(stream)
    if stream.is_numeric:
        read = len(stream.table)
    elif stream.kind is Kind.TEXT:
        read = len(stream.values[:])
    else:
        # Three messages, not all: a bag of point clouds would be read from disk once more for this check alone.
        for sample in sorted({0, count // 2, count - 1} if count else set()):
            stream.values[sample]
        read = count
    if read != count:
        raise DamagedData(stream.name, f"{count} samples are promised, and {read} can be read.")


def _pictures(episode: Episode, stream: Stream) -> Iterator[Verdict]:
    media = stream.pictures.media()
    if media.is_absent:
        return
    if media.problem is not None:
        yield _finding(episode, stream, media.problem)
        return
    if len(stream):
        seen = glance(stream.pictures)
        # A video that stops early is truncated_video's; one whose pictures change in size is whole, and no array.
        if seen.damage is not None and (stream.kind is Kind.IMAGE or seen.is_uneven):
            first = len(seen.grids)
            yield _finding(episode, stream, seen.damage, sample=first)


def _finding(episode: Episode, stream: Stream, message: str, *, sample: int | None = None) -> Finding:
    is_placed = sample is not None and sample < len(stream.clock.places)
    return Finding(
        level=Level.ERROR,
        message=message,
        episode=episode.id,
        stream=stream.name,
        spans=(span_of(episode, stream.clock, sample, sample),) if sample is not None and is_placed else (),
        repair=_REPAIR,
    )


class _Unreadable:
    """Values whose file is damaged: they know their shape, and cannot be read from one sample on.

    A class, because it stands in for an array.
    """

    def __init__(self, values: Values, *, where: str, first_bad: int) -> None:
        self.shape, self.dtype = values.shape, values.dtype
        self._values, self._where, self._first_bad = values, where, first_bad

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: Index) -> NDArray[np.generic]:
        asked = np.arange(len(self))[index]
        if np.any(asked >= self._first_bad):
            bad = int(np.max(asked))
            raise DamagedData(self._where, f"sample {bad} cannot be read.", next_move="Restore it from the original.")
        return self._values[index]


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Make the last 20 % (times `magnitude`) of one numeric stream unreadable."""
    streams = [s for s in episode.numeric() if len(s)]
    if magnitude <= 0 or not streams:
        return episode
    stream = streams[int(rng.integers(len(streams)))]
    bad = min(len(stream), max(1, round(0.2 * magnitude * len(stream))))
    values = _Unreadable(stream.values, where=f"planted damage in {stream.name}", first_bad=len(stream) - bad)
    return episode.with_stream(stream.with_values(values))
