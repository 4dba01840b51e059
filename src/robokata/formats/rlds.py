"""RLDS: episodes as TFDS keeps them, one record of a TFRecord file each, read without TensorFlow.

RLDS keeps neither times nor a rate: clocks are unknown, and one step counts as one second. Names of features beyond
RLDS's own flags are each dataset's choice: roles are read from the names. Every distinct text of a language feature is
an instruction. The split is the shard's. Pictures stay encoded until somebody looks; every record's crc is verified.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

from robokata.core.episode import Episode, EpisodeRef, Instruction, Origin, Outcome
from robokata.core.errors import DamagedData, UnknownName, Unsupported
from robokata.core.source import EpisodeRow, Facts, Size
from robokata.formats._rlds_record import STEPS, Record, step_features, texts_of, whole
from robokata.formats._rlds_shards import INFO, SHARD_NAME, ShardFile, declarations, splits_of
from robokata.formats._rlds_streams import is_language, streams_of
from robokata.formats._tfds_features import Spec, read_features, read_json
from robokata.formats._tfrecord import read_record, starts_like_tfrecord

LOOKS_FOR = "a version folder of TFDS: features.json, dataset_info.json and <name>-<split>.tfrecord-00000-of-00001"

_FEATURES = "features.json"
_KEPT = 2
"""Parsed episodes in memory: the one that is read and the one that it is compared with."""


def sniff(path: Path) -> float:
    """Confidence that `path` is a TFDS version folder, or one of its TFRecord files."""
    try:
        if path.is_file():
            is_ours = SHARD_NAME.fullmatch(path.name) and starts_like_tfrecord(path)
            return 0.9 if is_ours else 0.5 * (".tfrecord" in path.name)
        if not path.is_dir():
            return 0.0
        record = next((child for child in path.iterdir() if ".tfrecord" in child.name and child.is_file()), None)
        described = (path / _FEATURES).is_file()
        if record is None:
            return 0.6 if described and (path / INFO).is_file() else 0.0
        if not SHARD_NAME.fullmatch(record.name):
            return 0.5
        return 0.95 if described or starts_like_tfrecord(record) else 0.5
    except OSError:
        return 0.0


def read(path: Path) -> RldsSource:
    """Open a version folder, or one TFRecord file of it.

    Raises:
        DamagedData: features.json or dataset_info.json cannot be read.
        Unsupported: a TFDS dataset whose records are no episodes, or whose files are no TFRecords.
    """
    return RldsSource(path)


class RldsSource:
    """A version folder. A class, because it keeps the last parsed episodes and the index of the shards."""

    format = "rlds"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path if path.is_dir() else path.parent
        self.info = read_json(self.folder / INFO) or {}
        self.specs: Mapping[str, Spec] | None = read_features(self.folder / _FEATURES)
        kind = str(self.info.get("fileFormat") or "tfrecord")
        if kind != "tfrecord":
            raise Unsupported(f"{path}: its fileFormat is {kind!r}; Robokata reads RLDS from TFRecord files.")
        if self.specs is not None and not any(name.startswith(STEPS) for name in self.specs):
            shown = ", ".join(list(self.specs)[:8]) or "nothing"
            raise Unsupported(f"{path}: a TFDS dataset without steps (its features are {shown}): not RLDS episodes.")
        self._open: OrderedDict[str, Record] = OrderedDict()

    @cached_property
    def splits(self) -> Mapping[str, list[ShardFile]]:
        """Shards per split, in the order of dataset_info.json, then by name."""
        return splits_of(self.path, self.info)

    @cached_property
    def _starts(self) -> Mapping[str, list[int]]:
        return {split: [0, *accumulate(file.episodes for file in files)] for split, files in self.splits.items()}

    @cached_property
    def _keys(self) -> tuple[str, ...]:
        return tuple(f"{split}/{i}" for split, starts in self._starts.items() for i in range(starts[-1]))

    def keys(self) -> Sequence[str]:
        return self._keys

    def episode(self, key: str) -> Episode:
        """Open one episode: its record is read and its crc verified, and nothing is decoded.

        Raises:
            UnknownName: no episode has this key.
            DamagedData: the record, or the shard that should hold it, is damaged or missing.
            Unsupported: the record is no RLDS episode.
        """
        record = self._record(key)
        streams, extra = streams_of(record, lambda: self._record(key))
        metadata: dict[str, Any] = {}
        for name in sorted(name for name in record.features if not name.startswith(STEPS)):
            group, _, rest = name.partition("/")
            if group == "episode_metadata" and rest:
                metadata[rest] = whole(record, name)
            else:
                extra[name] = whole(record, name)
        if metadata:
            extra["episode_metadata"] = metadata
        # A feature in parts (ragged, translations) is there when one of its parts is.
        here = {*record.features, *(name.rpartition("/")[0] for name in record.features)}
        absent = [name for name in self.specs or () if name not in here]
        if absent:
            extra["absent_features"] = absent
        return Episode(
            id=key,
            streams=streams,
            instructions=tuple(_instructions(record)),
            outcome=self._outcome(metadata),
            origin=Origin(split=key.rpartition("/")[0]),
            extra=extra,
            ref=EpisodeRef(self.format, str(self.path), key),
        )

    def _outcome(self, metadata: Mapping[str, Any]) -> Outcome:
        success = metadata.get("success")
        spec = (self.specs or {}).get("episode_metadata/success")
        if isinstance(success, bool) or (spec is None and isinstance(success, int) and success in (0, 1)):
            return Outcome(bool(success), "episode_metadata/success")
        return Outcome()

    def _place(self, key: str) -> tuple[ShardFile, int]:
        split, _, number = key.rpartition("/")
        starts = self._starts.get(split)
        if starts is None or not number.isascii() or not number.isdigit() or str(int(number[:18])) != number:
            raise UnknownName("episode", key, self._keys)
        if int(number) >= starts[-1]:
            raise UnknownName("episode", key, self._keys)
        at = bisect_right(starts, int(number)) - 1
        return self.splits[split][at], int(number) - starts[at]

    def _record(self, key: str) -> Record:
        """The parsed record of one episode, from the few that are kept."""
        record = self._open.pop(key, None)
        if record is None:
            file, row = self._place(key)
            if file.problem is not None:
                raise file.problem
            if row >= len(file.shard.offsets):
                found, promised = len(file.shard.offsets), file.declared
                reason = f"holds {found} records where {INFO} promises {promised}; episode {key} is lost."
                raise DamagedData(file.path, reason, next_move="Fetch this file again.")
            offset = int(file.shard.offsets[row])
            # The oldest goes first: never more than _KEPT records at once, even while one is being read.
            while len(self._open) >= _KEPT:
                self._open.popitem(last=False)
            data = read_record(file.path, offset, int(file.shard.lengths[row]))
            record = Record(data, self.specs, file=str(file.path), offset=offset, where=f"episode {key}")
        self._open[key] = record
        return record

    def facts(self) -> Facts:
        """What dataset_info.json says, beside what the index of the shards shows."""
        rows = [
            EpisodeRow(f"{split}/{start + i}", split=split, file=file.path.name)
            for split, files in self.splits.items()
            for start, file in zip(self._starts[split], files, strict=False)
            for i in range(file.episodes)
        ]
        licence = self.info.get("redistributionInfo")
        total = sum(file.payload for files in self.splits.values() for file in files)
        return Facts(
            format=self.format,
            version=None,
            rows=rows,
            licence=str(licence["license"]) if isinstance(licence, dict) and licence.get("license") else None,
            splits={split: starts[-1] for split, starts in self._starts.items()},
            declarations=tuple(declarations(self.splits, self.info)) if self.path.is_dir() else (),
            sizes=self._sizes(total),
            total_size=Size(sum(_bytes(file.path) for files in self.splits.values() for file in files)),
            extra={name: value for name, value in self.info.items() if name != "redistributionInfo"},
        )

    def _sizes(self, total: int) -> Mapping[str, Size]:
        """Bytes per stream, from the first episode that can be read, scaled to all."""
        for key in self._keys[:3]:
            try:
                record = self._record(key)
            except (DamagedData, Unsupported):  # the episode's own error is told when it is opened
                continue
            steps = {name.removeprefix(STEPS): f.size for name, f in record.features.items() if name.startswith(STEPS)}
            scale = total / max(record.size, 1)
            return {name: Size(round(size * scale), is_estimate=total != record.size) for name, size in steps.items()}
        return {}


def _instructions(record: Record) -> Iterator[Instruction]:
    whole_episode = sorted(name for name in record.features if not name.startswith(STEPS))
    for name in (*step_features(record), *whole_episode):
        if is_language(name):
            for text in texts_of(record, name):
                yield Instruction(text, source=name.removeprefix(STEPS))


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
