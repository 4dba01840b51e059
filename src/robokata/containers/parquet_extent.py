"""The bytes of a Parquet file that some of its rows lie in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from robokata.containers.parquet import ParquetRows, guarded
from robokata.core.extent import Extent


def rows_extent(parquet: ParquetRows, path: Path, first: int, count: int) -> Extent:
    """The row groups that hold rows first..first+count-1; a row group is the least that can be decoded.

    Raises:
        DamagedData: the footer cannot be read.
    """
    extent: Extent = guarded(path, lambda: _extent(parquet, path, first, count))
    return extent


def is_filled(parquet: ParquetRows, path: Path, first: int, count: int, *, column: str) -> bool:
    """True where the footer counts no empty cell of a column in these rows; False where it counts some, or none at all.

    Raises:
        DamagedData: the footer cannot be read.
    """

    def every_group() -> bool:
        groups = [parquet.file(path).metadata.row_group(n) for n in _groups(parquet, path, first, count)]
        chunks = [group.column(n) for group in groups for n in range(group.num_columns)]
        counted = [c.statistics if c.is_stats_set else None for c in chunks if c.path_in_schema == column]
        return bool(counted) and all(s is not None and s.has_null_count and not s.null_count for s in counted)

    return bool(guarded(path, every_group))


def _groups(parquet: ParquetRows, path: Path, first: int, count: int) -> range:
    starts = parquet.group_starts(path)
    low = int(np.searchsorted(starts, first, side="right")) - 1
    return range(max(low, 0), int(np.searchsorted(starts[:-1], first + count))) if count else range(0)


def _extent(parquet: ParquetRows, path: Path, first: int, count: int) -> Extent:
    file, taken = parquet.file(path), _groups(parquet, path, first, count)
    groups = [file.metadata.row_group(number) for number in taken]
    chunks = [group.column(n) for group in groups for n in range(group.num_columns)]
    spans = [(_start(chunk), _start(chunk) + chunk.total_compressed_size) for chunk in chunks]
    if not spans:
        return Extent(path)
    start, end = min(s for s, _ in spans), max(e for _, e in spans)
    # Types and codecs stand in the footer; without them the same pages are other numbers. In Parquet's own words:
    # how Arrow writes its types has changed between versions.
    kinds = [[c.path_in_schema, c.physical_type, c.compression, c.num_values] for c in chunks]
    columns = [file.metadata.schema.column(n) for n in range(file.metadata.num_columns)]
    said = {
        "schema": [[c.path, c.logical_type.to_json(), c.max_definition_level, c.max_repetition_level] for c in columns],
        "rows": [first - int(parquet.group_starts(path)[taken[0]]), count, *(group.num_rows for group in groups)],
        "chunks": [[*kind, s - start, e - s] for kind, (s, e) in zip(kinds, spans, strict=True)],
    }
    return Extent(path, start, end, json.dumps(said, sort_keys=True).encode())


def _start(chunk: Any) -> int:
    offsets = (chunk.data_page_offset, chunk.dictionary_page_offset if chunk.has_dictionary_page else None)
    return min(int(offset) for offset in offsets if offset is not None)
