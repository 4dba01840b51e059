"""Writing a LeRobot v2.1 folder, also in GR00T's dialect: a table and a video per camera for each episode."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from robokata.core.atomic import appearing
from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.core.stream import Role
from robokata.formats._lerobot_dataset import Dataset, Part
from robokata.formats._lerobot_plan import Column, Form, Options
from robokata.formats._lerobot_table import arrow_table, open_table
from robokata.formats._lerobot_videos import write_video
from robokata.formats._lerobot_write import write_carried, write_json
from robokata.media.remux import PacketSources

EPISODES_PER_CHUNK = 1000


def write_dataset(path: Path, episodes: Iterable[Episode], options: Options, *, modality: str) -> None:
    """Write all episodes; the folder appears when it is complete.

    Raises:
        WriteRefused: the target exists and is not empty, or there are no episodes, or they do not fit together.
    """
    refuse_unknown_modality(modality)
    with appearing(path) as root:
        dataset, sources = Dataset("v2.1", options), PacketSources()
        (root / "meta").mkdir()
        groups: dict[str, Any] | None = None
        try:
            with (
                (root / "meta" / "episodes.jsonl").open("w", encoding="utf-8") as listed,
                (root / "meta" / "episodes_stats.jsonl").open("w", encoding="utf-8") as statistics,
            ):
                for episode in episodes:
                    part = dataset.add(episode)
                    _write_episode(root, part, dataset, sources)
                    line = {"episode_index": part.number, "tasks": list(part.texts), "length": part.length}
                    listed.write(_line(line))
                    statistics.write(_line({"episode_index": part.number, "stats": part.statistics}))
                    groups = groups if groups is not None else modality_of(part.plan.columns, modality)
        finally:
            sources.close()
        _write_meta(root, dataset, groups)


def refuse_unknown_modality(modality: str) -> None:
    """Refuse a word that the option does not know.

    Raises:
        WriteRefused: it is none of auto, always, never.
    """
    if modality not in ("auto", "always", "never"):
        raise WriteRefused(f"modality={modality!r} is none of auto, always, never.")


def modality_of(columns: Sequence[Column], modality: str) -> dict[str, Any]:
    """`meta/modality.json` for GR00T: groups of channels of states and actions, cameras and annotations; else empty.

    `auto` writes it where the source names groups; `always` makes one group of each stream that has none.
    """
    has_groups = any("groups" in column.stream.extra for column in columns)
    if modality == "never" or (modality == "auto" and not has_groups):
        return {}
    parts: dict[str, dict[str, Any]] = {"state": {}, "action": {}, "video": {}, "annotation": {}}
    for column in columns:
        name, last = column.target, column.target.rpartition(".")[2]
        if column.stream.is_picture:
            parts["video"][last] = {"original_key": name}
        elif name.startswith("annotation."):
            parts["annotation"][name.removeprefix("annotation.")] = {}
        elif column.form is Form.NUMBERS and column.stream.role in (Role.STATE, Role.ACTION):
            groups = column.stream.extra.get("groups") or {last: [0, (*column.stream.shape, 1)[0]]}
            part = parts["state" if column.stream.role is Role.STATE else "action"]
            part |= {group: _span(span, name) for group, span in groups.items()}
    if not parts["annotation"]:
        parts["annotation"]["human.task_description"] = {"original_key": "task_index"}
    return parts


def _span(span: Sequence[int], name: str) -> dict[str, Any]:
    where = {"start": int(span[0]), "end": int(span[1])}
    # These two are what GR00T looks for by itself.
    return where if name in ("observation.state", "action") else {**where, "original_key": name}


def _write_episode(root: Path, part: Part, dataset: Dataset, sources: PacketSources) -> None:
    chunk = f"chunk-{part.number // EPISODES_PER_CHUNK:03d}"
    table = arrow_table(part.table, list_type="Sequence")
    with open_table(root / "data" / chunk / f"episode_{part.number:06d}.parquet", table) as writer:
        writer.write_table(table)
    for column in part.plan.columns:
        if column.target in dataset.cameras:
            file = root / "videos" / chunk / column.target / f"episode_{part.number:06d}.mp4"
            write_video(file, column, sources, rate_hz=part.plan.rows.rate_hz, options=dataset.options)
    write_carried(root, part)


def _line(what: Mapping[str, Any]) -> str:
    return json.dumps(what, ensure_ascii=False) + "\n"


def _write_meta(root: Path, dataset: Dataset, groups: Mapping[str, Any] | None) -> None:
    meta, info = root / "meta", dataset.info()
    lines = [_line({"task_index": number, "task": text}) for number, text in enumerate(dataset.tasks.listed)]
    (meta / "tasks.jsonl").write_text("".join(lines), encoding="utf-8")
    # v2.1 itself reads only the statistics per episode; GR00T and v2.0's readers want those over all.
    write_json(meta / "stats.json", dataset.statistics())
    if groups:
        write_json(meta / "modality.json", groups)
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
