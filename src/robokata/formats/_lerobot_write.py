"""Writing a LeRobot v3.0 folder: one pass over the episodes, one rename at the end."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.core.require import require
from robokata.core.stream import Role, Stream
from robokata.media.encode import VideoWriter

DATA_FILE_BYTES = 100 * 10**6
VIDEO_FILE_BYTES = 200 * 10**6
"""Both are LeRobot v3.0's own targets (`data_files_size_in_mb`, `video_files_size_in_mb`)."""
PICTURES_FOR_STATISTICS = 20
"""Pictures per camera and episode that enter the declared picture statistics; LeRobot samples them too."""


@dataclass
class _Moments:
    """Count, mean, squared deviations and range of each channel, mergeable (Chan et al. 1979, formula 1.5)."""

    count: int = 0
    """Rows that entered: those without NaN or infinity."""
    rows: int = 0
    mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    deviation: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    low: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    high: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def add(self, table: NDArray[Any]) -> None:
        numbers = table.astype(np.float64)
        self.rows += len(numbers)
        # Rows with NaN or infinity would make the whole statistic NaN, and NaN is no JSON.
        numbers = numbers[np.isfinite(numbers).all(axis=1)]
        if not len(numbers):
            return
        count, mean = len(numbers), numbers.mean(axis=0)
        deviation = ((numbers - mean) ** 2).sum(axis=0)
        if not self.count:
            self.count, self.mean, self.deviation = count, mean, deviation
            self.low, self.high = numbers.min(axis=0), numbers.max(axis=0)
            return
        total = self.count + count
        difference = mean - self.mean
        self.deviation = self.deviation + deviation + difference**2 * self.count * count / total
        self.mean = self.mean + difference * count / total
        self.low, self.high = np.minimum(self.low, numbers.min(axis=0)), np.maximum(self.high, numbers.max(axis=0))
        self.count = total

    def as_json(self, shape: tuple[int, ...]) -> dict[str, Any]:
        spread = np.sqrt(self.deviation / max(1, self.count))
        parts = {"min": self.low, "max": self.high, "mean": self.mean, "std": spread}
        return {**{name: value.reshape(shape).tolist() for name, value in parts.items()}, "count": [self.rows]}


@dataclass
class _Camera:
    """The packed video of one camera: the open file, and how far it is filled."""

    folder: Path
    file_index: int = 0
    writer: VideoWriter | None = None


class _Writer:
    """What is open while a dataset is written. A class, because encoders and tables fill up over episodes."""

    def __init__(self, root: Path, first: Episode, *, codec: str, gop: int, crf: int) -> None:
        self.root, self.codec, self.gop, self.crf = root, codec, gop, crf
        self.rate_hz = _rate_of(first)
        self.robot = first.embodiment.name if first.embodiment else None
        self.columns = {s.name: s for s in first.numeric() if _is_own_column(s)}
        self.cameras = {s.name: _Camera(root / "videos" / s.name) for s in first.pictures()}
        self.picture_shapes = {s.name: s.values.shape[1:] for s in first.pictures()}
        written = [first.streams[name] for name in (*self.columns, *self.cameras)]
        self.expected = {s.name: (list(s.shape), s.values.dtype.name) for s in written}
        for stream in written:
            _refuse_unfit(stream)
        self.features = self._features()
        self.tasks: dict[str, int] = {}
        self.rows: list[dict[str, Any]] = []
        self.moments = {name: _Moments() for name in self.features}
        self.splits: list[str | None] = []
        self.total = 0
        self._table: Any = None
        self._file_index = 0

    def add(self, episode: Episode) -> None:
        anchor = _anchor(episode)
        count = len(anchor)
        self._refuse_misfit(episode, count)
        number = len(self.rows)
        texts = tuple(dict.fromkeys(i.text for i in episode.instructions)) or ("",)
        task = self.tasks.setdefault(texts[0], len(self.tasks))
        for text in texts:
            self.tasks.setdefault(text, len(self.tasks))
        own = {name: self._on_rows(episode.streams[name], anchor) for name in self.columns}
        kept: dict[str, NDArray[Any]] = {
            "timestamp": (np.arange(count) / float(self.rate_hz)).astype(np.float32),
            "frame_index": np.arange(count, dtype=np.int64),
            "episode_index": np.full(count, number, dtype=np.int64),
            "index": np.arange(self.total, self.total + count, dtype=np.int64),
            "task_index": np.full(count, task, dtype=np.int64),
        }
        row = {
            "episode_index": number,
            "tasks": list(texts),
            "length": count,
            "data/chunk_index": 0,
            "data/file_index": self._file_index,
            "dataset_from_index": self.total,
            "dataset_to_index": self.total + count,
        }
        for name, camera in self.cameras.items():
            row |= self._add_pictures(name, camera, episode.streams[name], anchor)
        row |= self._statistics_of({**own, **kept})
        self._write_rows({**own, **kept})
        self.rows.append(row)
        self.splits.append(episode.origin.split)
        self.total += count

    def _refuse_misfit(self, episode: Episode, count: int) -> None:
        """Everything in which an episode may differ from the first, before anything of it is written."""
        had = (*self.columns, *self.cameras)
        has = {s.name for s in (*episode.numeric(), *episode.pictures()) if _is_own_column(s)}
        missing, added = [n for n in had if n not in has], sorted(has.difference(had))
        if missing or added:
            what = (
                f"has no stream {', '.join(missing)}, and the first episode had"
                if missing
                else (f"has the stream {', '.join(added)}, and the first episode had not")
            )
            raise WriteRefused(
                f"episode {episode.id} {what}. LeRobot v3.0 holds one set of streams per dataset: write the episodes "
                "to two datasets."
            )
        if _rate_of(episode) != self.rate_hz:
            raise WriteRefused(
                f"episode {episode.id} has the rate {_rate_of(episode)} Hz, and the first {self.rate_hz} Hz. LeRobot "
                "v3.0 holds one rate per dataset: write the episodes to two datasets."
            )
        for stream in (episode.streams[name] for name in had):
            found = (list(stream.shape), stream.values.dtype.name)
            if found != self.expected[stream.name]:
                raise WriteRefused(
                    f"stream {stream.name} of episode {episode.id} holds {_said(found)}, and in the first episode "
                    f"{_said(self.expected[stream.name])}. LeRobot v3.0 holds one shape and type per dataset."
                )
            if count and not len(stream):
                raise WriteRefused(f"stream {stream.name} of episode {episode.id} is empty: its rows need values.")

    def finish(self) -> None:
        for camera in self.cameras.values():
            if camera.writer is not None:
                camera.writer.close()
        if self._table is not None:
            self._table.close()
        self._write_meta()

    def _features(self) -> dict[str, dict[str, Any]]:
        features: dict[str, dict[str, Any]] = {}
        for name, stream in self.columns.items():
            names = list(stream.channels) if stream.channels else None
            shape = list(stream.shape) or [1]
            features[name] = {"dtype": stream.values.dtype.name, "shape": shape, "names": names}
        for name, size in self.picture_shapes.items():
            features[name] = {
                "dtype": "video",
                "shape": [*size[:2], 3],
                "names": ["height", "width", "channels"],
                "info": {
                    "video.height": size[0],
                    "video.width": size[1],
                    "video.codec": {"libsvtav1": "av1", "libx264": "h264"}.get(self.codec, self.codec),
                    "video.pix_fmt": "yuv420p",
                    "video.is_depth_map": False,
                    "video.fps": float(self.rate_hz),
                    "video.channels": 3,
                    "has_audio": False,
                },
            }
        for name in ("timestamp", "frame_index", "episode_index", "index", "task_index"):
            dtype = "float32" if name == "timestamp" else "int64"
            features[name] = {"dtype": dtype, "shape": [1], "names": None}
        return features

    def _on_rows(self, stream: Stream, anchor: Stream) -> NDArray[Any]:
        return np.asarray(stream.values[_latest_at(stream, anchor)])

    def _add_pictures(self, name: str, camera: _Camera, stream: Stream, anchor: Stream) -> dict[str, Any]:
        if camera.writer is None:
            file = camera.folder / "chunk-000" / f"file-{camera.file_index:03d}.mp4"
            file.parent.mkdir(parents=True, exist_ok=True)
            camera.writer = VideoWriter(file, rate_hz=self.rate_hz, codec=self.codec, gop=self.gop, crf=self.crf)
        writer, pictures = camera.writer, stream.pictures
        first = writer.count
        wanted = _latest_at(stream, anchor)
        sampled = set(np.linspace(0, len(wanted) - 1, min(PICTURES_FOR_STATISTICS, len(wanted))).astype(int).tolist())
        for row, ordinal in enumerate(wanted):
            picture = np.asarray(pictures[int(ordinal)])
            if row in sampled:
                self.moments[name].add(picture.reshape(-1, picture.shape[-1]) / 255.0)
            writer.add(picture)
        span = {
            f"videos/{name}/chunk_index": 0,
            f"videos/{name}/file_index": camera.file_index,
            f"videos/{name}/from_timestamp": float(first / self.rate_hz),
            f"videos/{name}/to_timestamp": float(writer.count / self.rate_hz),
        }
        if writer.path.stat().st_size > VIDEO_FILE_BYTES:
            writer.close()
            camera.writer, camera.file_index = None, camera.file_index + 1
        return span

    def _statistics_of(self, columns: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        cells: dict[str, Any] = {}
        for name, array in columns.items():
            table = array.reshape(len(array), -1)
            if not len(table) or table.dtype.kind not in "fiub":
                continue
            shape = tuple(self.features[name]["shape"])
            self.moments[name].add(table)
            own = _Moments()
            own.add(table)
            cells |= {f"stats/{name}/{part}": value for part, value in own.as_json(shape).items()}
        return cells

    def _write_rows(self, columns: Mapping[str, NDArray[Any]]) -> None:
        pyarrow, parquet = require("pyarrow", extra="tables"), require("pyarrow.parquet", extra="tables")
        table = pyarrow.table({name: _arrow_column(pyarrow, array) for name, array in columns.items()})
        if self._table is None:
            file = self.root / "data" / "chunk-000" / f"file-{self._file_index:03d}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            # One row group per episode: a reader that wants one episode decodes one episode.
            self._table = parquet.ParquetWriter(file, table.schema, compression="snappy", write_page_checksum=True)
            self._table_file = file
        self._table.write_table(table, row_group_size=max(1, len(table)))
        if self._table_file.stat().st_size > DATA_FILE_BYTES:
            self._table.close()
            self._table, self._file_index = None, self._file_index + 1

    def _write_meta(self) -> None:
        pyarrow, parquet = require("pyarrow", extra="tables"), require("pyarrow.parquet", extra="tables")
        meta = self.root / "meta"
        (meta / "episodes" / "chunk-000").mkdir(parents=True)
        rows = [{**row, "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0} for row in self.rows]
        parquet.write_table(pyarrow.Table.from_pylist(rows), meta / "episodes" / "chunk-000" / "file-000.parquet")
        parquet.write_table(_tasks_table(pyarrow, self.tasks), meta / "tasks.parquet")
        statistics = {
            name: moments.as_json((3, 1, 1) if name in self.cameras else tuple(self.features[name]["shape"]))
            for name, moments in self.moments.items()
            if moments.count
        }
        (meta / "stats.json").write_text(json.dumps(statistics, indent=4))
        rate = int(self.rate_hz) if self.rate_hz.denominator == 1 else float(self.rate_hz)
        info = {
            "codebase_version": "v3.0",
            "robot_type": self.robot,
            "total_episodes": len(self.rows),
            "total_frames": self.total,
            "total_tasks": len(self.tasks),
            "chunks_size": 1000,
            "data_files_size_in_mb": DATA_FILE_BYTES // 10**6,
            "video_files_size_in_mb": VIDEO_FILE_BYTES // 10**6,
            "fps": rate,
            "splits": _split_ranges(self.splits),
            "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
            "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
            "features": self.features,
        }
        (meta / "info.json").write_text(json.dumps(info, indent=4))


def write_dataset(path: Path, episodes: Iterable[Episode], *, codec: str, gop: int, crf: int) -> None:
    """Write all episodes beside the target, then rename the folder into place.

    Raises:
        WriteRefused: the target exists and is not empty, or there are no episodes, or they do not fit together.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise WriteRefused(f"{path} exists and is not empty. Choose another target; nothing is ever overwritten.")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        writer: _Writer | None = None
        for episode in episodes:
            writer = writer or _Writer(unfinished, episode, codec=codec, gop=gop, crf=crf)
            writer.add(episode)
        if writer is None:
            raise WriteRefused("there are no episodes to write: a LeRobot dataset holds at least one.")
        writer.finish()
        unfinished.chmod(0o755)
        unfinished.replace(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _anchor(episode: Episode) -> Stream:
    """The stream whose samples become the rows: the action, else the state."""
    for role in (Role.ACTION, Role.STATE):
        for stream in episode.numeric(role):
            return stream
    raise WriteRefused(f"episode {episode.id} has neither action nor state: LeRobot v3.0 has nothing to make rows of.")


def _said(found: tuple[list[int], str]) -> str:
    return f"{found[1]}{found[0]}"


def _refuse_unfit(stream: Stream) -> None:
    """What no LeRobot dataset can hold: names that are paths, and pictures that its encoders do not take."""
    if "/" in stream.name or stream.name in ("", ".", ".."):
        raise WriteRefused(
            f"stream {stream.name!r}: LeRobot makes folders of names and allows no '/' in them. Rename it first, for "
            f"example to {stream.name.strip('/.').replace('/', '.') or 'camera'!r}."
        )
    if not stream.is_picture:
        return
    height, width, depth = stream.shape if len(stream.shape) == 3 else (*stream.shape, 0, 0, 0)[:3]
    if stream.values.dtype != np.uint8 or depth not in (1, 3):
        raise WriteRefused(
            f"stream {stream.name} holds {_said((list(stream.shape), stream.values.dtype.name))} pictures: LeRobot "
            "v3.0 videos hold 8-bit colour. Leave the stream out, or write depth to another format."
        )
    if height % 2 or width % 2:
        raise WriteRefused(
            f"stream {stream.name} is {width} x {height}: the encoders of LeRobot v3.0 take even sizes only."
        )


def _is_own_column(stream: Stream) -> bool:
    return stream.role is not Role.BOOKKEEPING


def _rate_of(episode: Episode) -> Fraction:
    anchor = _anchor(episode)
    rate = episode.declared_rate_hz or anchor.clock.declared_rate_hz
    if rate is None:
        measured = anchor.clock.rate_hz()
        rate = Fraction(round(measured)) if measured else None
    if not rate:
        raise WriteRefused(f"episode {episode.id} has no rate: LeRobot v3.0 cannot be written without one.")
    return rate


def _latest_at(stream: Stream, anchor: Stream) -> NDArray[np.int64]:
    """For each row the newest sample of `stream` that is not younger than the row, (T,)."""
    if stream.clock is anchor.clock:
        return np.arange(len(anchor), dtype=np.int64)
    newest = np.searchsorted(stream.clock.times_ns, anchor.clock.times_ns, side="right") - 1
    return np.clip(newest, 0, max(0, len(stream) - 1)).astype(np.int64)


def _arrow_column(pyarrow: Any, array: NDArray[Any]) -> Any:
    if array.ndim == 1:
        return pyarrow.array(array)
    leaf = pyarrow.array(np.ascontiguousarray(array).reshape(-1))
    for size in reversed(array.shape[1:]):
        leaf = pyarrow.FixedSizeListArray.from_arrays(leaf, size)
    return leaf


def _tasks_table(pyarrow: Any, tasks: Mapping[str, int]) -> Any:
    """The table that LeRobot reads with pandas: the task text is the frame's index."""
    table = pyarrow.table({"task_index": list(tasks.values()), "task": list(tasks)})
    text = {"pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    number = {"pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [{"name": None, "field_name": None, **text, "metadata": {"encoding": "UTF-8"}}],
        "columns": [
            {"name": "task_index", "field_name": "task_index", **number},
            {"name": "task", "field_name": "task", **text},
        ],
        "pandas_version": "2.2.0",
    }
    return table.replace_schema_metadata({b"pandas": json.dumps(pandas).encode()})


def _split_ranges(splits: list[str | None]) -> dict[str, str]:
    """Splits as LeRobot's ranges of episode numbers, where each split is one stretch; else everything is `train`."""
    ranges: dict[str, list[int]] = {}
    for number, name in enumerate(splits):
        ranges.setdefault(name or "train", []).append(number)
    whole = all(numbers[-1] - numbers[0] + 1 == len(numbers) for numbers in ranges.values())
    if not whole:
        return {"train": f"0:{len(splits)}"}
    return {name: f"{numbers[0]}:{numbers[-1] + 1}" for name, numbers in ranges.items()}
