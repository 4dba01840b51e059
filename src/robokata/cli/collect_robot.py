"""`kata collect robot`: real hardware through LeRobot's interface, in an environment of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def robot(
    robot_module: Annotated[
        str, typer.Option(help="module:Class of the robot (LeRobot's Robot interface), in the environment of --python.")
    ],
    teleop: Annotated[str, typer.Option(help="module:Class of the teleoperator that drives it.")],
    out: Annotated[Path, typer.Option(help="Folder for the episodes, one file each.")],
    python: Annotated[
        str, typer.Option(help="Python of the robot's environment; ours where not given.")
    ] = sys.executable,
    robot_config: Annotated[str, typer.Option(help="JSON object for the robot's configuration, or @FILE.")] = "{}",
    teleop_config: Annotated[str, typer.Option(help="The same for the teleoperator.")] = "{}",
    task: Annotated[str, typer.Option(help="The instruction, in words.")] = "",
    episodes: Annotated[int, typer.Option(min=1, help="Episodes to record.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.1, help="Longest episode, s.")] = 60.0,
    pause: Annotated[float, typer.Option(min=0, help="Time between episodes to put things back, s.")] = 5.0,
    rate: Annotated[float, typer.Option(min=1, max=500, help="Rate of the robot's loop, Hz.")] = 30.0,
    stall: Annotated[float, typer.Option(min=0.1, help="Silence after which the robot is let go, s.")] = 2.0,
    operator: Annotated[str, typer.Option(help="Your name, as the episodes keep it.")] = "operator",
    keep_cut: Annotated[
        bool, typer.Option("--keep-cut", help="First make episodes of recordings that were cut.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Drive a robot and record it. In a terminal: Enter keeps and goes on, d Enter discards, q Enter ends."""
    from robokata.cli.collect_words import config_of, words_from_terminal
    from robokata.cli.console import print_json_of
    from robokata.collection.collect_robot import collect_robot

    made = collect_robot(
        robot_module, teleop=teleop, out=out, python=python, robot_config=config_of(robot_config, "--robot-config"),
        teleop_config=config_of(teleop_config, "--teleop-config"), instruction=task, operator=operator,
        episodes=episodes, episode_s=seconds, pause_s=pause, rate_hz=rate, stall_s=stall, keep_cut_recordings=keep_cut,
        on_line=lambda line: typer.echo(line, err=json), next_word=words_from_terminal(),
    )  # fmt: skip
    if json:
        print_json_of([made])
        return
    typer.echo(f"{len(made.kept)} episodes in {made.out}; ended by {made.ended_by}.")
    if made.cut:
        typer.echo(f"{len(made.cut)} recordings were cut ({', '.join(made.cut)}): --keep-cut makes episodes of them.")
