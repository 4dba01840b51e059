"""A sound LeRobot v1 dataset: Arrow streams as `datasets.save_to_disk` writes them, and a video per episode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from makers._lerobot_parts import CAMERAS, RATE_HZ, all_columns, joined, statistics, write_json, write_video
from robokata.testing import Barcode

FILES = "**/*.[ajsm]*"
"""arrow, json, safetensors and mp4, and no folder."""


def make(root: Path, *, episodes: int, steps: int, seed: int = 0) -> Path:
    """Rows in two Arrow files that are cut in the middle of an episode, in batches of 20 rows."""
    path = root / "lerobot_v1"
    columns = all_columns(episodes, steps, seed)
    for part in columns:
        del part["task_index"]
    for number in range(episodes):
        for camera in CAMERAS:
            codes = [Barcode(number, frame) for frame in range(steps)]
            write_video(path / "videos" / f"{camera}_episode_{number:06d}.mp4", codes)
    write_rows(path / "train", table_of(joined(columns), episodes, steps))
    write_json(path / "meta_data/info.json", {"fps": RATE_HZ, "video": int(episodes > 0)})
    edges = np.arange(episodes + 1) * steps
    write_safetensors(path / "meta_data/episode_data_index.safetensors", {"from": edges[:-1], "to": edges[1:]})
    stats = statistics(joined(columns)) if columns else {}
    flat = {f"{name}/{q}": np.float32(v) for name, quantities in stats.items() for q, v in quantities.items()}
    write_safetensors(path / "meta_data/stats.safetensors", flat)
    return path


def table_of(columns: dict[str, NDArray[Any]], episodes: int, steps: int) -> pa.Table:
    """Columns of a split, with the pointers into the videos."""
    out: dict[str, pa.Array] = {}
    for camera in CAMERAS if columns else ():
        pointers = [
            {"path": f"videos/{camera}_episode_{number:06d}.mp4", "timestamp": frame / RATE_HZ}
            for number in range(episodes)
            for frame in range(steps)
        ]
        out[camera] = pa.array(pointers, pa.struct([("path", pa.string()), ("timestamp", pa.float32())]))
    for name, array in columns.items():
        flat = pa.array(array.reshape(-1))
        out[name] = flat if array.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, array.shape[1])
    return pa.table(out)


def write_rows(folder: Path, table: pa.Table) -> None:
    folder.mkdir(parents=True)
    cut = len(table) * 2 // 5
    names = [f"data-{part:05d}-of-00002.arrow" for part in range(2)]
    for name, part in zip(names, (table.slice(0, cut), table.slice(cut)), strict=True):
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(part, max_chunksize=20)
    write_json(folder / "state.json", {"_data_files": [{"filename": name} for name in names], "_split": None})
    write_json(folder / "dataset_info.json", {"features": {}, "license": ""})


def write_safetensors(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Little-endian length of the header, the header, the bytes (safetensors format description, 2023)."""
    header: dict[str, Any] = {}
    body = b""
    for name, array in arrays.items():
        kind = {"int64": "I64", "float32": "F32"}[array.dtype.name]
        offsets = [len(body), len(body) + array.nbytes]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": offsets}
        body += array.tobytes()
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
