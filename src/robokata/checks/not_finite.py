"""Numbers that are not numbers: NaN or infinity in a stream.

What it finds:
    NaN and infinite values in the floats of an episode, with the first place, their count and their channels.

Why it hurts:
    One NaN in one action makes the loss of its whole batch NaN, and after the next optimiser step every weight
    of the network. One infinity makes the dataset's mean and standard deviation useless.

Example:
    `columbia_cairlab_pusht_real` trains to a NaN loss (LeRobot issue 3280). Drivers write NaN for the effort of
    joints that measure none, and converters copy it.

Limits:
    Streams of whole numbers cannot hold NaN and are skipped. In sensors (not state, action or reward) NaN often
    means "no reading" and infinity "nothing in range" (ROS REP 117 says so for range finders): a warning and a
    piece of information there, no error.

Repair:
    Drop the samples (or the span) with the step that cuts time ranges; drop a channel that is never filled.
    Neither changes what the robot would have done. Filling the holes with guesses would, and is not offered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Finding, Level, Verdict, spans_from
from robokata.core.stream import Role, Stream
from robokata.core.values import ArrayValues
from robokata.geometry.channels import listed
from robokata.geometry.runs import moment_of, runs_of, span_of

NEEDS: Sequence[Need] = (Need.NUMBERS,)

_TRAINED_ON = (Role.STATE, Role.ACTION, Role.REWARD)


def check(
    episode: Episode,
    *,
    # None at all: a single NaN costs the training run.
    allowed_count: int = 0,
) -> Iterator[Verdict]:
    """One finding per stream that holds NaN or infinity, with every stretch of them in every channel."""
    for stream in episode.numeric():
        if stream.values.dtype.kind == "f" and len(stream) and not _is_clean(stream.table):
            yield from _judge(episode, stream, allowed_count)


def _is_clean(table: NDArray[Any]) -> bool:
    # The sum is finite unless something in it is not (or the values are huge, and then the slow way decides).
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(table.sum())) or bool(np.isfinite(table).all())


def _judge(episode: Episode, stream: Stream, allowed_count: int) -> Iterator[Verdict]:
    bad = ~np.isfinite(stream.table)
    count, rows = int(bad.sum()), np.flatnonzero(bad.any(axis=1))
    if count <= allowed_count:
        return
    channels = [int(c) for c in np.flatnonzero(bad.any(axis=0))]
    names, first = [stream.channel_name(channel) for channel in channels], int(rows[0])
    at = f" ({moment_of(episode, stream.clock, first)})" if stream.clock.has_times else ""
    nan_count = int(np.isnan(stream.table).sum())
    what = (
        f"{nan_count} NaN and {count - nan_count} infinite values"
        if 0 < nan_count < count
        else (f"{count} NaN" if nan_count else f"{count} infinite values")
    )
    yield Finding(
        level=_level(stream, nan_count),
        message=(
            f"{stream.name} holds {what} in {len(rows)} of {len(stream)} samples, first at sample {first}{at}, "
            f"in {'channel' if len(names) == 1 else 'channels'} {listed(names)}"
        ),
        episode=episode.id,
        stream=stream.name,
        channel=", ".join(names) if len(names) <= 6 else None,
        spans=spans_from(
            span_of(episode, stream.clock, run.first, run.last, channel=stream.channel_name(channel))
            for channel in channels
            for run in runs_of(bad[:, channel])
        ),
        measured=count,
        expected=allowed_count,
        repair="drop these samples" if len(rows) < len(stream) else "drop these channels: they are never filled",
    )


def _level(stream: Stream, nan_count: int) -> Level:
    if stream.role in _TRAINED_ON:
        return Level.ERROR
    return Level.WARNING if nan_count else Level.INFO


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Write NaN into 3 samples in a row (times `magnitude`) of one channel of the first float stream."""
    streams = [s for s in episode.numeric() if s.values.dtype.kind == "f" and len(s) and s.table.shape[1]]
    stream = min(to_plant_into(streams, "stream of floats"), key=lambda s: s.role not in _TRAINED_ON)
    array = np.array(stream.values[:])
    table = array.reshape(len(array), -1)
    length = min(round(3 * magnitude), len(table))
    first = int(rng.integers(0, len(table) - length + 1))
    table[first : first + length, int(rng.integers(table.shape[1]))] = np.nan
    return episode.with_stream(stream.with_values(ArrayValues(array)))
