"""A robot log: topics of messages, each stamped up to three times.

A log file is an index at open; the messages of all topics are read in one pass at the first look at any clock
or number, pictures one by one when they are asked for.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S
from robokata.core.episode import Episode, EpisodeRef
from robokata.core.errors import DamagedData, RobokataError, UnknownName, Unsupported
from robokata.core.source import Declaration, EpisodeRow, Facts, Size
from robokata.formats._log_decode import HEAD_BYTES, Decoder, Schema, decoder_of
from robokata.formats._ros_decode import Columns, concatenated

_BLOCK_MESSAGES, _BLOCK_BYTES = 4096, 8_000_000
"""Messages of a topic that are decoded at once: enough that numpy's overhead vanishes, little enough to hold."""
OPEN_LOGS = 8
"""Logs kept open per source; each holds its index, a few decompressed chunks, and the columns looked at."""


class Topic(NamedTuple):
    """One topic (channel, connection) of a log."""

    name: str
    schema: Schema
    encoding: str
    """Of its messages: `cdr`, `ros1`, `protobuf`, `json`, ..."""
    extra: Mapping[str, Any]
    """What the log says about the topic and has no other home."""


class TopicIndex(NamedTuple):
    """Where the messages of one topic lie, in the log's order."""

    receive_ns: NDArray[np.int64]
    """(n,) as the index states them."""
    places: NDArray[np.int64]
    """(n, 3): file, block, offset; what they mean is the log's business."""


class Places:
    """Where the messages of one topic lie, 24 bytes each. A class, because it grows while an index is read."""

    def __init__(self) -> None:
        self._words = array("q")

    def __len__(self) -> int:
        return len(self._words) // 3

    def add(self, receive_ns: int, block: int, offset: int) -> None:
        """One message."""
        self._words.extend((receive_ns, block, offset))

    def add_block(self, receive_ns: NDArray[np.int64], block: int, offsets: NDArray[np.int64]) -> None:
        """All messages of one block."""
        rows = np.stack([receive_ns, np.full(len(offsets), block, np.int64), offsets], axis=1)
        self._words.frombytes(rows.astype(np.int64).tobytes())

    def index(self) -> TopicIndex:
        """The messages in the order of the file, whatever the order of the index."""
        table = np.frombuffer(self._words.tobytes(), np.int64).reshape(-1, 3)
        table = table[np.lexsort((table[:, 2], table[:, 1]))]
        return TopicIndex(table[:, 0], np.concatenate([np.zeros((len(table), 1), np.int64), table[:, 1:]], axis=1))


def span_of(places: Iterable[Places]) -> tuple[int, int] | None:
    """First and last receive time of all topics, None where there are no messages."""
    times = [listed.index().receive_ns for listed in places if len(listed)]
    return (min(int(t.min()) for t in times), max(int(t.max()) for t in times)) if times else None


class Message(NamedTuple):
    """One message as it lies."""

    receive_ns: int
    publish_ns: int | None
    data: bytes


class Log(Protocol):
    """One log, whatever its container."""

    @property
    def path(self) -> Path: ...
    @property
    def topics(self) -> Sequence[Topic]: ...
    @property
    def extra(self) -> Mapping[str, Any]: ...
    @property
    def version(self) -> str | None: ...

    def span_ns(self) -> tuple[int, int] | None:
        """First and last receive time as the index states them, None where it is empty."""
        ...

    def counts(self) -> Sequence[int]:
        """Messages per topic, from the index."""
        ...

    def index(self, topic: int) -> TopicIndex:
        """Where the messages of one topic lie."""
        ...

    def read(self, topic: NDArray[np.int64], places: NDArray[np.int64]) -> Iterator[Message]:
        """Messages at places, which are cheapest in the order of the file. `topic` says whose each must be."""
        ...

    def declarations(self) -> Sequence[Declaration]:
        """What the log states of itself, beside what was found."""
        ...


@dataclass
class TopicData:
    """What one pass over the log told about a topic."""

    receive_ns: NDArray[np.int64]
    publish_ns: NDArray[np.int64] | None
    header_ns: NDArray[np.int64] | None
    columns: Columns
    damage: RobokataError | None = None
    """Why the columns are missing, None where they are there."""


@dataclass
class _Gathering:
    """Messages of one topic on their way into columns. A class, because it fills up and empties."""

    receive_ns: list[int] = field(default_factory=list)
    publish_ns: list[int | None] = field(default_factory=list)
    waiting: list[bytes] = field(default_factory=list)
    waiting_bytes: int = 0
    blocks: list[Columns] = field(default_factory=list)
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
        """Topics whose messages become columns; decided by a look at the first message."""
        self.streams_made: dict[int, int] = {}
        """Streams that came out of each topic so far."""
        self._index: dict[int, TopicIndex] = {}

    def where(self, topic: int) -> str:
        """The place that errors name."""
        return f"{self.log.path}: {self.log.topics[topic].name}"

    def index(self, topic: int) -> TopicIndex:
        """Where the messages of a topic lie; kept."""
        if topic not in self._index:
            self._index[topic] = self.log.index(topic)
        return self._index[topic]

    def message(self, topic: int, number: int) -> Message:
        """One message of a topic."""
        place = self.index(topic).places[number : number + 1]
        return next(iter(self.log.read(np.full(1, topic, np.int64), place)))

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

    def column(self, topic: int, name: str) -> NDArray[Any]:
        """One column of a topic.

        Raises:
            DamagedData: a message of the topic is not what its definition says.
            Unsupported: the messages of the topic differ in their fields.
        """
        data = self.data(topic)
        if data.damage is not None:
            raise data.damage
        return data.columns[name]

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
        columns = concatenated(gathered.blocks) if gathered.blocks and gathered.damage is None else {}
        publish = [p for p in gathered.publish_ns if p is not None]
        return TopicData(
            receive_ns=np.asarray(gathered.receive_ns, np.int64),
            publish_ns=np.asarray(publish, np.int64) if publish else None,
            header_ns=stamps_ns(columns),
            columns=columns,
            damage=gathered.damage,
        )


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


class LogSource:
    """Logs as a dataset: one log is one episode. A class, because it keeps logs open."""

    def __init__(
        self,
        path: Path,
        *,
        format: str,
        files: Mapping[str, Path],
        open_log: Callable[[Path], Log],
        episode_of: Callable[[OpenLog, EpisodeRef], Episode],
        steps_of: Callable[[Log], int | None],
    ) -> None:
        self.format, self.path, self.files = format, path, dict(files)
        self._open_log, self._episode_of, self._steps_of = open_log, episode_of, steps_of
        self._open: OrderedDict[str, Log] = OrderedDict()

    def keys(self) -> Sequence[str]:
        return list(self.files)

    def episode_log(self, key: str) -> Log:
        """The open log of one episode.

        Raises:
            DamagedData: its index cannot be read.
        """
        if key not in self._open:
            self._open[key] = self._open_log(self.files[key])
            if len(self._open) > OPEN_LOGS:
                self._open.popitem(last=False)
        self._open.move_to_end(key)
        return self._open[key]

    def episode(self, key: str) -> Episode:
        """Open one log.

        Raises:
            UnknownName: no log has this name.
            DamagedData: its index cannot be read.
        """
        if key not in self.files:
            raise UnknownName("episode", key, self.files)
        return self._episode_of(OpenLog(self.episode_log(key)), EpisodeRef(self.format, str(self.path), key))

    def facts(self) -> Facts:
        """What the logs state of themselves, from their indexes. A log that cannot be opened keeps its row."""
        rows, declared, versions, extra, total = [], list[Declaration](), list[str](), {}, 0
        for key, file in self.files.items():
            total += _bytes_of(file)
            name = file.name if file != self.path else None
            try:
                log = self.episode_log(key)
                rows.append(self._row(key, log, name))
                declared += log.declarations()
                versions += [log.version] if log.version else []
                extra[key] = dict(log.extra)
            except (DamagedData, Unsupported) as damage:
                rows.append(EpisodeRow(id=key, file=name))
                declared.append(Declaration(f"episode {key}", "readable", "damaged", str(file), str(damage)))
        return Facts(
            format=self.format,
            version=", ".join(dict.fromkeys(versions)) or None,
            rows=rows,
            declarations=tuple(declared),
            total_size=Size(total),
            extra=extra,
        )

    def _row(self, key: str, log: Log, name: str | None) -> EpisodeRow:
        span = log.span_ns()
        duration_s = None if span is None else (span[1] - span[0]) / NS_PER_S
        return EpisodeRow(id=key, steps=self._steps_of(log), duration_s=duration_s, file=name)


def _bytes_of(path: Path) -> int:
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()] if path.is_dir() else []
    return sum(file.stat().st_size for file in files)
