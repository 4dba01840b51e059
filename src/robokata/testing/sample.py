"""A small LeRobot dataset with known defects: what `kata demo` shows, and what tests of the whole path use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from robokata.core.episode import Episode
from robokata.core.leaf_kinds import writable_format
from robokata.core.shelf import shelf
from robokata.testing.tiny import tiny_episode

EPISODES = 12
_DUPLICATE_OF = {9: 1}
_PLANTED = {
    2: "frozen_camera",
    3: "blank_camera",
    4: "stuck_encoder",
    5: "not_finite",
    6: "encoder_wrap",
    7: "blank_instruction",
    10: "joint_teleport",
}
"""Episode -> the check whose own `plant` makes the defect. The other episodes are sound."""


class Planted(NamedTuple):
    """One defect of the sample."""

    check: str
    place: str


def write_sample(
    path: Path,
    *,
    started: Callable[[int], None] = lambda episodes: None,
    advance: Callable[[int], None] = lambda episodes: None,
) -> list[Planted]:
    """Write twelve short episodes as LeRobot v3.0 and spoil eight of them, and the metadata; always the same.

    Raises:
        WriteRefused: the target exists and is not empty.
    """
    started(EPISODES)
    writable_format("lerobot_v3").write(path, _episodes(advance), pictures="video", codec="libx264", gop=2, crf=12)
    _spoil_metadata(path)
    return [
        *(Planted(check, f"episode {number}") for number, check in _PLANTED.items()),
        *(Planted("duplicate_episode", f"episode {copy} is a copy of {twin}") for copy, twin in _DUPLICATE_OF.items()),
        Planted("metadata_contradicts_data", "meta/info.json: the counts of a longer recording"),
        Planted("stale_statistics", "meta/stats.json: the mean action of another dataset"),
    ]


def _episodes(advance: Callable[[int], None]) -> Iterator[Episode]:
    for number in range(EPISODES):
        twin = _DUPLICATE_OF.get(number, number)
        # 6 s at 50 Hz: long enough for every check to decide, short enough for a demo. The camera has the rate of
        # the table: LeRobot repeats the pictures of a slower one, and that is a defect of its own.
        episode = tiny_episode(
            twin, duration_s=6.0, is_measured=False, camera_rate_hz=Fraction(50), height_px=96, width_px=128
        )
        if number in _PLANTED:
            leaf = shelf("checks")[_PLANTED[number]]
            episode = _plant_one(leaf, episode, np.random.default_rng(number))
        yield replace(episode, id=str(number))
        advance(1)


def _plant_one(leaf: object, episode: Episode, rng: np.random.Generator) -> Episode:
    from robokata.core.source import EpisodeList

    if not hasattr(leaf, "judge"):
        return leaf.plant(episode, rng, 1.0)  # type: ignore[attr-defined, no-any-return]  # a check leaf is a module
    planted = leaf.plant(EpisodeList([episode]), rng, 1.0)  # type: ignore[attr-defined]  # a check leaf is a module
    return planted.episode(episode.id)  # type: ignore[no-any-return]  # a check leaf is a module


def _spoil_metadata(path: Path) -> None:
    info_file, statistics_file = path / "meta" / "info.json", path / "meta" / "stats.json"
    info = json.loads(info_file.read_text())
    info["total_frames"] += 14_084
    info["splits"] = {"train": "0:50"}
    info_file.write_text(json.dumps(info, indent=4))
    statistics = json.loads(statistics_file.read_text())
    statistics["action"]["mean"] = [mean + 0.4 for mean in statistics["action"]["mean"]]
    statistics_file.write_text(json.dumps(statistics, indent=4))
