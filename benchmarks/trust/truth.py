"""What an independent reader gives of a dataset, and how what Robokata gives differs from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.stream import Stream


@dataclass(frozen=True)
class Truth:
    """One stream of one episode as another library reads it; None: that library says nothing of it."""

    numbers: NDArray[Any] | None = None
    """(T, ...), compared bit by bit with its type."""
    pictures: Sequence[NDArray[Any]] | None = None
    within_levels: int = 0
    """Levels by which a picture may differ: 0, but where colours were computed without FFmpeg."""
    texts: Sequence[Any] | None = None
    times_ns: NDArray[np.int64] | None = None
    within_ns: int = 0
    """Nanoseconds by which a time may differ: where the file keeps times in float32."""


@dataclass(frozen=True)
class EpisodeTruth:
    """One episode."""

    streams: Mapping[str, Truth]
    instructions: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Variant:
    """One small dataset: how it is written, and how another library reads it."""

    name: str
    """`family/format/what is particular`."""
    make: Callable[[Path], Path]
    """Writes it below a folder, returns its path."""
    read: Callable[[Path], list[EpisodeTruth]]
    """Its truth, by a reader that is not ours, in the order of the episodes."""
    rates: tuple[str, ...] = ()
    """Rates that the user declares (--rate-hz) of streams without times."""


def differences(truth: EpisodeTruth, episode: Episode, *, except_for: frozenset[str] = frozenset()) -> Iterator[str]:
    """What an episode holds otherwise than its truth says, one sentence each."""
    for name, wanted in truth.streams.items():
        if name in except_for:
            continue
        stream = episode.streams.get(name)
        if stream is None:
            yield f"{name}: absent; there are {', '.join(episode.streams)}"
            continue
        yield from (f"{name}: {what}" for what in _differences(wanted, stream))
    if truth.instructions is not None:
        found = tuple(dict.fromkeys(i.text for i in episode.instructions))
        if found != truth.instructions:
            yield f"instructions: {found!r} instead of {truth.instructions!r}"


def _differences(wanted: Truth, stream: Stream) -> Iterator[str]:
    if wanted.numbers is not None:
        yield from unlike_numbers(wanted.numbers, np.asarray(stream.values[:]))
    if wanted.pictures is not None:
        yield from unlike_pictures(wanted.pictures, list(stream.values[:]), within_levels=wanted.within_levels)
    if wanted.texts is not None:
        found = [
            _plain(t, to_json=not isinstance(w, (str, bytes))) for t, w in zip_longest(stream.values[:], wanted.texts)
        ]
        if found != [_plain(t) for t in wanted.texts]:
            yield f"texts {found!r:.200} instead of {list(wanted.texts)!r:.200}"
    if wanted.times_ns is not None:
        times = stream.clock.times_ns
        if len(times) != len(wanted.times_ns):
            yield f"{len(times)} times instead of {len(wanted.times_ns)}"
        elif len(times) and (worst := int(np.abs(times - wanted.times_ns).max())) > wanted.within_ns:
            yield f"times differ by up to {worst} ns"


def unlike_numbers(wanted: NDArray[Any], found: NDArray[Any], *, by_type: bool = True) -> Iterator[str]:
    """Nothing where two arrays hold the same bits; the type counts too, but not its byte order."""
    wanted, found = _native(wanted), _native(found)
    if len(wanted) != len(found):
        yield f"{len(found)} rows instead of {len(wanted)}"
        return
    if by_type and wanted.dtype != found.dtype:
        yield f"{found.dtype} instead of {wanted.dtype}"
    one, other = (a.reshape(len(a), -1) if len(a) else a.reshape(0, 0) for a in (wanted, found))
    if one.shape != other.shape:
        yield f"samples of {found.shape[1:]} instead of {wanted.shape[1:]}"
    elif wanted.dtype == found.dtype and wanted.dtype != object:
        if np.ascontiguousarray(one).tobytes() != np.ascontiguousarray(other).tobytes():
            yield f"{int(np.sum(~_same(one, other)))} of {one.size} numbers differ"
    elif not _same(one, other).all():
        yield f"{int(np.sum(~_same(one, other)))} of {one.size} values differ"


def unlike_pictures(
    wanted: Sequence[NDArray[Any]], found: Sequence[NDArray[Any]], *, within_levels: int = 0
) -> Iterator[str]:
    """Nothing where the same pictures stand in the same order."""
    if len(wanted) != len(found):
        yield f"{len(found)} pictures instead of {len(wanted)}"
        return
    wrong = []
    for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
        one, other = np.squeeze(one), np.squeeze(other)
        if one.shape != other.shape:
            yield f"picture {number} is {other.shape} instead of {one.shape}"
            return
        if int(np.abs(one.astype(np.int64) - other.astype(np.int64)).max(initial=0)) > within_levels:
            wrong.append(number)
    if wrong:
        yield f"pictures {wrong[:5]} of {len(wanted)} differ ({len(wrong)} in all)"


def _same(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        same = np.asarray(one == other)
    if one.dtype.kind == "f" and other.dtype.kind == "f":
        same |= np.isnan(one) & np.isnan(other)
    return same


def _native(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype == object else array.astype(array.dtype.newbyteorder("="), copy=False)


def _plain(text: Any, *, to_json: bool = False) -> Any:
    """A text as Python has it; lists and records are JSON where a stream holds bytes."""
    if isinstance(text, np.ndarray):
        text = text.item() if text.ndim == 0 else text.tolist()
    if isinstance(text, np.generic):
        text = text.item()
    return json.loads(text) if to_json and isinstance(text, bytes) else text
