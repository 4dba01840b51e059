"""An episode as rows of a table: which sample of each stream stands in which row, and what that keeps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.errors import DamagedData
from robokata.core.layout import Layout, Place, Way, way_of_pixels
from robokata.core.rows import age_of_samples, rows_of
from robokata.core.selected_values import PickedPictures, PickedValues
from robokata.core.stream import Stream
from robokata.media.images import RawImages
from robokata.packing.carry import pack, unpack

BLOCK_BYTES = 32 * 2**20
"""Pictures in memory at a time while they are copied: 35 of 640 x 480, four of 4k."""
_SAMPLED_PICTURES = 3
"""Pictures that a PSNR is measured on: first, middle and last."""
_RESERVED = re.compile(r"[/\x00-\x1f\x7f\ud800-\udfff]")
"""A slash makes a group in HDF5 and Zarr, control characters are refused by some systems, surrogates by UTF-8."""

_NAME_BYTES = 200
"""File systems allow 255 for one level, and a number may follow."""


@dataclass(frozen=True)
class RowTable:
    """The rows of one episode and where its streams go."""

    episode: Episode
    layout: Layout
    picked: Mapping[str, NDArray[np.int64]]
    """Stream -> number of the sample that stands in each row."""
    anchor: str
    """Stream whose samples are the rows."""
    rows: int

    def blob(self) -> bytes:
        """What the rows do not hold, for the target's extension place."""
        return pack(_as_kept(self.episode, self.layout, self.picked), self.layout)


def picked_rows(episode: Episode, *, anchor: str | None) -> tuple[str, int, dict[str, NDArray[np.int64]]]:
    """Name of the anchor, number of rows, and the sample of each stream in each row.

    Raises:
        UnknownName: the episode has no stream called `anchor`.
        WriteRefused: no stream can be the anchor.
    """
    rows = rows_of(episode, anchor=anchor)
    picked = dict(rows.picked)
    for name, stream in episode.streams.items():
        # A stream that repeats another one step later stands in the row of the step that it belongs to.
        if name in picked and stream.extra.get("steps_later") == 1 and len(stream) == len(rows):
            picked[name] = np.arange(len(rows), dtype=np.int64)
    return rows.anchor, len(rows), picked


def rate_of(episode: Episode, anchor: str) -> Fraction | None:
    """The rate of the rows: declared, else measured to a whole number of hertz, else unknown."""
    return rows_of(episode, anchor=anchor).rate_hz


def place_numbers(
    stream: Stream,
    picked: NDArray[np.int64] | None,
    target: str,
    *,
    anchor: Stream,
    note: str = "",
    is_exact: bool = True,
) -> Place:
    """Where a stream of numbers goes; `is_exact` False where the target wants them in another shape or type."""
    if picked is None:
        return Place(stream.name, None, Way.CARRIED, "holds no sample", is_native=False)
    if _is_whole(stream, picked):
        kept = "" if is_exact else "original shape carried"
        return Place(stream.name, target, Way.COPIED, _joined(note, kept), is_native=is_exact)
    first = _first_rows(stream, picked)
    is_native = first is not None and is_exact
    told = _resampling(stream, picked, anchor) + ("" if is_native else "; original carried")
    return Place(
        stream.name,
        target,
        Way.RESAMPLED,
        _joined(note, told),
        appears_at=first if is_native else None,
        is_native=is_native,
    )


def place_pictures(
    stream: Stream,
    picked: NDArray[np.int64] | None,
    target: str,
    *,
    anchor: Stream,
    way: Way,
    note: str = "",
    psnr_db: float | None = None,
) -> Place:
    """Where pictures go that the target takes by `way`; those that stand in no row are lost."""
    if picked is None:
        return Place(stream.name, None, Way.DROPPED, "holds no picture", is_native=False)
    if _is_whole(stream, picked):
        return Place(stream.name, target, way, note, psnr_db=psnr_db)
    kept, first = np.unique(picked, return_index=True)
    first = first.astype(np.int64)
    if len(kept) == len(stream):
        # Repeating a picture costs nothing: it comes back as it was.
        told = _joined(note, _resampling(stream, picked, anchor))
        return Place(stream.name, target, way, told, psnr_db=psnr_db, appears_at=first)
    told = _joined(note, f"{len(stream) - len(kept)} of {len(stream)} pictures stand in no row")
    return Place(stream.name, target, Way.THINNED, told, psnr_db=psnr_db, appears_at=first)


def carried(stream: Stream) -> Place:
    """The place of a stream that the target's own tools do not see."""
    if stream.is_picture:
        return Place(stream.name, None, Way.DROPPED, "the target has no place for it", is_native=False)
    return Place(stream.name, None, Way.CARRIED, is_native=False)


def decoding(stream: Stream) -> tuple[Way, str]:
    """How pictures become raw pixels: copied where they are raw already."""
    media = stream.pictures.media()
    if media.codec in (None, "raw"):
        return Way.COPIED, ""
    return way_of_pixels(media, f"{media.codec} decoded to raw pixels")


def legal_name(name: str) -> str:
    """A stream's name as one level of a hierarchy: `/imu/data` becomes `imu.data`."""
    short = _RESERVED.sub(".", name.strip("/")).encode()[:_NAME_BYTES].decode(errors="ignore")
    return short if short.strip(".") else f"stream{short}"


def distinct(wanted: str, taken: Iterable[str]) -> str:
    """`wanted`, with a number behind where it is taken: two topics may differ in a slash only."""
    used, name, number = set(taken), wanted, 2
    while name in used:
        name, number = f"{wanted}_{number}", number + 1
    return name


def blocks(stream: Stream, picked: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[Any]]]:
    """The rows of a stream piece by piece, each with the number of its first row."""
    row_bytes = max(1, int(np.prod(stream.shape, dtype=np.int64)) * stream.values.dtype.itemsize)
    step = max(1, BLOCK_BYTES // row_bytes)
    for start in range(0, len(picked), step):
        wanted = picked[start : start + step]
        # One read per sample, not per row: a slow camera repeats its pictures, and decoding one is dear.
        distinct_samples, back = np.unique(wanted, return_inverse=True)
        yield start, np.asarray(stream.values[distinct_samples])[back.reshape(-1)]


def psnr_db(stream: Stream, through: Callable[[NDArray[Any]], NDArray[Any]]) -> float | None:
    """The lowest peak signal-to-noise ratio of three pictures after `through`, None where it changes nothing.

    Raises:
        DamagedData: a picture cannot be decoded.
    """
    numbers = sorted({0, len(stream) // 2, len(stream) - 1}) if len(stream) else []
    worst = None
    for number in numbers[:_SAMPLED_PICTURES]:
        picture = np.asarray(stream.values[number])
        error = np.mean((through(picture).astype(np.float64) - picture) ** 2)
        if error > 0:
            ratio = float(10 * np.log10(255.0**2 / error))
            worst = ratio if worst is None else min(worst, ratio)
    return worst


def restored(found: Episode, blob: bytes, *, where: str) -> Episode:
    """The original of an episode that was read from a target's own places, with every picture stream as pictures.

    Raises:
        DamagedData: what was carried is broken.
        TooLarge: it claims to unpack to more than any recording has.
    """
    episode = unpack(found, blob, where=where)
    for stream in episode.streams.values():
        _refuse_misfit(stream, where)
    streams = {name: _as_pictures(stream, f"{where}: {name}") for name, stream in episode.streams.items()}
    return replace(episode, streams=streams)


def _refuse_misfit(stream: Stream, where: str) -> None:
    """Refuse a carried part that does not belong to the rows beside it: a wrong number must not come out of it."""
    if isinstance(stream.values, PickedValues):
        picked, rows = stream.values.picked, len(stream.values.values)
        is_inside = picked.ndim == 1 and picked.dtype.kind == "i" and not np.any((picked < 0) | (picked >= rows))
        if not is_inside:
            raise DamagedData(where, f"{stream.name} is said to stand in rows that are not among the {rows} there.")
    if len(stream.values) != len(stream.clock):
        raise DamagedData(
            where, f"{stream.name} has {len(stream.values)} samples beside {len(stream.clock)} carried times."
        )


def _as_pictures(stream: Stream, where: str) -> Stream:
    # Small pictures and depth without a channel axis look like matrices until the carried part says what they are.
    if not stream.is_picture or hasattr(type(stream.values), "luma"):
        return stream
    return stream.with_values(RawImages(stream.values, where=where))


def _as_kept(episode: Episode, layout: Layout, picked: Mapping[str, NDArray[np.int64]]) -> Episode:
    """The episode without the pictures that stand in no row, so that each kept one keeps its own time."""
    streams = dict(episode.streams)
    for place in layout.places:
        if place.way is Way.THINNED:
            stream, kept = streams[place.stream], np.unique(picked[place.stream])
            streams[place.stream] = replace(
                stream,
                values=PickedPictures(stream.pictures, kept),
                clock=stream.clock.subset(kept),
                other_clocks={name: clock.subset(kept) for name, clock in stream.other_clocks.items()},
            )
    return replace(episode, streams=streams, ref=None)


def _is_whole(stream: Stream, picked: NDArray[np.int64]) -> bool:
    return len(picked) == len(stream) and bool(np.array_equal(picked, np.arange(len(stream))))


def _first_rows(stream: Stream, picked: NDArray[np.int64]) -> NDArray[np.int64] | None:
    samples, first = np.unique(picked, return_index=True)
    return first.astype(np.int64) if len(samples) == len(stream) else None


def _resampling(stream: Stream, picked: NDArray[np.int64], anchor: Stream) -> str:
    told = f"{len(stream)} samples onto the {len(picked)} rows of {anchor.name}"
    if len(anchor.clock) != len(picked) or not len(picked):
        return told
    return f"{told}, {age_of_samples(anchor.clock, stream.clock, picked)}"


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
