"""Every robot on the shelf: its model, its limits, its hand, its reach."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest

from robokata.core.episode import Arm, Embodiment
from robokata.core.shelf import shelf
from robokata.sim.inverse_kinematics import ArmKinematics
from robokata.sim.model import compiled
from robokata.tasks._moves import hand_down

ROBOTS = {name: shelf("robots")[name].ROBOT for name in shelf("robots").names()}
ARMS = [(robot, arm) for robot in ROBOTS.values() for arm in robot.arms]
each_robot = pytest.mark.parametrize("robot", ROBOTS.values(), ids=ROBOTS.keys())
each_arm = pytest.mark.parametrize(("robot", "arm"), ARMS, ids=[f"{robot.name}-{arm.name}" for robot, arm in ARMS])


@each_robot
def test_a_robot_is_called_as_its_file_and_says_where_its_numbers_come_from(robot: Embodiment) -> None:
    assert ROBOTS[robot.name] is robot
    assert all(joint.source and joint.velocity_limit for joint in robot.joints)
    assert all(arm.gripper is not None and arm.gripper.source for arm in robot.arms)


@each_robot
def test_joint_limits_of_the_model_are_those_of_the_document(robot: Embodiment) -> None:
    model = compiled(robot.model or "")
    for joint in robot.joints:
        assert model.joint(joint.name).range == pytest.approx([joint.lower, joint.upper], abs=2e-5)
        assert model.actuator(joint.name).ctrlrange == pytest.approx([joint.lower, joint.upper], abs=2e-5)


@each_robot
def test_every_arm_joint_is_a_joint_of_the_robot_and_every_camera_is_in_the_model(robot: Embodiment) -> None:
    model = compiled(robot.model or "")
    assert [name for arm in robot.arms for name in arm.joints] == [joint.name for joint in robot.joints]
    assert {model.camera(number).name for number in range(model.ncam)} == set(robot.cameras)


@each_arm
def test_at_home_the_hand_points_down_over_the_table_within_every_limit(robot: Embodiment, arm: Arm) -> None:
    tip = ArmKinematics(robot, arm).tip(np.array(arm.home))
    assert tip[:3, 2] == pytest.approx([0, 0, -1], abs=0.01)
    assert 0.05 < tip[2, 3] < 0.4
    limits = {joint.name: joint for joint in robot.joints}
    for name, value in zip(arm.joints, arm.home, strict=True):
        assert limits[name].lower <= value <= limits[name].upper


def jaw_distance_m(model: mujoco.MjModel, data: mujoco.MjData, arm: Arm) -> float:
    """From the tip along its y axis to the plane of a jaw's face, and the other way; faces look along their box's y."""
    site = model.site(arm.tip).id
    start, along = data.site_xpos[site], data.site_xmat[site].reshape(3, 3)[:, 1]
    total_m = 0.0
    for name, sign in ((f"{arm.name}/jaw_left", 1), (f"{arm.name}/jaw_right", -1)):
        geom = model.geom(name).id
        across = data.geom_xmat[geom].reshape(3, 3)[:, 1]
        at_m, per_m = across @ (start - data.geom_xpos[geom]), sign * across @ along
        total_m += min((face_m - at_m) / per_m for face_m in (-model.geom_size[geom][1], model.geom_size[geom][1]))
    return total_m


@each_arm
def test_the_stroke_of_the_gripper_is_the_distance_of_the_jaws_in_the_model(robot: Embodiment, arm: Arm) -> None:
    assert arm.gripper is not None
    values, openings = np.array(arm.gripper.stroke).T
    assert (np.diff(values) > 0).all()
    assert (np.diff(openings) > 0).all()
    assert openings[-1] == pytest.approx(arm.gripper.open_m)
    model = compiled(robot.model or "")
    data = mujoco.MjData(model)
    driven = int(model.actuator(arm.gripper.joint).trnid[0])
    for value in np.linspace(values[0], values[-1], 23):
        data.qpos[model.jnt_qposadr[driven]] = value
        for equality in range(model.neq):
            if model.eq_obj2id[equality] == driven:
                data.qpos[model.jnt_qposadr[model.eq_obj1id[equality]]] = value
        mujoco.mj_kinematics(model, data)
        assert jaw_distance_m(model, data, arm) == pytest.approx(np.interp(value, values, openings), abs=3e-4)


@each_arm
@pytest.mark.parametrize("height_m", [0.02, 0.06, 0.10])
def test_the_hand_reaches_every_corner_of_the_area_pointing_down_at_any_turn(
    robot: Embodiment, arm: Arm, height_m: float
) -> None:
    assert robot.reach_m is not None
    kinematics = ArmKinematics(robot, arm)
    ahead_rad = math.pi if arm.name == "right" else 0.0
    for x_share, y_share in ((-1, -1), (-1, 1), (1, -1), (1, 1), (0, 0)):
        at_m = np.array([x_share * robot.reach_m[0], y_share * robot.reach_m[1], height_m])
        for turn_rad in np.linspace(-math.pi / 2, math.pi / 2, 8, endpoint=False):
            # Jaws look the same after half a turn.
            assert any(
                _reaches(kinematics, arm, at_m, ahead_rad, turn_rad + half) for half in (0.0, math.pi, -math.pi)
            ), f"{arm.name} of {robot.name} does not reach {at_m} at {turn_rad:.2f} rad"


def _reaches(kinematics: ArmKinematics, arm: Arm, at_m: np.ndarray, ahead_rad: float, turn_rad: float) -> bool:
    joints = np.array(arm.home)
    for share in (0.25, 0.5, 0.75, 1.0):
        found = kinematics.solve(hand_down(at_m, ahead_rad + share * turn_rad), joints, iterations=40)
        joints = found.joints_rad
    return found.error_m < 0.003 and found.error_rad < 0.05
