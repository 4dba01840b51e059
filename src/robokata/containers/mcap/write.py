"""Writing one MCAP file: messages in zstd chunks with checksums, behind them an index of everything.

Written record by record from the specification (mcap.dev/spec), as it is read. The same messages give the same bytes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robokata.containers.logs.decode import Schema
from robokata.core.require import require

MAGIC = b"\x89MCAP0\r\n"
_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _MESSAGE_INDEX, _CHUNK_INDEX = range(1, 9)
_ATTACHMENT, _ATTACHMENT_INDEX, _STATISTICS, _METADATA, _METADATA_INDEX, _SUMMARY_OFFSET, _DATA_END = range(9, 16)
CHUNK_BYTES = 2 * 2**20
"""Messages that are compressed together: a reader that wants one message unpacks a few milliseconds' worth of bytes,
and zstd's gain flattens above a megabyte."""
ZSTD_LEVEL = 3
"""zstd's own default: joint states shrink to a third at 200 MB/s, and pictures do not shrink at any level."""


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<I", len(data)) + data


def _texts(values: Mapping[str, str]) -> bytes:
    data = b"".join(_text(key) + _text(value) for key, value in values.items())
    return struct.pack("<I", len(data)) + data


def _record(opcode: int, data: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(data)) + data


@dataclass
class _OpenChunk:
    """Messages on their way into a chunk. A class, because it fills up."""

    data: bytearray = field(default_factory=bytearray)
    start_ns: int = 2**64 - 1
    end_ns: int = 0
    index: dict[int, list[tuple[int, int]]] = field(default_factory=dict)


class McapWriter:
    """An open file that takes messages in the order in which they are to lie. A class, because chunks fill up."""

    def __init__(self, path: Path, *, profile: str) -> None:
        self._file = path.open("wb")
        self._crc = 0
        self._at = 0
        self._pack = require("zstandard", extra="ros").ZstdCompressor(level=ZSTD_LEVEL).compress
        self._schemas: dict[Schema, int] = {}
        self._channels: list[bytes] = []
        self._counts: list[int] = []
        self._chunk = _OpenChunk()
        self._chunk_indexes: list[bytes] = []
        self._attachments: list[bytes] = []
        self._metadata: list[bytes] = []
        self._span: tuple[int, int] | None = None
        self._put(MAGIC + _record(_HEADER, _text(profile) + _text("robokata")))

    def __enter__(self) -> McapWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def channel(self, topic: str, encoding: str, schema: Schema, metadata: Mapping[str, str]) -> int:
        """Announce a topic; its number. A schema without a name is none."""
        schema_id = 0
        if schema.name or schema.data:
            if schema not in self._schemas:
                self._schemas[schema] = len(self._schemas) + 1
                self._chunk.data += self._schema_record(schema)
            schema_id = self._schemas[schema]
        number = len(self._channels) + 1
        head = struct.pack("<HH", number, schema_id)
        self._channels.append(_record(_CHANNEL, head + _text(topic) + _text(encoding) + _texts(metadata)))
        self._chunk.data += self._channels[-1]
        self._counts.append(0)
        return number

    def message(self, channel: int, data: bytes, *, log_ns: int, publish_ns: int) -> None:
        """Append one message."""
        chunk = self._chunk
        chunk.index.setdefault(channel, []).append((log_ns, len(chunk.data)))
        chunk.data += struct.pack(
            "<BQHIQQ", _MESSAGE, 22 + len(data), channel, self._counts[channel - 1], log_ns, publish_ns
        )
        chunk.data += data
        chunk.start_ns, chunk.end_ns = min(chunk.start_ns, log_ns), max(chunk.end_ns, log_ns)
        self._counts[channel - 1] += 1
        if len(chunk.data) >= CHUNK_BYTES:
            self._close_chunk()

    def attachment(
        self, name: str, media_type: str, data: bytes, *, log_time_ns: int = 0, create_time_ns: int = 0
    ) -> None:
        """Append a file within the file."""
        self._close_chunk()
        fields = (
            struct.pack("<QQ", log_time_ns, create_time_ns)
            + _text(name)
            + _text(media_type)
            + struct.pack("<Q", len(data))
        )
        crc = zlib.crc32(data, zlib.crc32(fields))
        at, length = self._at, len(fields) + len(data) + 4
        self._put(struct.pack("<BQ", _ATTACHMENT, length) + fields)
        self._put(data)
        self._put(struct.pack("<I", crc))
        index = struct.pack("<QQQQQ", at, 9 + length, log_time_ns, create_time_ns, len(data))
        self._attachments.append(_record(_ATTACHMENT_INDEX, index + _text(name) + _text(media_type)))

    def metadata(self, name: str, values: Mapping[str, str]) -> None:
        """Append a record of texts."""
        self._close_chunk()
        record = _record(_METADATA, _text(name) + _texts(values))
        self._metadata.append(_record(_METADATA_INDEX, struct.pack("<QQ", self._at, len(record)) + _text(name)))
        self._put(record)

    def finish(self) -> None:
        """Write what makes the file complete."""
        self._close_chunk()
        self._put(_record(_DATA_END, struct.pack("<I", self._crc)))
        start, groups = self._at, []
        schemas = b"".join(self._schema_record(schema) for schema in self._schemas)
        parts = [(_SCHEMA, schemas), (_CHANNEL, b"".join(self._channels)), (_STATISTICS, self._statistics())]
        parts += [(_CHUNK_INDEX, b"".join(self._chunk_indexes)), (_ATTACHMENT_INDEX, b"".join(self._attachments))]
        parts += [(_METADATA_INDEX, b"".join(self._metadata))]
        at = start
        for opcode, data in parts:
            if data:
                groups.append(_record(_SUMMARY_OFFSET, struct.pack("<BQQ", opcode, at, len(data))))
                at += len(data)
        summary = b"".join(data for _, data in parts) + b"".join(groups)
        head = struct.pack("<BQQQ", _FOOTER, 20, start, at)
        crc = zlib.crc32(head, zlib.crc32(summary))
        self._put(summary + head + struct.pack("<I", crc) + MAGIC)

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._crc = zlib.crc32(data, self._crc)
        self._at += len(data)

    def _schema_record(self, schema: Schema) -> bytes:
        number = struct.pack("<H", self._schemas[schema])
        size = struct.pack("<I", len(schema.data))
        return _record(_SCHEMA, number + _text(schema.name) + _text(schema.encoding) + size + schema.data)

    def _close_chunk(self) -> None:
        chunk, self._chunk = self._chunk, _OpenChunk()
        if not chunk.data:
            return
        start_ns, end_ns = (chunk.start_ns, chunk.end_ns) if chunk.index else (0, 0)
        packed = self._pack(bytes(chunk.data))
        crc = zlib.crc32(chunk.data)
        head = struct.pack("<QQQI", start_ns, end_ns, len(chunk.data), crc) + _text("zstd")
        at, length = self._at, 9 + len(head) + 8 + len(packed)
        self._put(struct.pack("<BQ", _CHUNK, length - 9) + head + struct.pack("<Q", len(packed)))
        self._put(packed)
        offsets, index_at = [], self._at
        for channel, rows in sorted(chunk.index.items()):
            offsets.append(struct.pack("<HQ", channel, self._at))
            pairs = b"".join(struct.pack("<QQ", *row) for row in rows)
            self._put(_record(_MESSAGE_INDEX, struct.pack("<HI", channel, len(pairs)) + pairs))
        listed = b"".join(offsets)
        index: Any = struct.pack("<QQQQI", start_ns, end_ns, at, length, len(listed)) + listed
        index += (
            struct.pack("<Q", self._at - index_at) + _text("zstd") + struct.pack("<QQ", len(packed), len(chunk.data))
        )
        self._chunk_indexes.append(_record(_CHUNK_INDEX, index))
        if chunk.index:
            first, last = self._span or (start_ns, end_ns)
            self._span = (min(first, start_ns), max(last, end_ns))

    def _statistics(self) -> bytes:
        counts = b"".join(struct.pack("<HQ", number + 1, count) for number, count in enumerate(self._counts))
        sizes = (len(self._attachments), len(self._metadata), len(self._chunk_indexes))
        head = struct.pack("<QHIIII", sum(self._counts), len(self._schemas), len(self._channels), *sizes)
        return _record(_STATISTICS, head + struct.pack("<QQI", *(self._span or (0, 0)), len(counts)) + counts)
