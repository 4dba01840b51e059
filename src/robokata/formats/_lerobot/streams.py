"""What all LeRobot versions share: features into streams, columns into arrays, stamps into clocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.parquet import ParquetRows, guarded
from robokata.core.clock import NS_PER_S, Clock, ClockQuality, Reading
from robokata.core.episode import Outcome
from robokata.core.errors import DamagedData, MediaMissing
from robokata.core.require import require
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import LazyValues
from robokata.formats._lerobot.cameras import (
    HINT,
    declared_media,
    depth_meaning,
    feature_extra,
    is_depth,
    is_shape,
)
from robokata.formats._lerobot.nested import cell_json, column_facts
from robokata.formats._roles import column_role, is_flag
from robokata.geometry.runs import Run
from robokata.media.images import EncodedImages

BOOKKEEPING = (
    *("timestamp", "frame_index", "episode_index", "index", "task_index"),
    *("episode_data_index_from", "episode_data_index_to"),
)


def hint_of(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    """What we wrote of a stream into its feature; empty for other writers."""
    hint = feature.get(HINT)
    return hint if isinstance(hint, dict) else {}


def role_of(name: str, kind: Kind, dtype: np.dtype[Any]) -> Role:
    """What a feature is for: by the names that LeRobot's documentation fixes, else by its words and what it holds."""
    if name in BOOKKEEPING:
        return Role.BOOKKEEPING
    is_vector = kind is Kind.TENSOR and dtype.kind in "iuf" and not is_flag(name, dtype)
    if is_vector and name.startswith(("observation.state", "observation.effort", "observation.velocity")):
        return Role.STATE
    if name.startswith(("annotation", "language", "task", "subtask")) and not is_flag(name, dtype):
        return Role.LANGUAGE
    role = column_role(name, kind, dtype, otherwise=Role.SENSOR if name.startswith("observation.") else Role.UNKNOWN)
    return Role.ENDING if role is Role.UNKNOWN and name.startswith("next.") and kind is Kind.TENSOR else role


def channels_of(feature: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Channel names of a feature: a list, a nested list or a dict; None where absent or of the wrong length."""
    shape, flat = feature.get("shape"), channel_names(feature)
    count = int(np.prod(shape)) if isinstance(shape, list) and is_shape(shape) else None
    return flat if flat and len(flat) == count else None


def channel_names(feature: Mapping[str, Any]) -> tuple[str, ...]:
    """The names that info.json gives the numbers of a feature, however many they are."""
    return tuple(_flatten(feature.get("names")))


def _flatten(names: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(names, str):
        yield names
    elif depth > 8:
        return
    elif isinstance(names, Mapping) and all(isinstance(place, int) for place in names.values()):
        # {"delta_x": 0, "delta_y": 1}: the keys are the names.
        yield from sorted((str(name) for name in names), key=lambda name: int(names[name]))
    elif isinstance(names, (Mapping, Sequence)):
        for part in names.values() if isinstance(names, Mapping) else names:
            yield from _flatten(part, depth + 1)


def row_clock(count: int, rate_hz: Fraction, load_s: Callable[[], NDArray[Any]] | None) -> Clock:
    """The clock of a table's rows. Stamps that equal row / rate are what the library synthesizes: marked so."""

    def load() -> Reading:
        grid_s = np.arange(count) / float(rate_hz)
        stamps_s = grid_s if load_s is None else np.asarray(load_s(), dtype=np.float64).reshape(-1)
        if load_s is None or not np.isfinite(stamps_s).all() or np.abs(stamps_s).max(initial=0.0) > 9e9:
            return Reading(np.round(grid_s * NS_PER_S).astype(np.int64), ClockQuality.DECLARED)
        # 1 us, plus 2e-6 of the time: float32 stamps keep 24 bits, and 29.97 differs from 30000/1001 by 1e-6. No
        # clock that somebody read stays that close to its nominal rate and to zero.
        tolerance_s = 1e-6 + grid_s * 2.0**-19
        quality = (
            ClockQuality.SYNTHESIZED if np.all(np.abs(stamps_s - grid_s) <= tolerance_s) else ClockQuality.MEASURED
        )
        chosen = grid_s if quality is ClockQuality.SYNTHESIZED else stamps_s
        return Reading(np.round(chosen * NS_PER_S).astype(np.int64), quality)

    return Clock(count, load, declared_rate_hz=rate_hz)


class ColumnSpec(NamedTuple):
    """A column of a table as a stream would hold it."""

    kind: Kind
    shape: tuple[int, ...]
    """Of one sample; (-1,) where only reading tells."""
    dtype: np.dtype[Any]


def column_spec(arrow_type: Any, feature: Mapping[str, Any]) -> ColumnSpec:
    """What a column holds, from its Arrow type and, for lists, the declared shape."""
    types = require("pyarrow.types", extra="tables")
    if types.is_dictionary(arrow_type):  # categories of pandas: texts that are stored once
        arrow_type = arrow_type.value_type
    is_text = types.is_string(arrow_type) or types.is_large_string(arrow_type)
    if types.is_struct(arrow_type) and any(field.name == "bytes" for field in arrow_type):
        return ColumnSpec(Kind.IMAGE, (), np.dtype(np.uint8))
    if is_text and feature.get("dtype") == "image":
        return ColumnSpec(Kind.IMAGE, (), np.dtype(np.uint8))
    if is_text:
        return ColumnSpec(Kind.TEXT, (), np.dtype(object))
    leaf, sizes = arrow_type, []
    while types.is_list(leaf) or types.is_large_list(leaf) or types.is_fixed_size_list(leaf):
        sizes.append(leaf.list_size if types.is_fixed_size_list(leaf) else -1)
        leaf = leaf.value_type
    if not (types.is_integer(leaf) or types.is_floating(leaf) or types.is_boolean(leaf)):
        return ColumnSpec(Kind.MESSAGE, (), np.dtype(object))
    dtype = np.dtype(leaf.to_pandas_dtype())
    if not sizes:
        # LeRobot stores one number per row as a bare number; our own hint tells it from a vector of one.
        return ColumnSpec(Kind.TENSOR, (1,) if hint_of(feature).get("shape") == [1] else (), dtype)
    shape = feature.get("shape")
    if isinstance(shape, list) and is_shape(shape):
        return ColumnSpec(Kind.TENSOR, tuple(shape), dtype)
    return ColumnSpec(Kind.TENSOR, (-1,) if -1 in sizes else tuple(sizes), dtype)


def column_array(column: Any, spec: ColumnSpec, *, where: str) -> NDArray[Any]:
    """A column of T rows as (T, *shape), without a Python object per number.

    Raises:
        DamagedData: the lists differ in length, hold nulls, or do not have the declared size.
    """
    types = require("pyarrow.types", extra="tables")
    leaf = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    if types.is_dictionary(leaf.type):
        leaf = leaf.dictionary_decode()
    if spec.kind in (Kind.TEXT, Kind.MESSAGE):
        return _objects(leaf, spec.kind, where)
    if leaf.null_count:
        raise DamagedData(where, f"{leaf.null_count} of {len(leaf)} cells are empty (null).")
    count = len(leaf)
    while types.is_nested(leaf.type):
        leaf = _flat(leaf, where)
        if leaf.null_count:
            what = "lists" if types.is_nested(leaf.type) else "numbers"
            raise DamagedData(where, f"{leaf.null_count} {what} are empty (null).")
    numbers = _numbers(leaf)
    shape = spec.shape
    if shape == (-1,):
        shape = (len(numbers) // count,) if count else (0,)
    if len(numbers) != count * math.prod(shape):
        raise DamagedData(
            where,
            f"{count} rows hold {len(numbers)} numbers, and the shape {list(shape)} promises "
            f"{count * math.prod(shape)}.",
        )
    return numbers.reshape(count, *shape)


def _flat(lists: Any, where: str) -> Any:
    """The cells of lists of one length: of others, the sum could be right and every number in another row's place."""
    types = require("pyarrow.types", extra="tables")
    if types.is_list(lists.type) or types.is_large_list(lists.type):
        lengths = np.diff(lists.offsets.to_numpy())
        odd = np.flatnonzero(lengths != lengths[:1])
        if len(odd):
            row = int(odd[0])
            raise DamagedData(where, f"list {row} holds {lengths[row]} values, and list 0 holds {lengths[0]}.")
    return lists.flatten()


def _numbers(leaf: Any) -> NDArray[Any]:
    """An Arrow array without nulls as it lies in memory; `to_numpy` would import pandas for it, 0.3 s per process."""
    dtype = np.dtype(leaf.type.to_pandas_dtype())
    data = leaf.buffers()[1]
    if dtype.kind not in "iuf" or data is None:
        return np.asarray(leaf.to_numpy(zero_copy_only=False))
    return np.frombuffer(data, dtype, count=len(leaf), offset=leaf.offset * dtype.itemsize)


def _objects(column: Any, kind: Kind, where: str) -> NDArray[Any]:
    """Texts as they are (a null is left out by whoever asks), other cells as bytes or JSON bytes."""
    try:
        cells = column.to_pylist()
    except (UnicodeDecodeError, ValueError, OverflowError) as error:
        raise DamagedData(where, f"a cell cannot be read: {type(error).__name__}.") from None
    out = np.empty(len(cells), dtype=object)
    if kind is Kind.TEXT:
        out[:] = ["" if cell is None else cell for cell in cells]
    else:
        out[:] = [c if isinstance(c, bytes) else cell_json(c) for c in cells]
    return out


_SHORT_CELLS = 2**15
"""Cells of a table that are read in one call: the call takes longer than decoding a minute of ten columns at 50 Hz."""


class EpisodeRows:
    """The rows of one episode in a table. A class, because every stream of the episode reads from it.

    Columns of numbers and text are read together at the first need (they are small, and share pages of the disk);
    columns of pictures each on their own.
    """

    def __init__(self, parquet: ParquetRows, file: Path, first: int, count: int, *, root: Path) -> None:
        self.file, self.first, self.count, self.root = file, first, count, root
        self.known: dict[str, Any] = parquet.columns(file)
        self._parquet = parquet
        self._small = tuple(name for name, kind in self.known.items() if column_spec(kind, {}).kind is not Kind.IMAGE)
        self._is_short = parquet.count(file) * len(self._small) < _SHORT_CELLS

    def column(self, name: str, *, alone: bool = False) -> Any:
        """One column as an Arrow array; `alone` reads nothing else, unless the table is so short that it costs nothing.

        Raises:
            DamagedData: its pages cannot be read.
        """
        wanted = self._small if name in self._small and (self._is_short or not alone) else (name,)
        table = self._parquet.rows(self.file, self.first, self.count, wanted)
        return guarded(self.file, lambda: table.column(name).combine_chunks())

    def integers(self, name: str) -> NDArray[np.int64]:
        """One column of whole numbers, (T,), read on its own.

        Raises:
            DamagedData: it holds no whole numbers, or its pages cannot be read.
        """
        where = f"{self.file}: {name}"
        numbers = column_array(self.column(name, alone=True), column_spec(self.known[name], {}), where=where)
        if numbers.dtype.kind not in "iu" or numbers.size != self.count:
            raise DamagedData(where, "holds no whole numbers.")
        return numbers.reshape(-1).astype(np.int64)

    def clock(self, rate_hz: Fraction) -> Clock:
        """The clock of the rows, from their `timestamp` where they have one."""
        kind = self.known.get("timestamp")
        if kind is None or column_spec(kind, {}).kind is not Kind.TENSOR:
            return row_clock(self.count, rate_hz, None)
        spec, where = column_spec(kind, {"shape": [1]}), f"{self.file}: timestamp"
        return row_clock(
            self.count, rate_hz, lambda: column_array(self.column("timestamp", alone=True), spec, where=where)
        )

    def streams(self, features: Mapping[str, Mapping[str, Any]], clock: Clock) -> Iterator[Stream]:
        """Every column as a stream, in the order of the table."""
        for name, kind in self.known.items():
            feature = features.get(name, {})
            stream = column_stream(
                name,
                column_spec(kind, feature),
                feature,
                clock=clock,
                load=partial(self.column, name),
                where=f"{self.file}: {name}",
                root=self.root,
            )
            facts = column_facts(kind, feature)
            yield replace(stream, extra={**stream.extra, **facts}) if facts else stream


def column_stream(
    name: str,
    spec: ColumnSpec,
    feature: Mapping[str, Any],
    *,
    clock: Clock,
    load: Callable[[], Any],
    where: str,
    root: Path,
    encoding: str = "parquet",
) -> Stream:
    """One column of an episode as a stream; `load` gives the Arrow column of the episode's rows."""
    count = len(clock)
    extra = feature_extra(feature)
    if spec.kind is Kind.IMAGE:
        images = EncodedImages(count, picture_loader(load, root=root, where=where), where=where)
        role, declared = Role.DEPTH if is_depth(feature) else Role.CAMERA, declared_media(feature)
        return Stream(
            name,
            Kind.IMAGE,
            role,
            clock,
            images,
            encoding="image bytes",
            extra=extra,
            declared=declared,
            meaning=depth_meaning(feature),
        )
    shape = spec.shape
    if shape == (-1,):
        width = column_array(load(), spec, where=where).shape[1] if count else 0
        shape = (width,)
    role = role_of(name, spec.kind, spec.dtype)
    if spec.kind is Kind.TEXT and (cells := load()).null_count:
        present = np.flatnonzero(np.asarray(cells.is_valid(), bool))
        # A row without a text is no row with an empty one: the stream holds the texts that there are, at their times.
        texts = LazyValues((len(present),), spec.dtype, lambda: column_array(load(), spec, where=where)[present])
        return Stream(name, spec.kind, role, clock.subset(present), texts, encoding=encoding, extra=extra)
    values = LazyValues((count, *shape), spec.dtype, lambda: column_array(load(), spec, where=where))
    return Stream(name, spec.kind, role, clock, values, channels=channels_of(feature), encoding=encoding, extra=extra)


def picture_loader(load: Callable[[], Any], *, root: Path, where: str) -> Callable[[int], bytes]:
    """Bytes of picture i of a column of pictures: bytes in the cell, or the path of a file of the dataset.

    Raises:
        DamagedData: by the loader, where a cell holds neither.
    """
    kept: list[Any] = []

    def picture(index: int) -> bytes:
        if not kept:
            kept.append(load())
        try:
            cell = kept[0][index].as_py()
        except (UnicodeDecodeError, IndexError):
            raise DamagedData(where, f"row {index} cannot be read.") from None
        data, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (None, cell)
        if isinstance(data, bytes):
            return data
        if isinstance(path, str) and path:
            return picture_file(root, path, where=f"{where}, row {index}")
        raise DamagedData(where, f"row {index} holds no picture.")

    return picture


def image_folder(root: Path, name: str, number: int, clock: Clock) -> Stream | None:
    """Pictures as files, the layout that LeRobot records into before it encodes; None where there is no folder."""
    folder = f"images/{name}/episode_{number:06d}"
    where = f"{root / folder}"
    if not (root / folder).is_dir():
        return None

    def picture(index: int) -> bytes:
        return picture_file(root, f"{folder}/frame_{index:06d}.png", where=where)

    images = EncodedImages(len(clock), picture, where=where)
    return Stream(name, Kind.IMAGE, Role.CAMERA, clock, images, encoding="png")


def picture_file(root: Path, path: str, *, where: str) -> bytes:
    """Bytes of a picture that lies beside the table.

    Raises:
        MediaMissing: it is not there, or the path leads out of the dataset.
    """
    relative = Path(path)
    if relative.is_absolute() or ".." in relative.parts:
        raise MediaMissing(where, f"the picture {path!r} lies outside the dataset, and is not read from there.")
    try:
        if not (root / relative).is_file():  # Opening a pipe would wait for its other end.
            raise FileNotFoundError
        return (root / relative).read_bytes()
    except (OSError, ValueError):
        raise MediaMissing(
            where, f"the picture {path!r} is not there.", next_move="Restore it from the original."
        ) from None


def runs_of_owners(column: Any, *, where: str) -> dict[int, list[Run]]:
    """Where each episode's rows lie in a table, from its column `episode_index`.

    Raises:
        DamagedData: the column holds no numbers.
    """
    owner = column_array(column, column_spec(column.type, {}), where=where).astype(np.int64)
    edges = np.flatnonzero(np.diff(owner)) + 1
    starts = np.concatenate(([0], edges)) if len(owner) else edges
    runs: dict[int, list[Run]] = {}
    for first, end in zip(starts.tolist(), [*edges.tolist(), len(owner)], strict=False):
        runs.setdefault(int(owner[first]), []).append(Run(first, end - 1))
    return runs


def outcome_of(streams: Sequence[Stream]) -> Outcome:
    """What LeRobot says about success: a column in some datasets, no field in any."""
    if any(stream.name == "next.success" for stream in streams):
        return Outcome(None, "the column next.success tells; it is not read until asked for")
    return Outcome(None, "LeRobot has no field for it")
