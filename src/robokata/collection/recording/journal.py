"""A recording on disk while it grows: one line per control step, so that a kill costs the line being written.

Each line is a checksum and a JSON object. The first says what was begun, the last that the operator kept it; between
them, one line per control step. Numbers are written so that they read back exactly. A kept episode is made from its
journal, never from memory: what survives a kill is what would have been used anyway.
"""

from __future__ import annotations

import json
import os
import queue
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robokata.core.errors import DamagedData

SUFFIX = ".journal"
_LONGEST_LINE_BYTES = 4 << 20
"""A control step of the largest scene has 10 kB."""


class Journal:
    """Writes lines from a thread of its own: whoever appends never waits for the disk."""

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.problem: str | None = None
        """Why nothing is written any more: the disk is full."""
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        # Unbuffered: what was written survives the process; only a power cut can take it before the last fsync.
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115 - closed by the thread that writes
        try:
            self._write({"begun": head})
        except OSError:
            self._file.close()
            path.unlink(missing_ok=True)
            raise
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def append(self, row: dict[str, Any]) -> None:
        """Write a row, soon."""
        self._lines.put(row)

    def close(self, *, last: dict[str, Any] | None = None) -> None:
        """Write what is left (and `last`), bring it to the disk, and end. `problem` says whether that worked."""
        if not self._thread.is_alive():
            return
        if last is not None:
            self._lines.put(last)
        self._lines.put(None)
        self._thread.join()

    def _work(self) -> None:
        with self._file:
            while (row := self._lines.get()) is not None:
                if self.problem is None:
                    self._try_to_write(row)
            if self.problem is None:
                os.fsync(self._file.fileno())

    def _try_to_write(self, row: dict[str, Any]) -> None:
        try:
            self._write(row)
        except OSError as error:
            self.problem = error.strerror or str(error)

    def _write(self, row: dict[str, Any]) -> None:
        line = line_of(row)
        while line:
            line = line[self._file.write(line) :]


@dataclass(frozen=True)
class JournalContent:
    """What a journal holds."""

    path: Path
    head: dict[str, Any]
    rows: list[dict[str, Any]]
    kept: dict[str, Any] | None
    """What the operator said when keeping it, None where nobody did: the recording was cut."""


def line_of(row: dict[str, Any]) -> bytes:
    """A row as a line with its checksum."""
    text = json.dumps(row, default=_plain, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read_journal(path: Path) -> JournalContent:
    """Read a journal up to its last whole line.

    Raises:
        DamagedData: not even its first line is whole.
    """
    head, rows, kept = None, [], None
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE_BYTES):
            row = _row_of(line)
            if row is None:
                break  # the line that was being written when the process was killed
            if head is None:
                head = row.get("begun")
                if head is None:
                    break
            elif "kept" in row:
                kept = row["kept"]
            else:
                rows.append(row)
    if head is None:
        raise DamagedData(path, "holds no recording: its first line was never finished.", offset=0)
    return JournalContent(path, head, rows, kept)


def mark_kept(path: Path, said: dict[str, Any]) -> None:
    """Add the operator's word to a closed journal, after its last whole line."""
    whole = 0
    with path.open("rb") as file:
        while (line := file.readline(_LONGEST_LINE_BYTES)) and _row_of(line) is not None:
            whole = file.tell()
    with path.open("r+b") as file:
        file.truncate(whole)
        file.seek(whole)
        file.write(line_of({"kept": said}))
        file.flush()
        os.fsync(file.fileno())


def _row_of(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.partition(b" ")
    if not line.endswith(b"\n"):
        return None
    try:
        sound = int(checksum, 16) == zlib.crc32(text[:-1])
        row = json.loads(text) if sound else None
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (np.integer, np.floating, np.bool_)):
        return value.item()
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} cannot be written to a journal")
