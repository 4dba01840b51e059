"""Commands as the safety logic receives them: validated, with times of our own clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from robokata.collection.session.commands import Command, CommandKind, Device
from robokata.collection.session.latest_command import Delivery
from robokata.core.world import Setup, Width
from robokata.geometry.poses import Pose, seven_of
from robokata.sim.demonstration import reach_of, scene_of, world_of
from robokata.sim.world import SimWorld


def command(kind: CommandKind, values: Sequence[float], *, at_ms: float = 0.0, **changed: Any) -> Command:
    usual: dict[str, Any] = {
        "arm": "arm",
        "opening_share": None,
        "is_relative": False,
        "enabled": True,
        "clutch": False,
        "device": Device.KEYBOARD,
        "sequence": 0,
        "client": "browser-1",
    }
    at_ns = round(at_ms * 1e6)
    times = {"client_ns": at_ns, "sent_ns": at_ns, "received_ns": at_ns}
    return Command(kind=kind, values=np.array(values, dtype=np.float64), **{**usual, **times, **changed})


def twist(*values: float, at_ms: float = 0.0, **changed: Any) -> Command:
    return command(CommandKind.TWIST, values, at_ms=at_ms, **changed)


def hand(pose: Pose, *, clutch: bool, at_ms: float = 0.0, **changed: Any) -> Command:
    """A held device in its own space."""
    relative = {"is_relative": True, "device": Device.HEADSET, **changed}
    return command(CommandKind.POSE, seven_of(pose).tolist(), at_ms=at_ms, clutch=clutch, **relative)


def news(item: Command) -> Delivery[Command]:
    return Delivery(item, 0)


def sampled_reset(world: SimWorld, task: str = "lift") -> Setup:
    leaf = scene_of(task).leaf
    return leaf.reset(np.random.default_rng(0), width=Width.D0, reach_m=reach_of(world.robot))


def world_at_rest(task: str) -> SimWorld:
    """A task's world after one of its resets."""
    world = world_of(scene_of(task))
    world.reset(sampled_reset(world, task))
    return world
