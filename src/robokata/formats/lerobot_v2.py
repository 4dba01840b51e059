"""LeRobot v2.0 and v2.1: one Parquet file per episode, one video per camera and episode; also in GR00T's dialect.

Rows carry `timestamp`; where it equals row / rate, the clock is synthesized, else it is measured. Instructions are
what the rows' `task_index` points to, with their seconds where it changes in the episode. An episode that the index
lists and that has no table is no episode, and a declaration that does not hold. GR00T's `meta/modality.json` names
groups of channels; each stream keeps them in its `extra`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from robokata.containers.parquet import ParquetRows
from robokata.core.clock import Clock
from robokata.core.episode import Episode, Instruction
from robokata.core.errors import DamagedData, MediaMissing, RobokataError, UnknownName
from robokata.core.extent import Extent
from robokata.core.layout import Layout
from robokata.core.source import Declaration, EpisodeRow, Facts, Size
from robokata.core.stream import Stream
from robokata.formats._lerobot.cameras import video_frames, video_stream
from robokata.formats._lerobot.carried import carried_file, renamed_statistics
from robokata.formats._lerobot.episode import episode_of
from robokata.formats._lerobot.extents import episode_extents
from robokata.formats._lerobot.facts import (
    INFO,
    Later,
    StatedStatistics,
    column_bytes,
    column_declarations,
    files_below,
    is_there,
    rate_of,
    read_info,
    size_of,
    sniff_version,
    split_declarations,
    split_of,
    split_ranges,
    statistics_file,
    text_or_none,
    without_features,
)
from robokata.formats._lerobot.groot import channel_groups, modality_declarations, read_modality, with_groups
from robokata.formats._lerobot.instructions import all_instructions, task_declarations
from robokata.formats._lerobot.lines import (
    NOTHING_SAID,
    Lines,
    Listed,
    StatisticsLines,
    lines_by_episode,
    lines_of_episodes,
    listed_from,
    read_lines,
    refuse_broken_line,
    tables_by_episode,
    tasks_of_lines,
)
from robokata.formats._lerobot.modality import refuse_unknown_modality
from robokata.formats._lerobot.paths import V2, templates_of
from robokata.formats._lerobot.plan import LOSES as LOSES
from robokata.formats._lerobot.plan import Options, plan_of
from robokata.formats._lerobot.streams import EpisodeRows, image_folder
from robokata.formats._lerobot.write_v2 import write_dataset

IS_ONE_TABLE = True
LOOKS_FOR = "a folder with meta/info.json whose codebase_version is v2.x"

FOOTERS = 50
"""Tables whose footers facts() reads: a footer takes 0.3 ms, and 10,000 of them would take seconds."""
_EPISODES = "meta/episodes.jsonl"
_TASK_LINES = "meta/tasks.jsonl"


def sniff(path: Path) -> float:
    """1.0 for a folder that says v2.x, 0.4 for one that has v2's list of episodes and a broken info.json."""
    return sniff_version(path, "v2", structure=_EPISODES)


def read(path: Path) -> LeRobotV2:
    """Open a dataset: info.json, the lists of episodes and tasks, and the names of the data files.

    Raises:
        Unsupported: info.json says another version.
        DamagedData: info.json or the list of episodes cannot be read.
    """
    return LeRobotV2(path)


class LeRobotV2:
    """A LeRobot v2.x folder as a Source.

    Its episodes are those that have a table, in the order of meta/episodes.jsonl, then those that have a table and no
    line. An episode that is listed and has no table is a Declaration that does not hold, and no episode: a copy of a
    part of a dataset is sound in every episode that it has.
    """

    format = "lerobot_v2"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info = read_info(path, version="v2")
        rate = rate_of(self.info)
        assert rate is not None, "read_info refuses an info.json without a rate"
        self.rate_hz: Fraction = rate
        self.features: Mapping[str, dict[str, Any]] = self.info["features"]
        self.robot = text_or_none(self.info.get("robot_type"))
        per_chunk = self.info.get("chunks_size")
        self._per_chunk = per_chunk if isinstance(per_chunk, int) and per_chunk > 0 else 1000
        self._split_ranges = split_ranges(self.info.get("splits"))
        self._parquet = ParquetRows()
        self._statistics = StatisticsLines(path / "meta" / "episodes_stats.jsonl")
        self._templates = templates_of(path, self.info, V2)
        self._read_lists()

    def _read_lists(self) -> None:
        lines = lines_of_episodes(self.path / _EPISODES, self.info)
        self._line_count, self._broken = len(lines.objects) + len(lines.broken), lines.broken
        said = lines_by_episode(lines.objects)
        self._listed = dict.fromkeys(said, NOTHING_SAID)
        folder = self.path / self._data_file(0).relative_to(self.path).parts[0]
        self._tables = tables_by_episode(set(files_below(folder, ".parquet")), self._listed, self._data_file)
        self._listed |= {number: listed_from(said[number]) for number in self._tables if number in said}
        present = [number for number in self._listed if number in self._tables]
        self._unlisted = sorted(set(self._tables) - set(self._listed))
        self._keys = [str(number) for number in (*present, *self._unlisted)]
        self._video_file(0, "camera")

    def keys(self) -> Sequence[str]:
        return list(self._keys)

    def episode(self, key: str) -> Episode:
        """Open one episode: the footer of its table, and its columns of task numbers.

        Raises:
            UnknownName: no episode has this index.
            DamagedData: its line in meta/episodes.jsonl or its table is broken, or its table is absent.
        """
        number = int(key) if re.fullmatch(r"\d{1,15}", key) else -1
        if str(number) != key or not (number in self._listed or number in self._tables):
            raise UnknownName("episode", key, self._keys)
        if number not in self._tables:
            raise MediaMissing(
                self._data_file(number),
                f"the file does not exist, and {_EPISODES} lists episode {number}.",
                next_move="Restore it from the original.",
            )
        if number not in self._listed:
            refuse_broken_line(self._broken, number, self.path / _EPISODES)
        file = self._tables[number]
        rows = EpisodeRows(self._parquet, file, 0, self._parquet.count(file), root=self.path)
        clock = rows.clock(self.rate_hz)
        streams = [*rows.streams(self.features, clock), *self._pictures(number, clock, rows.known)]
        listed = self._listed.get(number, NOTHING_SAID)
        return episode_of(
            self,
            key,
            [with_groups(stream, self._groups) for stream in streams],
            instructions=self._instructions(listed, rows, clock),
            split=split_of(self._split_ranges, number),
            steps=listed.length,
            statistics=Later(lambda: StatedStatistics(self._statistics.of(number))),
            extra=listed.extra,
        )

    def extents(self, key: str) -> Sequence[Extent] | None:
        """The files of an episode: its table, its videos, its picture files, and what we carried beside it."""
        found = self.episode(key)
        return episode_extents(self.path, found, self._parquet, self._tables[int(key)])

    def facts(self) -> Facts:
        """Facts from the files of meta/, the names and sizes of all files, and the footers of at most 50 tables."""
        rows = [self._row(int(key)) for key in self._keys]
        sizes, total = self._sizes()
        modality = {"modality": self._modality} if self._modality else {}
        return Facts(
            format=self.format,
            version=text_or_none(self.info.get("codebase_version")),
            rows=rows,
            robots=(self.robot,) if self.robot else (),
            licence=text_or_none(self.info.get("license")),
            declared_rate_hz=self.rate_hz,
            splits=Counter(row.split for row in rows if row.split is not None),
            declarations=tuple(self._declarations()),
            statistics=Later(lambda: renamed_statistics(statistics_file(self.path), self.features)),
            sizes=sizes,
            total_size=total,
            extra={"info": without_features(self.info), **modality},
        )

    # -- where things lie -------------------------------------------------------------------------

    def _data_file(self, number: int) -> Path:
        parts = {"episode_chunk": number // self._per_chunk, "episode_index": number}
        return self._templates.path("data_path", parts)

    def _video_file(self, number: int, camera: str) -> Path:
        parts = {"episode_chunk": number // self._per_chunk, "episode_index": number, "video_key": camera}
        return self._templates.path("video_path", parts)

    @cached_property
    def _videos(self) -> frozenset[Path]:
        """Every video of the dataset, by name: one listing of the folder."""
        template = self._video_file(0, "camera").relative_to(self.path)
        return frozenset(files_below(self.path / template.parts[0], template.suffix))

    @cached_property
    def _cameras_with_files(self) -> frozenset[str]:
        cameras = [name for name, feature in self.features.items() if feature.get("dtype") == "video"]
        numbers = {*self._listed, *self._tables}
        return frozenset(c for c in cameras if any(self._video_file(n, c) in self._videos for n in numbers))

    # -- one episode ------------------------------------------------------------------------------

    def _pictures(self, number: int, clock: Clock, known: Mapping[str, Any]) -> Iterator[Stream]:
        for name, feature in self.features.items():
            if name in known:
                continue
            if feature.get("dtype") == "video":
                file = self._video_file(number, name)
                # A camera without a single file was never recorded: facts() tells that once for the dataset. What we
                # wrote ourselves was there.
                was_recorded = is_there(file) or name in self._cameras_with_files
                if was_recorded or is_there(carried_file(self.path, number)):
                    frames = video_frames(file, len(clock), feature)
                    yield video_stream(name, feature, frames, clock)
            elif feature.get("dtype") == "image":
                stream = image_folder(self.path, name, number, clock)
                yield from () if stream is None else (stream,)

    @cached_property
    def _modality(self) -> Mapping[str, Any]:
        return read_modality(self.path)

    @cached_property
    def _groups(self) -> Mapping[str, Mapping[str, list[int]]]:
        return channel_groups(self._modality)

    @cached_property
    def _task_lines(self) -> Lines:
        try:
            return read_lines(self.path / _TASK_LINES)
        except MediaMissing:
            return Lines([], [])

    @cached_property
    def _tasks(self) -> Mapping[int, str]:
        return tasks_of_lines(self._task_lines.objects)

    def _instructions(self, listed: Listed, rows: EpisodeRows, clock: Clock) -> tuple[Instruction, ...]:
        """Every text that the rows' task numbers point to; what the list names where they point nowhere."""
        found = all_instructions(rows, self._tasks, clock)
        return tuple(found or [Instruction(text, source=f"{_EPISODES}: tasks") for text in listed.tasks or [""]])

    def _row(self, number: int) -> EpisodeRow:
        listed = self._listed.get(number)
        steps = listed.length if listed else None
        return EpisodeRow(
            id=str(number),
            steps=steps,
            duration_s=None if steps is None else float(steps / self.rate_hz),
            instructions=listed.tasks if listed else (),
            split=split_of(self._split_ranges, number),
            robot=self.robot,
            file=str(self._tables[number].relative_to(self.path)),
        )

    # -- what the dataset says of itself ----------------------------------------------------------

    def _declarations(self) -> Iterator[Declaration]:
        present = [number for number in self._listed if number in self._tables]
        absent = len(self._listed) - len(present)
        yield from self._templates.declarations()
        yield Declaration("total_episodes", self.info.get("total_episodes"), len(self._keys), INFO)
        hint = f"{absent} listed episodes have no data file: a partial copy, or lost files" if absent else ""
        yield Declaration(f"episodes of {_EPISODES}", len(self._listed), len(present), _EPISODES, hint)
        yield Declaration("episodes without a line", 0, len(self._unlisted), _EPISODES)
        where = f"{_EPISODES}, " + ", ".join(f"line {line.number}" for line in self._broken[:5])
        yield Declaration("readable lines", self._line_count, self._line_count - len(self._broken), where.rstrip(", "))
        moved = sum(file != self._data_file(number) for number, file in self._tables.items())
        yield Declaration("data files away from data_path", 0, moved, INFO)
        yield from self._length_declarations(present)
        if self._task_lines.objects:
            yield Declaration("total_tasks", self.info.get("total_tasks"), len(self._tasks), INFO)
            files, listed = [self._tables[number] for number in self._sampled()], map(self._row, self._tables)
            yield from task_declarations(self._parquet, files, self._tasks, listed, index=_EPISODES, table=_TASK_LINES)
        if "total_videos" in self.info:
            yield Declaration("total_videos", self.info["total_videos"], len(self._videos), INFO)
        if "total_chunks" in self.info:
            chunks = {file.parent for file in self._tables.values()}
            yield Declaration("total_chunks", self.info["total_chunks"], len(chunks), INFO)
        numbers = {*self._listed, *self._tables}
        yield from split_declarations(self.info.get("splits"), max(numbers, default=-1) + 1, INFO)
        yield from modality_declarations(self._modality, self.features)
        yield from self._feature_declarations()

    def _length_declarations(self, present: Sequence[int]) -> Iterator[Declaration]:
        """Lengths beside the footers of all tables, or of 50 of them spread over the dataset."""
        counted: dict[int, int] = {}
        for number in self._sampled():
            try:
                counted[number] = self._parquet.count(self._tables[number])
            except DamagedData:
                yield Declaration(f"data file of episode {number}", "readable", "damaged", _EPISODES)
        if len(self._tables) <= FOOTERS:
            yield Declaration("total_frames", self.info.get("total_frames"), sum(counted.values()), INFO)
        else:
            listed = sum(self._listed[number].length or 0 for number in present)
            yield Declaration("total_frames", self.info.get("total_frames"), listed, INFO)
        for number, count in counted.items():
            length = self._listed[number].length if number in self._listed else None
            if length is not None and length != count:
                yield Declaration(f"length of episode {number}", length, count, _EPISODES)
        lengths = [self._listed[number].length or 0 for number in counted if number in self._listed]
        rows = sum(count for number, count in counted.items() if number in self._listed)
        yield Declaration(f"length of {len(lengths)} episodes", sum(lengths), rows, _EPISODES)

    def _sampled(self) -> list[int]:
        return sorted(self._tables)[:: max(1, -(-len(self._tables) // FOOTERS))]

    def _feature_declarations(self) -> Iterator[Declaration]:
        known: Mapping[str, Any] = {}
        for number in self._sampled()[:1]:
            try:
                known = self._parquet.columns(self._tables[number])
            except RobokataError:
                return
            yield from column_declarations(self.features, known)
        for name, feature in self.features.items():
            if feature.get("dtype") != "video" or name in known:
                continue
            there = sum(self._video_file(number, name) in self._videos for number in self._tables)
            hint = "" if there else "a declared camera without a single file: it is left out of the episodes"
            yield Declaration(f"videos of {name}", len(self._tables), there, INFO, hint)

    def _sizes(self) -> tuple[dict[str, Size], Size]:
        """Bytes per feature and of all tables and videos; per column from at most 50 footers, scaled up."""
        tables = {number: size_of(file) for number, file in self._tables.items()}
        sampled = self._sampled()
        columns = column_bytes(self._parquet, [self._tables[number] for number in sampled], list(self.features))
        part = sum(tables[number] for number in sampled)
        scale = sum(tables.values()) / part if part else 1.0
        is_estimate = len(sampled) < len(tables)
        sizes = {name: Size(round(size * scale), is_estimate) for name, size in columns.items()}
        for name in sorted(self._cameras_with_files):
            sizes[name] = Size(sum(size_of(file) for file in self._videos_of(name)))
        return sizes, Size(sum(tables.values()) + sum(size_of(file) for file in self._videos))

    def _videos_of(self, camera: str) -> Iterator[Path]:
        return (file for n in self._tables if (file := self._video_file(n, camera)) in self._videos)


def layout(
    episode: Episode,
    *,
    anchor: str | None = None,
    rate_hz: Fraction | None = None,
    pictures: str = "auto",
    codec: str = "libsvtav1",
    gop: int = 2,
    crf: int = 30,
    modality: str = "auto",
) -> Layout:
    """Where each stream of an episode goes, and what that costs; the options are those of `write`."""
    refuse_unknown_modality(modality)
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
    modality: str = "auto",
) -> None:
    """Write episodes as a LeRobot v2.1 folder, which appears in one rename when it is complete.

    The options are those of LeRobot v3.0. `modality` writes GR00T's meta/modality.json: `auto` where the source names
    groups of channels, `always` with one group per state and action where it does not, `never`.

    Raises:
        WriteRefused: the target exists and is not empty, or the episodes do not fit one table.
    """
    write_dataset(path, episodes, Options(anchor, rate_hz, pictures, codec, gop, crf), modality=modality)
