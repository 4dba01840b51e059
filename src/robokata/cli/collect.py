"""`kata collect`: demonstrations from a simulated world, a robot, or a handheld gripper."""

from __future__ import annotations

import typer

from robokata.cli import collect_robot, collect_sim, collect_umi
from robokata.cli.grouped_help import GroupedCommand

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command(name="sim", cls=GroupedCommand, short_help="Demonstrate in a simulated world, yourself or by its expert.")(
    collect_sim.sim
)
app.command(name="robot", cls=GroupedCommand, short_help="Drive and record real hardware through LeRobot's interface.")(
    collect_robot.robot
)
app.command(name="umi", cls=GroupedCommand, short_help="Videos of a handheld gripper.")(collect_umi.umi)
