"""Writing a LeRobot v2.1 folder, also in GR00T's dialect: a table and a video per camera for each episode."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from robokata.core.episode import Episode
from robokata.formats._lerobot.dataset import Dataset, Part
from robokata.formats._lerobot.draft import draft_of
from robokata.formats._lerobot.modality import refuse_unknown_modality
from robokata.formats._lerobot.plan import Options
from robokata.formats._lerobot.table import arrow_table, open_table
from robokata.formats._lerobot.write_v3 import write_carried, write_json
from robokata.media.mp4_write import write_clip
from robokata.runtime.atomic import appearing
from robokata.runtime.ordered_map import each, scratch_folder

EPISODES_PER_CHUNK = 1000


def write_dataset(path: Path, episodes: Iterable[Episode], options: Options, *, modality: str) -> None:
    """Write all episodes; the folder appears when it is complete.

    Raises:
        WriteRefused: the target exists and is not empty, or there are no episodes, or they do not fit together.
    """
    refuse_unknown_modality(modality)
    with appearing(path) as root, scratch_folder(root) as scratch:
        dataset = Dataset("v2.1", options)
        draft = partial(draft_of, options=options, scratch=scratch, modality=modality)
        (root / "meta").mkdir()
        with (
            (root / "meta" / "episodes.jsonl").open("w", encoding="utf-8") as listed,
            (root / "meta" / "episodes_stats.jsonl").open("w", encoding="utf-8") as statistics,
        ):
            for drafted in each(episodes, draft):
                part = dataset.add(drafted)
                _write_episode(root, part)
                line = {"episode_index": part.number, "tasks": list(drafted.texts), "length": drafted.rows}
                listed.write(_line(line))
                statistics.write(_line({"episode_index": part.number, "stats": part.statistics}))
        _write_meta(root, dataset)


def _write_episode(root: Path, part: Part) -> None:
    chunk = f"chunk-{part.number // EPISODES_PER_CHUNK:03d}"
    table = arrow_table(part.table, list_type="Sequence")
    with open_table(root / "data" / chunk / f"episode_{part.number:06d}.parquet", table) as writer:
        writer.write_table(table)
    for name, clip in part.draft.clips.items():
        file = root / "videos" / chunk / name / f"episode_{part.number:06d}.mp4"
        write_clip(file, clip, rate_hz=part.draft.rate_hz)
    write_carried(root, part)


def _line(what: Mapping[str, Any]) -> str:
    return json.dumps(what, ensure_ascii=False) + "\n"


def _write_meta(root: Path, dataset: Dataset) -> None:
    meta, info = root / "meta", dataset.info()
    lines = [_line({"task_index": number, "task": text}) for number, text in enumerate(dataset.tasks.listed)]
    (meta / "tasks.jsonl").write_text("".join(lines), encoding="utf-8")
    # v2.1 itself reads only the statistics per episode; GR00T and v2.0's readers want those over all.
    write_json(meta / "stats.json", dataset.statistics())
    if dataset.modality:
        write_json(meta / "modality.json", dataset.modality)
    video_path = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    info |= {
        "total_videos": dataset.episodes * len(dataset.cameras),
        "total_chunks": -(-dataset.episodes // EPISODES_PER_CHUNK),
        "chunks_size": EPISODES_PER_CHUNK,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": video_path if dataset.cameras else None,
        "features": dataset.features,
    }
    write_json(meta / "info.json", info)
