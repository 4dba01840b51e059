"""The records of an MCAP file: their kinds, their fields, and what an index is made of.

A record may have further bytes at its end, which later versions of the specification would explain: a length within
a record says where a field ends, and nothing is concluded from where the record does.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from robokata.containers.logs.blocks import MAX_CHUNK, FileBytes, decompressed
from robokata.containers.logs.decode import Schema
from robokata.containers.logs.log import Places
from robokata.containers.logs.zstd import unpacked_file
from robokata.core.errors import DamagedData, TooLarge

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(1, 9)
ATTACHMENT, ATTACHMENT_INDEX, STATISTICS, METADATA, METADATA_INDEX, SUMMARY_OFFSET, DATA_END = range(9, 16)
MESSAGE_HEAD = 22
"""Bytes of a message record before its data: channel, sequence, two times."""
MAX_SHORT = 1 << 26
"""Largest schema, channel or metadata record, 64 MiB."""
NEXT_MOVE = "Restore it from its origin, or recover the sound part with 'mcap recover'."


class Chunk(NamedTuple):
    """Where a chunk of messages lies, or a row of messages outside of chunks."""

    at: int
    """Offset in the file of the chunk record."""
    length: int
    """Bytes of the chunk record, 0 for messages outside of chunks: their offsets are those of the file."""
    index_length: int
    """Bytes of message indexes behind the chunk, 0 where there are none."""
    start_ns: int
    end_ns: int
    channels: tuple[int, ...]
    """Channels of the message indexes behind the chunk."""

    @property
    def end(self) -> int:
        """Offset in the file behind the chunk and its message indexes."""
        return self.at + self.length + self.index_length


@dataclass
class Contents:
    """What the summary says, or a scan found. Filled record by record."""

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, tuple[int, str, str, dict[str, str]]] = field(default_factory=dict)
    """Channel id -> schema id, topic, message encoding, metadata."""
    chunks: list[Chunk] = field(default_factory=list)
    counts: dict[int, int] | None = None
    counts_stated: dict[int, int] = field(default_factory=dict)
    """Messages per channel as the statistics state them, also where they cannot be right."""
    """Messages per channel as the statistics state them."""
    stated: dict[str, int] = field(default_factory=dict)
    """Other numbers of the statistics."""
    attachments: list[dict[str, Any]] = field(default_factory=list)
    metadata: list[tuple[int, str]] = field(default_factory=list)
    places: dict[int, Places] | None = None
    """Channel id -> (receive_ns, block, offset) of every message, where somebody listed them."""


class Fields:
    """Reads the fields of one record in order. A class, because the offset moves along."""

    def __init__(self, data: bytes, path: Path, offset: int) -> None:
        self.data, self.path, self.offset, self.at = data, path, offset, 0

    def need(self, count: int) -> bytes:
        """The next bytes, without moving on.

        Raises:
            DamagedData: the record ends before.
        """
        if count > len(self.data) - self.at:
            raise DamagedData(self.path, "a record ends inside a field.", offset=self.offset)
        return self.data[self.at : self.at + count]

    def skip(self, count: int) -> None:
        self.need(count)
        self.at += count

    def blob(self, count: int) -> bytes:
        data = self.need(count)
        self.at += count
        return data

    def u16(self) -> int:
        return int.from_bytes(self.blob(2), "little")

    def u32(self) -> int:
        return int.from_bytes(self.blob(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.blob(8), "little")

    def text(self) -> str:
        """A text with its length.

        Raises:
            DamagedData: the record ends before, or the text is not UTF-8.
        """
        try:
            return self.blob(self.u32()).decode("utf-8")
        except UnicodeDecodeError:
            raise DamagedData(self.path, "a name is not UTF-8.", offset=self.offset) from None

    def texts(self) -> dict[str, str]:
        """A map of texts."""
        inner = Fields(self.blob(self.u32()), self.path, self.offset)
        out = {}
        while inner.at < len(inner.data):
            key = inner.text()
            out[key] = inner.text()
        return out


class RecordFile:
    """An open file by its records. A class, because it keeps the file; nothing is read before its length is vetted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = unpacked_file(path) if path.suffix == ".zstd" else FileBytes(path)
        self.size = self._file.size

    def at(self, offset: int, length: int) -> bytes:
        return self._file.at(offset, length)

    def between(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Opcode, offset and length of the records between two offsets of the file; contents are not read.

        Raises:
            DamagedData: a record ends behind its place.
        """
        at = start
        while at + 9 <= end:
            opcode, length = struct.unpack("<BQ", self.at(at, 9))
            if opcode == 0 or length > end - at - 9:
                raise DamagedData(self.path, f"a record of {length} bytes ends behind the file.", offset=at)
            yield opcode, at, length
            at += 9 + length

    def record(self, at: int, opcode: int, limit: int) -> bytes:
        """The fields of the record at an offset.

        Raises:
            DamagedData: no record of this kind is there.
            TooLarge: it claims more bytes than any such record has.
        """
        head = self.at(at, 9) if 0 <= at < self.size else b""
        if len(head) < 9 or head[0] != opcode:
            raise DamagedData(self.path, f"the index points at no record of kind {opcode}.", offset=at)
        (length,) = struct.unpack_from("<Q", head, 1)
        if length > self.size - at - 9:
            raise DamagedData(self.path, f"a record of {length} bytes ends behind the file.", offset=at)
        if length > limit:
            raise TooLarge(self.path, f"a record claims {length} bytes.", offset=at)
        return self.at(at + 9, length)

    def fields(self, at: int, opcode: int, limit: int = MAX_SHORT) -> Fields:
        """The record at an offset, to be read field by field.

        Raises:
            DamagedData: no record of this kind is there.
        """
        return Fields(self.record(at, opcode, limit), self.path, at)

    def chunk(self, at: int) -> bytes:
        """The records of one chunk, decompressed and verified.

        Raises:
            DamagedData: it does not decompress, or its checksum does not match.
        """
        reader = self.fields(at, CHUNK, MAX_CHUNK)
        reader.skip(16)
        size, crc, compression = reader.u64(), reader.u32(), reader.text()
        data = decompressed(reader.blob(reader.u64()), size, compression, path=self.path, at=at)
        if crc and zlib.crc32(data) != crc:
            raise DamagedData(self.path, "the chunk's checksum does not match.", offset=at, next_move=NEXT_MOVE)
        return data


def time_ns(value: int) -> int:
    """A time of the file as int64; those behind the year 2262 are no times, and are kept as the last one."""
    return min(value, 2**63 - 1)
