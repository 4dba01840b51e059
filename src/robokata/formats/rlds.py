"""RLDS: episodes as TFDS keeps them, one record of a TFRecord file each, read without TensorFlow.

RLDS keeps neither times nor a rate: clocks are unknown, and one step counts as one second. Names of features beyond
RLDS's own flags are each dataset's choice: roles are read from the names. Every distinct text of a language feature is
an instruction. The split is the shard's. Pictures stay encoded until somebody looks; every record's crc is verified.

Written, an episode's streams become steps: pictures that are JPEG or PNG keep their bytes, others become PNG, float64
is stored as bytes so that it stays float64, and what steps cannot hold rides in the record, in
`episode_metadata/robokata`, and comes back. RLDS calls the last step's action void; one that was recorded is kept.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from robokata.containers.tfrecord import FOOTER, HEADER, read_record, starts_like_tfrecord
from robokata.core.episode import Episode, EpisodeRef, Instruction, Origin, Outcome
from robokata.core.errors import DamagedData, UnknownName, Unsupported, WriteRefused
from robokata.core.extent import Extent
from robokata.core.layout import Layout
from robokata.core.source import EpisodeRow, Facts, Size
from robokata.core.stream import Kind, Stream
from robokata.formats._rlds.layout import LUMA_SCALE, Pictures, Plan, plan_episode
from robokata.formats._rlds.record import STEPS, Record, step_features, texts_of, whole
from robokata.formats._rlds.shards import INFO, SHARD_NAME, ShardFile, declarations, splits_of
from robokata.formats._rlds.streams import streams_of
from robokata.formats._rlds.tfds_features import Spec, read_features, read_json
from robokata.formats._rlds.unstepped import with_left_out
from robokata.formats._rlds.write import CARRIED, VersionFolder, Written, record_of, split_of, title_of
from robokata.formats._roles import is_language
from robokata.media.images import RawImages
from robokata.packing.carry import native_names, unpack
from robokata.runtime.atomic import appearing
from robokata.runtime.ordered_map import each, scratch_folder

IS_ONE_TABLE = True
LOOKS_FOR = "a version folder of TFDS: features.json, dataset_info.json and <name>-<split>.tfrecord-00000-of-00001"

LOSES = (
    "clocks and rates: RLDS counts steps (the original times are carried and come back)",
    "streams at their own rates: one table of steps (numbers that stand in no step are carried and come back)",
    "pictures that stand in no step (carried, and come back; depth and float pictures do not)",
    "video codecs: every picture stands alone (as PNG, every pixel kept)",
    "units, frames and conventions of numbers, outcome, origin, robot (carried, and come back)",
    "ragged samples, messages and annotations (carried, and come back)",
)

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
        for name in sorted(name for name in record.features if not name.startswith((STEPS, CARRIED))):
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
        found = Episode(
            id=key,
            streams=streams,
            instructions=tuple(_instructions(record)),
            outcome=self._outcome(metadata),
            origin=Origin(split=key.rpartition("/")[0]),
            extra=extra,
            ref=EpisodeRef(self.format, str(self.path), key),
        )
        return _with_what_was_carried(found, record, lambda: self._record(key))

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

    def extents(self, key: str) -> Sequence[Extent]:
        """The record of an episode with its length and checksums, and the file that says what its features are.

        Raises:
            UnknownName: no episode has this key.
            DamagedData: the record is cut off or lost.
        """
        self._record(key)
        file, row = self._place(key)
        start = int(file.shard.offsets[row])
        record = Extent(file.path, start, start + HEADER + int(file.shard.lengths[row]) + FOOTER)
        features = self.folder / _FEATURES
        if not features.is_file():
            return [record]
        # Beside a file that was opened alone it is no part of the dataset, and decides all the same.
        return [record, Extent(features)] if self.path.is_dir() else [record._replace(said=features.read_bytes())]

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
                carried = _carried(record)
                names = native_names(carried, where=str(record.file)) if carried is not None else {}
            except (DamagedData, Unsupported):  # the episode's own error is told when it is opened
                continue
            steps = {name.removeprefix(STEPS): f.size for name, f in record.features.items() if name.startswith(STEPS)}
            scale = total / max(record.size, 1)
            return {
                names.get(name, name): Size(round(size * scale), is_estimate=total != record.size)
                for name, size in steps.items()
            }
        return {}


def layout(
    episode: Episode,
    *,
    anchor: str | None = None,
    pictures: str = "png",
    jpeg_quality: int = 95,
    name: str | None = None,
    version: str | None = None,
    shard_bytes: int = 256_000_000,
) -> Layout:
    """Where each stream of an episode goes in RLDS; the options are those of `write`.

    Raises:
        UnknownName: the episode has no stream called `anchor`.
        WriteRefused: no stream can be the anchor, or the options ask for what does not exist.
        DamagedData: the first picture of a camera cannot be read.
    """
    return _layout(episode, plan_episode(episode, anchor=anchor, pictures=Pictures(pictures, jpeg_quality)))


def write(
    path: Path,
    episodes: Iterable[Episode],
    *,
    anchor: str | None = None,
    pictures: str = "png",
    jpeg_quality: int = 95,
    name: str | None = None,
    version: str | None = None,
    shard_bytes: int = 256_000_000,
) -> None:
    """Write a version folder that `tfds.builder_from_directory(path)` opens; it appears in one rename.

    `anchor` is the stream whose samples become steps: by default the first camera, else the action.
    `pictures` says what raw pictures and video frames become: `png` because nothing is lost by it; `jpeg` is five to
    ten times smaller and lossy, and its `jpeg_quality` of 95 is what TensorFlow encodes with. JPEG and PNG bytes are
    copied whatever it says. `name` and `version` are by default the path's, `<name>/<version>` or `<name>` (1.0.0).
    `shard_bytes` lies between TFDS's own limits of 64 MiB and 1 GiB: enough files to shuffle and to read side by side.

    Raises:
        WriteRefused: the target is occupied or cannot be written, an episode has other features than the first one or
            takes more than 2 GiB, or the options ask for what does not exist.
        UnknownName: an episode has no stream called `anchor`.
        DamagedData: an episode cannot be read.
    """
    title = title_of(path, name=name, version=version)
    if shard_bytes < 1:
        raise WriteRefused(f"shard_bytes={shard_bytes}: a shard holds at least one episode; 256000000 is a good size.")
    wanted = Pictures(pictures, jpeg_quality)
    with appearing(path) as place, scratch_folder(place) as scratch:
        folder = VersionFolder(place, title, shard_bytes=shard_bytes)
        for record in each(episodes, partial(_record, anchor=anchor, pictures=wanted, scratch=scratch)):
            folder.add(record)
        folder.close()


def _record(episode: Episode, *, anchor: str | None, pictures: Pictures, scratch: Path) -> Written:
    plan = plan_episode(episode, anchor=anchor, pictures=pictures)
    return record_of(episode, plan, _layout(episode, plan), pictures=pictures, scratch=scratch)


def _layout(episode: Episode, plan: Plan) -> Layout:
    notes = [
        f"Steps are the samples of {plan.rows.anchor}. RLDS has no time: clocks, rates, meanings, outcome and origin "
        f"are carried in {CARRIED} and come back."
    ]
    if not plan.is_rlds:
        notes.append("RLDS calls the action of the last step void; the recorded one is kept there.")
        if episode.outcome.success is None:
            notes.append("is_terminal is never true and reward is 0: the source does not say whether it succeeded.")
    split = episode.origin.split
    if split is not None and split_of(episode) != split:
        notes.append(f"The split {split!r} is called {split_of(episode)!r}: names of TFDS files hold nothing else.")
    return Layout(plan.places, tuple(notes))


def _with_what_was_carried(found: Episode, record: Record, load: Callable[[], Record]) -> Episode:
    """The original, where the writer left what steps cannot hold; else the episode as it was found."""
    carried = _carried(record)
    if carried is None:
        return found
    original = unpack(with_left_out(found, record, load), carried, where=f"{record.file}: {record.where}")
    return replace(original, streams={name: _checked(stream, record) for name, stream in original.streams.items()})


def _carried(record: Record) -> bytes | None:
    if CARRIED not in record.features:
        return None
    if record.features[CARRIED].kind != "bytes" or record.count(CARRIED) != 1:
        raise record.damaged(f"{CARRIED} holds {record.count(CARRIED)} values, expected one string of bytes.")
    return record.items(CARRIED).copy(0)


def _checked(stream: Stream, record: Record) -> Stream:
    """A stream that came back: as many times as samples, and raw pictures that lie as tensors are pictures again."""
    if len(stream.clock) != len(stream):
        raise record.damaged(f"{stream.name} has {len(stream)} samples, and {len(stream.clock)} times were carried.")
    if not isinstance(stream.extra, Mapping):
        raise record.damaged(f"what was carried beside {stream.name} is broken.")
    if LUMA_SCALE not in stream.extra:
        if stream.is_picture and not hasattr(type(stream.values), "luma"):
            raise record.damaged(f"{stream.name} was carried as pictures, and holds none.")
        return stream
    scale = stream.extra[LUMA_SCALE]
    if len(stream.shape) not in (2, 3) or stream.values.dtype.kind not in "fiu" or not isinstance(scale, float):
        raise record.damaged(f"{stream.name} was carried as pictures, and holds {stream.kind} of {list(stream.shape)}.")
    extra = {name: value for name, value in stream.extra.items() if name != LUMA_SCALE}
    pictures = RawImages(stream.values, where=f"{record.file}: {record.where}: {stream.name}", scale=scale)
    return replace(stream, kind=Kind.IMAGE, values=pictures, extra=extra)


def _instructions(record: Record) -> Iterator[Instruction]:
    whole_episode = sorted(name for name in record.features if not name.startswith(STEPS))
    for name in (*step_features(record), *whole_episode):
        if is_language(name):
            for text in texts_of(record, name):
                yield Instruction(text, source=name.removeprefix(STEPS))


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
