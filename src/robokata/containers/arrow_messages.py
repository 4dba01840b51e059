"""What the messages of an Arrow stream claim to unpack to, read from their headers; nothing is unpacked.

Layout: Arrow's Message.fbs and Schema.fbs (format version 1.5) as flatbuffers: a table begins with the distance back to
its list of fields, whose entries are distances from the table's begin, 0 where a field is absent.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from robokata.core.errors import TooLarge
from robokata.core.require import require

MAX_BATCH_BYTES = 256 * 2**20
"""Most that a packed batch may unpack to without being large itself; `datasets` packs nothing, 1000 rows a batch."""
MAX_RATIO = 64
"""Packing that is believed beyond that."""
_DICTIONARY_BATCH = 2
"""In the union of headers."""


def refuse_packed_batches(path: Path, mapped: Any) -> None:
    """Refuse a stream with a batch that would unpack to more than any real one, up to the first damage.

    Raises:
        TooLarge: names the file and both sizes.
    """
    pyarrow = require("pyarrow", extra="tables")
    reader = pyarrow.ipc.MessageReader.open_stream(mapped)
    while True:
        try:
            message = reader.read_next_message()
            is_batch = message.type in ("record batch", "dictionary")
            claimed = _unpacked_bytes(memoryview(message.metadata), memoryview(message.body)) if is_batch else 0
            packed = len(message.body) if is_batch else 0
        except (StopIteration, pyarrow.ArrowException, OSError, struct.error, LookupError, ValueError):
            return  # the end, or a damage that whoever reads the rows before it meets in its place
        if claimed > max(MAX_BATCH_BYTES, MAX_RATIO * packed):
            raise TooLarge(path, f"a batch of {packed:,} bytes claims to unpack to {claimed:,}.")


def _unpacked_bytes(header: memoryview, body: memoryview) -> int:
    """Bytes of a batch once it is unpacked; those of its body where it is not packed."""
    message = _u32(header, 0)
    at = _field(header, message, 2)
    batch = at + _u32(header, at)
    if header[_field(header, message, 1)] == _DICTIONARY_BATCH:
        at = _field(header, batch, 1)
        batch = at + _u32(header, at)
    if not _field(header, batch, 3):  # no `compression`
        return len(body)
    at = _field(header, batch, 2)
    buffers = at + _u32(header, at)
    total = 0
    for number in range(_u32(header, buffers)):
        offset, length = struct.unpack_from("<qq", header, buffers + 4 + 16 * number)
        if length >= 8:
            # A packed buffer begins with its length unpacked; -1: it lies there as it is.
            (unpacked,) = struct.unpack_from("<q", body, offset)
            total += length if unpacked < 0 else unpacked
    return total


def _u32(header: memoryview, at: int) -> int:
    return int(struct.unpack_from("<I", header, at)[0])


def _field(header: memoryview, table: int, number: int) -> int:
    """Where a field of a table lies, 0 where it is absent."""
    fields = table - struct.unpack_from("<i", header, table)[0]
    size = struct.unpack_from("<H", header, fields)[0]
    if 4 + 2 * number >= size:
        return 0
    distance = struct.unpack_from("<H", header, fields + 4 + 2 * number)[0]
    return table + distance if distance else 0
