"""Where arms and things lie in a model's arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Arm, Embodiment
from robokata.core.world import TABLE, Prop


class Limb(NamedTuple):
    """Where one arm lies."""

    arm: Arm
    qpos: NDArray[np.int64]
    dofs: NDArray[np.int64]
    motors: NDArray[np.int64]
    gripper_qpos: int
    gripper_motor: int
    site: int
    speed_rad_s: NDArray[np.float64]
    limits: NDArray[np.float64]
    """Lowest and highest joint values, (dof, 2)."""


def opening_of(arm: Arm, value: float) -> float:
    """Distance of the jaws (m) at a value of the gripper's joint (rad or m)."""
    if arm.gripper is None:
        return 0.0
    values, openings = zip(*arm.gripper.stroke, strict=True)
    return float(np.interp(value, values, openings))


def joint_of(arm: Arm, opening_m: float) -> float:
    """Value of the gripper's joint (rad or m) at a distance of the jaws."""
    if arm.gripper is None:
        return 0.0
    values, openings = zip(*arm.gripper.stroke, strict=True)
    return float(np.interp(opening_m, openings, values))


def limb_of(model: Any, robot: Embodiment, arm: Arm) -> Limb:
    """Find one arm."""
    joints = [model.joint(name) for name in arm.joints]
    limits = {joint.name: joint.velocity_limit for joint in robot.joints}
    motor = model.actuator(arm.gripper.joint if arm.gripper else arm.joints[-1])
    return Limb(
        arm=arm,
        qpos=np.array([joint.qposadr[0] for joint in joints]),
        dofs=np.array([joint.dofadr[0] for joint in joints]),
        motors=np.array([model.actuator(name).id for name in arm.joints]),
        gripper_qpos=int(model.jnt_qposadr[motor.trnid[0]]),
        gripper_motor=motor.id,
        site=model.site(arm.tip).id,
        speed_rad_s=np.array([limits[name] or np.inf for name in arm.joints]),
        limits=np.array([joint.range for joint in joints]),
    )


def entity_names(robot: Embodiment, props: Sequence[Prop]) -> tuple[str, ...]:
    """What can touch: the table, props, and each arm's jaws and palm."""
    parts = [f"{arm.name}/{part}" for arm in robot.arms for part in ("jaw_left", "jaw_right", "palm")]
    return (TABLE, *(prop.name for prop in props), *parts)


def entities(
    model: Any, robot: Embodiment, props: Sequence[Prop]
) -> tuple[dict[str, tuple[int, ...]], NDArray[np.int64]]:
    """Names -> entity numbers, and the entity of each geom (-1: none)."""
    names = entity_names(robot, props)
    numbers = {name: number for number, name in enumerate(names)}
    of_geom = np.full(model.ngeom, -1, dtype=np.int64)
    for geom in range(model.ngeom):
        name = model.geom(geom).name
        owner = name.split("/")[1] if name.startswith("prop/") else name
        of_geom[geom] = numbers.get(owner, -1)
    groups: dict[str, tuple[int, ...]] = {name: (number,) for name, number in numbers.items()}
    for arm in robot.arms:
        jaws = (numbers[f"{arm.name}/jaw_left"], numbers[f"{arm.name}/jaw_right"])
        groups[f"{arm.name}/jaws"] = jaws
        groups[arm.name] = (*jaws, numbers[f"{arm.name}/palm"])
    return groups, of_geom
