"""LeRobot v3.0: many episodes per Parquet file and per video, each camera with its own file and its own start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from robokata.containers.parquet import ParquetRows, guarded
from robokata.core.clock import Clock
from robokata.core.episode import Episode, Instruction
from robokata.core.errors import DamagedData, MediaMissing, RobokataError, UnknownName
from robokata.core.extent import Extent
from robokata.core.layout import Layout
from robokata.core.require import require
from robokata.core.source import Declaration, EpisodeRow, Facts, Size
from robokata.core.stream import Stream
from robokata.formats._lerobot.cameras import video_frames, video_stream
from robokata.formats._lerobot.carried import renamed_statistics
from robokata.formats._lerobot.episode import episode_of
from robokata.formats._lerobot.extents import episode_extents
from robokata.formats._lerobot.facts import (
    INFO,
    Later,
    StatedStatistics,
    column_bytes,
    column_declarations,
    is_there,
    rate_of,
    read_info,
    sniff_version,
    split_declarations,
    split_of,
    split_ranges,
    statistics_file,
    text_or_none,
    without_features,
)
from robokata.formats._lerobot.instructions import instructions_of, task_declarations, tasks_of_table
from robokata.formats._lerobot.paths import V3, templates_of
from robokata.formats._lerobot.plan import LOSES as LOSES
from robokata.formats._lerobot.plan import Options, plan_of
from robokata.formats._lerobot.streams import EpisodeRows, runs_of_owners
from robokata.formats._lerobot.write_v3 import write_dataset
from robokata.geometry.runs import Run

IS_ONE_TABLE = True
LOOKS_FOR = "a folder with meta/info.json whose codebase_version is v3.x"

_POINTERS = ("episode_index", "length", "data/chunk_index", "data/file_index")
_ROW_SPAN = ("dataset_from_index", "dataset_to_index")
_TASKS = "meta/episodes: tasks"
_TABLE = "meta/tasks.parquet"
_VIDEO_PARTS: Mapping[str, str | int] = {"video_key": "camera", "chunk_index": 0, "file_index": 0}


def sniff(path: Path) -> float:
    """1.0 for a folder that says v3.x, 0.4 for one that has v3's table of episodes and a broken info.json."""
    return sniff_version(path, "v3", structure="meta/episodes")


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
        self.info = read_info(path, version="v3")
        rate = rate_of(self.info)
        assert rate is not None, "read_info refuses an info.json without a rate"
        self.rate_hz: Fraction = rate
        self.features: Mapping[str, dict[str, Any]] = self.info["features"]
        self.robot = text_or_none(self.info.get("robot_type"))
        self._split_ranges = split_ranges(self.info.get("splits"))
        self._parquet = ParquetRows()
        # Statistics are far wider than everything else of the table: they have files and row groups of their own.
        self._statistics_parquet = ParquetRows(keep_files=4, keep_bytes=32 * 2**20)
        self._index: dict[str, list[Any]]
        self._position: dict[str, int]
        self._runs: dict[Path, dict[int, list[Run]]] = {}
        self._paths: dict[tuple[str | None, int, int], Path] = {}
        self._templates = templates_of(path, self.info, V3)
        self._read_index()

    def _read_index(self) -> None:
        folder = self.path / "meta" / "episodes"
        tables, self._places = [], []
        for file in sorted(folder.glob("chunk-*/file-*.parquet")):
            known = self._parquet.columns(file)
            missing = [name for name in _POINTERS if name not in known]
            if missing:
                raise DamagedData(file, f"the table of episodes lacks the columns {', '.join(missing)}.")
            wanted = tuple(c for c in known if c in (*_POINTERS, *_ROW_SPAN, "tasks") or c.startswith("videos/"))
            count = self._parquet.count(file)
            tables.append(self._parquet.rows(file, 0, count, wanted))
            self._places += [(file, row) for row in range(count)]
        if not tables and self.info.get("total_episodes") == 0:
            # A recording that ended before its first episode was saved has no tables yet.
            self._index, self._position = {name: [] for name in _POINTERS}, {}
            return
        if not tables:
            raise MediaMissing(folder, "no chunk-*/file-*.parquet with the table of episodes.")
        pyarrow = require("pyarrow", extra="tables")
        self._index = guarded(folder, lambda: _columns_of(pyarrow.concat_tables(tables, promote_options="default")))
        for name in _POINTERS:
            if not all(isinstance(value, int) and 0 <= value < 2**53 for value in self._index[name]):
                raise DamagedData(folder, f"the column {name!r} holds no counts.")
        # Of an episode that is listed twice, the first listing counts: facts() tells.
        self._position = {}
        for row, number in enumerate(self._index["episode_index"]):
            self._position.setdefault(str(number), row)
        if self._places:
            # A template that leads out of the dataset spoils every episode: told when the dataset is opened.
            self._data_file(0)
            self._templates.path("video_path", _VIDEO_PARTS)

    def keys(self) -> Sequence[str]:
        return list(self._position)

    def episode(self, key: str) -> Episode:
        """Open one episode: finds its rows, reads no column but `episode_index`.

        Raises:
            UnknownName: no episode has this index.
            DamagedData: its data file is absent, broken, or holds no row of it.
        """
        if key not in self._position:
            raise UnknownName("episode", key, self._position)
        row = self._position[key]
        file = self._data_file(row)
        first, count = self._rows_of(file, int(key), row)
        rows = EpisodeRows(self._parquet, file, first, count, root=self.path)
        clock = rows.clock(self.rate_hz)
        streams = [*rows.streams(self.features, clock), *self._videos(row, clock, rows.known)]
        return episode_of(
            self,
            key,
            streams,
            instructions=self._instructions(row, rows, clock),
            split=split_of(self._split_ranges, int(key)),
            steps=self._index["length"][row],
            statistics=Later(lambda: self._episode_statistics(row)),
            extra={},
        )

    def extents(self, key: str) -> Sequence[Extent] | None:
        """The row groups of its table and the packets of its videos, and what we carried beside the episode."""
        found, row = self.episode(key), self._position[key]
        file = self._data_file(row)
        rows = self._rows_of(file, int(key), row)
        return episode_extents(self.path, found, self._parquet, file, rows=rows)

    def facts(self) -> Facts:
        """Facts from info.json, the table of episodes, and the footers of the data files."""
        rows = [self._row(number) for number in self._position.values()]
        files = sorted({self._data_file(number) for number in self._position.values()})
        sizes = self._sizes(files)
        return Facts(
            format=self.format,
            version=text_or_none(self.info.get("codebase_version")),
            rows=rows,
            robots=(self.robot,) if self.robot else (),
            licence=text_or_none(self.info.get("license")),
            declared_rate_hz=self.rate_hz,
            splits=Counter(row.split for row in rows if row.split is not None),
            declarations=tuple(self._declarations(rows, files)),
            statistics=Later(lambda: renamed_statistics(statistics_file(self.path), self.features)),
            sizes=sizes,
            total_size=Size(sum(size.bytes for size in sizes.values())),
            extra={"info": without_features(self.info)},
        )

    # -- where things lie -------------------------------------------------------------------------

    def _data_file(self, row: int) -> Path:
        chunk, file = self._index["data/chunk_index"][row], self._index["data/file_index"][row]
        return self._path("data_path", None, chunk, file)

    def _video_file(self, camera: str, row: int) -> Path | None:
        pointers = [self._cell(f"videos/{camera}/{name}", row) for name in ("chunk_index", "file_index")]
        if not all(isinstance(pointer, int) for pointer in pointers):
            return None
        return self._path("video_path", camera, *pointers)

    def _path(self, field: str, camera: str | None, chunk: int, file: int) -> Path:
        """A file by its numbers, made once: a thousand episodes share one."""
        key = (camera, chunk, file)
        if key not in self._paths:
            parts: dict[str, str | int] = {"chunk_index": chunk, "file_index": file}
            if camera is not None:
                parts["video_key"] = camera
            self._paths[key] = self._templates.path(field, parts)
        return self._paths[key]

    def _cell(self, column: str, row: int) -> Any:
        cells = self._index.get(column)
        return None if cells is None else cells[row]

    def _rows_of(self, file: Path, number: int, row: int) -> tuple[int, int]:
        """First row and number of rows of an episode in its file: by the rows' own episode_index, not by counts."""
        runs = self._runs_in(file)
        mine = runs.get(number)
        if mine is None:
            if self._index["length"][row] == 0:
                return 0, 0
            held = f"{min(runs)}..{max(runs)}" if runs else "none"
            raise DamagedData(
                file,
                f"the index puts episode {number} into this file, and it holds rows of episodes {held} only.",
                next_move="Rebuild the table of episodes, or drop the episode.",
            )
        if len(mine) > 1:
            raise DamagedData(file, f"the rows of episode {number} are scattered among those of other episodes.")
        return mine[0].first, mine[0].length

    def _runs_in(self, file: Path) -> dict[int, list[Run]]:
        """Where each episode's rows lie in a file."""
        if file not in self._runs:
            if "episode_index" not in self._parquet.columns(file):
                raise DamagedData(file, "the table lacks the column episode_index.")
            column = self._parquet.rows(file, 0, self._parquet.count(file), ("episode_index",)).column(0)
            self._runs[file] = runs_of_owners(column, where=f"{file}: episode_index")
        return self._runs[file]

    # -- one episode ------------------------------------------------------------------------------

    def _videos(self, row: int, clock: Clock, known: Mapping[str, Any]) -> Iterator[Stream]:
        for name, feature in self.features.items():
            if feature.get("dtype") != "video" or name in known:
                continue
            file, span_s = self._video_file(name, row), self._video_span_s(name, row)
            if file is None or span_s is None:
                # The index has no pointer for this camera and episode: the stream exists, its media does not.
                file, span_s = self.path / "videos" / name / "no pointer in meta/episodes", None
            frames = video_frames(file, len(clock), feature, span_s=span_s)
            yield video_stream(name, feature, frames, clock)

    def _video_span_s(self, camera: str, row: int) -> tuple[float, float] | None:
        start = self._cell(f"videos/{camera}/from_timestamp", row)
        end = self._cell(f"videos/{camera}/to_timestamp", row)
        if not (isinstance(start, (int, float)) and isinstance(end, (int, float))):
            return None
        return (float(start), float(end)) if np.isfinite([start, end]).all() else None

    def _texts(self, row: int) -> list[str]:
        cell = self._cell("tasks", row)
        return [str(text) for text in (cell if isinstance(cell, list) else [cell]) if text is not None]

    def _instructions(self, row: int, rows: EpisodeRows, clock: Clock) -> tuple[Instruction, ...]:
        """What the rows' task numbers point to, as loaders read it; what the index lists where they point nowhere."""
        if rows.count and "task_index" in rows.known and self._tasks:
            # Numbers that cannot be read are damage of their own stream, and not of the episode.
            with suppress(DamagedData):
                numbers = rows.integers("task_index")
                pointed = tuple(instructions_of(numbers, self._tasks, clock=clock, source="task_index"))
                if pointed:
                    return pointed
        return tuple(Instruction(text, source=_TASKS) for text in self._texts(row) or [""])

    @cached_property
    def _tasks(self) -> Mapping[int, str]:
        return tasks_of_table(self._parquet, self.path / _TABLE)

    def _row(self, row: int) -> EpisodeRow:
        length, number = self._index["length"][row], self._index["episode_index"][row]
        first, end = (self._cell(name, row) for name in _ROW_SPAN)
        return EpisodeRow(
            id=str(number),
            steps=length,
            duration_s=float(length / self.rate_hz),
            instructions=tuple(dict.fromkeys(self._texts(row))),
            split=split_of(self._split_ranges, number),
            robot=self.robot,
            file=self._relative(self._data_file(row)),
            first_row=first if isinstance(first, int) else None,
            end_row=end if isinstance(end, int) else None,
        )

    def _relative(self, file: Path) -> str:
        return file.as_posix().removeprefix(f"{self.path.as_posix()}/")

    # -- what the dataset says of itself ----------------------------------------------------------

    def _declarations(self, rows: Sequence[EpisodeRow], files: Sequence[Path]) -> Iterator[Declaration]:
        where = INFO
        found_rows = 0
        for file in files:
            try:
                found_rows += self._parquet.count(file)
            except MediaMissing:
                yield Declaration(f"data file {file.relative_to(self.path)}", "present", "absent", "meta/episodes")
            except DamagedData:
                yield Declaration(f"data file {file.relative_to(self.path)}", "readable", "damaged", "meta/episodes")
        yield Declaration("total_episodes", self.info.get("total_episodes"), len(rows), where)
        yield Declaration("listings of an episode", len(self._places), len(rows), "meta/episodes")
        yield Declaration("total_frames", self.info.get("total_frames"), found_rows, where)
        yield Declaration("length of all episodes", sum(r.steps or 0 for r in rows), found_rows, "meta/episodes")
        with suppress(DamagedData):
            tasks = self._parquet.count(self.path / _TABLE)
            yield Declaration("total_tasks", self.info.get("total_tasks"), tasks, where)
            yield from task_declarations(self._parquet, files, self._tasks, rows, index="meta/episodes", table=_TABLE)
        yield from self._templates.declarations()
        yield from split_declarations(self.info.get("splits"), len(rows), where)
        yield from self._feature_declarations(files)

    def _feature_declarations(self, files: Sequence[Path]) -> Iterator[Declaration]:
        try:
            known = self._parquet.columns(files[0]) if files else {}
        except RobokataError:
            return
        if files:
            yield from column_declarations(self.features, known)
        for name, feature in self.features.items():
            if feature.get("dtype") == "video" and name not in known:
                videos = {self._video_file(name, row) for row in self._position.values()}
                absent = sorted(str(v.relative_to(self.path)) if v else "no pointer" for v in videos if not is_there(v))
                found = "present" if not absent else f"{len(absent)} of {len(videos)} files absent ({absent[0]})"
                yield Declaration(f"video of {name}", "present", found, INFO)

    def _sizes(self, files: Sequence[Path]) -> dict[str, Size]:
        sizes = column_bytes(self._parquet, files, list(self.features))
        for name, feature in self.features.items():
            if feature.get("dtype") == "video":
                videos = {self._video_file(name, row) for row in self._position.values()}
                sizes[name] = sum(video.stat().st_size for video in videos if video is not None and is_there(video))
        return {name: Size(size) for name, size in sizes.items()}

    def _episode_statistics(self, row: int) -> Mapping[str, Mapping[str, Any]]:
        file, at = self._places[row]
        columns = tuple(c for c in self._statistics_parquet.columns(file) if c.startswith("stats/"))
        if not columns:
            return {}
        table = self._statistics_parquet.rows(file, at, 1, columns)
        cells: dict[str, Any] = guarded(file, lambda: table.to_pylist()[0])
        nested: dict[str, dict[str, Any]] = {}
        for name, cell in cells.items():
            feature, _, quantity = name.removeprefix("stats/").rpartition("/")
            nested.setdefault(feature, {})[quantity] = cell
        return StatedStatistics(nested)


def layout(
    episode: Episode,
    *,
    anchor: str | None = None,
    rate_hz: Fraction | None = None,
    pictures: str = "auto",
    codec: str = "libsvtav1",
    gop: int = 2,
    crf: int = 30,
) -> Layout:
    """Where each stream of an episode goes, and what that costs; the options are those of `write`."""
    return plan_of(episode, Options(anchor, rate_hz, pictures, codec, gop, crf), measures=True).layout


def write(
    path: Path,
    episodes: Iterable[Episode],
    *,
    anchor: str | None = None,
    rate_hz: Fraction | None = None,
    pictures: str = "auto",
    codec: str = "libsvtav1",
    gop: int = 2,
    crf: int = 30,
) -> None:
    """Write episodes as a LeRobot v3.0 folder, which appears in one rename when it is complete.

    `anchor` is the stream whose samples become the rows, `rate_hz` what is declared for them. `pictures`: `auto` copies
    packets of videos and bytes of pictures, and writes raw pixels as PNG; `image` puts every picture into the table;
    `video` makes every camera a video. `codec`, `gop` and `crf` are for what must be encoded: LeRobot's own settings.

    Raises:
        WriteRefused: the target exists and is not empty, or the episodes do not fit one table.
    """
    write_dataset(path, episodes, Options(anchor, rate_hz, pictures, codec, gop, crf))


def _columns_of(table: Any) -> dict[str, list[Any]]:
    return {name: table.column(name).to_pylist() for name in table.column_names}
