"""An open log, whose messages are read in one pass at the first look at any clock or number.

Pictures are read one by one when they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.containers.logs.decode import HEAD_BYTES, Decoder, decoder_of
from robokata.containers.logs.log import Log, Message, TopicIndex
from robokata.containers.logs.table import Table, joined, reordered, settled
from robokata.containers.ros.decode import Columns
from robokata.core.clock import NS_PER_S
from robokata.core.errors import DamagedData, RobokataError, Unsupported

_BLOCK_MESSAGES, _BLOCK_BYTES = 4096, 8_000_000
"""Messages of a topic that are decoded at once: enough that numpy's overhead vanishes, little enough to hold."""


@dataclass
class TopicData:
    """What one pass over the log told about a topic."""

    receive_ns: NDArray[np.int64]
    publish_ns: NDArray[np.int64] | None
    header_ns: NDArray[np.int64] | None
    columns: Columns
    rows: Mapping[str, NDArray[np.int64]]
    """Column -> messages that hold it; a column that is not named here stands in every message."""
    damage: RobokataError | None = None
    """Why the columns are missing, None where they are there."""


@dataclass
class _Gathering:
    """Messages of one topic on their way into columns. A class, because it fills up and empties."""

    receive_ns: list[int] = field(default_factory=list)
    publish_ns: list[int | None] = field(default_factory=list)
    waiting: list[bytes] = field(default_factory=list)
    waiting_bytes: int = 0
    blocks: list[Table] = field(default_factory=list)
    damage: RobokataError | None = None


class OpenLog:
    """A log with its decoders, and what has been read of it.

    A class, because the one pass over the messages serves all streams of the episode.
    """

    def __init__(self, log: Log) -> None:
        self.log = log
        self.decoders: list[Decoder | None] = []
        self.undecoded: list[str | None] = []
        for topic in log.topics:
            try:
                self.decoders.append(decoder_of(topic.encoding, topic.schema))
                self.undecoded.append(None)
            except Unsupported as reason:
                self.decoders.append(None)
                self.undecoded.append(str(reason))
        self.is_table = [False] * len(log.topics)
        """Topics whose messages become columns, as far as the first message says."""
        self.streams_made: dict[int, int] = {}
        """Streams that came out of each topic so far."""
        self._index: dict[int, TopicIndex] = {}

    def where(self, topic: int) -> str:
        """The place that errors name."""
        return f"{self.log.path}: {self.log.topics[topic].name}"

    def index(self, topic: int) -> TopicIndex:
        """Where the messages of a topic lie, by receive time; kept."""
        if topic not in self._index:
            self._index[topic] = self.log.index(topic)
        return self._index[topic]

    def message(self, topic: int, number: int) -> Message:
        """One message of a topic.

        Raises:
            DamagedData: it cannot be read, or is not the one that the index promises.
        """
        index = self.index(topic)
        place = index.places[number : number + 1]
        found = next(iter(self.log.read(np.full(1, topic, np.int64), place)))
        if found.receive_ns != int(index.receive_ns[number]):
            raise self._false_index(topic, number)
        return found

    def _false_index(self, topic: int, number: int) -> DamagedData:
        # The order of the samples rests on the times of the index: false ones would turn samples around.
        words = f"the index states another time for message {number} than the message itself."
        return DamagedData(self.where(topic), words, next_move="Restore the file from its origin.")

    def firsts(self) -> dict[int, Message]:
        """The first message of every topic that has one; each block of the file is visited once."""
        filled = [t for t in range(len(self.log.topics)) if len(self.index(t).places)]
        filled.sort(key=lambda t: tuple(self.index(t).places[0]))
        return {t: self.message(t, 0) for t in filled}

    @cached_property
    def _passed(self) -> list[TopicData] | DamagedData:
        """What the one pass told, or why it failed: nobody pays for a second try."""
        try:
            return self._pass()
        except DamagedData as damage:
            return damage

    def data(self, topic: int) -> TopicData:
        """Times and columns of a topic, from the one pass.

        Raises:
            DamagedData: the log cannot be read.
        """
        if isinstance(self._passed, DamagedData):
            raise self._passed
        return self._passed[topic]

    def column(self, topic: int, name: str, rows: NDArray[np.int64] | None) -> NDArray[Any]:
        """One field of a topic in some of the messages that hold it, None for all messages.

        Raises:
            DamagedData: a message of the topic is not what its definition says.
            Unsupported: a message of the topic is not read.
        """
        data = self.data(topic)
        if data.damage is not None:
            raise data.damage
        column, held = data.columns[name], data.rows.get(name)
        if rows is None or held is rows:
            return column
        return column[rows if held is None else np.searchsorted(held, rows)]

    def surveyed(self, topic: int) -> TopicData | None:
        """What all messages of a topic hold, None where they cannot be read: whoever asks for values is told why."""
        try:
            data = self.data(topic)
        except DamagedData:
            return None
        return data if data.damage is None else None

    def _pass(self) -> list[TopicData]:
        gathered = [_Gathering() for _ in self.log.topics]
        indexes = [self.index(t) for t in range(len(gathered))]
        owners = np.concatenate(
            [np.full(len(x.places), t, np.int64) for t, x in enumerate(indexes)] or [np.empty(0, np.int64)]
        )
        places = np.concatenate([x.places for x in indexes] or [np.empty((0, 3), np.int64)])
        order = np.lexsort((places[:, 2], places[:, 1], places[:, 0]))
        owners, places = owners[order].astype(np.int64), places[order]
        for owner, message in zip(owners.tolist(), self.log.read(owners, places), strict=True):
            self._take(owner, gathered[owner], message)
        return [self._finish(topic, one) for topic, one in enumerate(gathered)]

    def _take(self, topic: int, gathered: _Gathering, message: Message) -> None:
        gathered.receive_ns.append(message.receive_ns)
        gathered.publish_ns.append(message.publish_ns)
        decoder = self.decoders[topic]
        if decoder is None or gathered.damage is not None:
            return
        whole = self.is_table[topic] or decoder.needs_whole
        data = bytes(message.data) if whole else bytes(message.data[:HEAD_BYTES])
        gathered.waiting.append(data)
        gathered.waiting_bytes += len(data)
        if len(gathered.waiting) >= _BLOCK_MESSAGES or gathered.waiting_bytes >= _BLOCK_BYTES:
            self._decode(topic, gathered)

    def _decode(self, topic: int, gathered: _Gathering) -> None:
        decoder = self.decoders[topic]
        if decoder is not None and gathered.waiting:
            decode = decoder.table if self.is_table[topic] else decoder.head
            try:
                gathered.blocks.append(decode(gathered.waiting, self.where(topic)))
            except (DamagedData, Unsupported) as damage:
                # One topic that cannot be read leaves the others readable; whoever asks for it is told.
                gathered.damage = damage
        gathered.waiting, gathered.waiting_bytes = [], 0

    def _finish(self, topic: int, gathered: _Gathering) -> TopicData:
        self._decode(topic, gathered)
        nothing = np.empty(0, np.int64)
        table = settled(joined(gathered.blocks)) if gathered.blocks and gathered.damage is None else Table(0, {}, {})
        receive_ns = np.asarray(gathered.receive_ns, np.int64)
        publish = [p for p in gathered.publish_ns if p is not None]
        publish_ns = np.asarray(publish, np.int64) if len(publish) == len(receive_ns) else None
        # The pass goes through the file in its order; samples stand in the order in which they were received.
        numbers = self._numbers_in_file(topic)
        if numbers is not None:
            table = reordered(table, numbers) if table.messages else table
            order = np.argsort(numbers)
            receive_ns, publish_ns = receive_ns[order], None if publish_ns is None else publish_ns[order]
        stated = self.index(topic).receive_ns
        false = np.flatnonzero(receive_ns != stated) if len(receive_ns) == len(stated) else nothing
        if len(false):
            return TopicData(nothing, None, None, {}, {}, self._false_index(topic, int(false[0])))
        return TopicData(
            receive_ns, publish_ns, stamps_ns(table.dense), table.columns, table.rows, damage=gathered.damage
        )

    def _numbers_in_file(self, topic: int) -> NDArray[np.int64] | None:
        """Number by receive time of each message in the order of the file, None where the two orders are the same."""
        index = self.index(topic)
        if not index.late:
            return None
        return np.lexsort((index.places[:, 2], index.places[:, 1], index.places[:, 0])).astype(np.int64)


_STAMPS = (
    ("header.stamp.sec", "header.stamp.nanosec"),
    ("header.stamp.sec", "header.stamp.nsec"),
    ("timestamp.sec", "timestamp.nsec"),
    ("timestamp.sec", "timestamp.nanosec"),
    ("timestamp.seconds", "timestamp.nanos"),
)
"""Where messages keep the time at which their sample was taken: ROS, foxglove JSON, foxglove protobuf."""
STAMP_FIELDS = frozenset(name for pair in _STAMPS for name in pair)


def stamps_ns(columns: Columns) -> NDArray[np.int64] | None:
    """Header stamps, (T,) nanoseconds, None where the messages have none."""
    for seconds, nanoseconds in _STAMPS:
        if seconds in columns and nanoseconds in columns:
            sec, nano = columns[seconds], columns[nanoseconds]
            if sec.dtype.kind in "iu" and nano.dtype.kind in "iu":
                return sec.astype(np.int64) * NS_PER_S + nano.astype(np.int64)
    return None
