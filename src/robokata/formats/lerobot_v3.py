"""LeRobot v3.0: many episodes per Parquet file and per video, each camera with its own file and its own start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import Clock
from robokata.core.episode import Embodiment, Episode, EpisodeRef, Instruction, Origin, Outcome
from robokata.core.errors import DamagedData, MediaMissing, RobokataError, UnknownName
from robokata.core.require import require
from robokata.core.source import Declaration, EpisodeRow, Facts, Size
from robokata.core.stream import Kind, Role, Stream
from robokata.formats._lerobot import (
    Later,
    ParquetRows,
    column_array,
    column_spec,
    column_stream,
    path_from,
    picture_shape,
    rate_of,
    read_info,
    read_json,
    row_clock,
    split_declarations,
    split_ranges,
    statistics_from,
)
from robokata.formats._lerobot_write import write_dataset
from robokata.media.video import VideoFrames

LOOKS_FOR = "a folder with meta/info.json whose codebase_version is v3.x"

LOSES: Sequence[str] = (
    "native clocks: every row gets frame_index / fps",
    "streams at another rate than the rows",
    "units, frames and conventions of the numbers",
    "outcome, operator, session",
    "calibration and robot model",
    "lossless pictures (cameras are encoded as video)",
)

_POINTERS = ("episode_index", "tasks", "length", "data/chunk_index", "data/file_index")
_ROW_SPAN = ("dataset_from_index", "dataset_to_index")


def sniff(path: Path) -> float:
    """1.0 for a folder that says v3.x, 0.4 for one that has v3's table of episodes and a broken info.json."""
    info = path / "meta" / "info.json"
    try:
        with info.open("rb") as file:
            head = file.read(1 << 16)
    except OSError:
        return 0.0
    if b'"codebase_version"' in head:
        after = head.split(b'"codebase_version"', 1)[1][:16]
        return 1.0 if b'"v3' in after else 0.0
    return 0.4 if (path / "meta" / "episodes").is_dir() else 0.0


def read(path: Path) -> LeRobotV3:
    """Open a dataset: info.json and the table of episodes, without their statistics.

    Raises:
        DamagedData: info.json or the table of episodes cannot be read.
    """
    return LeRobotV3(path)


class LeRobotV3:
    """A LeRobot v3.0 folder as a Source."""

    format = "lerobot_v3"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info = read_info(path)
        rate = rate_of(self.info)
        assert rate is not None, "read_info refuses an info.json without a rate"
        self.rate_hz: Fraction = rate
        self.features: Mapping[str, dict[str, Any]] = self.info["features"]
        self._parquet = ParquetRows()
        # Statistics are far wider than everything else of the table: they have files and row groups of their own.
        self._statistics_parquet = ParquetRows(keep_files=4, keep_groups=1)
        self._row_owner: dict[Path, NDArray[np.int64]] = {}
        self._read_index()

    def _read_index(self) -> None:
        pyarrow = require("pyarrow", extra="tables")
        tables, self._places = [], []
        for file in sorted((self.path / "meta" / "episodes").glob("chunk-*/file-*.parquet")):
            known = self._parquet.columns(file)
            missing = [name for name in _POINTERS if name not in known]
            if missing:
                raise DamagedData(file, f"the table of episodes lacks the columns {', '.join(missing)}.")
            wanted = tuple(c for c in known if c in _POINTERS or c in _ROW_SPAN or c.startswith("videos/"))
            count = self._parquet.count(file)
            tables.append(self._parquet.rows(file, 0, count, wanted))
            self._places += [(file, row) for row in range(count)]
        if not tables:
            raise MediaMissing(self.path / "meta" / "episodes", "no chunk-*/file-*.parquet with the table of episodes.")
        try:
            table = pyarrow.concat_tables(tables, promote_options="default")
            self._index = {name: table.column(name).to_pylist() for name in table.column_names}
        except (pyarrow.ArrowException, ValueError) as error:
            raise DamagedData(self.path / "meta" / "episodes", f"the table of episodes is broken: {error}.") from None
        for name in ("episode_index", "length", "data/chunk_index", "data/file_index"):
            if not all(isinstance(value, int) and 0 <= value < 2**53 for value in self._index[name]):
                raise DamagedData(self.path / "meta" / "episodes", f"the column {name!r} holds no counts.")
        self._position = {str(number): row for row, number in enumerate(self._index["episode_index"])}

    def keys(self) -> Sequence[str]:
        return [str(number) for number in self._index["episode_index"]]

    def episode(self, key: str) -> Episode:
        """Open one episode: finds its rows, reads no column but `episode_index`.

        Raises:
            UnknownName: no episode has this index.
            DamagedData: its data file is absent, broken, or holds no row of it.
        """
        if key not in self._position:
            raise UnknownName("episode", key, self.keys())
        row = self._position[key]
        file = self._data_file(row)
        first, count = self._rows_of(file, int(key), row)
        known = self._parquet.columns(file)
        columns = tuple(name for name, kind in known.items() if column_spec(kind, {}).kind is not Kind.IMAGE)

        def column(name: str) -> Any:
            wanted = columns if name in columns else (name,)
            return self._parquet.rows(file, first, count, wanted).column(name).combine_chunks()

        clock = self._clock(known, count, column)
        streams = [*self._columns(file, known, clock, column), *self._videos(row, clock, known)]
        robot = self.info.get("robot_type")
        return Episode(
            id=key,
            streams={stream.name: stream for stream in streams},
            embodiment=Embodiment(str(robot)) if robot else None,
            instructions=self._instructions(row),
            outcome=_outcome(streams),
            origin=Origin(split=self._split_of(row)),
            declared_rate_hz=self.rate_hz,
            declared_steps=self._index["length"][row],
            declared_statistics=Later(lambda: self._episode_statistics(row)),
            extra={"info": {name: value for name, value in self.info.items() if name != "features"}},
            ref=EpisodeRef(self.format, str(self.path), key),
        )

    def facts(self) -> Facts:
        """Facts from info.json, the table of episodes, and the footers of the data files."""
        rows = [self._row(number) for number in range(len(self._places))]
        files = sorted({self._data_file(number) for number in range(len(rows))})
        splits: dict[str, int] = {}
        for row in rows:
            if row.split is not None:
                splits[row.split] = splits.get(row.split, 0) + 1
        sizes = self._sizes(files)
        robot = self.info.get("robot_type")
        licence = self.info.get("license")
        return Facts(
            format=self.format,
            version=str(self.info.get("codebase_version")),
            rows=rows,
            robots=(str(robot),) if robot else (),
            licence=str(licence) if licence else None,
            declared_rate_hz=self.rate_hz,
            splits=splits,
            declarations=tuple(self._declarations(rows, files)),
            statistics=Later(self._statistics),
            sizes=sizes,
            total_size=Size(sum(size.bytes for size in sizes.values())),
            extra={"info": {name: value for name, value in self.info.items() if name != "features"}},
        )

    # -- where things lie -------------------------------------------------------------------------

    def _data_file(self, row: int) -> Path:
        return self.path / self._path_from(
            "data_path",
            "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            chunk_index=self._index["data/chunk_index"][row],
            file_index=self._index["data/file_index"][row],
        )

    def _video_file(self, camera: str, row: int) -> Path | None:
        chunk = self._index.get(f"videos/{camera}/chunk_index", {})
        if not chunk or chunk[row] is None:
            return None
        return self.path / self._path_from(
            "video_path",
            "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
            video_key=camera,
            chunk_index=chunk[row],
            file_index=self._index[f"videos/{camera}/file_index"][row],
        )

    def _path_from(self, field: str, default: str, **parts: str | int) -> str:
        return path_from(self.path / "meta" / "info.json", self.info, field, default, parts)

    def _rows_of(self, file: Path, number: int, row: int) -> tuple[int, int]:
        """First row and number of rows of an episode in its file: by the rows' own episode_index, not by counts."""
        owner = self._row_owner.get(file)
        if owner is None:
            if "episode_index" not in self._parquet.columns(file):
                raise DamagedData(file, "the table lacks the column episode_index.")
            column = self._parquet.rows(file, 0, self._parquet.count(file), ("episode_index",)).column(0)
            spec = column_spec(column.type, {})
            owner = column_array(column, spec, where=f"{file}: episode_index").astype(np.int64)
            self._row_owner = {**dict(list(self._row_owner.items())[-63:]), file: owner}
        mine = np.flatnonzero(owner == number)
        if not len(mine):
            if self._index["length"][row] == 0:
                return 0, 0
            held = f"{owner.min()}..{owner.max()}" if len(owner) else "none"
            raise DamagedData(
                file,
                f"the index puts episode {number} into this file, and it holds rows of episodes {held} only.",
                next_move="Rebuild the table of episodes, or drop the episode.",
            )
        if mine[-1] - mine[0] + 1 != len(mine):
            raise DamagedData(file, f"the rows of episode {number} are scattered among those of other episodes.")
        return int(mine[0]), len(mine)

    # -- one episode ------------------------------------------------------------------------------

    def _clock(self, known: Mapping[str, Any], count: int, column: Any) -> Clock:
        if "timestamp" not in known:
            return row_clock(count, self.rate_hz, None)
        spec = column_spec(known["timestamp"], {})
        return row_clock(count, self.rate_hz, lambda: column_array(column("timestamp"), spec, where="timestamp"))

    def _columns(self, file: Path, known: Mapping[str, Any], clock: Clock, column: Any) -> Iterator[Stream]:
        for name, kind in known.items():
            feature = self.features.get(name, {})
            spec = column_spec(kind, feature)
            yield column_stream(name, spec, feature, clock=clock, load=partial(column, name), where=f"{file}: {name}")

    def _videos(self, row: int, clock: Clock, known: Mapping[str, Any]) -> Iterator[Stream]:
        for name, feature in self.features.items():
            if feature.get("dtype") != "video" or name in known:
                continue
            file = self._video_file(name, row)
            span_s = self._video_span_s(name, row)
            if file is None or span_s is None:
                # The index has no pointer for this camera and episode: the stream exists, its media does not.
                file, span_s = self.path / "videos" / name, None
            frames = VideoFrames(file, len(clock), span_s=span_s, shape=picture_shape(feature))
            info = feature.get("info") or feature.get("video_info") or {}
            yield Stream(
                name,
                Kind.VIDEO,
                Role.CAMERA,
                clock,
                frames,
                encoding=str(info.get("video.codec")) if info.get("video.codec") else "video",
                extra={key: value for key, value in feature.items() if key not in ("dtype", "shape", "names")},
            )

    def _video_span_s(self, camera: str, row: int) -> tuple[float, float] | None:
        start = self._index.get(f"videos/{camera}/from_timestamp")
        end = self._index.get(f"videos/{camera}/to_timestamp")
        if not start or not end or start[row] is None or end[row] is None:
            return None
        span_s = float(start[row]), float(end[row])
        return span_s if np.isfinite(span_s).all() else None

    def _instructions(self, row: int) -> tuple[Instruction, ...]:
        texts = self._index["tasks"][row]
        if texts is None:
            texts = []
        texts = texts if isinstance(texts, list) else [texts]
        return tuple(Instruction(str(text), source="meta/episodes: tasks") for text in texts)

    def _split_of(self, row: int) -> str | None:
        number = self._index["episode_index"][row]
        return next((name for name, (low, high) in self._split_ranges.items() if low <= number < high), None)

    @cached_property
    def _split_ranges(self) -> dict[str, tuple[int, int]]:
        return split_ranges(self.info.get("splits"))

    def _row(self, row: int) -> EpisodeRow:
        length = self._index["length"][row]
        spans = [self._index.get(name) for name in _ROW_SPAN]
        robot = self.info.get("robot_type")
        return EpisodeRow(
            id=str(self._index["episode_index"][row]),
            steps=length,
            duration_s=float(length / self.rate_hz),
            instructions=tuple(dict.fromkeys(i.text for i in self._instructions(row))),
            split=self._split_of(row),
            robot=str(robot) if robot else None,
            file=str(self._data_file(row).relative_to(self.path)),
            first_row=spans[0][row] if spans[0] else None,
            end_row=spans[1][row] if spans[1] else None,
        )

    # -- what the dataset says of itself ----------------------------------------------------------

    def _declarations(self, rows: Sequence[EpisodeRow], files: Sequence[Path]) -> Iterator[Declaration]:
        where = "meta/info.json"
        found_rows = 0
        for file in files:
            try:
                found_rows += self._parquet.count(file)
            except MediaMissing:
                yield Declaration(f"data file {file.relative_to(self.path)}", "present", "absent", "meta/episodes")
            except DamagedData:
                yield Declaration(f"data file {file.relative_to(self.path)}", "readable", "damaged", "meta/episodes")
        yield Declaration("total_episodes", self.info.get("total_episodes"), len(rows), where)
        yield Declaration("total_frames", self.info.get("total_frames"), found_rows, where)
        yield Declaration("length of all episodes", sum(r.steps or 0 for r in rows), found_rows, "meta/episodes")
        tasks = self._task_count()
        if tasks is not None:
            yield Declaration("total_tasks", self.info.get("total_tasks"), tasks, where)
        yield from split_declarations(self.info.get("splits"), len(rows), where)
        yield from self._feature_declarations(files)

    def _feature_declarations(self, files: Sequence[Path]) -> Iterator[Declaration]:
        where = "meta/info.json"
        try:
            known = self._parquet.columns(files[0]) if files else {}
        except RobokataError:
            return
        for name, feature in self.features.items():
            if feature.get("dtype") == "video" and name not in known:
                videos = {self._video_file(name, row) for row in range(len(self._places))}
                absent = sorted(str(v.relative_to(self.path)) if v else "no pointer" for v in videos if not _exists(v))
                found = "present" if not absent else f"{len(absent)} of {len(videos)} files absent ({absent[0]})"
                yield Declaration(f"video of {name}", "present", found, where)
            else:
                yield Declaration(f"feature {name}", "a column", "a column" if name in known else "no column", where)
        for name in known:
            if name not in self.features:
                yield Declaration(f"feature {name}", "not declared", "a column", where)

    def _task_count(self) -> int | None:
        try:
            return self._parquet.count(self.path / "meta" / "tasks.parquet")
        except DamagedData:
            return None

    def _sizes(self, files: Sequence[Path]) -> dict[str, Size]:
        sizes: dict[str, int] = {}
        for file in files:
            try:
                metadata = self._parquet.file(file).metadata
            except DamagedData:
                continue
            for group in range(metadata.num_row_groups):
                for number in range(metadata.num_columns):
                    column = metadata.row_group(group).column(number)
                    name = self._feature_of_path(column.path_in_schema)
                    sizes[name] = sizes.get(name, 0) + column.total_compressed_size
        for name, feature in self.features.items():
            if feature.get("dtype") == "video":
                videos = {self._video_file(name, row) for row in range(len(self._places))}
                sizes[name] = sum(video.stat().st_size for video in videos if video is not None and _exists(video))
        return {name: Size(size) for name, size in sizes.items()}

    def _feature_of_path(self, path: str) -> str:
        """Feature of a Parquet leaf: `observation.state.list.element` belongs to `observation.state`."""
        own = [name for name in self.features if path == name or path.startswith(f"{name}.")]
        return max(own, key=len, default=path)

    def _statistics(self) -> Mapping[str, Mapping[str, Any]]:
        try:
            return statistics_from(read_json(self.path / "meta" / "stats.json"))
        except MediaMissing:
            return {}

    def _episode_statistics(self, row: int) -> Mapping[str, Mapping[str, Any]]:
        file, at = self._places[row]
        columns = tuple(c for c in self._statistics_parquet.columns(file) if c.startswith("stats/"))
        if not columns:
            return {}
        cells = self._statistics_parquet.rows(file, at, 1, columns).to_pylist()[0]
        nested: dict[str, dict[str, Any]] = {}
        for name, cell in cells.items():
            _, _, rest = name.partition("/")
            feature, _, quantity = rest.rpartition("/")
            nested.setdefault(feature, {})[quantity] = cell
        return statistics_from(nested)


def write(
    path: Path,
    episodes: Iterable[Episode],
    *,
    codec: str = "libsvtav1",
    gop: int = 2,
    crf: int = 30,
) -> None:
    """Write episodes as a LeRobot v3.0 folder, which appears in one rename when it is complete.

    Every stream that has as many samples as the actions becomes a column, every camera a packed video.
    The defaults are LeRobot's own encoder settings.

    Raises:
        WriteRefused: the target exists and is not empty, or the episodes do not fit one table.
    """
    write_dataset(path, episodes, codec=codec, gop=gop, crf=crf)


def _outcome(streams: Sequence[Stream]) -> Outcome:
    if any(stream.name == "next.success" for stream in streams):
        return Outcome(None, "the column next.success tells; it is not read until asked for")
    return Outcome(None, "LeRobot has no field for it")


def _exists(path: Path | None) -> bool:
    return path is not None and path.exists()
