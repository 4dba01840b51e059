"""Every task on the shelf: its words, its resets, its expert."""

from __future__ import annotations

import math
import string
from types import ModuleType

import numpy as np
import pytest

from robokata.core.shelf import shelf
from robokata.core.world import Pose, Setup, Subtask, Width, instruction_of
from robokata.sim.attempt import Attempt
from robokata.sim.demonstration import Scene, demonstrate, robot_of, robots_for, world_of
from robokata.sim.operator import style_of
from robokata.sim.world import SimWorld
from robokata.tasks import _moves, _resets

TASKS = {name: shelf("tasks")[name] for name in shelf("tasks").names()}
SCENES = [Scene(name, robot) for name in TASKS for robot in robots_for(name)]
each_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
each_scene = pytest.mark.parametrize("scene", SCENES, ids=[f"{scene.task}-{scene.robot}" for scene in SCENES])
each_width = pytest.mark.parametrize("width", list(Width))


def resets(task: ModuleType, robot: str, width: Width, count: int) -> list[Setup]:
    reach_m = robot_of(robot).reach_m
    return [task.reset(np.random.default_rng([5, seed]), width=width, reach_m=reach_m) for seed in range(count)]


@each_task
def test_a_task_has_an_instruction_and_paraphrases_that_differ_and_ask_for_the_same_words(task: ModuleType) -> None:
    assert len(set(task.INSTRUCTIONS)) == len(task.INSTRUCTIONS) >= 4
    slots = [{field for _, field, _, _ in string.Formatter().parse(text) if field} for text in task.INSTRUCTIONS]
    assert all(each == slots[0] for each in slots)


@each_scene
@each_width
def test_every_reset_fills_every_slot_and_places_every_prop(scene: Scene, width: Width) -> None:
    for setup in resets(scene.leaf, scene.robot, width, 20):
        assert all(
            "{" not in instruction_of(scene.leaf, setup, paraphrase=n) for n in range(len(scene.leaf.INSTRUCTIONS))
        )
        assert set(setup.poses) == {prop.name for prop in scene.leaf.PROPS if prop.parent is None}


def test_every_word_of_pick_place_is_asked_for() -> None:
    asked = {tuple(setup.words.values()) for setup in resets(TASKS["pick_place"], "franka_panda", Width.D0, 200)}
    assert len(asked) == 6


@each_scene
@each_width
def test_the_same_seed_resets_alike_and_another_differs(scene: Scene, width: Width) -> None:
    one, again = (resets(scene.leaf, scene.robot, width, 2) for _ in range(2))
    for name in one[0].poses:
        assert np.array_equal(one[0].poses[name], again[0].poses[name])
        assert not np.array_equal(one[0].poses[name], one[1].poses[name])


@each_scene
def test_resets_use_the_whole_width_and_each_width_is_wider(scene: Scene) -> None:
    first = max((prop for prop in scene.leaf.PROPS if prop.parent is None), key=lambda prop: prop.is_free).name
    extents = {}
    for width in Width:
        places = np.array([setup.poses[first][:2, 3] for setup in resets(scene.leaf, scene.robot, width, 150)])
        extents[width] = np.ptp(places, axis=0)
        area_m = 2 * _resets.area_m(width, robot_of(scene.robot).reach_m or (0.0, 0.0))
        assert (extents[width] > 0.75 * area_m).all(), f"{width}: {extents[width]} of {area_m}"
    assert (extents[Width.D0] < extents[Width.D1]).all()
    assert np.prod(extents[Width.D1]) < np.prod(extents[Width.D2])


@each_scene
@each_width
def test_after_a_reset_things_stand_apart_within_reach_and_nothing_is_done(scene: Scene, width: Width) -> None:
    world = world_of(scene)
    for setup in resets(scene.leaf, scene.robot, width, 15):
        world.reset(setup)
        touching = [{world.entity_names[a], world.entity_names[b]} for a, b in world.touching()]
        assert all("table" in pair for pair in touching), touching
        assert all(abs(world.slide_m(prop.name)) < 1e-3 for prop in scene.leaf.PROPS if prop.slide)
        subtasks = scene.leaf.subtasks(setup)
        assert not scene.leaf.succeeded(world, setup)
        assert not any(subtask.reached(world) for subtask in subtasks if subtask.name != "let_go")
        for arm in world.arms:
            first = next((subtask for subtask in subtasks if subtask.arm == arm and not subtask.after), None)
            assert first is None or world.reaches(arm, grasp_of(world, first)), f"{arm} cannot begin with {first.name}"


def grasp_of(world: SimWorld, subtask: Subtask) -> Pose:
    """From above, square to the subtask's prop, or to its handle."""
    (prop,) = (prop for prop in world.props if prop.name == subtask.prop)
    pose = world.pose(prop.name)
    at_m = world.mark_m(prop.name, "handle") if "handle" in prop.marks else pose[:3, 3]
    yaw_rad = _moves.grasp_yaw(pose, turns=prop.yaw_symmetry, toward_rad=math.pi if subtask.arm == "right" else 0.0)
    return _moves.hand_down(np.array([*at_m[:2], max(at_m[2], 0.013)]), yaw_rad)


def of_seed(scene: Scene, number: int, width: Width = Width.D0) -> Attempt:
    return demonstrate(scene, width=width, seed=11, number=number, style=style_of(number % 5, seed=0))[0]


@each_scene
def test_the_expert_solves_ten_of_ten_and_reaches_every_subgoal_on_the_way(scene: Scene) -> None:
    for number in range(10):
        attempt = of_seed(scene, number)
        assert attempt.success_at_end, f"attempt {number} reached {list(attempt.reached)}"
        assert set(attempt.reached) == {subtask.name for subtask in attempt.subtasks}
        for subtask in attempt.subtasks:
            assert all(attempt.reached[name] <= attempt.reached[subtask.name] for name in subtask.after)
        for arm in world_of(scene).arms:
            ends = [attempt.reached[subtask.name] for subtask in attempt.subtasks if subtask.arm == arm]
            assert ends == sorted(set(ends)), f"{arm}'s subtasks do not end one after the other: {ends}"


@each_scene
def test_the_same_seed_is_the_same_attempt_to_the_last_bit_whatever_came_before(scene: Scene) -> None:
    first = of_seed(scene, 3, Width.D1)
    of_seed(scene, 4, Width.D2)
    again = of_seed(scene, 3, Width.D1)
    assert np.array_equal(np.array(first.physics), np.array(again.physics))
    assert np.array_equal(np.array(first.action), np.array(again.action))
    assert first.reached == again.reached
