"""Control of one arm: follow the newest command, or hold still and say why."""

from __future__ import annotations

import enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.collection.session.clutch import ClutchAnchor, follow_device
from robokata.collection.session.commands import Bounds, Command, CommandKind, Device
from robokata.collection.session.latest_command import Delivery
from robokata.geometry.poses import Pose, pose_from_seven, pose_of, rotation_from_vector, rotation_vector
from robokata.sim.world import SimWorld

STALE_NS = 200_000_000
"""The arm holds when the newest command is older: five periods of a 25 Hz device, and less than 10 cm at full speed."""
_LEASH_M = 0.08
"""How far a commanded tip may run ahead of the measured one by a twist: twice the lag at a brisk transit."""
_LEASH_RAD = 0.6


class Hold(enum.IntEnum):
    """Why an arm stands still, 0 where it follows a command."""

    FOLLOWS = 0
    IDLE = 1
    """The operator says so: nothing pressed, clutch open."""
    STALE = 2
    """The newest command is older than 200 ms: the connection, the page or the device is slow or gone."""
    NOBODY = 3
    """No command has come yet."""


class ArmTarget(NamedTuple):
    """Where an arm should go now."""

    joints_rad: NDArray[np.float64] | None
    """(dof,), where the command was in joints."""
    tip: Pose | None
    opening_m: float


class ArmController:
    """Turns the commands of one arm into targets; holds where the newest is old, disabled, or has never come."""

    def __init__(self, arm: str, bounds: Bounds, *, operator_yaw_rad: float) -> None:
        self.arm, self.bounds, self._yaw_rad = arm, bounds, operator_yaw_rad
        self.hold = Hold.NOBODY
        self.newest: Command | None = None
        self._grip: ClutchAnchor | None = None
        self._hand: _Hand | None = None

    def forget(self) -> None:
        """As if no command had ever come."""
        self.hold, self.newest, self._grip = Hold.NOBODY, None, None

    def decide(self, world: SimWorld, delivery: Delivery[Command] | None, *, now_ns: int) -> ArmTarget | None:
        """The arm's next target, None where it holds."""
        if delivery is not None:
            self.newest = delivery.item
        newest = self.newest
        if newest is None or now_ns - newest.received_ns > STALE_NS or not newest.enabled:
            self.hold, self._grip = _why_held(newest, now_ns), None
            return None
        opening_m = world.commanded_opening_m(self.arm)
        if newest.opening_share is not None:
            opening_m = newest.opening_share * world.max_opening_m(self.arm)
        if self._hand != _hand(newest):
            # Another device, or another person's: its motion counts from here, where the arm is now.
            self._hand, self._grip = _hand(newest), None
        if newest.is_relative and not newest.clutch:
            self._grip = None
            self.hold = Hold.IDLE
            # The jaws obey while the hand moves freely.
            return ArmTarget(None, world.command(self.arm), opening_m)
        self.hold = Hold.FOLLOWS
        if newest.kind is CommandKind.JOINTS:
            return ArmTarget(newest.values, None, opening_m)
        return ArmTarget(None, self._tip(world, newest), opening_m)

    def _tip(self, world: SimWorld, command: Command) -> Pose:
        if command.kind is CommandKind.TWIST:
            return integrate_twist(
                world.command(self.arm), world.tip(self.arm), command.values, self.bounds, world.control_hz
            )
        device = pose_from_seven(command.values)
        if not command.is_relative:
            return device
        if self._grip is None:
            self._grip = ClutchAnchor(device, world.command(self.arm))
        tip = follow_device(self._grip, device, operator_yaw_rad=self._yaw_rad)
        tip[:3, 3] = self.bounds.clipped(tip[:3, 3])
        return tip


class _Hand(NamedTuple):
    """Whose motion a closed clutch repeats."""

    client: str
    device: Device
    is_relative: bool


def _hand(command: Command) -> _Hand:
    return _Hand(command.client, command.device, command.is_relative)


def _why_held(newest: Command | None, now_ns: int) -> Hold:
    if newest is None:
        return Hold.NOBODY
    return Hold.STALE if now_ns - newest.received_ns > STALE_NS else Hold.IDLE


def integrate_twist(commanded: Pose, measured: Pose, twist: NDArray[np.float64], bounds: Bounds, rate_hz: int) -> Pose:
    """The commanded tip one control period later under a twist (6,), m/s and rad/s in the world's axes.

    It waits where it would run away from an arm that cannot follow: pressed against the table, at a joint's limit.
    """
    step = twist / rate_hz
    position_m, rotation = commanded[:3, 3] + step[:3], rotation_from_vector(step[3:]) @ commanded[:3, :3]
    if _lead_m(position_m, measured) > max(_LEASH_M, _lead_m(commanded[:3, 3], measured)):
        position_m = commanded[:3, 3]
    if _lead_rad(rotation, measured) > max(_LEASH_RAD, _lead_rad(commanded[:3, :3], measured)):
        rotation = commanded[:3, :3]
    return pose_of(bounds.clipped(position_m), rotation)


def _lead_m(position_m: NDArray[np.float64], measured: Pose) -> float:
    return float(np.linalg.norm(position_m - measured[:3, 3]))


def _lead_rad(rotation: NDArray[np.float64], measured: Pose) -> float:
    return float(np.linalg.norm(rotation_vector(rotation @ measured[:3, :3].T)))
