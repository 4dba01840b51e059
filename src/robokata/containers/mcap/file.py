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

from robokata.containers.logs.blocks import MAX_CHUNK, BlockCache
from robokata.containers.logs.decode import Schema
from robokata.containers.logs.log import Message, Places, Topic, TopicIndex, index_of, span_of
from robokata.containers.logs.topics import contradictions, topics_of
from robokata.containers.logs.zstd import unpacked_message
from robokata.containers.mcap.contents import ContentsReader, places_of
from robokata.containers.mcap.records import (
    ATTACHMENT,
    HEADER,
    MAGIC,
    MESSAGE,
    MESSAGE_HEAD,
    METADATA,
    NEXT_MOVE,
    RecordFile,
    time_ns,
)
from robokata.core.errors import DamagedData
from robokata.core.source import Declaration


class McapFile:
    """An open MCAP file. A class, because it keeps the file, its index and the last chunks."""

    def __init__(self, path: Path, *, is_message_packed: bool = False) -> None:
        self.path, self._is_message_packed = path, is_message_packed
        self._records = RecordFile(path)
        self._blocks = BlockCache(lambda block: self._records.chunk(self.contents.chunks[block].at))
        if self._records.at(0, len(MAGIC)) != MAGIC:
            raise DamagedData(path, "not MCAP: the file does not start with its magic bytes.", next_move=NEXT_MOVE)
        header = self._records.fields(len(MAGIC), HEADER)
        self.profile, self.library = header.text(), header.text()
        self.version = f"{self.profile or 'no profile'} ({self.library})"
        reader = ContentsReader(self._records)
        self.contents, self._declared = reader.read(), reader.declared
        self._ids = sorted(self.contents.channels)
        members = topics_of([self._topic(number) for number in self._ids])
        self.topics: Sequence[Topic] = [one.topic for one in members]
        self._members = [[self._ids[place] for place in one.channels] for one in members]
        """Channel ids of each topic."""
        self._declared += contradictions(self.topics, str(path))

    @property
    def extra(self) -> Mapping[str, Any]:
        """Attachments and metadata records, as JSON-like values; the attachments' data stays in the file.

        Several records may have one name: rosbag2 writes its own when it opens the file and when it closes it.
        """
        out: dict[str, Any] = {"profile": self.profile, "library": self.library}
        if self.contents.attachments:
            out["attachments"] = [
                {key: value for key, value in row.items() if key != "offset"} for row in self.contents.attachments
            ]
        if self.contents.metadata:
            out["metadata"] = [{"name": name, "values": self._metadata(at)} for at, name in self.contents.metadata]
        return out

    def span_ns(self) -> tuple[int, int] | None:
        """First and last receive time that the chunks (or the scan) state."""
        if self.contents.places is not None:
            return span_of(self.contents.places.values())
        filled = [c for c in self.contents.chunks if c.index_length]
        if filled:
            return min(c.start_ns for c in filled), max(c.end_ns for c in filled)
        return None

    def counts(self) -> Sequence[int]:
        """Messages per topic."""
        if self.contents.places is not None or self.contents.counts is None:
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
            if len(record) < MESSAGE_HEAD:
                raise DamagedData(self.path, "a message record is too short.", offset=self._offset(block, at))
            channel, _, log_ns, publish_ns = struct.unpack_from("<HIQQ", record)
            if channel not in self._members[owner]:
                raise DamagedData(
                    self.path, "the message index points at another channel.", offset=self._offset(block, at)
                )
            encoding, data = self.topics[owner].encoding, record[MESSAGE_HEAD:]
            data = unpacked_message(data, is_packed=self._is_message_packed, encoding=encoding, where=self.path)
            yield Message(time_ns(log_ns), time_ns(publish_ns), data)

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
        reader = self._records.fields(at, ATTACHMENT, MAX_CHUNK)
        reader.skip(16)
        reader.text()
        reader.text()
        data = reader.blob(reader.u64())
        crc = reader.u32()
        if crc and zlib.crc32(reader.data[: reader.at - 4]) != crc:
            raise DamagedData(self.path, "an attachment's checksum does not match.", offset=at, next_move=NEXT_MOVE)
        return data

    def _topic(self, number: int) -> Topic:
        schema_id, name, encoding, metadata = self.contents.channels[number]
        schema = self.contents.schemas.get(schema_id, Schema("", "", b""))
        return Topic(name, schema, encoding, {"metadata": metadata, "channel_id": number})

    def _metadata(self, at: int) -> dict[str, str]:
        reader = self._records.fields(at, METADATA)
        reader.text()
        return reader.texts()

    def _places(self) -> dict[int, Places]:
        """(receive_ns, block, offset) of every message per channel."""
        if self.contents.places is None:
            self.contents.places = places_of(self._records, self.contents)
        return self.contents.places

    def _message_record(self, block: int, at: int) -> bytes:
        if not self.contents.chunks[block].length:
            return self._records.record(at, MESSAGE, MAX_CHUNK)
        data = self._blocks[block]
        if not 0 <= at <= len(data) - 9 or data[at] != MESSAGE:
            raise DamagedData(self.path, "the message index points at no message.", offset=self._offset(block, at))
        (length,) = struct.unpack_from("<Q", data, at + 1)
        if length > len(data) - at - 9:
            raise DamagedData(self.path, "a message ends behind its chunk.", offset=self._offset(block, at))
        return data[at + 9 : at + 9 + length]

    def _offset(self, block: int, at: int) -> int:
        return self.contents.chunks[block].at if self.contents.chunks[block].length else at
