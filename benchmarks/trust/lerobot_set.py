"""LeRobot datasets of versions 2.1 and 3.0, written by pyarrow and by hand, and read by pyarrow and PyAV."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.trust.oracles import decoded
from benchmarks.trust.truth import EpisodeTruth, Truth

CAMERA = "observation.images.cam"
COUNTERS = ("timestamp", "frame_index", "episode_index", "index", "task_index")


class Clip(NamedTuple):
    """The pictures of one episode."""

    file: Path
    first: int = 0
    """Number of its first picture in the file."""


class LeRobotSet(NamedTuple):
    """What is written."""

    version: str
    episodes: Sequence[Mapping[str, Any]]
    """Column -> numpy array or pyarrow array, without the counters."""
    clips: Sequence[Clip] = ()
    fps: float = 30
    tasks: Sequence[str] = ("pick the cube",)
    """One per episode, in turn."""
    info: Mapping[str, Any] = {}
    """Facts of the camera beside its size."""
    dtypes: Mapping[str, str] = {}
    """Declared dtype of columns where pyarrow's own word is not LeRobot's."""


def write(root: Path, dataset: LeRobotSet) -> Path:
    """The whole folder."""
    path = root / f"lerobot_{dataset.version}"
    tables = [_table(dataset, number) for number in range(len(dataset.episodes))]
    lengths = [table.num_rows for table in tables]
    if dataset.version == "v2":
        for number, table in enumerate(tables):
            _parquet(path / f"data/chunk-000/episode_{number:06d}.parquet", table)
    else:
        _parquet(path / "data/chunk-000/file-000.parquet", pa.concat_tables(tables))
    ending = dataset.clips[0].file.suffix if dataset.clips else ".mp4"
    _place_videos(path, dataset, ending)
    _write_meta(path, dataset, lengths, ending)
    return path


def _table(dataset: LeRobotSet, number: int) -> pa.Table:
    columns = dict(dataset.episodes[number])
    steps = len(next(iter(columns.values())))
    before = sum(len(next(iter(e.values()))) for e in dataset.episodes[:number])
    task = number % len(dataset.tasks)
    columns |= {
        "timestamp": (np.arange(steps) / dataset.fps).astype(np.float32),
        "frame_index": np.arange(steps),
        "episode_index": np.full(steps, number),
        "index": np.arange(before, before + steps),
        "task_index": np.full(steps, task),
    }
    return pa.table({name: _column(values) for name, values in columns.items()})


def _column(values: Any) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    kind: Any = pa.from_numpy_dtype(values.dtype)
    for size in reversed(values.shape[1:]):
        kind = pa.list_(kind, size) if values.ndim == 2 else pa.list_(kind)
    return pa.array(list(values) if values.ndim == 1 else values.tolist(), kind)


def _parquet(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def _place_videos(path: Path, dataset: LeRobotSet, ending: str) -> None:
    for number, clip in enumerate(dataset.clips):
        name = f"episode_{number:06d}" if dataset.version == "v2" else "file-000"
        place = (
            path / "videos/chunk-000" / CAMERA if dataset.version == "v2" else path / "videos" / CAMERA / "chunk-000"
        )
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clip.file, place / f"{name}{ending}")


def _write_meta(path: Path, dataset: LeRobotSet, lengths: list[int], ending: str) -> None:
    (path / "meta").mkdir(parents=True, exist_ok=True)
    is_v2 = dataset.version == "v2"
    info = {
        "codebase_version": "v2.1" if is_v2 else "v3.0",
        "robot_type": "tiny_arm",
        "total_episodes": len(lengths),
        "total_frames": sum(lengths),
        "total_tasks": len(dataset.tasks),
        "total_videos": len(dataset.clips),
        "total_chunks": 1,
        "chunks_size": 1000,
        "fps": dataset.fps,
        "splits": {"train": f"0:{len(lengths)}"},
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
        if is_v2
        else "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "features": _features(dataset),
    }
    if dataset.clips:
        info["video_path"] = (
            "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}"
            if is_v2
            else "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}"
        ) + ending
    (path / "meta/info.json").write_text(json.dumps(info))
    tasks = [{"task_index": n, "task": text} for n, text in enumerate(dataset.tasks)]
    if is_v2:
        rows: list[dict[str, Any]] = [
            {"episode_index": n, "tasks": [_task(dataset, n)], "length": length} for n, length in enumerate(lengths)
        ]
        (path / "meta/episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (path / "meta/tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tasks))
        return
    rows = [_row_v3(dataset, n, lengths) for n in range(len(lengths))]
    _parquet(path / "meta/episodes/chunk-000/file-000.parquet", pa.Table.from_pylist(rows))
    _parquet(path / "meta/tasks.parquet", pa.Table.from_pylist(tasks))


def _task(dataset: LeRobotSet, number: int) -> str:
    return dataset.tasks[number % len(dataset.tasks)]


def _row_v3(dataset: LeRobotSet, number: int, lengths: list[int]) -> dict[str, Any]:
    first = sum(lengths[:number])
    row = {
        "episode_index": number,
        "tasks": [_task(dataset, number)],
        "length": lengths[number],
        "data/chunk_index": 0,
        "data/file_index": 0,
        "dataset_from_index": first,
        "dataset_to_index": first + lengths[number],
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }
    if dataset.clips:
        clip = dataset.clips[number]
        row |= {
            f"videos/{CAMERA}/chunk_index": 0,
            f"videos/{CAMERA}/file_index": 0,
            f"videos/{CAMERA}/from_timestamp": clip.first / dataset.fps,
            f"videos/{CAMERA}/to_timestamp": (clip.first + lengths[number]) / dataset.fps,
        }
    return row


def _features(dataset: LeRobotSet) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values in dataset.episodes[0].items():
        is_array = isinstance(values, np.ndarray)
        is_fixed = not is_array and pa.types.is_fixed_size_list(values.type)
        shape = list(values.shape[1:]) or [1] if is_array else [values.type.list_size if is_fixed else 1]
        found[name] = {"dtype": dataset.dtypes.get(name) or str(values.dtype), "shape": shape, "names": None}
    for name in COUNTERS:
        found[name] = {"dtype": "float32" if name == "timestamp" else "int64", "shape": [1], "names": None}
    if dataset.clips:
        picture = decoded(dataset.clips[0].file)[0]
        shape = [*picture.shape[:2], picture.shape[2] if picture.ndim == 3 else 1]
        found[CAMERA] = {
            "dtype": "video",
            "shape": shape,
            "names": ["height", "width", "channels"],
            "info": {"video.fps": float(dataset.fps), **dataset.info},
        }
    return found


def read(path: Path) -> list[EpisodeTruth]:
    """The truth by pyarrow and PyAV: columns that are no counters, pictures, texts of the tasks, times."""
    info = json.loads((path / "meta/info.json").read_text())
    is_v2 = info["codebase_version"].startswith("v2")
    tables = [pq.read_table(file) for file in sorted((path / "data").rglob("*.parquet"))]
    whole = pa.concat_tables(tables)
    tasks = _tasks(path, is_v2=is_v2)
    spans = {} if is_v2 else _spans(path)
    found = []
    for number in range(info["total_episodes"]):
        mask = np.asarray(whole["episode_index"]) == number
        part = whole.filter(pa.array(mask))
        found.append(_episode(path, info, part, number, tasks, spans.get(number)))
    return found


def _episode(
    path: Path, info: dict[str, Any], part: pa.Table, number: int, tasks: dict[int, str], span: float | None
) -> EpisodeTruth:
    times_ns = np.rint(np.asarray(part["timestamp"], np.float64) * 1e9).astype(np.int64)
    clock = {"times_ns": times_ns, "within_ns": 1000}  # float32 of less than 8 s: within 0.5 us
    streams = {}
    for name in part.column_names:
        if name not in COUNTERS:
            streams[name] = _column_truth(part[name].combine_chunks(), clock)
    if CAMERA in info["features"]:
        files = sorted(file for file in (path / "videos").rglob("*") if file.is_file())
        file, from_s = (files[number], 0.0) if span is None else (files[0], span)
        streams[CAMERA] = Truth(pictures=decoded(file, from_s, part.num_rows), **clock)
    text = tasks[part["task_index"][0].as_py()]
    return EpisodeTruth(streams, instructions=(text,))


def _column_truth(column: pa.Array, clock: dict[str, Any]) -> Truth:
    kind: Any = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    while pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    values = column.to_pylist()
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    depth = str(column.type).count("list<")
    is_even = depth < 2 and len({len(v) for v in values if isinstance(v, list)}) <= 1
    is_even |= depth == 2 and len({len(part) for v in values for part in v}) == 1
    if column.null_count and (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        # Texts that are there, at the times of their rows: a null is no empty text.
        rows = [row for row, value in enumerate(values) if value is not None]
        there = {**clock, "times_ns": clock["times_ns"][rows]}
        return Truth(texts=[values[row] for row in rows], **there)
    if is_number and column.null_count == 0 and is_even:
        return Truth(numbers=np.asarray(values, kind.to_pandas_dtype()), **clock)
    return Truth(texts=values, **clock)


def _tasks(path: Path, *, is_v2: bool) -> dict[int, str]:
    if is_v2:
        rows = [json.loads(line) for line in (path / "meta/tasks.jsonl").read_text().splitlines()]
    else:
        rows = pq.read_table(path / "meta/tasks.parquet").to_pylist()
    return {row["task_index"]: row["task"] for row in rows}


def _spans(path: Path) -> dict[int, float]:
    rows = pq.read_table(path / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    return {row["episode_index"]: row.get(f"videos/{CAMERA}/from_timestamp") for row in rows}
