"""What a robot log is made of: topics of messages, and the index that says where each message lies."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from robokata.containers.logs.decode import Schema
from robokata.core.source import Declaration

MAX_COMPARED = 1_000_000
"""Messages up to which statistics are compared with the message indexes, 16 MB of them: a tenth of a second."""


class Topic(NamedTuple):
    """One topic of a log, or one channel (connection) of a topic."""

    name: str
    schema: Schema
    encoding: str
    """Of its messages: `cdr`, `ros1`, `protobuf`, `json`, ..."""
    extra: Mapping[str, Any]
    """What the log says about the topic and has no other home."""


class TopicIndex(NamedTuple):
    """Where the messages of one topic lie, by receive time: the order in which MCAP, rosbag and rosbag2 give them."""

    receive_ns: NDArray[np.int64]
    """(n,) as the index states them, rising."""
    places: NDArray[np.int64]
    """(n, 3): file, block, offset; what they mean is the log's business."""
    late: int = 0
    """Messages that lie in the file behind one with a later receive time."""


def index_in_time(receive_ns: NDArray[np.int64], places: NDArray[np.int64]) -> TopicIndex:
    """Messages by receive time, those of one time in the order of the file."""
    filed = np.lexsort((places[:, 2], places[:, 1], places[:, 0]))
    receive_ns, places = receive_ns[filed], places[filed]
    late = int(np.sum(receive_ns < np.maximum.accumulate(receive_ns))) if len(receive_ns) else 0
    if late:
        order = np.argsort(receive_ns, kind="stable")
        receive_ns, places = receive_ns[order], places[order]
    return TopicIndex(receive_ns, places, late)


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

    def table(self) -> NDArray[np.int64]:
        """(n, 3): receive time, block, offset, in the order in which they came."""
        return np.frombuffer(self._words.tobytes(), np.int64).reshape(-1, 3)


def index_of(listed: Sequence[Places]) -> TopicIndex:
    """The messages of all channels of one topic, in one file."""
    table = np.concatenate([places.table() for places in listed] or [np.empty((0, 3), np.int64)])
    places = np.concatenate([np.zeros((len(table), 1), np.int64), table[:, 1:]], axis=1)
    return index_in_time(table[:, 0], places)


def span_of(places: Iterable[Places]) -> tuple[int, int] | None:
    """First and last receive time of all topics, None where there are no messages."""
    times = [listed.table()[:, 0] for listed in places if len(listed)]
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
