"""The verb collect_robot: a real robot, driven and recorded through LeRobot's interface."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from robokata.collection.robot.robot_session import (
    RobotSessionOptions,
    RobotSessionResult,
    Word,
    collect_from_robot,
    keep_cut,
)
from robokata.core.require import require


def collect_robot(
    robot: str,
    *,
    teleop: str,
    out: str | os.PathLike[str],
    python: str = sys.executable,
    robot_config: Mapping[str, Any] | None = None,
    teleop_config: Mapping[str, Any] | None = None,
    instruction: str = "",
    operator: str = "operator",
    episodes: int = 1,
    episode_s: float = 60.0,
    pause_s: float = 5.0,
    rate_hz: float = 30.0,
    stall_s: float = 2.0,
    keep_cut_recordings: bool = False,
    on_line: Callable[[str], None] = lambda line: None,
    next_word: Word = lambda: None,
) -> RobotSessionResult:
    """Drive a robot and record it, in the environment of `python`; the robot is always let go.

    `robot` and `teleop` are `module:Class` of LeRobot's interfaces, with their configurations. Episodes last at most
    `episode_s`, with `pause_s` between two; after `stall_s` of silence the robot is let go. `keep_cut_recordings` first
    makes episodes of recordings that were cut. `next_word` is asked for the operator's newest word: `keep`, `discard`,
    `end` or None.

    Raises:
        MissingPart: a library that recording needs is not installed.
        RobotFailed: the robot or its teleoperator died, stalls, or measures nonsense; finished episodes stay.
        WriteRefused: the folder cannot be written, or another run is at work in it.
    """
    require("simplejpeg", extra="collect")
    options = RobotSessionOptions(
        robot=robot,
        teleop=teleop,
        out=Path(out),
        instruction=instruction,
        operator=operator,
        robot_config=dict(robot_config or {}),
        teleop_config=dict(teleop_config or {}),
        python=python,
        rate_hz=rate_hz,
        episodes=episodes,
        seconds_s=episode_s,
        pause_s=pause_s,
        stall_s=stall_s,
    )
    for name in keep_cut(options.out) if keep_cut_recordings else ():
        on_line(f"Kept {name}, which was cut")
    return collect_from_robot(options, say=on_line, word=next_word)
