"""One ROS 1 bag: its index, its chunks, and what is left of them where the recording crashed.

Read record by record from the format's description (wiki.ros.org/Bags/Format/2.0): a bag that was never closed
has no index, and is read chunk by chunk as far as it goes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.logs.blocks import MAX_CHUNK, BlockCache, FileBytes, decompressed
from robokata.containers.logs.decode import Schema
from robokata.containers.logs.log import MAX_COMPARED, Message, Places, Topic, TopicIndex, index_of, span_of
from robokata.containers.logs.topics import contradictions, topics_of
from robokata.core.errors import DamagedData, TooLarge
from robokata.core.source import Declaration

MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION = range(2, 8)
_MAX_HEADER = 1 << 24
"""Largest header of a record, 16 MiB: the longest holds a message definition of 90 kB."""
_NEXT_MOVE = "Restore it from its origin, or repair it with 'rosbag reindex'."


class _Record(NamedTuple):
    """One record of the file."""

    at: int
    fields: Mapping[str, bytes]
    data_at: int
    data_length: int

    @property
    def opcode(self) -> int:
        return self.fields.get("op", b"\0")[0]


class BagFile:
    """An open bag. A class, because it keeps the file, its index and the last chunks."""

    version: str | None = "2.0"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = FileBytes(path)
        self.size = self._file.size
        start = self._at(0, len(MAGIC))
        if start != MAGIC:
            found = "an older bag" if start[:7] == b"#ROSBAG" else "not a bag"
            raise DamagedData(path, f"{found}: the file does not start with '#ROSBAG V2.0'.", next_move=_NEXT_MOVE)
        self._chunks: list[int] = []
        self._connections: dict[int, Topic] = {}
        self._places: dict[int, Places] = {}
        self._counts: dict[int, int] = {}
        self._span: tuple[int, int] | None = None
        self._is_listed = False
        self._declared: list[Declaration] = []
        self._blocks = BlockCache(lambda block: self._unpacked(self._record(self._chunks[block])))
        self._open()
        self._ids = sorted(self._connections)
        members = topics_of([self._connections[number] for number in self._ids])
        self.topics: Sequence[Topic] = [one.topic for one in members]
        self._members = [[self._ids[place] for place in one.channels] for one in members]
        """Connections of each topic: one per publisher, and one more whenever a publisher comes back."""
        self._declared += contradictions(self.topics, str(path))
        self.extra: Mapping[str, Any] = {}

    def span_ns(self) -> tuple[int, int] | None:
        """First and last receive time that the index states."""
        return self._span

    def counts(self) -> Sequence[int]:
        """Messages per topic that the index states."""
        return [sum(self._counts.get(number, 0) for number in connections) for connections in self._members]

    def declarations(self) -> Sequence[Declaration]:
        """What the bag states of itself, beside what was found."""
        return [*self._declared, *self._times]

    @cached_property
    def _times(self) -> Sequence[Declaration]:
        """The span that the chunk infos state, beside the one of the messages that the index lists."""
        if self._span is None or sum(self._counts.values()) > MAX_COMPARED:
            return ()
        try:
            self._list_all()
        except DamagedData:
            return ()  # whoever asks for a topic is told
        stated, found = self._span, span_of(self._places.values())
        if found is None:
            return ()
        names = ("start_time of the chunk infos", "end_time of the chunk infos")
        # What the messages say counts from here on.
        self._span = found
        return [Declaration(n, s, f, str(self.path)) for n, s, f in zip(names, stated, found, strict=True)]

    def index(self, topic: int) -> TopicIndex:
        """Where the messages of one topic lie, by receive time.

        Raises:
            DamagedData: an index record is broken, or lists other messages than the chunks promise.
        """
        self._list_all()
        listed = [self._places.get(number, Places()) for number in self._members[topic]]
        promised = [self._counts.get(number, 0) for number in self._members[topic]]
        if [len(places) for places in listed] != promised:
            raise DamagedData(
                self.path,
                f"topic {self.topics[topic].name} has {sum(promised)} messages by the chunk "
                f"infos and {sum(map(len, listed))} by the index.",
                next_move=_NEXT_MOVE,
            )
        return index_of(listed)

    def read(self, topic: NDArray[np.int64], places: NDArray[np.int64]) -> Iterator[Message]:
        """Messages at places.

        Raises:
            DamagedData: no message of the topic lies there, or its chunk is broken.
        """
        for owner, (_, block, at) in zip(topic.tolist(), places.tolist(), strict=True):
            data, offset = self._blocks[block], self._chunks[block]
            record = _record_in(data, at, self.path, offset)
            if record.opcode != _MESSAGE or _number(record, "conn", 4, self.path) not in self._members[owner]:
                raise DamagedData(self.path, "the index points at no message of its topic.", offset=offset)
            body = data[record.data_at : record.data_at + record.data_length]
            yield Message(_time(_field(record, "time", 8, self.path)), None, body)

    def _list_all(self) -> None:
        if not self._is_listed:
            found: dict[int, Places] = {}
            for block, at in enumerate(self._chunks):
                self._list(found, block, at)
            self._places, self._is_listed = found, True

    # -- opening -----------------------------------------------------------------------------------------------

    def _open(self) -> None:
        head = self._record(len(MAGIC))
        if head.opcode != _BAG:
            raise DamagedData(self.path, "the bag header is missing.", offset=head.at, next_move=_NEXT_MOVE)
        start = head.data_at + head.data_length
        index_at = _number(head, "index_pos", 8, self.path)
        if index_at == 0:
            hint = "the recording was not closed: what lies before the break is read, and nothing of it is missing"
            self._declared.append(Declaration("index", "present", "none", str(self.path), hint))
            self._scan(start)
            return
        if not start <= index_at < self.size:
            hint = "the file was cut: what lies before the cut is read"
            self._declared.append(Declaration("index_pos", index_at, self.size, str(self.path), hint))
            self._scan(start)
            return
        self._from_index(index_at)
        declared = {n: _number(head, n, 4, self.path) for n in ("conn_count", "chunk_count")}
        for name, found in (("conn_count", len(self._connections)), ("chunk_count", len(self._chunks))):
            self._declared.append(Declaration(name, declared[name], found, str(self.path)))
        if declared["chunk_count"] != len(self._chunks):
            raise DamagedData(
                self.path,
                f"the bag promises {declared['chunk_count']} chunks and its index lists {len(self._chunks)}.",
                next_move=_NEXT_MOVE,
            )

    def _from_index(self, at: int) -> None:
        """Connections and chunk infos at the end of the bag."""
        starts, ends = list[int](), list[int]()
        while at < self.size:
            record = self._record(at)
            if record.opcode == _CONNECTION:
                self._note_connection(record, self._at(record.data_at, record.data_length))
            elif record.opcode == _CHUNK_INFO:
                self._chunks.append(_number(record, "chunk_pos", 8, self.path))
                starts.append(_time(_field(record, "start_time", 8, self.path)))
                ends.append(_time(_field(record, "end_time", 8, self.path)))
                body = self._at(record.data_at, record.data_length)
                pairs = np.frombuffer(body[: len(body) // 8 * 8], "<u4").reshape(-1, 2)
                for number, count in pairs.tolist():
                    self._counts[number] = self._counts.get(number, 0) + count
            at = record.data_at + record.data_length
        self._span = (min(starts), max(ends)) if starts else None

    def _list(self, found: dict[int, Places], block: int, at: int) -> None:
        """The index records that follow one chunk."""
        chunk = self._record(at)
        if chunk.opcode != _CHUNK:
            raise DamagedData(self.path, "the index points at no chunk.", offset=at, next_move=_NEXT_MOVE)
        at = chunk.data_at + chunk.data_length
        while at < self.size:
            record = self._record(at)
            if record.opcode != _INDEX:
                return
            body = self._at(record.data_at, record.data_length)
            if len(body) != 12 * _number(record, "count", 4, self.path):
                raise DamagedData(self.path, "an index record has a broken length.", offset=at)
            rows = np.frombuffer(body, "<u4").reshape(-1, 3).astype(np.int64)
            times = rows[:, 0] * 1_000_000_000 + rows[:, 1]
            listed = found.setdefault(_number(record, "conn", 4, self.path), Places())
            listed.add_block(times, block, rows[:, 2])
            at = record.data_at + record.data_length

    def _scan(self, at: int) -> None:
        """Every chunk from the start of the file to its end or to the break."""
        self._is_listed = True
        try:
            while at < self.size:
                record = self._record(at)
                if record.opcode == _CHUNK:
                    self._scan_chunk(record)
                elif record.opcode == _CONNECTION:
                    self._note_connection(record, self._at(record.data_at, record.data_length))
                at = record.data_at + record.data_length
        except TooLarge:
            raise
        except DamagedData as damage:
            # A bag without index ends inside a record: the break is expected, and what lies before it is whole.
            place = damage.offset if damage.offset is not None else at
            hint = "messages behind this byte are lost"
            self._declared.append(Declaration("readable bytes", self.size, place, str(self.path), hint))
        self._counts = {number: len(rows) for number, rows in self._places.items()}
        self._span = span_of(self._places.values())

    def _scan_chunk(self, chunk: _Record) -> None:
        data, block, at = self._unpacked(chunk), len(self._chunks), 0
        self._chunks.append(chunk.at)
        while at < len(data):
            record = _record_in(data, at, self.path, chunk.at)
            if record.opcode == _CONNECTION:
                body = data[record.data_at : record.data_at + record.data_length]
                self._note_connection(record, body)
            elif record.opcode == _MESSAGE:
                number = _number(record, "conn", 4, self.path)
                if number not in self._connections:
                    raise DamagedData(self.path, f"a message names connection {number}.", offset=chunk.at)
                time_ns = _time(_field(record, "time", 8, self.path))
                self._places.setdefault(number, Places()).add(time_ns, block, at)
            at = record.data_at + record.data_length

    def _note_connection(self, record: _Record, body: bytes) -> None:
        said = _fields_of(body, self.path, record.at)
        topic = record.fields.get("topic", said.get("topic", b"")).decode("utf-8", "replace")
        kind = said.get("type", b"").decode("utf-8", "replace")
        known = ("topic", "type", "message_definition")
        extra = {k: v.decode("utf-8", "replace") for k, v in said.items() if k not in known}
        schema = Schema(kind, "ros1msg", said.get("message_definition", b""))
        self._connections[_number(record, "conn", 4, self.path)] = Topic(topic, schema, "ros1", {"connection": extra})

    # -- records -----------------------------------------------------------------------------------------------

    def _at(self, offset: int, length: int) -> bytes:
        return self._file.at(offset, length)

    def _record(self, at: int) -> _Record:
        """The record at an offset of the file; its data is not read."""
        head = self._at(at, 4) if 0 <= at < self.size else b""
        length = int.from_bytes(head, "little")
        if len(head) < 4 or length > min(_MAX_HEADER, self.size - at - 8):
            raise DamagedData(self.path, "a record ends behind the file.", offset=at, next_move=_NEXT_MOVE)
        rest = self._at(at + 4, length + 4)
        size = int.from_bytes(rest[length:], "little")
        if size > self.size - at - 8 - length:
            raise DamagedData(self.path, "a record ends behind the file.", offset=at, next_move=_NEXT_MOVE)
        return _Record(at, _fields_of(rest[:length], self.path, at), at + 8 + length, size)

    def _unpacked(self, chunk: _Record) -> bytes:
        if chunk.opcode != _CHUNK:
            raise DamagedData(self.path, "the index points at no chunk.", offset=chunk.at, next_move=_NEXT_MOVE)
        if chunk.data_length > MAX_CHUNK:
            raise TooLarge(self.path, f"a chunk claims {chunk.data_length} bytes.", offset=chunk.at)
        packed = self._at(chunk.data_at, chunk.data_length)
        compression = chunk.fields.get("compression", b"none").decode("utf-8", "replace")
        size = _number(chunk, "size", 4, self.path)
        return decompressed(packed, size, compression, path=self.path, at=chunk.at)


def _record_in(data: bytes, at: int, path: Path, offset: int) -> _Record:
    """The record at an offset of an unpacked chunk."""
    if at < 0 or at + 8 > len(data):
        raise DamagedData(path, "a record ends behind its chunk.", offset=offset)
    (length,) = struct.unpack_from("<I", data, at)
    if length > len(data) - at - 8:
        raise DamagedData(path, "a record ends behind its chunk.", offset=offset)
    (size,) = struct.unpack_from("<I", data, at + 4 + length)
    if size > len(data) - at - 8 - length:
        raise DamagedData(path, "a record ends behind its chunk.", offset=offset)
    return _Record(at, _fields_of(data[at + 4 : at + 4 + length], path, offset), at + 8 + length, size)


def _fields_of(data: bytes, path: Path, offset: int) -> dict[str, bytes]:
    """The fields `name=value` of a record's header."""
    out, at = {}, 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        field = data[at + 4 : at + 4 + length]
        name, equals, value = field.partition(b"=")
        if len(field) < length or not equals or len(data) - at < 4:
            raise DamagedData(path, "the header of a record is broken.", offset=offset, next_move=_NEXT_MOVE)
        out[name.decode("latin-1")] = value
        at += 4 + length
    if len(out.get("op", b"\0")) != 1:
        raise DamagedData(path, "a record has no kind.", offset=offset, next_move=_NEXT_MOVE)
    return out


def _field(record: _Record, name: str, size: int, path: Path) -> bytes:
    value = record.fields.get(name, b"")
    if len(value) != size:
        raise DamagedData(path, f"a record lacks its field {name!r}.", offset=record.at, next_move=_NEXT_MOVE)
    return value


def _number(record: _Record, name: str, size: int, path: Path) -> int:
    return int.from_bytes(_field(record, name, size, path), "little")


def _time(value: bytes) -> int:
    seconds, nanoseconds = struct.unpack("<II", value)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
