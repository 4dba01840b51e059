"""What all LeRobot versions share: features into streams, columns into arrays, stamps into clocks."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S, Clock, ClockQuality, Reading, rate_fraction
from robokata.core.errors import DamagedData, MediaMissing, TooLarge
from robokata.core.require import require
from robokata.core.source import Declaration
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import LazyValues
from robokata.media.images import EncodedImages

BOOKKEEPING = ("timestamp", "frame_index", "episode_index", "index", "task_index")
MAX_JSON_BYTES = 256 * 2**20
"""Largest metadata file that is read: stats of 10,000 features would still be smaller."""
MAX_ROW_GROUP_BYTES = 4 * 2**30
"""Largest decoded row group: LeRobot aims at 100 MB per file, PNG images in a table reach ten times that."""


def read_json(path: Path) -> Any:
    """A metadata file.

    Raises:
        MediaMissing: it does not exist.
        TooLarge: it is beyond any metadata.
        DamagedData: it is not JSON.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise TooLarge(path, f"the metadata file is larger than {MAX_JSON_BYTES >> 20} MiB.")
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise MediaMissing(path, "the file does not exist.", next_move="Restore it from the original.") from None
    except json.JSONDecodeError as error:
        raise DamagedData(path, f"not JSON: {error.msg}.", offset=error.pos, next_move="Restore it.") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise DamagedData(path, f"not JSON: {type(error).__name__}.", next_move="Restore it.") from None


def read_info(root: Path) -> dict[str, Any]:
    """`meta/info.json` with the two fields that nothing works without.

    Raises:
        DamagedData: it is not an object, or lacks `features` or a usable `fps`.
    """
    path = root / "meta" / "info.json"
    info = read_json(path)
    if not isinstance(info, dict) or not isinstance(info.get("features"), dict):
        raise DamagedData(path, "holds no object with 'features'.", next_move="Restore it from the original.")
    if not all(isinstance(feature, dict) for feature in info["features"].values()):
        raise DamagedData(path, "a feature is not an object.", next_move="Restore it from the original.")
    if rate_of(info) is None:
        raise DamagedData(path, f"'fps' is {info.get('fps')!r}, not a rate.", next_move="Write the true rate there.")
    return info


def rate_of(info: Mapping[str, Any]) -> Fraction | None:
    """The declared rate, exact, or None."""
    fps = info.get("fps")
    return rate_fraction(fps) if isinstance(fps, (int, float)) and not isinstance(fps, bool) else None


def role_of(name: str, dtype: str) -> Role:
    """What a feature is for, by the names that LeRobot's documentation fixes."""
    if name in BOOKKEEPING:
        return Role.BOOKKEEPING
    if dtype in ("video", "image") or name.startswith("observation.image"):
        return Role.CAMERA
    prefixes = {
        "observation.state": Role.STATE,
        "observation.effort": Role.STATE,
        "observation.velocity": Role.STATE,
        "observation.": Role.SENSOR,
        "action": Role.ACTION,
        "next.reward": Role.REWARD,
        "reward": Role.REWARD,
        "next.": Role.ENDING,
        "annotation": Role.LANGUAGE,
        "language": Role.LANGUAGE,
        "task": Role.LANGUAGE,
    }
    return next((role for prefix, role in prefixes.items() if name.startswith(prefix)), Role.UNKNOWN)


def channels_of(feature: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Channel names of a feature: a list, a nested list or a dict of lists; None where absent or of the wrong length."""
    names, shape = feature.get("names"), feature.get("shape")
    flat = tuple(_flatten(names))
    count = int(np.prod(shape)) if isinstance(shape, list) and _is_shape(shape) else None
    return flat if flat and len(flat) == count else None


def _flatten(names: Any) -> Iterator[str]:
    if isinstance(names, str):
        yield names
    elif isinstance(names, Mapping):
        for part in names.values():
            yield from _flatten(part)
    elif isinstance(names, Sequence):
        for part in names:
            yield from _flatten(part)


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and all(isinstance(size, int) and size >= 0 for size in shape)


def picture_shape(feature: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """(H, W, C) of a picture feature, from its shape and the names of its axes; None where that is unclear."""
    shape, names = feature.get("shape"), feature.get("names")
    if not (_is_shape(shape) and isinstance(shape, list) and len(shape) == 3):
        return None
    first_is_channel = isinstance(names, list) and names and str(names[0]).startswith("channel")
    if first_is_channel or (shape[0] in (1, 3) and shape[2] not in (1, 3)):
        return shape[1], shape[2], shape[0]
    return shape[0], shape[1], shape[2]


def split_ranges(splits: Any) -> dict[str, tuple[int, int]]:
    """`{"train": "0:50"}` as episode numbers; entries that are no ranges are left out."""
    ranges = {}
    for name, text in (splits if isinstance(splits, dict) else {}).items():
        low, colon, high = str(text).partition(":")
        if colon and low.strip().isdigit() and high.strip().isdigit():
            ranges[str(name)] = (int(low), int(high))
    return ranges


def split_declarations(splits: Any, episodes: int, where: str) -> Iterator[Declaration]:
    """What each split's range promises, beside the episodes that exist."""
    for name, (low, high) in split_ranges(splits).items():
        found = f"{low}:{min(high, episodes)}"
        hint = f"the split reaches beyond the {episodes} episodes that exist" if high > episodes else ""
        yield Declaration(f"splits.{name}", f"{low}:{high}", found, where, hint)


def statistics_from(raw: Any) -> Mapping[str, Mapping[str, Any]]:
    """Declared statistics as arrays; entries that are not numbers are left out."""
    out: dict[str, dict[str, Any]] = {}
    for feature, quantities in (raw if isinstance(raw, dict) else {}).items():
        for name, value in (quantities if isinstance(quantities, dict) else {}).items():
            try:
                out.setdefault(str(feature), {})[str(name)] = np.asarray(value, dtype=np.float64)
            except (ValueError, TypeError):
                continue
    return out


def path_from(info_file: Path, info: Mapping[str, Any], field: str, default: str, parts: Mapping[str, Any]) -> str:
    """A path of the dataset from its template in info.json.

    Raises:
        DamagedData: the template is none, or leads out of the dataset.
    """
    template = info.get(field) or default
    try:
        # Only whole names are filled in: a template that reaches into an object ("{key.__class__}") is refused.
        fields = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
        if any(name not in parts for name in fields):
            raise ValueError(f"unknown field in {fields}")
        path = Path(template.format(**parts))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise DamagedData(info_file, f"{field!r} is no usable template: {template!r} ({error}).") from None
    if path.is_absolute() or ".." in path.parts:
        raise DamagedData(info_file, f"{field!r} leads out of the dataset: {template!r}.")
    return str(path)


class Later(Mapping[str, Any]):
    """A mapping that is read at first use. A class, because it keeps what it has read."""

    def __init__(self, load: Callable[[], Mapping[str, Any]]) -> None:
        self._load = load

    @cached_property
    def _kept(self) -> Mapping[str, Any]:
        return self._load()

    def __getitem__(self, key: str) -> Any:
        return self._kept[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def row_clock(count: int, rate_hz: Fraction, load_s: Callable[[], NDArray[Any]] | None) -> Clock:
    """The clock of a table's rows. Stamps that equal row / rate are what the library synthesizes: marked so."""

    def load() -> Reading:
        grid_s = np.arange(count) / float(rate_hz)
        stamps_s = grid_s if load_s is None else np.asarray(load_s(), dtype=np.float64).reshape(-1)
        if load_s is None or not np.isfinite(stamps_s).all() or np.abs(stamps_s).max(initial=0.0) > 9e9:
            return Reading(np.round(grid_s * NS_PER_S).astype(np.int64), ClockQuality.DECLARED)
        # float32 keeps 24 bits: two units in the last place, and 1 us for rates that were rounded when written.
        tolerance_s = 1e-6 + grid_s * 2.0**-22
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
    """Of one sample."""
    dtype: np.dtype[Any]


def column_spec(arrow_type: Any, feature: Mapping[str, Any]) -> ColumnSpec:
    """What a column holds, from its Arrow type and, for lists, the declared shape."""
    types = require("pyarrow.types", extra="tables")
    if types.is_struct(arrow_type) and any(field.name == "bytes" for field in arrow_type):
        return ColumnSpec(Kind.IMAGE, (), np.dtype(np.uint8))
    if types.is_string(arrow_type) or types.is_large_string(arrow_type):
        return ColumnSpec(Kind.TEXT, (), np.dtype(object))
    leaf = arrow_type
    while types.is_list(leaf) or types.is_large_list(leaf) or types.is_fixed_size_list(leaf):
        leaf = leaf.value_type
    if not (types.is_integer(leaf) or types.is_floating(leaf) or types.is_boolean(leaf)):
        return ColumnSpec(Kind.MESSAGE, (), np.dtype(object))
    dtype = np.dtype(leaf.to_pandas_dtype())
    if leaf == arrow_type:
        return ColumnSpec(Kind.TENSOR, (), dtype)
    shape = feature.get("shape")
    return ColumnSpec(Kind.TENSOR, tuple(shape) if _is_shape(shape) and isinstance(shape, list) else (-1,), dtype)


def column_array(column: Any, spec: ColumnSpec, *, where: str) -> NDArray[Any]:
    """A column of T rows as (T, *shape), without a Python object per number.

    Raises:
        DamagedData: the lists differ in length, hold nulls, or do not have the declared size.
    """
    if spec.kind in (Kind.TEXT, Kind.MESSAGE):
        cells = column.to_pylist()
        out = np.empty(len(cells), dtype=object)
        out[:] = [cell if isinstance(cell, str) else json.dumps(cell, default=str) for cell in cells]
        return out
    leaf = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    if leaf.null_count:
        raise DamagedData(where, f"{leaf.null_count} of {len(leaf)} cells are empty (null).")
    count = len(leaf)
    pyarrow = require("pyarrow", extra="tables")
    while pyarrow.types.is_nested(leaf.type):
        leaf = leaf.flatten()
    if leaf.null_count:
        raise DamagedData(where, f"{leaf.null_count} numbers are empty (null).")
    numbers = np.asarray(leaf.to_numpy(zero_copy_only=False))
    shape = spec.shape
    if shape == (-1,):
        shape = (len(numbers) // count,) if count else (0,)
    expected = count * int(np.prod(shape, dtype=np.int64))
    if len(numbers) != expected:
        raise DamagedData(
            where, f"{count} rows hold {len(numbers)} numbers, and the shape {list(shape)} promises {expected}."
        )
    return numbers.reshape(count, *shape)


def column_stream(
    name: str,
    spec: ColumnSpec,
    feature: Mapping[str, Any],
    *,
    clock: Clock,
    load: Callable[[], Any],
    where: str,
    encoding: str = "parquet",
) -> Stream:
    """One column of an episode as a stream; `load` gives the Arrow column of the episode's rows."""
    count = len(clock)
    extra = {key: value for key, value in feature.items() if key not in ("dtype", "shape", "names")}
    role = role_of(name, str(feature.get("dtype", "")))
    if spec.kind is Kind.IMAGE:
        kept: list[Any] = []

        def picture(index: int) -> bytes:
            if not kept:
                kept.append(load())
            cell = kept[0][index].as_py()
            data = cell.get("bytes") if cell else None
            if not isinstance(data, bytes):
                raise DamagedData(where, f"row {index} holds no picture bytes.")
            return data

        images = EncodedImages(count, picture, where=where)
        return Stream(name, Kind.IMAGE, Role.CAMERA, clock, images, encoding="image bytes", extra=extra)
    shape = spec.shape
    if shape == (-1,):
        width = column_array(load(), spec, where=where).shape[1] if count else 0
        shape = (width,)
    values = LazyValues((count, *shape), spec.dtype, lambda: column_array(load(), spec, where=where))
    return Stream(name, spec.kind, role, clock, values, channels=channels_of(feature), encoding=encoding, extra=extra)


class ParquetRows:
    """Rows of Parquet files by number, with the last row groups kept decoded.

    A class, because it keeps files open and row groups decoded: reading all episodes of a packed file in
    order decodes each row group once.
    """

    def __init__(self, *, keep_files: int = 32, keep_groups: int = 2) -> None:
        self._keep_files, self._keep_groups = keep_files, keep_groups
        self._files: OrderedDict[Path, Any] = OrderedDict()
        self._groups: OrderedDict[tuple[Path, int, tuple[str, ...]], Any] = OrderedDict()

    def file(self, path: Path) -> Any:
        """The open file.

        Raises:
            MediaMissing: it does not exist.
            DamagedData: it is no Parquet file, or its footer is broken.
        """
        if path in self._files:
            self._files.move_to_end(path)
            return self._files[path]
        if not path.exists():
            raise MediaMissing(path, "the file does not exist.", next_move="Restore it from the original.")
        parquet = require("pyarrow.parquet", extra="tables")
        opened = self._guarded(path, lambda: parquet.ParquetFile(path, page_checksum_verification=True))
        self._files[path] = opened
        while len(self._files) > self._keep_files:
            self._files.popitem(last=False)[1].close()
        return opened

    def columns(self, path: Path) -> dict[str, Any]:
        """Arrow type of each column."""
        schema = self._guarded(path, lambda: self.file(path).schema_arrow)
        return {field.name: field.type for field in schema}

    def count(self, path: Path) -> int:
        """Number of rows, from the footer."""
        return int(self.file(path).metadata.num_rows)

    def rows(self, path: Path, first: int, count: int, columns: tuple[str, ...]) -> Any:
        """Rows first..first+count-1 of some columns, as an Arrow table.

        Raises:
            TooLarge: a row group claims to decode to more than any real one.
            DamagedData: the pages cannot be read.
        """
        metadata = self.file(path).metadata
        pieces, start = [], 0
        for group in range(metadata.num_row_groups):
            size = metadata.row_group(group).num_rows
            if start < first + count and start + size > first:
                table = self._group(path, group, columns)
                low, high = max(0, first - start), min(size, first + count - start)
                pieces.append(table.slice(low, high - low))
            start += size
        pyarrow = require("pyarrow", extra="tables")
        if not pieces:
            return self._guarded(path, lambda: self.file(path).schema_arrow.empty_table().select(list(columns)))
        return pieces[0] if len(pieces) == 1 else pyarrow.concat_tables(pieces)

    def _group(self, path: Path, group: int, columns: tuple[str, ...]) -> Any:
        key = (path, group, columns)
        if key in self._groups:
            self._groups.move_to_end(key)
            return self._groups[key]
        claimed = self.file(path).metadata.row_group(group).total_byte_size
        if claimed > MAX_ROW_GROUP_BYTES:
            raise TooLarge(path, f"row group {group} claims to decode to {claimed / 2**30:.1f} GiB.")
        table = self._guarded(path, lambda: self.file(path).read_row_group(group, columns=list(columns)))
        self._groups[key] = table
        while len(self._groups) > self._keep_groups:
            self._groups.popitem(last=False)
        return table

    def _guarded(self, path: Path, read: Callable[[], Any]) -> Any:
        """Run one call of pyarrow; what it raises becomes damage of this file."""
        pyarrow = require("pyarrow", extra="tables")
        try:
            return read()
        except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
            if isinstance(error, FileNotFoundError):
                raise MediaMissing(path, "the file does not exist.") from None
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DamagedData(
                path, f"cannot be read as Parquet: {reason}", next_move="Restore it from the original."
            ) from None
