"""One SQLite file of a ROS 2 bag (`.db3`), read without being touched."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.containers.logs.blocks import FileBytes
from robokata.containers.logs.decode import Schema
from robokata.containers.logs.log import Message, Topic, TopicIndex, index_in_time
from robokata.containers.logs.sqlite_wal import has_commit
from robokata.containers.logs.topics import contradictions, topics_of
from robokata.containers.logs.zstd import MAX_MESSAGE, unpacked_message, unzstd
from robokata.core.errors import DamagedData, MediaMissing, UntrustedContent
from robokata.core.source import Declaration

HEADER = b"SQLite format 3\0"
MAX_UNPACKED = 1 << 30
"""Largest `.db3.zstd` that is unpacked, 1 GiB: SQLite needs the whole file in memory then."""
_NEXT_MOVE = "Restore it from its origin, or save what is left with 'sqlite3 FILE .recover'."


class SqliteFile:
    """An open `.db3`. A class, because it keeps the connection and the index."""

    version: str | None = None

    def __init__(self, path: Path, *, is_message_packed: bool = False) -> None:
        self.path = path
        self.extra: Mapping[str, Any] = {}
        self._is_message_packed = is_message_packed
        self._declared: list[Declaration] = []
        self._connection = self._connect()
        weakref.finalize(self, self._connection.close)
        self._refuse_programs()
        self._ids, listed = self._topics()
        members = topics_of(listed)
        self.topics: Sequence[Topic] = [one.topic for one in members]
        self._members = [[self._ids[place] for place in one.channels] for one in members]
        """Rows of the table of topics that are one topic: a writer may name a topic once per publisher."""
        self._declared += contradictions(self.topics, str(path))
        self._rows: NDArray[np.int64] | None = None

    def span_ns(self) -> tuple[int, int] | None:
        """First and last receive time, from SQLite's own index."""
        row = self._query("SELECT min(timestamp), max(timestamp) FROM messages")[0]
        if not all(isinstance(value, int) for value in row):
            return None
        return int(row[0]), int(row[1])

    def counts(self) -> Sequence[int]:
        """Messages per topic."""
        rows = self._query("SELECT topic_id, count(*) FROM messages GROUP BY topic_id")
        counts = dict(rows)
        return [sum(int(counts.get(number, 0)) for number in numbers) for numbers in self._members]

    def declarations(self) -> Sequence[Declaration]:
        """What the file states of itself, beside what was found."""
        return self._declared

    def index(self, topic: int) -> TopicIndex:
        """Where the messages of one topic lie, by receive time, as rosbag2 gives them.

        Raises:
            DamagedData: the table cannot be read.
        """
        if self._rows is None:
            rows = self._query("SELECT id, topic_id, timestamp FROM messages ORDER BY id")
            if not all(isinstance(value, int) for row in rows for value in row):
                raise DamagedData(self.path, "the table of messages holds a stamp that is no number.")
            self._rows = np.asarray(rows, np.int64).reshape(-1, 3)
        mine = self._rows[np.isin(self._rows[:, 1], self._members[topic])]
        places = np.zeros((len(mine), 3), np.int64)
        places[:, 2] = mine[:, 0]
        return index_in_time(mine[:, 2], places)

    def read(self, topic: NDArray[np.int64], places: NDArray[np.int64]) -> Iterator[Message]:
        """Messages at places.

        Raises:
            DamagedData: a message cannot be read.
        """
        for owner, number in zip(topic.tolist(), places[:, 2].tolist(), strict=True):
            rows = self._query("SELECT topic_id, timestamp, data FROM messages WHERE id = ?", number)
            if not rows or rows[0][0] not in self._members[owner] or not isinstance(rows[0][2], bytes):
                raise DamagedData(self.path, f"message {number} is not where the table says.", next_move=_NEXT_MOVE)
            encoding = self.topics[owner].encoding
            data = unpacked_message(rows[0][2], is_packed=self._is_message_packed, encoding=encoding, where=self.path)
            yield Message(int(rows[0][1]), None, data)

    def _connect(self) -> sqlite3.Connection:
        if not self.path.exists():
            raise MediaMissing(self.path, "the file is not there.")
        if not self.path.is_file():  # Opening a pipe would wait for its other end.
            raise DamagedData(self.path, "is a folder, a pipe or a device, not a file.", next_move=_NEXT_MOVE)
        try:
            if self.path.suffix == ".zstd":
                packed = self.path.read_bytes()
                connection = sqlite3.connect(":memory:", check_same_thread=False)
                connection.deserialize(unzstd(packed, MAX_UNPACKED, where=self.path))
            else:
                address = f"{self.path.absolute().as_uri()}?mode=ro&{self._way_to_open()}"
                connection = sqlite3.connect(address, uri=True, check_same_thread=False)
                # With this, SQLite keeps the index of the log in memory and makes no -shm file beside the data.
                connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_MESSAGE)
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA query_only = ON")
        except (sqlite3.Error, OSError) as error:
            raise DamagedData(self.path, f"cannot be opened as SQLite: {error}.", next_move=_NEXT_MOVE) from None
        return connection

    def _way_to_open(self) -> str:
        """How SQLite reads the file without changing a byte or a name beside it.

        Immutable means no lock and no journal, and leaves a write-ahead log aside. Where that holds transactions, the
        file is opened without locks instead: SQLite then finds pages in the log first. It only ever deletes a log that
        holds none, and cannot write back what it holds, because it has the file open for reading alone.
        """
        log, journal = (self.path.with_name(self.path.name + end) for end in ("-wal", "-journal"))
        if journal.is_file() and journal.stat().st_size:
            hint = "the recording broke inside a transaction, which SQLite would take back: open a copy with it once"
            self._declared.append(Declaration("rollback journal", "none", "pending", str(journal), hint))
            return "immutable=1"
        if not log.is_file() or not log.stat().st_size:
            return "immutable=1"
        try:
            with self.path.open("rb") as file:
                is_database = file.read(len(HEADER)) == HEADER
            return (
                "vfs=unix-none" if is_database and os.name == "posix" and has_commit(FileBytes(log)) else "immutable=1"
            )
        except DamagedData as damage:
            hint = "messages in the write-ahead log are lost"
            self._declared.append(Declaration("write-ahead log", "readable", damage.reason, str(log), hint))
            return "immutable=1"

    def _query(self, sql: str, *values: int) -> list[Any]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
            raise DamagedData(self.path, f"SQLite cannot read it: {error}.", next_move=_NEXT_MOVE) from None

    def _refuse_programs(self) -> None:
        """A view or a computed column in place of a table is a program, and may never end."""
        rows = self._query("SELECT name, type, sql FROM sqlite_master WHERE name IN ('topics', 'messages')")
        found = {name: (kind, str(sql)) for name, kind, sql in rows}
        for name in ("topics", "messages"):
            if name not in found:
                raise DamagedData(self.path, f"no ROS 2 bag: the table {name!r} is missing.")
            kind, sql = found[name]
            words = sql.upper().replace("(", " ( ").split()
            if kind != "table" or "AS" in words or "VIRTUAL" in words:
                raise UntrustedContent(self.path, f"{name!r} is not a plain table.")

    def _topics(self) -> tuple[list[int], Sequence[Topic]]:
        rows = self._query("SELECT * FROM topics ORDER BY id")
        names = [row[1] for row in self._query("PRAGMA table_info(topics)")]
        texts = self._definitions()
        ids, topics = list[int](), list[Topic]()
        for row in rows:
            said = dict(zip(names, row, strict=True))
            if not isinstance(said.get("id"), int) or not all(isinstance(said.get(n), str) for n in ("name", "type")):
                raise DamagedData(self.path, "the table of topics is broken.", next_move=_NEXT_MOVE)
            encoding, text = texts.get(said["type"], ("ros2msg", ""))
            schema = Schema(said["type"], encoding, text.encode("utf-8", "replace"))
            extra = {k: v for k, v in said.items() if k not in ("id", "name", "type", "serialization_format")}
            ids.append(said["id"])
            topics.append(Topic(said["name"], schema, str(said.get("serialization_format") or "cdr"), extra))
        return ids, topics

    def _definitions(self) -> dict[str, tuple[str, str]]:
        """Message definitions by type, where the bag carries them (Iron and newer)."""
        kind = self._query("SELECT type FROM sqlite_master WHERE name = 'message_definitions'")
        if [row[0] for row in kind] != ["table"]:
            return {}
        rows = self._query("SELECT topic_type, encoding, encoded_message_definition FROM message_definitions")
        return {str(name): (str(encoding), str(text)) for name, encoding, text in rows}
