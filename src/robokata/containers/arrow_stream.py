"""Rows of Arrow streams as `datasets.save_to_disk` writes them, mapped into memory and never copied whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from robokata.containers.arrow_messages import refuse_packed_batches
from robokata.containers.parquet import guarded
from robokata.core.errors import DamagedData, MediaMissing
from robokata.core.require import require


class ArrowStreamRows:
    """The rows of some .arrow files in a row. A class, because it keeps the files mapped.

    Cells are validated when they are read: a stream's offsets are trusted by nobody else.
    """

    def __init__(self, files: Sequence[Path], *, folder: Path) -> None:
        self.files, self.folder = files, folder
        self.damage: DamagedData | None = None
        """Why rows end before the files do; known after the first look."""

    @cached_property
    def _batches(self) -> list[Any]:
        """Record batches of all files up to the first damage, in order; mapped, not read."""
        if not self.files:
            raise MediaMissing(self.folder, "no .arrow file with the rows.", next_move="Restore it.")
        batches: list[Any] = []
        for file in self.files:
            try:
                guarded(file, partial(_map, file, batches), what="an Arrow stream")
            except DamagedData as damage:
                # Rows before the damage still count, as long as there are any to tell the columns from.
                if not batches:
                    raise
                self.damage = damage
                break
        return batches

    @cached_property
    def _ends(self) -> Any:
        return np.cumsum([batch.num_rows for batch in self._batches], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def columns(self) -> dict[str, Any]:
        """Arrow type of each column."""
        return {field.name: field.type for field in self._batches[0].schema} if self._batches else {}

    def column(self, name: str, first: int, count: int) -> Any:
        """Rows first..first+count-1 of one column, as an Arrow array.

        Raises:
            DamagedData: the rows are not what the stream promises, or lie behind a damage.
        """
        if first + count > len(self) and self.damage is not None:
            raise self.damage
        return guarded(self.folder, lambda: self._column(name, first, count), what="an Arrow stream")

    def _column(self, name: str, first: int, count: int) -> Any:
        pyarrow = require("pyarrow", extra="tables")
        pieces = []
        for batch, end in zip(self._batches, self._ends, strict=True):
            start = int(end) - batch.num_rows
            if start < first + count and int(end) > first:
                piece = batch.column(name).slice(max(0, first - start), first + count - max(start, first))
                piece.validate(full=True)
                pieces.append(piece)
        return pyarrow.concat_arrays(pieces) if pieces else pyarrow.array([], self.columns[name])


def _map(file: Path, batches: list[Any]) -> None:
    """Append the record batches of one file."""
    pyarrow = require("pyarrow", extra="tables")
    if not file.exists():
        raise MediaMissing(file, "the file does not exist.", next_move="Restore it from the original.")
    with pyarrow.memory_map(os.fsencode(file)) as mapped:
        refuse_packed_batches(file, mapped)
    with pyarrow.memory_map(os.fsencode(file)) as mapped, pyarrow.ipc.open_stream(mapped) as stream:
        if batches and not stream.schema.equals(batches[0].schema):
            raise DamagedData(file, "its columns differ from those of the first file.")
        for batch in stream:
            # Cheap: compares the sizes of the buffers with the number of rows.
            batch.validate()
            batches.append(batch)
