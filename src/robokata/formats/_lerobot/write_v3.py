"""Writing a LeRobot v3.0 folder: one pass over the episodes, one rename at the end."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from robokata.core.episode import Episode
from robokata.formats._lerobot.carried import carried_file
from robokata.formats._lerobot.dataset import Dataset, Part
from robokata.formats._lerobot.draft import Draft, draft_of
from robokata.formats._lerobot.plan import Options
from robokata.formats._lerobot.table import Cells, EpisodesTable, arrow_table, open_table, write_tasks_table
from robokata.formats._lerobot.videos import VIDEO_FILE_BYTES, PackedCamera
from robokata.runtime.atomic import appearing
from robokata.runtime.ordered_map import each, scratch_folder

DATA_FILE_BYTES = 100 * 10**6
"""LeRobot v3.0's own target (`data_files_size_in_mb`)."""
FILES_PER_CHUNK = 1000


class _Tables:
    """The packed tables. A class, because a file fills up over episodes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._file_index = 0
        self._file: Path | None = None
        self._writer: Any = None

    def add(self, part: Part) -> dict[str, int]:
        """Append an episode's rows; returns where they stand."""
        table = arrow_table(part.table, list_type="List")
        chunk, file = divmod(self._file_index, FILES_PER_CHUNK)
        if self._writer is None or self._file is None:
            self._file = self._root / "data" / f"chunk-{chunk:03d}" / f"file-{file:03d}.parquet"
            self._writer = open_table(self._file, table)
        # One row group per episode: a reader that wants one episode decodes one episode.
        self._writer.write_table(table, row_group_size=max(1, len(table)))
        if self._file.stat().st_size > DATA_FILE_BYTES:
            self.close()
            self._file_index += 1
        return {"data/chunk_index": chunk, "data/file_index": file}

    def close(self) -> None:
        """Finish the open file."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def give_up(self) -> None:
        """Leave a file as it is where its end was not reached."""
        if self._writer is not None:
            # Else it tries once more when it is collected, and tells standard error that it cannot.
            self._writer.is_open = False
        self._writer = None


def write_dataset(path: Path, episodes: Iterable[Episode], options: Options) -> None:
    """Write all episodes; the folder appears when it is complete.

    Raises:
        WriteRefused: the target exists and is not empty, or there are no episodes, or they do not fit together.
    """
    with appearing(path) as root, scratch_folder(root) as scratch:
        draft = partial(draft_of, options=options, scratch=scratch, modality="never")
        packed = _Packed(root, Dataset("v3.0", options))
        try:
            for drafted in each(episodes, draft):
                packed.add(drafted)
            packed.close()
        finally:
            packed.give_up()


class _Packed:
    """A v3.0 folder that fills up. A class, because every episode adds to the same files."""

    def __init__(self, root: Path, dataset: Dataset) -> None:
        self._root, self._dataset, self._tables = root, dataset, _Tables(root)
        self._cameras: dict[str, PackedCamera] = {}
        self._listed: EpisodesTable | None = None

    def add(self, draft: Draft) -> None:
        """Append one episode."""
        part = self._dataset.add(draft)
        if self._listed is None:
            file = self._root / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
            self._listed = EpisodesTable(file, self._dataset.features)
        cells = {**_row(part), **self._tables.add(part)}
        for name, clip in draft.clips.items():
            fresh = PackedCamera(self._root / "videos" / name, rate_hz=draft.rate_hz)
            span = self._cameras.setdefault(name, fresh).add(clip)
            cells |= _pointers(name, span.file_index, span.from_s, span.to_s)
        cells |= {**_statistics_cells(part), "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
        self._listed.add(cells)
        write_carried(self._root, part)

    def close(self) -> None:
        """Finish all files, and describe them."""
        for camera in self._cameras.values():
            camera.close()
        self._tables.close()
        info = self._dataset.info()
        if self._listed is not None:
            self._listed.close()
        _write_meta(self._root, self._dataset, info)

    def give_up(self) -> None:
        """Leave the files as they are."""
        self._tables.give_up()
        for camera in self._cameras.values():
            camera.give_up()
        if self._listed is not None:
            self._listed.give_up()


def write_carried(root: Path, part: Part) -> None:
    """What the rows do not hold of an episode, beside them; and what only its rows needed is deleted."""
    file = carried_file(root, part.number)
    if not part.number:
        file.parent.mkdir(parents=True)
    file.write_bytes(part.draft.carried)
    for cells in part.table.values():
        if isinstance(cells, Cells):
            cells.done()


def write_json(path: Path, what: Any) -> None:
    """A metadata file, in LeRobot's own style."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(what, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")


def _row(part: Part) -> dict[str, Any]:
    return {
        "episode_index": part.number,
        "tasks": list(part.draft.texts),
        "length": part.draft.rows,
        "dataset_from_index": part.first_row,
        "dataset_to_index": part.first_row + part.draft.rows,
    }


def _pointers(camera: str, file_index: int, from_s: float, to_s: float) -> dict[str, Any]:
    chunk, file = divmod(file_index, FILES_PER_CHUNK)
    return {
        f"videos/{camera}/chunk_index": chunk,
        f"videos/{camera}/file_index": file,
        f"videos/{camera}/from_timestamp": from_s,
        f"videos/{camera}/to_timestamp": to_s,
    }


def _statistics_cells(part: Part) -> dict[str, Any]:
    return {
        f"stats/{name}/{quantity}": value
        for name, quantities in part.statistics.items()
        for quantity, value in quantities.items()
    }


def _write_meta(root: Path, dataset: Dataset, info: dict[str, Any]) -> None:
    meta = root / "meta"
    write_tasks_table(meta / "tasks.parquet", dataset.tasks.listed)
    write_json(meta / "stats.json", dataset.statistics())
    info |= {
        "data_files_size_in_mb": DATA_FILE_BYTES // 10**6,
        "video_files_size_in_mb": VIDEO_FILE_BYTES // 10**6,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
        if dataset.cameras
        else None,
        "features": dataset.features,
    }
    write_json(meta / "info.json", info)
