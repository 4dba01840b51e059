"""Rows of Parquet tables, with what is damaged in them told by file."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.parquet_text import refuse_huge_text
from robokata.core.errors import DamagedData, MediaMissing, TooLarge
from robokata.core.require import require
from robokata.runtime.disk import missing

MAX_ROW_GROUP_BYTES = 4 * 2**30
"""Largest decoded row group: LeRobot aims at 100 MB per file, PNG images in a table reach ten times that."""
BLOCK_BYTES = 4 * 2**20
"""Row groups smaller than this are decoded with their neighbours: writers that make one per episode have thousands."""
KEPT_BYTES = 128 * 2**20
"""Decoded tables that are kept: one row group of LeRobot's 100 MB files, and the small columns of a second."""
TABLE_BYTES = 4 * 2**10
"""What a decoded table costs beside its numbers: 2 kB were measured for one column. Ten thousand small ones count."""
MAX_ROWS = 50_000_000
"""Most rows that one file may claim: nine days at 60 Hz. Every row costs memory in the clock before it is read."""


class ParquetRows:
    """Rows of Parquet files by number, with the last row groups kept decoded.

    A class, because it keeps files open and row groups decoded: reading all episodes of a packed file in
    order decodes each row group once.
    """

    def __init__(self, *, keep_files: int = 32, keep_bytes: int = KEPT_BYTES) -> None:
        self._keep_files, self._keep_bytes = keep_files, keep_bytes
        self._files: OrderedDict[Path, Any] = OrderedDict()
        self._blocks: dict[Path, list[_Block]] = {}
        self._starts: dict[Path, NDArray[np.int64]] = {}
        self._damaged: set[Path] = set()
        self._tables: OrderedDict[tuple[Path, int, int, tuple[str, ...]], Any] = OrderedDict()
        self._held_bytes = 0
        self._last: tuple[tuple[Path, int, int, tuple[str, ...]], Any] | None = None

    def file(self, path: Path) -> Any:
        """The open file.

        Raises:
            MediaMissing: it does not exist.
            TooLarge: its footer claims more rows than any recording has.
            DamagedData: it is no Parquet file, or its footer is broken.
        """
        if path in self._files:
            self._files.move_to_end(path)
            return self._files[path]
        if not path.exists():
            raise missing(path, reason="the file does not exist.", next_move="Restore it from the original.")
        if not path.is_file():  # Opening a pipe would wait for its other end.
            raise DamagedData(path, "is a folder, a pipe or a device.", next_move="Restore it from the original.")
        pyarrow, parquet = require("pyarrow", extra="tables"), require("pyarrow.parquet", extra="tables")
        # As bytes: pyarrow takes no name that is not UTF-8.
        bytes_of_file = guarded(path, lambda: pyarrow.OSFile(os.fsencode(path)))
        opened = guarded(path, lambda: parquet.ParquetFile(bytes_of_file, page_checksum_verification=True))
        guarded(path, lambda: _check_footer(path, opened.metadata))
        self._files[path] = opened
        while len(self._files) > self._keep_files:
            oldest, opened_before = self._files.popitem(last=False)
            opened_before.close()
            self._blocks.pop(oldest, None)
            self._starts.pop(oldest, None)
        return opened

    def columns(self, path: Path) -> dict[str, Any]:
        """Arrow type of each column."""
        known: dict[str, Any] = guarded(path, lambda: {f.name: f.type for f in self.file(path).schema_arrow})
        return known

    def count(self, path: Path) -> int:
        """Number of rows, from the footer."""
        return int(self.file(path).metadata.num_rows)

    def group_starts(self, path: Path) -> NDArray[np.int64]:
        """First row of each row group, and the number of rows behind the last, (G + 1,), from the footer."""
        metadata = self.file(path).metadata
        if path not in self._starts:
            sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
            self._starts[path] = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        return self._starts[path]

    def rows(self, path: Path, first: int, count: int, columns: tuple[str, ...]) -> Any:
        """Rows first..first+count-1 of some columns, as an Arrow table.

        Raises:
            TooLarge: a row group claims to decode to more than any real one.
            DamagedData: the pages cannot be read.
        """
        key = (path, first, count, columns)
        # The streams of an episode ask one by one: an episode of many row groups must not be decoded for each.
        if self._last is None or self._last[0] != key:
            try:
                table = self._read_rows(path, first, count, columns)
            except DamagedData:
                if path in self._damaged:
                    raise
                # Once more, row group by row group: damage in a neighbour must not cost these rows.
                self._damaged.add(path)
                self._blocks.pop(path, None)
                table = self._read_rows(path, first, count, columns)
            self._last = (key, table)
        return self._last[1]

    def _read_rows(self, path: Path, first: int, count: int, columns: tuple[str, ...]) -> Any:
        pieces = []
        for block in self._blocks_of(path):
            if block.first_row < first + count and block.first_row + block.rows > first:
                table = self._decoded(path, block, columns)
                low = max(0, first - block.first_row)
                pieces.append(table.slice(low, min(block.rows, first + count - block.first_row) - low))
        pyarrow = require("pyarrow", extra="tables")
        if not pieces:
            return guarded(path, lambda: self.file(path).schema_arrow.empty_table().select(list(columns)))
        return pieces[0] if len(pieces) == 1 else pyarrow.concat_tables(pieces)

    def _blocks_of(self, path: Path) -> list[_Block]:
        """Neighbouring row groups that are decoded in one call: one call of pyarrow costs a millisecond."""
        if path not in self._blocks:
            metadata = self.file(path).metadata
            blocks: list[_Block] = []
            row, size = 0, 0
            for group in range(metadata.num_row_groups):
                facts = metadata.row_group(group)
                if not blocks or path in self._damaged or size + facts.total_byte_size > BLOCK_BYTES:
                    blocks.append(_Block(group, group, row, 0))
                    size = 0
                blocks[-1] = blocks[-1]._replace(last_group=group, rows=blocks[-1].rows + facts.num_rows)
                row, size = row + facts.num_rows, size + facts.total_byte_size
            self._blocks[path] = blocks
        return self._blocks[path]

    def _decoded(self, path: Path, block: _Block, columns: tuple[str, ...]) -> Any:
        key = (path, block.first_group, block.last_group, columns)
        if key in self._tables:
            self._tables.move_to_end(key)
            return self._tables[key]
        groups = list(range(block.first_group, block.last_group + 1))
        claimed = max(self.file(path).metadata.row_group(group).total_byte_size for group in groups)
        if claimed > MAX_ROW_GROUP_BYTES:
            raise TooLarge(path, f"row group {groups[0]} claims to decode to {claimed / 2**30:.1f} GiB.")
        guarded(path, lambda: refuse_huge_text(path, self.file(path).metadata, groups, columns))
        table = guarded(path, lambda: self.file(path).read_row_groups(groups, columns=list(columns)))
        if len(table) != block.rows:
            raise DamagedData(
                path,
                f"row group {groups[0]} holds {len(table)} rows, and the footer promises {block.rows}.",
                next_move="Restore it from the original.",
            )
        self._tables[key] = table
        # A running sum: to add up all that is kept at each table would be quadratic in the episodes of a dataset.
        self._held_bytes += table.nbytes + TABLE_BYTES
        while len(self._tables) > 1 and self._held_bytes > self._keep_bytes:
            _, oldest = self._tables.popitem(last=False)
            self._held_bytes -= oldest.nbytes + TABLE_BYTES
        return table


class _Block(NamedTuple):
    """Row groups first_group..last_group of a file, decoded together."""

    first_group: int
    last_group: int
    first_row: int
    rows: int


def guarded(path: Path, read: Callable[[], Any], *, what: str = "Parquet") -> Any:
    """Run one call of pyarrow; what it raises becomes damage of this file.

    Raises:
        MediaMissing: the file does not exist.
        DamagedData: pyarrow cannot read it.
    """
    pyarrow = require("pyarrow", extra="tables")
    try:
        return read()
    # OverflowError: a size in the file that does not fit the machine's integers; NotImplementedError and TypeError:
    # flipped bits that name a codec, a type or a version which does not exist.
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, NotImplementedError) as e:
        if isinstance(e, FileNotFoundError):
            raise MediaMissing(path, "the file does not exist.", next_move="Restore it from the original.") from None
        # Only the first line, and no control characters: the library repeats what it found in the file.
        first = str(e).splitlines()[0][:300] if str(e) else type(e).__name__
        reason = "".join(c if c.isprintable() else "?" for c in first)
        raise DamagedData(
            path, f"cannot be read as {what}: {reason}", next_move="Restore it from the original."
        ) from None
    except MemoryError:
        raise TooLarge(path, "a size in the file asks for more memory than there is.") from None


def _check_footer(path: Path, metadata: Any) -> None:
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    if metadata.num_rows > MAX_ROWS or max(sizes, default=0) > MAX_ROWS:
        raise TooLarge(path, f"the footer claims {metadata.num_rows} rows.")
    if min(sizes, default=0) < 0 or sum(sizes) != metadata.num_rows:
        raise DamagedData(
            path,
            f"the footer claims {metadata.num_rows} rows, and its row groups add up to {sum(sizes)}.",
            next_move="Restore it from the original.",
        )
