"""The files of one ROS 2 bag as one log, in the order of its metadata.yaml."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.containers.logs.log import Log, Message, Topic, TopicIndex, index_in_time
from robokata.containers.logs.sqlite_log import SqliteFile
from robokata.containers.logs.topics import contradictions, topics_of
from robokata.containers.mcap.file import McapFile
from robokata.core.errors import DamagedData, MediaMissing, Unsupported
from robokata.core.require import require
from robokata.core.source import Declaration

METADATA = "metadata.yaml"
MARK = "rosbag2_bagfile_information"
MAX_METADATA = 1 << 24
"""Largest metadata.yaml, 16 MiB: a bag split into ten thousand files has 3 MB."""
STORED = (".db3", ".mcap", ".db3.zstd", ".mcap.zstd")


class BagFolder:
    """The files of one bag as one log. A class, because it keeps them open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._declared: list[Declaration] = []
        info = self._metadata()
        self.files = [self._open(file, info) for file in self._listed(info)]
        # A topic that goes on in the next file is the same topic.
        inside = [(n, i) for n, file in enumerate(self.files) for i in range(len(file.topics))]
        found = topics_of([self.files[n].topics[i] for n, i in inside])
        self.topics: Sequence[Topic] = [one.topic for one in found]
        self._members = [[inside[place] for place in one.channels] for one in found]
        """File and topic in the file of each topic."""
        self.version = None if "version" not in info else f"{info['version']} ({info.get('storage_identifier')})"
        self.extra: Mapping[str, Any] = {"rosbag2": info} if info else {}
        self.extra = {**self.extra, **{f"file {n}": dict(f.extra) for n, f in enumerate(self.files) if f.extra}}
        self._inner = {(n, i): outer for outer, members in enumerate(self._members) for n, i in members}
        self._info = info

    def span_ns(self) -> tuple[int, int] | None:
        """First and last receive time over all files."""
        spans = [span for file in self.files if (span := file.span_ns()) is not None]
        return (min(s[0] for s in spans), max(s[1] for s in spans)) if spans else None

    def counts(self) -> Sequence[int]:
        """Messages per topic over all files."""
        counts = [file.counts() for file in self.files]
        return [sum(counts[n][i] for n, i in members) for members in self._members]

    def declarations(self) -> Sequence[Declaration]:
        """What metadata.yaml states, beside what the files hold."""
        where, found = str(self.path / METADATA), Counter[str]()
        for topic, count in zip(self.topics, self.counts(), strict=True):
            found[topic.name] += count
        out = [*self._declared, *(d for file in self.files for d in file.declarations())]
        if len(self.files) > 1:
            stated = {d.subject for d in out}
            out += [d for d in contradictions(self.topics, str(self.path)) if d.subject not in stated]
        if "message_count" in self._info:
            out.append(Declaration("message_count", self._info["message_count"], sum(found.values()), where))
        for said in _list(self._info.get("topics_with_message_count")):
            name = str(_dict(said.get("topic_metadata")).get("name"))
            out.append(Declaration(f"messages of {name}", said.get("message_count"), found.get(name, 0), where))
        files = {file.path.name: file for file in self.files}
        for said in _list(self._info.get("files")):
            name = Path(str(said.get("path"))).name
            if name in files and "message_count" in said:
                out.append(Declaration(f"messages in {name}", said["message_count"], sum(files[name].counts()), where))
        return [*out, *self._times(where)]

    def _times(self, where: str) -> Iterator[Declaration]:
        """When metadata.yaml says that the recording began, and how long it took."""
        span = self.span_ns()
        start = _dict(self._info.get("starting_time")).get("nanoseconds_since_epoch")
        duration = _dict(self._info.get("duration")).get("nanoseconds")
        if span is not None and isinstance(start, int):
            yield Declaration("starting_time", start, span[0], where, "nanoseconds since 1970")
        if span is not None and isinstance(duration, int):
            yield Declaration("duration", duration, span[1] - span[0], where, "nanoseconds")

    def index(self, topic: int) -> TopicIndex:
        """Where the messages of one topic lie, by receive time over all files.

        Raises:
            DamagedData: a file's index is broken.
        """
        parts = []
        for number, inner in self._members[topic]:
            found = self.files[number].index(inner)
            places = found.places.copy()
            places[:, 0] = number
            parts.append(TopicIndex(found.receive_ns, places))
        return index_in_time(np.concatenate([p.receive_ns for p in parts]), np.concatenate([p.places for p in parts]))

    def read(self, topic: NDArray[np.int64], places: NDArray[np.int64]) -> Iterator[Message]:
        """Messages at places, in their order; those of one file in a row are read together.

        Raises:
            DamagedData: a message cannot be read.
        """
        inner_of = {(number, self._inner[number, inner]): inner for number, inner in self._inner}
        changes = np.flatnonzero(np.diff(places[:, 0])) + 1
        for rows in np.split(np.arange(len(places)), changes):
            if len(rows):
                number = int(places[rows[0], 0])
                owners = np.asarray([inner_of[number, t] for t in topic[rows].tolist()], np.int64)
                yield from self.files[number].read(owners, places[rows])

    def _open(self, path: Path, info: Mapping[str, Any]) -> Log:
        mode, packing = (str(info.get(name) or "").lower() for name in ("compression_mode", "compression_format"))
        if mode in ("file", "message") and packing != "zstd":
            raise Unsupported(
                f"{path}: rosbag2 packed each {mode} as {packing or 'nothing'!r}; Robokata reads zstd. Write the bag "
                f"again with 'ros2 bag convert' and no compression."
            )
        storage = SqliteFile if ".db3" in path.name else McapFile
        return storage(path, is_message_packed=mode == "message")

    def _listed(self, info: Mapping[str, Any]) -> list[Path]:
        """The bag's files in order: as metadata.yaml lists them, else by their number."""
        if self.path.is_file():
            return [self.path]
        there = sorted({_unpacked(p) for p in self.path.iterdir() if p.name.endswith(STORED)}, key=_by_number)
        names = [str(name) for name in _list(info.get("relative_file_paths"), of=str)]
        if not names:
            return there
        # Old bags list `bag/bag_0.db3`, relative to the folder above; only the last part is a name.
        files = [_unpacked(self.path / Path(name).name) for name in names]
        missing = [file for file in files if not file.is_file()]
        for file in missing:
            hint = "the bag's messages from this file are missing"
            where = str(self.path / METADATA)
            self._declared.append(Declaration("relative_file_paths", file.name, "no such file", where, hint))
        if len(missing) == len(files):
            raise MediaMissing(
                files[0], f"named by {METADATA}, and not there.", next_move="Copy it beside the metadata."
            )
        return [file for file in files if file.is_file()]

    def _metadata(self) -> dict[str, Any]:
        path = self.path / METADATA
        if not path.is_file():
            return {}
        if path.stat().st_size > MAX_METADATA:
            raise DamagedData(path, f"has {path.stat().st_size} bytes.")
        return _dict(_dict(_yaml(path)).get(MARK))


def _yaml(path: Path) -> Any:
    ruamel = require("ruamel.yaml", extra="ros")
    text = path.read_bytes().decode("utf-8", "replace")
    # rosbag2 writes no anchors; nested ones unfold to any size when somebody prints them.
    if re.search(r"(^|[\s:\[,-])[&*]\w", text):
        raise DamagedData(path, "uses YAML anchors, which rosbag2 never writes.")
    parse: Callable[[str], Any] = ruamel.YAML(typ="safe", pure=True).load
    try:
        return parse(text)
    except (ruamel.error.YAMLError, ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DamagedData(path, f"is no YAML: {reason}.", next_move="Restore it, or move it away.") from None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any, *, of: type = dict) -> list[Any]:
    return [item for item in value if isinstance(item, of)] if isinstance(value, list) else []


def _unpacked(path: Path) -> Path:
    """The file that somebody unpacked beside a packed one, else the file itself."""
    plain = path.with_suffix("") if path.suffix == ".zstd" else path
    return plain if plain.is_file() else path


def _by_number(path: Path) -> tuple[int, str]:
    """`bag_10.db3` comes after `bag_9.db3`."""
    number = re.search(r"_(\d{1,9})\.", path.name)
    return (int(number.group(1)) if number else -1, path.name)
