"""How large the text of a Parquet table becomes when it is read: compared with a bound before it is unpacked."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from robokata.core.errors import TooLarge
from robokata.core.require import require

MAX_TEXT_BYTES = 256 * 2**20
"""Most text of a row group, unpacked: 250 bytes for each of a million rows."""
MAX_RATIO = 500
"""Best packing of text that is believed: repeated JSON reaches a hundred, and zstd can claim 33,000."""
FREE_BYTES = 16 * 2**20
"""Text that is unpacked whatever it was packed to."""


def refuse_huge_text(path: Path, metadata: Any, groups: Sequence[int], columns: Sequence[str]) -> None:
    """Refuse row groups whose text would unpack to more than any real table has.

    A value that every row repeats stands in the file once: its rows are counted before they are made.

    Raises:
        TooLarge: names the file, the column and both sizes.
    """
    for group in groups:
        doubtful = []
        shared = []
        for chunk, name in _texts(metadata, group, columns):
            unpacked, packed = chunk.total_uncompressed_size, max(1, chunk.total_compressed_size)
            if unpacked > MAX_TEXT_BYTES or unpacked > max(FREE_BYTES, MAX_RATIO * packed):
                raise TooLarge(path, f"column {name!r} claims to unpack {packed:,} bytes to {unpacked:,}.")
            if chunk.has_dictionary_page and unpacked * chunk.num_values > MAX_TEXT_BYTES:
                doubtful.append(chunk.path_in_schema)
            if "DELTA_BYTE_ARRAY" in chunk.encodings and unpacked * chunk.num_values > MAX_TEXT_BYTES:
                shared.append((name, unpacked))
        if doubtful:
            _refuse_repeated(path, group, doubtful)
        for name, unpacked in shared:
            _refuse_shared(path, group, name, rows_at_once=max(1, MAX_TEXT_BYTES // unpacked))


def _texts(metadata: Any, group: int, columns: Sequence[str]) -> Iterator[tuple[Any, str]]:
    facts = metadata.row_group(group)
    for number in range(facts.num_columns):
        chunk = facts.column(number)
        name = chunk.path_in_schema.partition(".")[0]
        if name in columns and str(metadata.schema.column(number).logical_type) in ("String", "JSON", "Enum"):
            yield chunk, name


def _refuse_repeated(path: Path, group: int, paths: Sequence[str]) -> None:
    """Count what the rows of a dictionary's texts would add up to; each text is unpacked once for that."""
    pyarrow, parquet = require("pyarrow", extra="tables"), require("pyarrow.parquet", extra="tables")
    file = parquet.ParquetFile(pyarrow.OSFile(os.fsencode(path)), read_dictionary=list(paths))
    with file:
        names = sorted({each.partition(".")[0] for each in paths})
        table = file.read_row_groups([group], columns=names)
        for name in names:
            size = sum(_expanded(chunk) for chunk in table.column(name).chunks)
            if size > MAX_TEXT_BYTES:
                raise TooLarge(path, f"column {name!r} would unpack to {size:,} bytes of repeated text.")


def _refuse_shared(path: Path, group: int, name: str, *, rows_at_once: int) -> None:
    """Count texts that share their beginnings with the text before, a few rows at a time: none of them is kept."""
    pyarrow, parquet = require("pyarrow", extra="tables"), require("pyarrow.parquet", extra="tables")
    size = 0
    with parquet.ParquetFile(pyarrow.OSFile(os.fsencode(path))) as file:
        for batch in file.iter_batches(rows_at_once, row_groups=[group], columns=[name], use_threads=False):
            size += batch.nbytes
            if size > MAX_TEXT_BYTES:
                raise TooLarge(path, f"column {name!r} would unpack to more than {MAX_TEXT_BYTES:,} bytes of text.")


def _expanded(array: Any) -> int:
    """Bytes of the texts of an array whose dictionary is resolved."""
    pyarrow, compute = require("pyarrow", extra="tables"), require("pyarrow.compute", extra="tables")
    if isinstance(array, pyarrow.DictionaryArray):
        lengths = compute.binary_length(array.dictionary)
        return int(compute.sum(compute.cast(lengths.take(array.indices), pyarrow.int64())).as_py() or 0)
    if isinstance(array, pyarrow.StructArray):
        return sum(map(_expanded, array.flatten()))
    return _expanded(array.flatten()) if hasattr(array, "flatten") and pyarrow.types.is_nested(array.type) else 0
