"""What a LeRobot dataset says of itself: its metadata files, and how they compare with what is there."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from robokata.containers.parquet import ParquetRows, guarded
from robokata.core.clock import rate_fraction
from robokata.core.errors import DamagedData, MediaMissing, RobokataError, TooLarge, Unsupported
from robokata.core.source import Declaration
from robokata.core.stream import Kind
from robokata.formats._lerobot.streams import ColumnSpec, channel_names, column_spec

MAX_JSON_BYTES = 256 * 2**20
"""Largest metadata file that is read: stats of 10,000 features would still be smaller."""
INFO = "meta/info.json"


def sniff_version(path: Path, version: str, *, structure: str) -> float:
    """1.0 where meta/info.json says `version` (`v3`); 0.4 where it says no LeRobot version and `structure` exists."""
    info = path / "meta" / "info.json"
    try:
        if not info.is_file():  # Opening a pipe would wait for its other end.
            return 0.0
        with info.open("rb") as file:
            head = file.read(1 << 16)
        looks_alike = (path / structure).exists()
    except (OSError, ValueError):
        return 0.0
    said = head.partition(b'"codebase_version"')[2][:16]
    if f'"{version}'.encode() in said:
        return 1.0
    if any(other in said for other in (b'"v1', b'"v2', b'"v3')):
        return 0.0
    return 0.4 if looks_alike else 0.0


def read_json(path: Path) -> Any:
    """A metadata file.

    Raises:
        MediaMissing: it does not exist.
        TooLarge: it is beyond any metadata.
        DamagedData: it is not JSON.
    """
    data = bounded_bytes(path)
    if not data.strip():
        raise DamagedData(path, "the file is empty.", next_move="Restore it from the original.")
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        raise DamagedData(path, f"not JSON: {error.msg}.", offset=error.pos, next_move="Restore it.") from None
    except UnicodeDecodeError as error:
        raise DamagedData(path, not_utf8(error), offset=error.start, next_move="Save it as UTF-8.") from None
    # ValueError: a number of more digits than Python converts.
    except (RecursionError, ValueError) as error:
        raise DamagedData(path, f"not JSON: {type(error).__name__}.", next_move="Restore it.") from None


def not_utf8(error: UnicodeDecodeError) -> str:
    """What is said of JSON in another encoding, with the first byte that UTF-8 does not have there."""
    return f"not UTF-8, in which JSON is written: byte 0x{error.object[error.start]:02x}."


def bounded_bytes(path: Path) -> bytes:
    """A metadata file as it lies.

    Raises:
        MediaMissing: it does not exist.
        TooLarge: it is beyond any metadata.
        DamagedData: the system cannot read it.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise TooLarge(path, f"the metadata file is larger than {MAX_JSON_BYTES >> 20} MiB.")
        if not path.is_file():  # Opening a pipe would wait for its other end.
            raise DamagedData(path, "is a folder, a pipe or a device.", next_move="Restore it from the original.")
        return path.read_bytes()
    except FileNotFoundError:
        raise MediaMissing(path, "the file does not exist.", next_move="Restore it from the original.") from None
    except OSError as error:
        raise DamagedData(path, f"cannot be read: {error.strerror}.") from None


def read_info(root: Path, *, version: str) -> dict[str, Any]:
    """`meta/info.json` with the two fields that nothing works without.

    Raises:
        Unsupported: it says another version than `version` (`v3`).
        DamagedData: it is not an object, or lacks `features` or a usable `fps`.
    """
    path = root / "meta" / "info.json"
    info = read_json(path)
    if not isinstance(info, dict) or not isinstance(info.get("features"), dict):
        raise DamagedData(path, "holds no object with 'features'.", next_move="Restore it from the original.")
    said = info.get("codebase_version")
    if isinstance(said, str) and not said.startswith(version):
        raise Unsupported(f"{path}: 'codebase_version' is {said!r}, and this reads LeRobot {version}.x only.")
    if not all(isinstance(feature, dict) for feature in info["features"].values()):
        raise DamagedData(path, "a feature is not an object.", next_move="Restore it from the original.")
    if rate_of(info) is None:
        raise DamagedData(path, f"'fps' is {info.get('fps')!r}, not a rate.", next_move="Write the true rate there.")
    return info


def rate_of(info: Mapping[str, Any]) -> Fraction | None:
    """The declared rate, exact, or None."""
    fps = info.get("fps")
    return rate_fraction(fps) if isinstance(fps, (int, float)) and not isinstance(fps, bool) else None


def without_features(info: Mapping[str, Any]) -> dict[str, Any]:
    """What info.json holds beside the features, which the streams keep."""
    return {name: value for name, value in info.items() if name != "features"}


def text_or_none(value: Any) -> str | None:
    """A field of info.json as text; absent and empty ones are None."""
    return str(value) if value else None


def split_ranges(splits: Any) -> dict[str, tuple[int, int]]:
    """`{"train": "0:50"}` as episode numbers; entries that are no ranges are left out."""
    ranges = {}
    for name, text in (splits if isinstance(splits, dict) else {}).items():
        low, colon, high = str(text).partition(":")
        # Ten digits: more episodes than that nobody has, and int() refuses thousands of digits.
        if colon and low.strip().isdecimal() and high.strip().isdecimal() and max(len(low), len(high)) <= 10:
            ranges[str(name)] = (int(low), int(high))
    return ranges


def split_of(ranges: Mapping[str, tuple[int, int]], number: int) -> str | None:
    """Split whose range holds an episode's number; None where there is none."""
    return next((name for name, (low, high) in ranges.items() if low <= number < high), None)


def split_declarations(splits: Any, episodes: int, where: str) -> Iterator[Declaration]:
    """What each split's range promises, beside the episodes that exist."""
    for name, (low, high) in split_ranges(splits).items():
        found = f"{low}:{min(high, episodes)}"
        hint = f"the split reaches beyond the {episodes} episodes that exist" if high > episodes else ""
        yield Declaration(f"splits.{name}", f"{low}:{high}", found, where, hint)


class StatedStatistics(Mapping[str, Mapping[str, Any]]):
    """Declared statistics as arrays, those of each feature made at first use; what is no number is left out.

    A class, because a writer that copies a camera wants the camera's only.
    """

    def __init__(self, raw: Any) -> None:
        self._raw: dict[Any, Any] = raw if isinstance(raw, dict) else {}
        self._kept: dict[str, dict[str, Any]] = {}

    def __getitem__(self, feature: str) -> Mapping[str, Any]:
        if feature not in self._kept:
            quantities = self._raw[feature]
            self._kept[feature] = _numbers_of(quantities if isinstance(quantities, dict) else {})
        if not self._kept[feature]:
            raise KeyError(feature)
        return self._kept[feature]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._raw if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _numbers_of(quantities: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {}
    for name, value in quantities.items():
        try:
            numbers[str(name)] = np.asarray(value, dtype=np.float64)
        except (ValueError, TypeError, OverflowError):
            continue
    return numbers


def statistics_file(root: Path) -> Mapping[str, Mapping[str, Any]]:
    """`meta/stats.json`, empty where the dataset has none.

    Raises:
        DamagedData: it is not JSON.
    """
    try:
        return StatedStatistics(read_json(root / "meta" / "stats.json"))
    except MediaMissing:
        return {}


def is_there(path: Path | None) -> bool:
    """True where a file exists; a name that no file system takes does not."""
    try:
        return path is not None and path.is_file()
    except (OSError, ValueError):
        return False


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


def column_declarations(features: Mapping[str, Mapping[str, Any]], known: Mapping[str, Any]) -> Iterator[Declaration]:
    """Declared features that should be columns, beside the columns of one table and their number types."""
    for name, feature in features.items():
        if name in known:
            spec = column_spec(known[name], feature)
            yield Declaration(f"feature {name}", "a column", "a column", INFO)
            yield from _type_declarations(name, feature, spec, known[name])
        elif feature.get("dtype") not in ("video", "image"):
            yield Declaration(f"feature {name}", "a column", "no column", INFO)
    for name in known:
        if name not in features:
            yield Declaration(f"feature {name}", "not declared", "a column", INFO)
    for name in ("frame_index", "episode_index", "index", "timestamp", "task_index"):
        if name not in features and name not in known:
            hint = "loaders that count frames by it fail" if name == "frame_index" else ""
            yield Declaration(f"column {name}", "a column", "no column", "the layout of LeRobot", hint)


_CELLS = {Kind.TEXT: "text", Kind.MESSAGE: "structures", Kind.IMAGE: "pictures"}
_NUMBERS = ("float", "int", "uint", "bool", "double")


def _type_declarations(
    name: str, feature: Mapping[str, Any], spec: ColumnSpec, arrow_type: Any
) -> Iterator[Declaration]:
    """The declared type of a column and the number of its names, beside what lies in the table."""
    declared = feature.get("dtype")
    if spec.kind is Kind.TENSOR:
        if declared not in (None, "image", "video"):
            yield Declaration(f"dtype of {name}", str(declared), spec.dtype.name, INFO)
        names, width = channel_names(feature), max(1, math.prod(spec.shape))
        # One name for a vector names the axis, as openpi's converters write it (`["state"]`), and none of its numbers.
        if len(names) > 1 and len(spec.shape) <= 1 and -1 not in spec.shape and len(names) != width:
            yield Declaration(f"names of {name}", f"{len(names)} names", f"{width} numbers", INFO)
    elif str(declared).startswith(_NUMBERS):
        is_bytes = "binary" in str(arrow_type)
        hint = "if they are pickled: nothing is unpickled; the code that made them can write lists of numbers"
        found = "bytes" if is_bytes else _CELLS.get(spec.kind, str(arrow_type))
        yield Declaration(f"cells of {name}", str(declared), found, INFO, hint if is_bytes else "")


def column_bytes(parquet: ParquetRows, files: Iterable[Path], features: Sequence[str]) -> dict[str, int]:
    """Compressed bytes of each feature in some tables, from their footers; damaged files count nothing."""
    sizes: dict[str, int] = {}
    owners: dict[str, str] = {}
    for file in files:
        try:
            chunks = guarded(file, partial(_chunk_bytes, parquet, file))
        except RobokataError:
            continue
        for path, size in chunks:
            if path not in owners:
                # `observation.state.list.element` belongs to `observation.state`.
                own = [name for name in features if path == name or path.startswith(f"{name}.")]
                owners[path] = max(own, key=len, default=path)
            sizes[owners[path]] = sizes.get(owners[path], 0) + size
    return sizes


def _chunk_bytes(parquet: ParquetRows, file: Path) -> list[tuple[str, int]]:
    metadata = parquet.file(file).metadata
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(metadata.num_columns)]
    return [(column.path_in_schema, column.total_compressed_size) for column in columns]


def files_below(folder: Path, suffix: str) -> Iterator[Path]:
    """Files of one suffix, by name, in no order."""
    for where, _, names in os.walk(folder):
        yield from (Path(where, name) for name in names if name.endswith(suffix))


def size_of(file: Path) -> int:
    """Bytes of a file, 0 where it cannot be asked."""
    try:
        return file.stat().st_size
    except OSError:
        return 0
