"""What an MCAP file holds: from its summary where that leads to everything, else from a look at the whole file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from robokata.containers.logs.decode import Schema
from robokata.containers.logs.log import MAX_COMPARED, Places, span_of
from robokata.containers.mcap.records import (
    ATTACHMENT,
    ATTACHMENT_INDEX,
    CHANNEL,
    CHUNK,
    CHUNK_INDEX,
    DATA_END,
    FOOTER,
    MAGIC,
    MAX_SHORT,
    MESSAGE,
    MESSAGE_HEAD,
    MESSAGE_INDEX,
    METADATA,
    METADATA_INDEX,
    SCHEMA,
    STATISTICS,
    Chunk,
    Contents,
    Fields,
    RecordFile,
    time_ns,
)
from robokata.core.errors import DamagedData, TooLarge
from robokata.core.source import Declaration

MAX_SUMMARY = 1 << 28
"""Largest summary, 256 MiB: about a million chunks."""
_FOOTER_BYTES = 1 + 8 + 20
_INDEX_HEAD = 9 + 6
"""Bytes of a message index before its pairs of time and offset: opcode, length, channel, length of the pairs."""


class ContentsReader:
    """Finds what a file holds. A class, because on its way it notes what the file states wrongly of itself."""

    def __init__(self, file: RecordFile) -> None:
        self.file = file
        self.declared: list[Declaration] = []
        self._is_unclosed = False
        self._summary = Contents()

    def read(self) -> Contents:
        """The contents, from the summary or else from a scan.

        Raises:
            DamagedData: a file that was closed holds a broken record.
        """
        found = self._from_summary()
        if found is None:
            found = self._from_scan()
        found.metadata.sort()
        found.attachments.sort(key=lambda row: int(row["offset"]))
        # Channels that never spoke may stand in the summary alone.
        found.channels = self._summary.channels | found.channels
        found.schemas = self._summary.schemas | found.schemas
        if "message_count" in self._summary.stated:
            self._list_places(found)
            self.declared += _statistics(self._summary, found, str(self.file.path))
        return found

    def _list_places(self, found: Contents) -> None:
        """Read the message indexes of a file of bearable size, so that its statistics are compared, not believed."""
        if found.places is None and _held(found) <= MAX_COMPARED:
            # A broken index is told by whoever asks for its topic.
            with suppress(DamagedData):
                found.places = places_of(self.file, found)

    # -- the summary -------------------------------------------------------------------------------------------

    def _from_summary(self) -> Contents | None:
        """What the summary says, or None where it does not lead to everything."""
        file, where = self.file, str(self.file.path)
        tail = file.at(max(file.size - len(MAGIC) - _FOOTER_BYTES, 0), _FOOTER_BYTES + len(MAGIC))
        if tail[-len(MAGIC) :] != MAGIC:
            hint = "the recording was not closed: what lies before the break is read, and nothing of it is missing"
            self._note_unclosed(Declaration("end of file", "footer", "none", where, hint))
            return None
        if tail[:9] != struct.pack("<BQ", FOOTER, 20):
            return None  # A footer with further bytes cannot be found from the end of the file.
        start, _, crc = struct.unpack_from("<QQI", tail, 9)
        end = file.size - len(MAGIC) - _FOOTER_BYTES
        if start == 0 or not len(MAGIC) <= start <= end or end - start > MAX_SUMMARY:
            return None
        summary = file.at(start, end - start)
        hint = "the summary is damaged: the messages were found by reading the whole file"
        if crc and zlib.crc32(summary + tail[: 9 + 16]) != crc:
            self._note_unclosed(Declaration("summary checksum", crc, "different", where, hint))
            return None
        found = Contents()
        try:
            for opcode, at, length in file.between(start, end):
                note(found, opcode, Fields(summary[at - start + 9 : at - start + 9 + length], file.path, at))
        except DamagedData as damage:
            self._note_unclosed(Declaration("summary", "readable", damage.reason, where, hint))
            return None
        self._summary = found
        found.chunks.sort()
        return found if self._leads_to_all_messages(found) and self._fill_gaps(found, start) else None

    def _note_unclosed(self, declaration: Declaration) -> None:
        self._is_unclosed = True
        self.declared.append(declaration)

    def _leads_to_all_messages(self, found: Contents) -> bool:
        """True where the chunk indexes lead to every message, and schemas and channels are repeated."""
        named = {channel for chunk in found.chunks for channel in chunk.channels}
        schemas = {schema for schema, *_ in found.channels.values() if schema}
        if not found.chunks or not named <= found.channels.keys() or not schemas <= found.schemas.keys():
            return False
        stated = found.stated.get("message_count")
        if stated is None:
            # A chunk without message indexes may be empty, or its messages are listed nowhere.
            return all(chunk.index_length for chunk in found.chunks)
        # rosbag2 repeats channels that never spoke, and does not count them.
        if found.stated["chunk_count"] != len(found.chunks) or found.stated["channel_count"] > len(found.channels):
            return False
        # Indexes without further bytes have this size; only where that does not add up are they read.
        listed = sum((c.index_length - _INDEX_HEAD * len(c.channels)) // 16 for c in found.chunks)
        if listed != stated:
            try:
                found.places = places_of(self.file, found)
            except DamagedData:
                return False
            listed = sum(map(len, found.places.values()))
        return listed == stated

    def _fill_gaps(self, found: Contents, end: int) -> bool:
        """Attachments and metadata that no index lists, from between the chunks; False where messages lie there."""
        stated = (found.stated.get("attachment_count"), found.stated.get("metadata_count"))
        if stated == (len(found.attachments), len(found.metadata)):
            return True
        edges = [len(MAGIC), *(edge for c in found.chunks for edge in (c.at, c.end)), end]
        listed = {at for at, _ in found.metadata} | {int(row["offset"]) for row in found.attachments}
        try:
            for start, stop in zip(edges[::2], edges[1::2], strict=True):
                for opcode, at, length in self.file.between(start, stop):
                    if opcode in (CHUNK, MESSAGE):
                        return False
                    if at not in listed:
                        self._note_outside(found, opcode, at, length)
        except DamagedData as damage:
            hint = "attachments and metadata records behind this place are not found"
            where = str(self.file.path)
            self.declared.append(Declaration("records between chunks", "readable", damage.reason, where, hint))
        return True

    def _note_outside(self, found: Contents, opcode: int, at: int, length: int) -> None:
        """Take a record of the data section that is no chunk and no message."""
        if opcode in (SCHEMA, CHANNEL):
            note(found, opcode, self.file.fields(at, opcode))
        elif opcode == METADATA:
            found.metadata.append((at, self.file.fields(at, opcode).text()))
        elif opcode == ATTACHMENT:
            found.attachments.append(self._attachment_row(at, length))

    def _attachment_row(self, at: int, length: int) -> dict[str, Any]:
        """What the index would say of an attachment; its data is not read."""
        reader = Fields(self.file.at(at + 9, min(length, MAX_SHORT)), self.file.path, at)
        times = {"log_time_ns": time_ns(reader.u64()), "create_time_ns": time_ns(reader.u64())}
        row = {"name": reader.text(), "media_type": reader.text(), "bytes": reader.u64()}
        return {**row, **times, "offset": at}

    # -- the whole file ----------------------------------------------------------------------------------------

    def _from_scan(self) -> Contents:
        """Everything that the data section holds, read from its start to its end or to the break."""
        found, file = Contents(places={}), self.file
        at = len(MAGIC)
        try:
            for opcode, at, length in file.between(len(MAGIC), file.size):
                if opcode in (DATA_END, FOOTER):
                    break
                if opcode == CHUNK:
                    self._scan_chunk(found, at, length)
                elif opcode == MESSAGE:
                    if not found.chunks or found.chunks[-1].length:
                        found.chunks.append(Chunk(at, 0, 0, 0, 0, ()))
                    self._scan_message(found, file.at(at + 9, min(length, MESSAGE_HEAD)), at)
                else:
                    self._note_outside(found, opcode, at, length)
        except DamagedData as damage:
            if not self._is_unclosed or isinstance(damage, TooLarge):
                raise
            # An unclosed file ends inside a record: the break is expected, and what lies before it is whole.
            hint = "messages behind this byte are lost"
            place = damage.offset if damage.offset is not None else at
            self.declared.append(Declaration("readable bytes", file.size, place, str(file.path), hint))
        return found

    def _scan_chunk(self, found: Contents, at: int, length: int) -> None:
        data = self.file.chunk(at)
        inner = 0
        found.chunks.append(Chunk(at, 9 + length, 0, 0, 0, ()))
        while inner + 9 <= len(data):
            opcode, size = struct.unpack_from("<BQ", data, inner)
            if size > len(data) - inner - 9:
                raise DamagedData(self.file.path, "a record ends behind its chunk.", offset=at)
            if opcode == MESSAGE:
                self._scan_message(found, data[inner + 9 : inner + 9 + min(size, MESSAGE_HEAD)], inner)
            elif opcode in (SCHEMA, CHANNEL):
                note(found, opcode, Fields(data[inner + 9 : inner + 9 + size], self.file.path, at))
            inner += 9 + size

    def _scan_message(self, found: Contents, head: bytes, at: int) -> None:
        if len(head) < MESSAGE_HEAD:
            raise DamagedData(self.file.path, "a message record is too short.", offset=at)
        channel, _, log_ns = struct.unpack_from("<HIQ", head)
        if channel not in found.channels:
            raise DamagedData(self.file.path, f"a message names channel {channel}, which does not exist.", offset=at)
        assert found.places is not None
        found.places.setdefault(channel, Places()).add(time_ns(log_ns), len(found.chunks) - 1, at)


def note(found: Contents, opcode: int, reader: Fields) -> None:
    """Take one record of the summary, or of the data section, into the contents.

    Raises:
        DamagedData: the record ends inside a field.
    """
    if opcode == SCHEMA:
        number, name, encoding = reader.u16(), reader.text(), reader.text()
        found.schemas[number] = Schema(name, encoding, reader.blob(reader.u32()))
    elif opcode == CHANNEL:
        number, schema, topic, encoding = reader.u16(), reader.u16(), reader.text(), reader.text()
        found.channels[number] = (schema, topic, encoding, reader.texts())
    elif opcode == STATISTICS:
        messages, _, channels, attachments, metadata, chunks = struct.unpack("<QHIIII", reader.blob(26))
        span = reader.u64(), reader.u64()
        found.stated = {"message_count": messages, "chunk_count": chunks, "channel_count": channels}
        found.stated |= {"message_start_time": time_ns(span[0]), "message_end_time": time_ns(span[1])}
        found.stated |= {"attachment_count": attachments, "metadata_count": metadata}
        counts = {reader.u16(): reader.u64() for _ in range(reader.u32() // 10)}
        found.counts_stated = counts
        # A writer may leave the counts per channel away.
        found.counts = counts if sum(counts.values()) == messages else None
    elif opcode == CHUNK_INDEX:
        start_ns, end_ns, offset, length = struct.unpack("<QQQQ", reader.blob(32))
        listed = reader.blob(reader.u32())
        channels = tuple(int(n) for n in np.frombuffer(listed, np.dtype("<u2, <u8"), len(listed) // 10)["f0"])
        found.chunks.append(Chunk(offset, length, reader.u64(), time_ns(start_ns), time_ns(end_ns), channels))
    elif opcode == ATTACHMENT_INDEX:
        offset = reader.u64()
        reader.skip(8)
        times = {"log_time_ns": time_ns(reader.u64()), "create_time_ns": time_ns(reader.u64())}
        size = reader.u64()
        row = {"name": reader.text(), "media_type": reader.text(), "bytes": size}
        found.attachments.append({**row, **times, "offset": offset})
    elif opcode == METADATA_INDEX:
        offset = reader.u64()
        reader.skip(8)
        found.metadata.append((offset, reader.text()))


def places_of(file: RecordFile, found: Contents) -> dict[int, Places]:
    """(receive_ns, block, offset) of every message per channel, from the indexes behind the chunks.

    Raises:
        DamagedData: an index is broken, or not where the summary says.
    """
    out: dict[int, Places] = {}
    for block, chunk in enumerate(found.chunks):
        start = chunk.at + chunk.length
        if not 0 <= start <= chunk.end <= file.size:
            raise DamagedData(file.path, "a message index lies behind the file.", offset=chunk.at)
        for opcode, at, length in file.between(start, chunk.end):
            if opcode == MESSAGE_INDEX:
                _note_index(out, Fields(file.at(at + 9, length), file.path, at), block)
    return out


def _note_index(found: dict[int, Places], reader: Fields, block: int) -> None:
    channel, length = reader.u16(), reader.u32()
    if length % 16:
        raise DamagedData(reader.path, "a message index has a broken length.", offset=reader.offset)
    pairs = np.minimum(np.frombuffer(reader.blob(length), "<u8"), 2**63 - 1).astype(np.int64).reshape(-1, 2)
    found.setdefault(channel, Places()).add_block(pairs[:, 0], block, pairs[:, 1])


def _statistics(summary: Contents, found: Contents, where: str) -> Iterator[Declaration]:
    """What the statistics record states, beside what the indexes (or the scan) found."""

    def declaration(name: str, there: int) -> Declaration:
        return Declaration(f"statistics.{name}", summary.stated[name], there, where)

    yield declaration("message_count", _held(found))
    places = found.places or {}
    for number, count in summary.counts_stated.items() if found.places is not None else ():
        topic = found.channels[number][1] if number in found.channels else "no channel"
        there = len(places[number]) if number in places else 0
        yield Declaration(f"statistics.channel_message_counts of {topic} ({number})", count, there, where)
    yield declaration("chunk_count", sum(chunk.length > 0 for chunk in found.chunks))
    yield declaration("attachment_count", len(found.attachments))
    yield declaration("metadata_count", len(found.metadata))
    span = span_of(found.places.values()) if found.places is not None else None
    if span is not None:
        # Foxglove's writer in C++ takes a start of 0 for one that is not known yet.
        if span[0]:
            yield declaration("message_start_time", span[0])
        yield declaration("message_end_time", span[1])


def _held(found: Contents) -> int:
    if found.places is not None:
        return sum(map(len, found.places.values()))
    return sum((c.index_length - _INDEX_HEAD * len(c.channels)) // 16 for c in found.chunks)
