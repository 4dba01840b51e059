"""What a robot and a task must do, as functions that third parties run on theirs.

`ROBOT_CLAUSES` take a robot's name, `TASK_CLAUSES` a task's name and that of a robot that can do it
(`sim.demonstration.robots_for`).
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Arm
from robokata.core.require import require
from robokata.core.shelf import shelf
from robokata.core.world import Pose, Setup, Subtask, Width, instruction_of
from robokata.sim.attempt import Attempt
from robokata.sim.demonstration import Scene, demonstrate, reach_of, robot_of, world_of
from robokata.sim.inverse_kinematics import ArmKinematics
from robokata.sim.model import compiled
from robokata.sim.operator import style_of
from robokata.sim.world import SimWorld
from robokata.tasks import _moves, _resets

_EXPERTS = 10
"""Attempts of the expert: one failure in five is seen nine times of ten."""


def robot_says_where_its_numbers_come_from(robot: str) -> None:
    """It is called as its file; every joint and every gripper has a source."""
    facts = robot_of(robot)
    assert facts.name == robot, f"the robot in {robot}.py is called {facts.name!r}"
    assert facts.joints
    assert facts.arms
    assert all(joint.source and joint.velocity_limit for joint in facts.joints), "a joint lacks a source or a speed"
    assert all(arm.gripper is not None and arm.gripper.source for arm in facts.arms), "a gripper lacks a source"


def robot_agrees_with_its_model(robot: str) -> None:
    """Joints, limits and cameras of the model are those of the facts."""
    facts = robot_of(robot)
    model = compiled(facts.model or "")
    for joint in facts.joints:
        limits = np.array([joint.lower, joint.upper], dtype=np.float64)
        assert np.allclose(model.joint(joint.name).range, limits, atol=2e-5), f"{joint.name}: limits differ"
        assert np.allclose(model.actuator(joint.name).ctrlrange, limits, atol=2e-5), f"{joint.name}: range of commands"
    assert [name for arm in facts.arms for name in arm.joints] == [joint.name for joint in facts.joints]
    assert {model.camera(number).name for number in range(model.ncam)} == set(facts.cameras)


def robot_points_down_at_home(robot: str) -> None:
    """At home every hand points down, 5 to 40 cm over the table, within every limit."""
    facts = robot_of(robot)
    limits = {joint.name: (joint.lower, joint.upper) for joint in facts.joints}
    for arm in facts.arms:
        tip = ArmKinematics(facts, arm).tip(np.array(arm.home))
        assert np.allclose(tip[:3, 2], [0, 0, -1], atol=0.01), f"{arm.name}: the hand does not point down"
        assert 0.05 < tip[2, 3] < 0.4, f"{arm.name}: the tip is {tip[2, 3]:.2f} m over the table"
        for name, value in zip(arm.joints, arm.home, strict=True):
            low, high = limits[name]
            assert low is None or low <= value, f"{name} at home: {value}"
            assert high is None or value <= high, f"{name} at home: {value}"


def robot_opens_as_its_model(robot: str) -> None:
    """The stroke of every gripper is the distance of the jaws in the model."""
    mujoco = require("mujoco", extra="sim")
    facts = robot_of(robot)
    model = compiled(facts.model or "")
    data = mujoco.MjData(model)
    for arm in facts.arms:
        assert arm.gripper is not None
        values, openings = np.array(arm.gripper.stroke).T
        assert (np.diff(values) > 0).all()
        assert (np.diff(openings) > 0).all()
        assert abs(openings[-1] - float(arm.gripper.open_m or 0.0)) < 1e-6
        driven = int(model.actuator(arm.gripper.joint).trnid[0])
        for value in np.linspace(values[0], values[-1], 23):
            data.qpos[model.jnt_qposadr[driven]] = value
            for equality in range(model.neq):
                if model.eq_obj2id[equality] == driven:
                    data.qpos[model.jnt_qposadr[model.eq_obj1id[equality]]] = value
            mujoco.mj_kinematics(model, data)
            apart_m, stated_m = _jaw_distance_m(model, data, arm), float(np.interp(value, values, openings))
            assert abs(apart_m - stated_m) < 3e-4, f"{arm.name}: jaws {apart_m:.4f} m apart, not {stated_m:.4f}"


def robot_reaches_its_area(robot: str) -> None:
    """Every hand reaches every corner of the area, pointing down, at any turn."""
    facts = robot_of(robot)
    x_m, y_m = reach_of(facts)
    for arm in facts.arms:
        kinematics, ahead_rad = ArmKinematics(facts, arm), math.pi if arm.name == "right" else 0.0
        for height_m in (0.02, 0.06, 0.10):
            for x_share, y_share in ((-1, -1), (-1, 1), (1, -1), (1, 1), (0, 0)):
                at_m = np.array([x_share * x_m, y_share * y_m, height_m])
                for turn_rad in np.linspace(-math.pi / 2, math.pi / 2, 8, endpoint=False):
                    # Jaws look the same after half a turn.
                    reached = (_reaches(kinematics, arm, at_m, ahead_rad, turn_rad + h) for h in (0, math.pi, -math.pi))
                    assert any(reached), f"{arm.name} of {robot} does not reach {at_m} at {turn_rad:.2f} rad"


ROBOT_CLAUSES: tuple[Callable[[str], None], ...] = (
    robot_says_where_its_numbers_come_from,
    robot_agrees_with_its_model,
    robot_points_down_at_home,
    robot_opens_as_its_model,
    robot_reaches_its_area,
)
"""All that a robot must do; each takes its name."""


def task_asks_in_several_wordings(task: str, robot: str) -> None:
    """Four instructions or more, that differ and ask for the same words."""
    texts = shelf("tasks")[task].INSTRUCTIONS
    assert len(set(texts)) == len(texts) >= 4, "four different wordings or more"
    slots = [{field for _, field, _, _ in string.Formatter().parse(text) if field} for text in texts]
    assert all(each == slots[0] for each in slots), "every wording has the same slots"


def task_resets_everything(task: str, robot: str) -> None:
    """Every reset fills every slot and places every prop; the same seed resets alike, and another differs."""
    leaf, rests = shelf("tasks")[task], {prop.name for prop in shelf("tasks")[task].PROPS if prop.parent is None}
    for width in Width:
        for setup in _setups(task, robot, width, 20):
            wordings = [instruction_of(leaf, setup, paraphrase=n) for n in range(len(leaf.INSTRUCTIONS))]
            assert not any("{" in wording for wording in wordings), "a slot is not filled"
            assert set(setup.poses) == rests, "a reset gives the pose of every prop without a parent"
        one, again = (list(_setups(task, robot, width, 2)) for _ in range(2))
        for name in one[0].poses:
            assert np.array_equal(one[0].poses[name], again[0].poses[name]), "a reset depends on the generator alone"
        assert any(not np.array_equal(one[0].poses[name], one[1].poses[name]) for name in one[0].poses)


def task_resets_widely(task: str, robot: str) -> None:
    """Resets use three quarters of each width, and each width is wider than the one before."""
    props = [prop for prop in shelf("tasks")[task].PROPS if prop.parent is None]
    first, extents = max(props, key=lambda prop: prop.is_free).name, {}
    for width in Width:
        places = np.array([setup.poses[first][:2, 3] for setup in _setups(task, robot, width, 150)])
        extents[width] = np.ptp(places, axis=0)
        area_m = 2 * _resets.area_m(width, reach_of(robot_of(robot)))
        assert (extents[width] > 0.75 * area_m).all(), f"{width}: {extents[width]} of {area_m}"
    assert (extents[Width.D0] < extents[Width.D1]).all()
    assert np.prod(extents[Width.D1]) < np.prod(extents[Width.D2])


def task_begins_undone(task: str, robot: str) -> None:
    """After a reset things stand apart within reach, and nothing is done yet."""
    leaf, world = shelf("tasks")[task], world_of(Scene(task, robot))
    for setup in (setup for width in Width for setup in _setups(task, robot, width, 15)):
        world.reset(setup)
        touching = [{world.entity_names[a], world.entity_names[b]} for a, b in world.touching()]
        assert all("table" in pair for pair in touching), touching
        assert all(abs(world.slide_m(prop.name)) < 1e-3 for prop in leaf.PROPS if prop.slide)
        subtasks = leaf.subtasks(setup)
        assert not leaf.succeeded(world, setup), "it is done before it began"
        assert not any(subtask.reached(world) for subtask in subtasks if subtask.name != "let_go")
        for arm in world.arms:
            first = next((subtask for subtask in subtasks if subtask.arm == arm and not subtask.after), None)
            assert first is None or world.reaches(arm, _grasp(world, first)), f"{arm} cannot begin with {first.name}"


def task_is_solved_by_its_expert(task: str, robot: str) -> None:
    """The expert solves ten of ten, and reaches every subgoal on the way, in its order."""
    scene = Scene(task, robot)
    for number in range(_EXPERTS):
        attempt = _attempt(scene, number)
        assert attempt.success_at_end, f"attempt {number} reached {list(attempt.reached)}"
        assert set(attempt.reached) == {subtask.name for subtask in attempt.subtasks}
        for subtask in attempt.subtasks:
            assert all(attempt.reached[name] <= attempt.reached[subtask.name] for name in subtask.after)
        for arm in world_of(scene).arms:
            ends = [attempt.reached[subtask.name] for subtask in attempt.subtasks if subtask.arm == arm]
            assert ends == sorted(set(ends)), f"{arm}'s subtasks do not end one after the other: {ends}"


def task_repeats_to_the_last_bit(task: str, robot: str) -> None:
    """The same seed is the same attempt, whatever came before."""
    scene = Scene(task, robot)
    first = _attempt(scene, 3, Width.D1)
    _attempt(scene, 4, Width.D2)
    again = _attempt(scene, 3, Width.D1)
    assert np.array_equal(np.array(first.physics), np.array(again.physics))
    assert np.array_equal(np.array(first.action), np.array(again.action))
    assert first.reached == again.reached


TASK_CLAUSES: tuple[Callable[[str, str], None], ...] = (
    task_asks_in_several_wordings,
    task_resets_everything,
    task_resets_widely,
    task_begins_undone,
    task_is_solved_by_its_expert,
    task_repeats_to_the_last_bit,
)
"""All that a task must do; each takes its name and a robot's."""


def _setups(task: str, robot: str, width: Width, count: int) -> Iterator[Setup]:
    leaf, reach_m = shelf("tasks")[task], reach_of(robot_of(robot))
    return (leaf.reset(np.random.default_rng([5, seed]), width=width, reach_m=reach_m) for seed in range(count))


def _grasp(world: SimWorld, subtask: Subtask) -> Pose:
    """From above, square to the subtask's prop, or to its handle."""
    (prop,) = (prop for prop in world.props if prop.name == subtask.prop)
    pose = world.pose(prop.name)
    at_m = world.mark_m(prop.name, "handle") if "handle" in prop.marks else pose[:3, 3]
    yaw_rad = _moves.grasp_yaw(pose, turns=prop.yaw_symmetry, toward_rad=math.pi if subtask.arm == "right" else 0.0)
    return _moves.hand_down(np.array([*at_m[:2], max(at_m[2], 0.013)]), yaw_rad)


def _attempt(scene: Scene, number: int, width: Width = Width.D0) -> Attempt:
    return demonstrate(scene, width=width, seed=11, number=number, style=style_of(number % 5, seed=0))[0]


def _reaches(kinematics: ArmKinematics, arm: Arm, at_m: NDArray[np.float64], ahead_rad: float, turn_rad: float) -> bool:
    joints = np.array(arm.home)
    for share in (0.25, 0.5, 0.75, 1.0):
        found = kinematics.solve(_moves.hand_down(at_m, ahead_rad + share * turn_rad), joints, iterations=40)
        joints = found.joints_rad
    return found.error_m < 0.003 and found.error_rad < 0.05


def _jaw_distance_m(model: Any, data: Any, arm: Arm) -> float:
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
