"""The records of an MCAP file: their kinds, their fields, and what an index is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.errors import DamagedData
from robokata.formats._log import Places
from robokata.formats._log_decode import Schema


class Chunk(NamedTuple):
    """Where a chunk of messages lies."""

    at: int
    """Offset in the file of the chunk record."""
    length: int
    index_length: int
    """Bytes of message indexes behind the chunk, 0 where there are none."""
    start_ns: int
    end_ns: int
    index_channels: int
    """Message indexes behind the chunk: one per channel."""


@dataclass
class Contents:
    """What the summary says, or a scan found. Filled record by record."""

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, tuple[int, str, str, dict[str, str]]] = field(default_factory=dict)
    """Channel id -> schema id, topic, message encoding, metadata."""
    chunks: list[Chunk] = field(default_factory=list)
    counts: dict[int, int] | None = None
    """Messages per channel as the statistics state them."""
    stated: dict[str, int] = field(default_factory=dict)
    """Other numbers of the statistics."""
    attachments: list[dict[str, Any]] = field(default_factory=list)
    metadata: list[tuple[int, str]] = field(default_factory=list)
    places: dict[int, Places] | None = None
    """Channel id -> (receive_ns, block, offset) of every message, where a scan listed them."""


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


def time_ns(value: int) -> int:
    """A time of the file as int64; those behind the year 2262 are no times, and are kept as the last one."""
    return min(value, 2**63 - 1)
