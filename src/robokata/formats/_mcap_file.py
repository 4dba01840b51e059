"""One MCAP file: its summary, its chunks, and what is left of them where the recording crashed.

Read record by record from the specification (mcap.dev/spec), not through a library: every length is vetted
before anything is allocated, and a file without a summary is read as far as it goes.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData, TooLarge
from robokata.core.source import Declaration
from robokata.formats._log import Message, Places, Topic, TopicIndex, index_of, span_of
from robokata.formats._log_blocks import MAX_CHUNK, BlockCache, FileBytes, decompressed
from robokata.formats._log_decode import Schema
from robokata.formats._log_topics import contradictions, topics_of
from robokata.formats._mcap_records import Chunk, Contents, Fields, time_ns

MAGIC = b"\x89MCAP0\r\n"
_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _MESSAGE_INDEX, _CHUNK_INDEX = range(1, 9)
_ATTACHMENT, _ATTACHMENT_INDEX, _STATISTICS, _METADATA, _METADATA_INDEX, _SUMMARY_OFFSET, _DATA_END = range(9, 16)
_FOOTER_BYTES = 1 + 8 + 20

MAX_SUMMARY = 1 << 28
"""Largest summary, 256 MiB: about a million chunks."""
MAX_SHORT = 1 << 26
"""Largest schema, channel or metadata record, 64 MiB."""
NEXT_MOVE = "Restore it from its origin, or recover the sound part with 'mcap recover'."


class McapFile:
    """An open MCAP file. A class, because it keeps the file, its index and the last chunks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = FileBytes(path)
        self.size = self._file.size
        self._blocks = BlockCache(self._chunk_bytes)
        self._declared: list[Declaration] = []
        if self._at(0, len(MAGIC)) != MAGIC:
            raise DamagedData(path, "not MCAP: the file does not start with its magic bytes.", next_move=NEXT_MOVE)
        self.profile, self.library = self._header()
        self.version = f"{self.profile or 'no profile'} ({self.library})"
        found = self._from_summary()
        self.contents = found if found is not None else self._from_scan()
        self._ids = sorted(self.contents.channels)
        members = topics_of([self._topic(number) for number in self._ids])
        self.topics: Sequence[Topic] = [one.topic for one in members]
        self._members = [[self._ids[place] for place in one.channels] for one in members]
        """Channel ids of each topic."""
        self._declared += contradictions(self.topics, str(path))
        self._table: dict[int, Places] | None = self.contents.places

    @property
    def extra(self) -> Mapping[str, Any]:
        """Attachments and metadata records, as JSON-like values; the attachments' data stays in the file."""
        out: dict[str, Any] = {"profile": self.profile, "library": self.library}
        if self.contents.attachments:
            out["attachments"] = [
                {key: value for key, value in row.items() if key != "offset"} for row in self.contents.attachments
            ]
        if self.contents.metadata:
            out["metadata"] = {name: self._metadata(at) for at, name in self.contents.metadata}
        return out

    def span_ns(self) -> tuple[int, int] | None:
        """First and last receive time that the chunks (or the scan) state."""
        if self._table is not None:
            return span_of(self._table.values())
        filled = [c for c in self.contents.chunks if c.index_length]
        if filled:
            return min(c.start_ns for c in filled), max(c.end_ns for c in filled)
        return None

    def counts(self) -> Sequence[int]:
        """Messages per topic."""
        if self._table is not None or self.contents.counts is None:
            counts = {number: len(listed) for number, listed in self._places().items()}
        else:
            counts = self.contents.counts
        return [sum(counts.get(number, 0) for number in channels) for channels in self._members]

    def declarations(self) -> Sequence[Declaration]:
        """What the file states of itself, beside what was found."""
        return self._declared

    def index(self, topic: int) -> TopicIndex:
        """Where the messages of one topic lie, by receive time.

        Raises:
            DamagedData: a message index is broken.
        """
        found = self._places()
        return index_of([found[number] for number in self._members[topic] if number in found])

    def read(self, topic: NDArray[np.int64], places: NDArray[np.int64]) -> Iterator[Message]:
        """Messages at places.

        Raises:
            DamagedData: no message of the topic lies there, or its chunk is broken.
        """
        for owner, (_, block, at) in zip(topic.tolist(), places.tolist(), strict=True):
            record = self._message_record(block, at)
            if len(record) < 22:
                raise DamagedData(self.path, "a message record is too short.", offset=self._offset(block, at))
            channel, _, log_ns, publish_ns = struct.unpack_from("<HIQQ", record)
            if channel not in self._members[owner]:
                raise DamagedData(
                    self.path, "the message index points at another channel.", offset=self._offset(block, at)
                )
            yield Message(time_ns(log_ns), time_ns(publish_ns), record[22:])

    def attachment(self, name: str) -> bytes:
        """The bytes of an attachment.

        Raises:
            DamagedData: the record is broken, or there is none of this name.
        """
        for row in self.contents.attachments:
            if row["name"] == name:
                return self._attachment_at(row["offset"])
        raise DamagedData(self.path, f"holds no attachment {name!r}.")

    def attachments(self) -> Iterator[tuple[Mapping[str, Any], bytes]]:
        """What the file says about each attachment, and its bytes.

        Raises:
            DamagedData: a record is broken.
        """
        for row in self.contents.attachments:
            yield row, self._attachment_at(row["offset"])

    def _attachment_at(self, at: int) -> bytes:
        record = self._record_at(at, _ATTACHMENT, MAX_CHUNK)
        reader = Fields(record, self.path, at)
        reader.skip(16)
        reader.text()
        reader.text()
        data = reader.blob(reader.u64())
        crc = reader.u32()
        if crc and zlib.crc32(record[: reader.at - 4]) != crc:
            raise DamagedData(self.path, "an attachment's checksum does not match.", offset=at, next_move=NEXT_MOVE)
        return data

    # -- the file's records ------------------------------------------------------------------------------------

    def _at(self, offset: int, length: int) -> bytes:
        return self._file.at(offset, length)

    def _records(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Opcode, offset and length of the records between two offsets of the file; contents are not read."""
        at = start
        while at + 9 <= end:
            opcode, length = struct.unpack("<BQ", self._at(at, 9))
            if opcode == 0 or length > end - at - 9:
                raise DamagedData(self.path, f"a record of {length} bytes ends behind the file.", offset=at)
            yield opcode, at, length
            at += 9 + length

    def _record_at(self, at: int, opcode: int, limit: int) -> bytes:
        head = self._at(at, 9) if 0 <= at < self.size else b""
        if len(head) < 9 or head[0] != opcode:
            raise DamagedData(self.path, f"the index points at no record of kind {opcode}.", offset=at)
        (length,) = struct.unpack_from("<Q", head, 1)
        if length > self.size - at - 9:
            raise DamagedData(self.path, f"a record of {length} bytes ends behind the file.", offset=at)
        if length > limit:
            raise TooLarge(self.path, f"a record claims {length} bytes.", offset=at)
        return self._at(at + 9, length)

    def _header(self) -> tuple[str, str]:
        reader = Fields(self._record_at(len(MAGIC), _HEADER, MAX_SHORT), self.path, len(MAGIC))
        return reader.text(), reader.text()

    def _from_summary(self) -> Contents | None:
        """What the summary says, or None where there is none to be believed."""
        tail = self._at(max(self.size - len(MAGIC) - _FOOTER_BYTES, 0), _FOOTER_BYTES + len(MAGIC))
        if tail[-len(MAGIC) :] != MAGIC or tail[:9] != struct.pack("<BQ", _FOOTER, 20):
            hint = "the recording was not closed: what lies before the break is read, and nothing of it is missing"
            self._declared.append(Declaration("end of file", "footer", "none", str(self.path), hint))
            return None
        start, _, crc = struct.unpack_from("<QQI", tail, 9)
        end = self.size - len(MAGIC) - _FOOTER_BYTES
        if start == 0 or not len(MAGIC) <= start <= end or end - start > MAX_SUMMARY:
            return None
        summary = self._at(start, end - start)
        if crc and zlib.crc32(summary + tail[: 9 + 16]) != crc:
            hint = "the summary is damaged: the messages were found by reading the whole file"
            self._declared.append(Declaration("summary checksum", crc, "different", str(self.path), hint))
            return None
        found = Contents()
        try:
            for opcode, at, length in self._records(start, end):
                self._note(found, opcode, summary[at - start + 9 : at - start + 9 + length], at)
        except DamagedData as damage:
            hint = "the summary is damaged: the messages were found by reading the whole file"
            self._declared.append(Declaration("summary", "readable", damage.reason, str(self.path), hint))
            return None
        return found if self._is_complete(found) else None

    def _is_complete(self, found: Contents) -> bool:
        """True where the summary alone leads to every message: chunks with indexes, channels repeated."""
        stated = found.stated.get("message_count")
        listed = sum((c.index_length - 15 * c.index_channels) // 16 for c in found.chunks)
        chunks = found.stated.get("chunk_count")
        if stated is not None:
            self._declared.append(Declaration("statistics.message_count", stated, listed, str(self.path)))
        # A chunk of no messages has no index, and its times are 0.
        is_whole = bool(found.chunks) and all(c.index_length or c.end_ns == 0 for c in found.chunks)
        agrees = stated in (None, listed) and chunks in (None, len(found.chunks))
        if not (is_whole and agrees and found.channels) and self._declared:
            self._declared = [d for d in self._declared if d.subject != "statistics.message_count"]
        return is_whole and agrees and bool(found.channels)

    def _note(self, found: Contents, opcode: int, data: bytes, at: int) -> None:
        """Take one record of the summary, or of the data section, into the contents."""
        reader = Fields(data, self.path, at)
        if opcode == _SCHEMA:
            number, name, encoding = reader.u16(), reader.text(), reader.text()
            found.schemas[number] = Schema(name, encoding, reader.blob(reader.u32()))
        elif opcode == _CHANNEL:
            number, schema, topic, encoding = reader.u16(), reader.u16(), reader.text(), reader.text()
            found.channels[number] = (schema, topic, encoding, reader.texts())
        elif opcode == _STATISTICS:
            messages, _, channels, attachments, metadata, chunks = struct.unpack_from("<QHIIII", reader.need(26))
            reader.skip(26 + 16)
            found.stated = {"message_count": messages, "chunk_count": chunks, "channel_count": channels}
            found.stated |= {"attachment_count": attachments, "metadata_count": metadata}
            found.counts = {reader.u16(): reader.u64() for _ in range(reader.u32() // 10)}
        elif opcode == _CHUNK_INDEX:
            start_ns, end_ns, offset, length = struct.unpack_from("<QQQQ", reader.need(32))
            reader.skip(32)
            channels = reader.u32() // 10
            reader.skip(channels * 10)
            found.chunks.append(Chunk(offset, length, reader.u64(), time_ns(start_ns), time_ns(end_ns), channels))
        elif opcode == _ATTACHMENT_INDEX:
            offset = reader.u64()
            reader.skip(8)
            log_ns, _, size = reader.u64(), reader.u64(), reader.u64()
            row = {"name": reader.text(), "media_type": reader.text(), "bytes": size}
            found.attachments.append({**row, "log_time_ns": time_ns(log_ns), "offset": offset})
        elif opcode == _METADATA_INDEX:
            offset = reader.u64()
            reader.skip(8)
            found.metadata.append((offset, reader.text()))

    def _topic(self, number: int) -> Topic:
        schema_id, name, encoding, metadata = self.contents.channels[number]
        schema = self.contents.schemas.get(schema_id, Schema("", "", b""))
        return Topic(name, schema, encoding, {"metadata": metadata, "channel_id": number})

    def _metadata(self, at: int) -> dict[str, str]:
        reader = Fields(self._record_at(at, _METADATA, MAX_SHORT), self.path, at)
        reader.text()
        return reader.texts()

    # -- messages ----------------------------------------------------------------------------------------------

    def _places(self) -> dict[int, Places]:
        """(receive_ns, block, offset) of every message per channel, from the indexes behind the chunks."""
        if self._table is None:
            found: dict[int, Places] = {}
            for block, chunk in enumerate(self.contents.chunks):
                start = chunk.at + chunk.length
                if not 0 <= start <= start + chunk.index_length <= self.size:
                    raise DamagedData(self.path, "a message index lies behind the file.", offset=chunk.at)
                for opcode, at, length in self._records(start, start + chunk.index_length):
                    if opcode == _MESSAGE_INDEX:
                        self._note_index(found, self._at(at + 9, length), at, block)
            self._table = found
        return self._table

    def _note_index(self, found: dict[int, Places], data: bytes, at: int, block: int) -> None:
        if len(data) < 6:
            raise DamagedData(self.path, "a message index is too short.", offset=at)
        channel, length = struct.unpack_from("<HI", data)
        if length != len(data) - 6 or length % 16:
            raise DamagedData(self.path, "a message index has a broken length.", offset=at)
        pairs = np.frombuffer(data, "<i8", offset=6).reshape(-1, 2)
        found.setdefault(channel, Places()).add_block(pairs[:, 0], block, pairs[:, 1])

    def _message_record(self, block: int, at: int) -> bytes:
        if block < 0:
            return self._record_at(at, _MESSAGE, MAX_CHUNK)
        data = self._blocks[block]
        if not 0 <= at <= len(data) - 9 or data[at] != _MESSAGE:
            raise DamagedData(self.path, "the message index points at no message.", offset=self._offset(block, at))
        (length,) = struct.unpack_from("<Q", data, at + 1)
        if length > len(data) - at - 9:
            raise DamagedData(self.path, "a message ends behind its chunk.", offset=self._offset(block, at))
        return data[at + 9 : at + 9 + length]

    def _offset(self, block: int, at: int) -> int:
        return at if block < 0 else self.contents.chunks[block].at

    def _chunk_bytes(self, block: int) -> bytes:
        return self._unpacked(self.contents.chunks[block].at)

    def _unpacked(self, at: int) -> bytes:
        """The records of one chunk, decompressed and verified."""
        record = self._record_at(at, _CHUNK, MAX_CHUNK)
        reader = Fields(record, self.path, at)
        reader.skip(16)
        size, crc, compression = reader.u64(), reader.u32(), reader.text()
        packed = reader.blob(reader.u64())
        data = decompressed(packed, size, compression, path=self.path, at=at)
        if crc and zlib.crc32(data) != crc:
            raise DamagedData(self.path, "the chunk's checksum does not match.", offset=at, next_move=NEXT_MOVE)
        return data

    # -- files without a summary -------------------------------------------------------------------------------

    def _from_scan(self) -> Contents:
        """Everything that the data section holds, read from its start to its end or to the break."""
        found = Contents(places={})
        at = len(MAGIC)
        try:
            for opcode, at, length in self._records(len(MAGIC), self.size):
                if opcode in (_DATA_END, _FOOTER):
                    break
                if opcode == _CHUNK:
                    self._scan_chunk(found, at, length)
                elif opcode == _MESSAGE:
                    self._scan_message(found, self._at(at + 9, min(length, 22)), -1, at)
                elif opcode in (_SCHEMA, _CHANNEL):
                    self._note(found, opcode, self._record_at(at, opcode, MAX_SHORT), at)
                elif opcode == _METADATA:
                    name = Fields(self._record_at(at, opcode, MAX_SHORT), self.path, at).text()
                    found.metadata.append((at, name))
                elif opcode == _ATTACHMENT:
                    found.attachments.append(self._attachment_row(at))
        except DamagedData as damage:
            if not self._declared or isinstance(damage, TooLarge):
                raise
            # An unclosed file ends inside a record: the break is expected, and what lies before it is whole.
            hint = "messages behind this byte are lost"
            place = damage.offset if damage.offset is not None else at
            self._declared.append(Declaration("readable bytes", self.size, place, str(self.path), hint))
        return found

    def _attachment_row(self, at: int) -> dict[str, Any]:
        """What the index would say of an attachment."""
        reader = Fields(self._record_at(at, _ATTACHMENT, MAX_CHUNK), self.path, at)
        log_ns = time_ns(reader.u64())
        reader.skip(8)
        row = {"name": reader.text(), "media_type": reader.text(), "bytes": reader.u64()}
        return {**row, "log_time_ns": log_ns, "offset": at}

    def _scan_chunk(self, found: Contents, at: int, length: int) -> None:
        data = self._unpacked(at)
        block, inner = len(found.chunks), 0
        found.chunks.append(Chunk(at, 9 + length, 0, 0, 0, 0))
        while inner + 9 <= len(data):
            opcode, size = struct.unpack_from("<BQ", data, inner)
            if size > len(data) - inner - 9:
                raise DamagedData(self.path, "a record ends behind its chunk.", offset=at)
            if opcode == _MESSAGE:
                self._scan_message(found, data[inner + 9 : inner + 9 + min(size, 22)], block, inner)
            elif opcode in (_SCHEMA, _CHANNEL):
                self._note(found, opcode, data[inner + 9 : inner + 9 + size], at)
            inner += 9 + size

    def _scan_message(self, found: Contents, head: bytes, block: int, at: int) -> None:
        if len(head) < 22:
            raise DamagedData(self.path, "a message record is too short.", offset=at)
        channel, _, log_ns = struct.unpack_from("<HIQ", head)
        if channel not in found.channels:
            raise DamagedData(self.path, f"a message names channel {channel}, which does not exist.", offset=at)
        assert found.places is not None
        found.places.setdefault(channel, Places()).add(time_ns(log_ns), block, at)
