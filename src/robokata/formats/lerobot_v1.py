"""LeRobot v1 (2024): an Arrow table of rows that point into one video per camera and episode; no language.

Rows carry `timestamp`; where it equals row / rate, the clock is synthesized. Cameras are columns of pointers
{path, timestamp} into a video; the stamps of the pointers stay beside the pictures as a stream of their own. The index
of episodes only says what is expected: the rows decide which episode they belong to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.containers.arrow_stream import ArrowStreamRows
from robokata.containers.safetensors import read_safetensors
from robokata.core.clock import Clock, rate_fraction
from robokata.core.episode import Episode, EpisodeRef, Origin
from robokata.core.errors import DamagedData, MediaMissing, UnknownName
from robokata.core.require import require
from robokata.core.source import Declaration, EpisodeRow, Facts, Size
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.formats._lerobot.cameras import video_stream
from robokata.formats._lerobot.facts import Later, files_below, is_there, read_json, size_of, text_or_none
from robokata.formats._lerobot.streams import column_array, column_spec, column_stream, outcome_of, row_clock
from robokata.media.video import VideoFrames

LOOKS_FOR = "a folder with meta_data/info.json and train/state.json beside Arrow streams (LeRobot v1)"

_INFO = "meta_data/info.json"
_INDEX = "meta_data/episode_data_index.safetensors"
_NAMES = ("episode_index", "frame_index", "timestamp", "index")


def sniff(path: Path) -> float:
    """1.0 for meta_data/ beside a folder of Arrow streams; 0.5 where one of the two files that say so is lost."""
    try:
        has_rows = any((folder / "state.json").exists() for folder in (path / "train", *path.glob("*/")))
        marks = [(path / _INFO).exists(), (path / _INDEX).exists(), has_rows]
    except OSError:
        return 0.0
    return {3: 1.0, 2: 0.5}.get(sum(marks), 0.0)


def read(path: Path) -> LeRobotV1:
    """Open a dataset: info.json, the index of episodes, and the lists of Arrow files.

    Raises:
        DamagedData: info.json is unreadable or holds no rate, or neither index nor rows tell the episodes.
    """
    return LeRobotV1(path)


class _Span(NamedTuple):
    """Rows of one episode in its split."""

    split: str
    number: int
    first: int
    end: int


class LeRobotV1:
    """A LeRobot v1 folder as a Source; keys are episode numbers, with the split before them where there are several."""

    format = "lerobot_v1"

    def __init__(self, path: Path) -> None:
        self.path = path
        info = read_json(path / _INFO)
        fps = info.get("fps") if isinstance(info, dict) else None
        rate = rate_fraction(fps) if isinstance(fps, (int, float)) and not isinstance(fps, bool) else None
        if rate is None:
            raise DamagedData(path / _INFO, f"'fps' is {fps!r}, not a rate.", next_move="Write the true rate there.")
        self.info: Mapping[str, Any] = info
        self.rate_hz: Fraction = rate
        self._rows = {folder.name: _open_rows(folder) for folder in _split_folders(path)}
        if not self._rows:
            raise MediaMissing(path / "train" / "state.json", "no folder of the dataset holds rows.")
        self._spans = {self._key(span): span for span in self._find_spans()}
        self._owners: dict[str, NDArray[np.int64]] = {}

    def _key(self, span: _Span) -> str:
        return str(span.number) if len(self._rows) == 1 else f"{span.split}/{span.number}"

    def _find_spans(self) -> Iterator[_Span]:
        """Episodes from the index, which LeRobot writes for `train`; those of other splits from their rows."""
        indexed = "train" if "train" in self._rows else next(iter(self._rows))
        for split in self._rows:
            if split == indexed and is_there(self.path / _INDEX):
                for number, (first, end) in enumerate(self._read_index()):
                    yield _Span(split, number, first, end)
            else:
                owner = self._read_owner(split)
                numbers, firsts = np.unique(owner, return_index=True)
                _, from_end = np.unique(owner[::-1], return_index=True)
                for place in np.argsort(firsts):
                    end = len(owner) - int(from_end[place])
                    yield _Span(split, int(numbers[place]), int(firsts[place]), end)

    def _read_index(self) -> list[tuple[int, int]]:
        arrays = read_safetensors(self.path / _INDEX)
        first, end = arrays.get("from"), arrays.get("to")
        if first is None or end is None or first.shape != end.shape or first.ndim != 1 or first.dtype.kind != "i":
            raise DamagedData(
                self.path / _INDEX, "holds no 'from' and 'to' of one length.", next_move="Restore it from the original."
            )
        return list(zip(first.tolist(), end.tolist(), strict=True))

    def _read_owner(self, split: str) -> NDArray[np.int64]:
        """Episode of each row of a split, (rows,)."""
        rows = self._rows[split]
        where = f"{rows.folder}: episode_index"
        if not len(rows):
            return np.empty(0, np.int64)
        if "episode_index" not in rows.columns:
            raise DamagedData(rows.folder, "the table lacks the column episode_index.")
        spec = column_spec(rows.columns["episode_index"], {})
        owner = column_array(rows.column("episode_index", 0, len(rows)), spec, where=where)
        if owner.dtype.kind not in "iu" or owner.ndim != 1:
            raise DamagedData(where, "holds no whole numbers.")
        return owner.astype(np.int64)

    def _owner(self, split: str) -> NDArray[np.int64]:
        if split not in self._owners:
            self._owners[split] = self._read_owner(split)
        return self._owners[split]

    def keys(self) -> Sequence[str]:
        return list(self._spans)

    def episode(self, key: str) -> Episode:
        """Open one episode: the rows that carry its number.

        Raises:
            UnknownName: no episode has this number.
            DamagedData: no row carries its number, or the rows cannot be read.
        """
        if key not in self._spans:
            raise UnknownName("episode", key, self._spans)
        span = self._spans[key]
        first, count = self._rows_of(span)
        streams = {stream.name: stream for stream in self._streams(span.split, first, count)}
        return Episode(
            id=key,
            streams=streams,
            outcome=outcome_of(list(streams.values())),
            origin=Origin(split=span.split),
            declared_rate_hz=self.rate_hz,
            declared_steps=max(0, span.end - span.first),
            extra={"info": dict(self.info)},
            ref=EpisodeRef(self.format, str(self.path), key),
        )

    def _rows_of(self, span: _Span) -> tuple[int, int]:
        """First row and number of rows: by the rows' own episode_index; the index only says what is expected."""
        rows = self._rows[span.split]
        if "episode_index" not in rows.columns:
            first = min(max(0, span.first), len(rows))
            return first, max(0, min(span.end, len(rows)) - first)
        mine = np.flatnonzero(self._owner(span.split) == span.number)
        if not len(mine) and span.end > span.first:
            if rows.damage is not None:
                raise rows.damage
            raise DamagedData(
                rows.folder,
                f"the index gives rows {span.first}:{span.end} to episode {span.number}, and no row has its number.",
                next_move="Restore the rows from the original, or drop the episode.",
            )
        if len(mine) and mine[-1] - mine[0] + 1 != len(mine):
            raise DamagedData(
                rows.folder, f"the rows of episode {span.number} are scattered among those of other episodes."
            )
        if rows.damage is not None and len(mine) and mine[-1] + 1 == len(rows) and span.end > len(rows):
            # The damage cuts this episode: half of it would pass for the whole.
            raise rows.damage
        return (int(mine[0]), len(mine)) if len(mine) else (0, 0)

    def _streams(self, split: str, first: int, count: int) -> Iterator[Stream]:
        rows = self._rows[split]
        clock = self._clock(rows, first, count)
        for name, kind in rows.columns.items():
            where = f"{rows.folder}: {name}"
            load = partial(rows.column, name, first, count)
            if _is_video(kind):
                yield from self._camera(name, load, clock, where)
                continue
            spec = column_spec(kind, {})
            yield column_stream(name, spec, {}, clock=clock, load=load, where=where, root=self.path, encoding="arrow")

    def _clock(self, rows: ArrowStreamRows, first: int, count: int) -> Clock:
        kind = rows.columns.get("timestamp")
        if kind is None or column_spec(kind, {}).shape != () or column_spec(kind, {}).kind is not Kind.TENSOR:
            return row_clock(count, self.rate_hz, None)
        spec, where = column_spec(kind, {}), f"{rows.folder}: timestamp"
        return row_clock(
            count, self.rate_hz, lambda: column_array(rows.column("timestamp", first, count), spec, where=where)
        )

    def _camera(self, name: str, load: Any, clock: Clock, where: str) -> Iterator[Stream]:
        """A column of pointers {path, timestamp}: the frames of that video, and the stamps that point to them."""
        compute = require("pyarrow.compute", extra="tables")
        column = load()
        try:
            paths = compute.unique(column.field("path")).to_pylist()
            stamps = np.asarray(column.field("timestamp").to_numpy(zero_copy_only=False))
            stamps_s = stamps.astype(np.float64)
        except (ValueError, TypeError):
            raise DamagedData(where, "the pointers into the video are no texts and numbers.") from None
        if len(paths) > 1:
            raise DamagedData(
                where, f"the rows of one episode point to {len(paths)} videos: {paths[0]!r}, {paths[1]!r}."
            )
        frames = VideoFrames(self._video_file(paths), len(clock), span_s=self._span_s(stamps_s))
        yield video_stream(name, {}, frames, clock)
        yield Stream(f"{name}.timestamp", Kind.TENSOR, Role.BOOKKEEPING, clock, ArrayValues(stamps), encoding="arrow")

    def _span_s(self, stamps_s: NDArray[np.float64]) -> tuple[float, float] | None:
        """None for an episode that has its video to itself; else the seconds that its stamps point to."""
        # Half a period: below it the first stamp still means frame 0.
        if not len(stamps_s) or not np.isfinite(stamps_s[0]) or stamps_s[0] < 0.5 / float(self.rate_hz):
            return None
        return float(stamps_s[0]), float(stamps_s[0]) + float(len(stamps_s) / self.rate_hz)

    def _video_file(self, paths: Sequence[str | None]) -> Path:
        """The video that the rows name; a path out of the dataset is a video that is not there."""
        relative = Path(paths[0]) if paths and paths[0] else Path("videos/no path in the rows")
        if relative.is_absolute() or ".." in relative.parts or "\0" in str(relative):
            return self.path / "videos" / "a path outside the dataset"
        return self.path / relative

    def facts(self) -> Facts:
        """Facts from info.json, the index, the Arrow schemas, and the sizes of the files."""
        rows = [self._row(key, span) for key, span in self._spans.items()]
        tables = sum(size_of(file) for split in self._rows.values() for file in split.files)
        videos = {file: size_of(file) for file in files_below(self.path / "videos", ".mp4")}
        sizes = {"table": Size(tables)}
        for name in self._cameras():
            sizes[name] = Size(sum(size for file, size in videos.items() if file.name.startswith(f"{name}_episode_")))
        return Facts(
            format=self.format,
            version="v1",
            rows=rows,
            licence=text_or_none(self._card.get("license")),
            declared_rate_hz=self.rate_hz,
            splits=Counter(row.split for row in rows if row.split is not None),
            declarations=tuple(self._declarations(list(videos))),
            statistics=Later(self._statistics),
            sizes=sizes,
            total_size=Size(tables + sum(videos.values())),
            extra={"info": dict(self.info), "dataset_info": dict(self._card)},
        )

    @cached_property
    def _card(self) -> Mapping[str, Any]:
        """`dataset_info.json` of the first split, empty where it is absent."""
        try:
            card = read_json(next(iter(self._rows.values())).folder / "dataset_info.json")
        except MediaMissing:
            return {}
        return card if isinstance(card, dict) else {}

    def _cameras(self) -> list[str]:
        known = {name: kind for rows in self._rows.values() for name, kind in _columns_or_none(rows).items()}
        return [name for name, kind in known.items() if _is_video(kind)]

    def _row(self, key: str, span: _Span) -> EpisodeRow:
        steps = max(0, span.end - span.first)
        return EpisodeRow(
            id=key,
            steps=steps,
            duration_s=float(steps / self.rate_hz),
            split=span.split,
            file=span.split,
            first_row=span.first,
            end_row=span.end,
        )

    def _declarations(self, videos: Sequence[Path]) -> Iterator[Declaration]:
        for split, rows in self._rows.items():
            spans = [span for span in self._spans.values() if span.split == split]
            try:
                owner = self._owner(split)
            except DamagedData as damage:
                yield Declaration(f"rows of {split}", "readable", "damaged", str(damage))
                continue
            if rows.damage is not None:
                yield Declaration(f"rows of {split}", "readable", f"damaged after row {len(rows)}", str(rows.damage))
            yield Declaration(f"rows of {split}", max((s.end for s in spans), default=0), len(rows), _INDEX)
            yield Declaration(f"episodes of {split}", len(spans), len(np.unique(owner)), _INDEX)
            counts = dict(zip(*(part.tolist() for part in np.unique(owner, return_counts=True)), strict=True))
            for span in spans:
                given = owner[max(0, span.first) : max(0, span.end)]
                agrees = len(given) == span.end - span.first == counts.get(span.number, 0)
                if not (agrees and np.all(given == span.number)):
                    yield Declaration(f"rows of episode {span.number}", f"{span.first}:{span.end}", "others", _INDEX)
            missing = [name for name in _NAMES if len(rows) and name not in rows.columns]
            yield Declaration("columns that every LeRobot table has", "present", ", ".join(missing) or "present", split)
        cameras = self._cameras()
        yield Declaration("video", bool(self.info.get("video")), bool(cameras), _INFO)
        if cameras:
            yield Declaration("video files", len(cameras) * len(self._spans), len(videos), _INFO)

    def _statistics(self) -> Mapping[str, Mapping[str, Any]]:
        """`stats.safetensors`: names like observation.state/mean."""
        try:
            arrays = read_safetensors(self.path / "meta_data" / "stats.safetensors")
        except MediaMissing:
            return {}
        nested: dict[str, dict[str, Any]] = {}
        for name, array in arrays.items():
            feature, _, quantity = name.rpartition("/")
            nested.setdefault(feature, {})[quantity] = array.astype(np.float64)
        return nested


def _split_folders(path: Path) -> list[Path]:
    """Folders of rows: `train` first, then by name."""
    folders = [file.parent for file in path.glob("*/state.json")]
    if not folders and (path / "train").is_dir():
        folders = [path / "train"]
    return sorted(folders, key=lambda folder: (folder.name != "train", folder.name))


def _open_rows(folder: Path) -> ArrowStreamRows:
    """The Arrow files that state.json lists; without it, all that are there, by name."""
    try:
        listed = read_json(folder / "state.json")
        names = [entry["filename"] for entry in listed["_data_files"]]
    except MediaMissing:
        names = sorted(file.name for file in folder.glob("*.arrow"))
    except (KeyError, TypeError):
        raise DamagedData(folder / "state.json", "lists no '_data_files'.", next_move="Restore it.") from None
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or "\0" in name:
            raise DamagedData(folder / "state.json", f"{name!r} is no name of a file in this folder.")
    return ArrowStreamRows([folder / name for name in names], folder=folder)


def _is_video(kind: Any) -> bool:
    types = require("pyarrow.types", extra="tables")
    return bool(types.is_struct(kind)) and {field.name for field in kind} == {"path", "timestamp"}


def _columns_or_none(rows: ArrowStreamRows) -> Mapping[str, Any]:
    try:
        return rows.columns
    except DamagedData:
        return {}
