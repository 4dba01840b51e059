"""Zarr replay buffers: Diffusion Policy's folders and UMI's `dataset.zarr.zip`.

Layout: `data/<name>` arrays of which row i is step i of the whole dataset, and `meta/episode_ends`, the row after
the last of each episode. Zarr version 2 and 3, in a folder or a zip, with shards, checksums and text. The format
keeps no rate, no language and no robot. Times only where the buffer was recorded by Diffusion Policy's real-robot
environment, which keeps `data/timestamp` (float64 seconds of `time.time()`). UMI buffers hold no action: it is derived
from the poses when they are trained on, so there is no action stream. Of the names only `axis_angle` says what numbers
mean; units and frames stay unknown. Pictures are rows of (H, W, 1|3|4); colour order is not declared, and RGB by
custom.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.containers.zarr.array import ChunkCache, Rows, ZarrArray
from robokata.containers.zarr.metadata import arrays_below, attributes
from robokata.containers.zarr.store import Store, open_store, peek_zip
from robokata.core.clock import STEP, Clock, step_clock
from robokata.core.episode import Episode, EpisodeRef
from robokata.core.errors import DamagedData, RobokataError, TooLarge, UnknownName
from robokata.core.extent import Extent
from robokata.core.layout import Layout as StreamLayout
from robokata.core.source import Declaration, EpisodeRow, Facts, Size
from robokata.core.stream import UNKNOWN_MEANING, Fact, Kind, Meaning, Role, Stream
from robokata.core.values import LazyValues, Values
from robokata.formats._row_table import restored
from robokata.formats._zarr.carried import carried_bytes
from robokata.formats._zarr.extents import buffer_extents
from robokata.formats._zarr.index import ENDS, MAX_EPISODES, chunk_declaration, read_ends, size_of
from robokata.formats._zarr.streams import clock_reading, is_picture, pictures_of, refused_stream, role_of, text_of
from robokata.formats._zarr.write import BLOB_GROUP, Flavour, Options, PictureCodec, plan, write_store

IS_ONE_TABLE = True
LOOKS_FOR = "a Zarr folder or .zarr.zip with meta/episode_ends and data/* (Diffusion Policy, UMI)"
LOSES = (
    "times and rate: rows are one after the other (carried beside)",
    "streams at other rates, language, text and messages (carried beside)",
    "pictures that stand in no row",
    "the encoded bytes of pictures: pixels are packed without loss, or as JPEG XL",
    "episodes with different streams",
)

_TIMES = "data/timestamp"
MAX_STEPS = 10**7
"""Steps of one episode: 2.8 hours at 1 kHz. Beyond it the end of an episode is a broken number."""


def sniff(path: Path) -> float:
    """0.95 where `meta/episode_ends` lies in a Zarr hierarchy, less where only the name says Zarr."""
    try:
        by_name = 0.5 if path.name.endswith((".zarr", ".zarr.zip")) else 0.0
        if path.is_dir():
            is_zarr = any((path / name).is_file() for name in (".zgroup", "zarr.json", ".zmetadata", ".zattrs"))
            return 0.95 if is_zarr and (path / ENDS).is_dir() else by_name
        if not path.is_file():
            return 0.0
        names = peek_zip(path)
        is_zarr = re.search(rb"\.zgroup|zarr\.json|\.zarray", names) is not None
        if is_zarr and b"meta/episode_ends/" in names:
            return 0.95
        # Beyond the part of the zip's directory that was looked at, data/ is all that shows.
        return 0.8 if is_zarr and b"data/" in names else by_name
    except OSError:
        return 0.0


def read(path: Path) -> ReplayBuffer:
    """Open a replay buffer: metadata and the episode index.

    Raises:
        DamagedData: no zip, no `meta/episode_ends`, or one that cannot be read.
        Unsupported: the episode index has a data type that is no number.
    """
    return ReplayBuffer(path)


class ReplayBuffer:
    """One replay buffer. A class, because it keeps its store open and the last decoded chunks."""

    format = "zarr_replay"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store: Store = open_store(path)
        self._cache = ChunkCache()
        self.arrays: dict[str, ZarrArray] = {}
        self.refused: dict[str, RobokataError] = {}
        """Arrays whose metadata we cannot or will not follow, and why: their streams raise when they are read."""
        for name in [*arrays_below(self.store, "data"), *arrays_below(self.store, "meta")]:
            if name != ENDS:
                self._open(name)
        self.ends = read_ends(self.store, self._cache)
        self.starts = np.concatenate([np.zeros(1, np.int64), self.ends[:-1]])[: len(self.ends)]
        self._highest = np.maximum.accumulate(np.concatenate([np.zeros(1, np.int64), self.ends]))[:-1]

    def _open(self, name: str) -> None:
        try:
            self.arrays[name] = ZarrArray(self.store, name, self._cache)
        except RobokataError as error:
            self.refused[name] = error

    @cached_property
    def _data(self) -> dict[str, ZarrArray]:
        return {name: array for name, array in self.arrays.items() if name.startswith("data/")}

    @cached_property
    def _longest(self) -> int | None:
        """Rows of the longest array, None where every array was refused: then each stream says why."""
        if not self._data and any(name.startswith("data/") for name in self.refused):
            return None
        return max(map(len, self._data.values()), default=0)

    @cached_property
    def _attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for group in ("", "data", "meta"):
            try:
                values = attributes(self.store, group)
            except DamagedData as error:
                values = {"unreadable": str(error)}
            if values:
                found[f"attributes of {group or 'root'}"] = dict(values)
        return found

    @cached_property
    def _meta(self) -> dict[str, NDArray[Any] | str]:
        """Arrays beside the episode index, read whole: they are one number per episode. Damage is its own text."""
        found: dict[str, NDArray[Any] | str] = {n: str(e) for n, e in self.refused.items() if n.startswith("meta/")}
        for name, array in self.arrays.items():
            if name.startswith("meta/"):
                try:
                    if len(array) > MAX_EPISODES:
                        raise TooLarge(self.store.place(name), f"claims {len(array)} rows beside the episode index.")
                    found[name] = array.take(np.arange(len(array)))
                except DamagedData as error:
                    found[name] = str(error)
        return found

    def keys(self) -> Sequence[str]:
        return [str(number) for number in range(len(self.ends))]

    def episode(self, key: str) -> Episode:
        """Open one episode.

        Raises:
            UnknownName: no episode has this number.
            DamagedData: the index gives it rows that do not exist, or rows of another episode.
        """
        number = int(key) if key.isascii() and key.isdigit() and len(key) < 10 else -1
        if not 0 <= number < len(self.ends) or str(number) != key:
            raise UnknownName("episode", key, self.keys())
        first, end = int(self.starts[number]), int(self.ends[number])
        problem = self._problem(number)
        if problem:
            raise DamagedData(self.store.place(ENDS), problem)
        if end - first > MAX_STEPS:
            raise TooLarge(self.store.place(ENDS), f"gives episode {number} {end - first} rows.")
        clock = self._clock(first, end)
        streams = [self._stream(name, array, first, end, clock) for name, array in self._data.items()]
        streams += [refused_stream(name, error) for name, error in self.refused.items() if name.startswith("data/")]
        episode = Episode(
            id=key,
            streams={stream.name: stream for stream in sorted(streams, key=lambda s: s.name)},
            declared_steps=end - first,
            extra={**self._beside(number), "first_row": first, "end_row": end},
            ref=EpisodeRef(self.format, str(self.path), key),
        )
        carried = self._carried(number)
        if carried is None:
            return episode
        return restored(episode, carried, where=f"{self.store.place(BLOB_GROUP)}, episode {number}")

    def extents(self, key: str) -> Sequence[Extent] | None:
        """The chunks of an episode's rows; None for one of no chunk.

        Raises:
            UnknownName: no episode has this number.
            DamagedData: its rows do not exist.
        """
        self.episode(key)
        number = int(key)
        first, end = int(self.starts[number]), int(self.ends[number])
        beside, carried = self._beside(number), self._carried(number)
        return buffer_extents(self._data.values(), first, end, beside=beside, carried=carried) or None

    def _beside(self, number: int) -> dict[str, Any]:
        """What the arrays beside the episode index say of one episode."""
        return {
            name: values[number] if isinstance(values, np.ndarray) else values
            for name, values in self._meta.items()
            if isinstance(values, str) or len(values) == len(self.ends)
        }

    def _carried(self, number: int) -> bytes | None:
        if not self.store.children(BLOB_GROUP):
            return None
        return carried_bytes(self.store, self._cache, number, episodes=len(self.ends))

    def _problem(self, number: int) -> str | None:
        """Why the rows of an episode cannot be trusted, or None."""
        first, end = int(self.starts[number]), int(self.ends[number])
        if end < first or first < self._highest[number]:
            return f"gives episode {number} the rows {first} to {end}, but rows only ever go up."
        if self._longest is not None and end > self._longest:
            return f"gives episode {number} the rows {first} to {end}, but the longest array ends at {self._longest}."
        return None

    def _clock(self, first: int, end: int) -> Clock | None:
        times = self._data.get(_TIMES)
        is_time = times is not None and times.dtype.kind == "f" and times.shape[1:] in ((), (1,))
        if times is None or not is_time or len(times) < end:
            return None
        return Clock(end - first, lambda: clock_reading(times, first, end), counter=STEP)

    def _stream(self, name: str, array: ZarrArray, first: int, end: int, clock: Clock | None) -> Stream:
        # An array that is shorter than the index says gives the rows it has: the difference is a declaration.
        count = max(min(end, len(array)) - first, 0)
        rows = Rows(array, first, count)
        short = name.removeprefix("data/")
        kind, role = Kind.TENSOR, role_of(short, array.dtype)
        values: Values = rows
        if is_picture(array):
            kind, role, values = Kind.IMAGE, Role.CAMERA, pictures_of(rows, f"{self.path}: {name}")
        elif array.dtype.kind in "USO":
            kind, role = Kind.TEXT, Role.LANGUAGE
            values = LazyValues((count, *array.shape[1:]), object, lambda: text_of(rows))
        says_axis_angle = array.dtype.kind == "f" and short.endswith("axis_angle")
        codecs = [str(config["id"]) for config in array.layout.pipeline.codecs]
        return Stream(
            short,
            kind,
            role,
            clock if clock is not None and len(clock) == count else step_clock(count),
            values,
            meaning=Meaning(rotation=Fact("axis_angle")) if says_axis_angle else UNKNOWN_MEANING,
            encoding="raw" if kind is Kind.IMAGE and not any("imagecodecs" in c for c in codecs) else "zarr",
            extra={
                "codecs": codecs,
                "chunks": list(array.layout.chunks),
                **({"attributes": dict(array.layout.attributes)} if array.layout.attributes else {}),
            },
        )

    def facts(self) -> Facts:
        """Rows from the episode index, declarations from shapes and the lists of chunk files."""
        rows = [self._row(number) for number in range(len(self.ends))]
        sizes = {name.removeprefix("data/"): size_of(array) for name, array in self._data.items()}
        total = Size(sum(s.bytes for s in sizes.values()), any(s.is_estimate for s in sizes.values()))
        version = "3" if "zarr.json" in self.store.children(ENDS) else "2"
        whole = {n: v for n, v in self._meta.items() if isinstance(v, np.ndarray) and len(v) != len(self.ends)}
        beside = [
            n
            for n in self.store.children("")
            if n not in ("data", "meta", BLOB_GROUP) and not n.startswith((".", "zarr.j"))
        ]
        return Facts(
            format=self.format,
            version=version,
            rows=rows,
            declarations=tuple(self._declarations()),
            sizes=sizes,
            total_size=total if self.path.is_dir() else Size(self.path.stat().st_size),
            extra={**self._attributes, **whole, **({"beside data and meta": beside} if beside else {})},
        )

    def _row(self, number: int) -> EpisodeRow:
        if self._problem(number):
            return EpisodeRow(str(number), file=ENDS)
        first, end = int(self.starts[number]), int(self.ends[number])
        return EpisodeRow(str(number), steps=end - first, file="data", first_row=first, end_row=end)

    def _declarations(self) -> Iterator[Declaration]:
        last = int(self.ends[-1]) if len(self.ends) else 0
        for number in range(len(self.ends)):
            if problem := self._problem(number):
                yield Declaration(f"rows of episode {number}", "rows that exist, after the last", "not", ENDS, problem)
        for name, array in self._data.items():
            short = np.flatnonzero(self.ends > len(array))
            named = f"Episodes without all their rows: {', '.join(map(str, short[:10]))}" if len(short) else ""
            hint = f"{named}{' and more' if len(short) > 10 else ''}." if named else ""
            yield Declaration(f"rows of {name}", last, len(array), ENDS, hint)
            yield chunk_declaration(array, starts=self.starts, ends=self.ends)
        for name, error in self.refused.items():
            yield Declaration(f"metadata of {name}", "readable", "refused", name, str(error))
        for name, values in self._meta.items():
            if isinstance(values, str) and name not in self.refused:
                yield Declaration(f"values of {name}", "readable", "damaged", name, values)


def layout(
    episode: Episode,
    *,
    anchor: str | None = None,
    flavour: Flavour = "diffusion_policy",
    picture_codec: PictureCodec | None = None,
    jpegxl_level: int | None = None,
) -> StreamLayout:
    """Where the streams of an episode go; the options are those of `write`.

    Raises:
        UnknownName: the episode has no stream called `anchor`.
        WriteRefused: an option that does not exist, or nothing in the episode can be rows, or UMI's streams are absent.
    """
    return plan(episode, Options(anchor, flavour, picture_codec, jpegxl_level)).layout


def write(
    path: Path,
    episodes: Iterable[Episode],
    *,
    anchor: str | None = None,
    flavour: Flavour = "diffusion_policy",
    picture_codec: PictureCodec | None = None,
    jpegxl_level: int | None = None,
) -> None:
    """Write a Zarr version 2 folder, or a zip of one where the path ends in `.zip` (UMI's `dataset.zarr.zip`).

    `anchor` is the stream whose samples become rows (else the first camera). `flavour="umi"` asks for the names that
    UMI's training reads; nothing is renamed to them. Pictures are packed by Blosc, for UMI by JPEG XL, both without
    loss; `jpegxl_level` 0..100 packs them smaller and with loss (UMI's generator uses 99).

    Raises:
        UnknownName: an episode has no stream called `anchor`.
        WriteRefused: the target exists or cannot be written, or an episode does not fit the first one.
        DamagedData: an episode cannot be read.
    """
    write_store(path, episodes, Options(anchor, flavour, picture_codec, jpegxl_level))
