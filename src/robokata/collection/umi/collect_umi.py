"""The verb collect_umi: videos of a handheld gripper as episodes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robokata.collection.umi.board import FingerTags, board_from
from robokata.collection.umi.collect_clips import (
    Pairing,
    UmiOptions,
    UmiReport,
    collect_dataset,
    collect_files,
    frames_of,
)
from robokata.collection.umi.episode import Story
from robokata.collection.umi.rig import Gates, Rig
from robokata.collection.umi.settings import clips_from, rig_from
from robokata.runtime.progress import SILENT, Progress

USUAL_BOARD, USUAL_DICTIONARY = "grid:4x3:50:15", "DICT_4X4_50"
"""Marker columns x rows, their side and their gap in mm."""


def collect_umi(
    videos: Sequence[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str],
    camera: str | os.PathLike[str] | None = None,
    rig: Rig | None = None,
    to: str = "mcap",
    options: Mapping[str, Any] | None = None,
    accept_loss: bool = False,
    instruction: str | None = None,
    operator: str | None = None,
    trajectories: Sequence[str | os.PathLike[str]] = (),
    references: Sequence[str | os.PathLike[str]] = (),
    latency_within_s: float = 1.0,
    apply_latency: bool = False,
    pairing: Pairing | None = None,
    on_progress: Progress = SILENT,
) -> UmiReport:
    """Turn videos of a handheld gripper over a printed board into episodes; the report says why a clip was rejected.

    `camera` is the JSON file of the intrinsics of a gripper with the usual board, finger tags and gates; `rig` says all
    of that itself. `to` is the format, with the writer's `options`. `trajectories` (camera poses of a SLAM) and
    `references` (an encoder) are one file per video, or one name that lies beside each. `pairing` takes videos two by
    two, left and right.

    Raises:
        HandheldRefused: intrinsics are absent, or the files do not match the videos.
        WriteRefused: the target is occupied or cannot be written, or something would be lost.
    """
    if rig is None:
        rig = rig_from(
            camera=None if camera is None else Path(camera),
            board=board_from(USUAL_BOARD, dictionary=USUAL_DICTIONARY),
            tags=FingerTags(),
            gates=Gates(),
            gripper_range=None,
            tip=None,
            scale_tag=None,
        )
    clips = clips_from(_paths(videos), _paths(trajectories), _paths(references))
    settings = UmiOptions(rig, Story(instruction, operator=operator), latency_within_s, apply_latency, pairing)
    on_progress.started(frames_of(clips))
    if to == "mcap" and not options:
        return collect_files(clips, settings, Path(out), advance=on_progress.advance)
    # What a handheld gripper is collected for; flavour="diffusion_policy" gives the plain one.
    usual = {"flavour": "umi"} if to == "zarr_replay" else {}
    return collect_dataset(
        clips,
        settings,
        Path(out),
        to,
        options={**usual, **(options or {})},
        accept_loss=accept_loss,
        advance=on_progress.advance,
    )


def _paths(files: Sequence[str | os.PathLike[str]]) -> list[Path]:
    return [Path(file) for file in files]
