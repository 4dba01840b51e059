"""What counts as done, and what only looks like it."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from robokata.core.world import Pose, Setup, Width
from robokata.geometry.poses import pose_of, yaw_rotation
from robokata.sim.demonstration import demonstrate, scene_of, world_of
from robokata.sim.operator import style_of
from robokata.sim.world import SimWorld


def begun(task: str, *, width: Width = Width.D0, **moved: Pose) -> tuple[SimWorld, ModuleType, Setup]:
    """A world after a reset in which some props stand elsewhere."""
    scene = scene_of(task)
    setup = scene.leaf.reset(np.random.default_rng(0), width=width, reach_m=scene.embodiment.reach_m)
    setup = Setup({**setup.poses, **moved}, setup.words)
    world = world_of(scene)
    world.reset(setup)
    return world, scene.leaf, setup


def at(x_m: float, y_m: float, z_m: float, *, yaw_rad: float = 0.0) -> Pose:
    return pose_of((x_m, y_m, z_m), yaw_rotation(yaw_rad))


def throw(world: SimWorld, prop: str, velocity_m_s: tuple[float, float, float]) -> None:
    """Let one control period pass after a push."""
    start = world.model.joint(f"{prop}/free").dofadr[0]
    world.data.qvel[start : start + 3] = velocity_m_s
    world.advance(5)


def test_a_puck_that_lies_on_the_mark_is_there_and_one_that_slides_over_it_is_not() -> None:
    world, task, setup = begun("push", puck=at(0.05, 0.1, 0.015), mark=at(0.05, 0.1, 0.0005))
    assert task.succeeded(world, setup)
    throw(world, "puck", (0.4, 0.0, 0.0))
    assert not task.succeeded(world, setup)


def test_a_puck_above_the_mark_is_not_on_it() -> None:
    world, task, setup = begun("push", puck=at(0.05, 0.1, 0.10), mark=at(0.05, 0.1, 0.0005))
    world.data.qpos[world.model.joint("puck/free").qposadr[0] + 2] = 0.1
    world.data.qvel[:] = 0
    world.advance(1)
    assert not task.succeeded(world, setup)


def test_a_cube_in_the_air_without_a_hand_is_not_lifted() -> None:
    world, task, setup = begun("lift")
    throw(world, "cube", (0.0, 0.0, 2.5))
    world.advance(30)
    assert world.pose("cube")[2, 3] > 0.1
    assert not task.succeeded(world, setup)


LINE = {"red_cube": at(-0.08, 0.0, 0.018), "green_cube": at(0.0, 0.0, 0.018), "blue_cube": at(0.08, 0.0, 0.018)}


@pytest.fixture
def trays() -> dict[str, Pose]:
    return {"yellow_tray": at(0, 0.2, 0), "purple_tray": at(0, -0.2, 0)}


def test_the_cube_that_is_named_must_lie_in_the_tray_that_is_named(trays: dict[str, Pose]) -> None:
    for colour, tray, is_done in (("red", "yellow", True), ("red", "purple", False), ("blue", "yellow", False)):
        world, task, setup = begun("pick_place", **trays | LINE | {f"{colour}_cube": _in(trays[f"{tray}_tray"])})
        asked = Setup(setup.poses, {"colour": "red", "container": "yellow"})
        assert task.succeeded(world, asked) is is_done, (colour, tray)


def test_a_second_cube_in_a_tray_spoils_it(trays: dict[str, Pose]) -> None:
    red, other = at(-0.025, 0.175, 0.023), at(0.025, 0.225, 0.023)
    for blue, is_done in ((LINE["blue_cube"], True), (other, False)):
        world, task, setup = begun("pick_place", **trays | LINE | {"red_cube": red, "blue_cube": blue})
        assert task.succeeded(world, Setup(setup.poses, {"colour": "red", "container": "yellow"})) is is_done


def _in(tray: Pose) -> Pose:
    return at(tray[0, 3], tray[1, 3], 0.023)


def test_a_tower_that_falls_or_leans_is_not_a_tower() -> None:
    green = at(0.0, 0.1, 0.025)
    world, task, setup = begun("stack", green=green, red=at(0.0, 0.1, 0.071))
    assert task.succeeded(world, setup)
    world, task, setup = begun("stack", green=green, red=at(0.0, 0.145, 0.02))
    assert not task.succeeded(world, setup)


def test_a_peg_in_the_socket_on_the_table_is_not_held_in_the_air() -> None:
    socket = at(-0.1, 0.0, 0.02)
    world, task, setup = begun("insert_peg", socket=socket, peg=at(-0.1 + 0.03 + 0.045 - 0.05, 0.0, 0.02))
    assert task._is_inserted(world)
    assert not task.succeeded(world, setup)


@pytest.mark.parametrize(
    ("task", "arm", "prop"),
    [
        ("stack", "arm", "red"),
        ("push", "arm", "puck"),
        ("open_drawer", "arm", "drawer"),
        ("hand_over", "left", "bar"),
        ("insert_peg", "right", "peg"),
    ],
)
def test_nothing_counts_as_done_while_the_hand_that_must_let_go_still_touches_it(
    task: str, arm: str, prop: str
) -> None:
    scene = scene_of(task)
    for number in range(3):
        attempt, _ = demonstrate(scene, width=Width.D1, seed=21, number=number, style=style_of(number, seed=0))
        names = world_of(scene).entity_names
        # `touching[i]` is measured before step i, and success is judged after it.
        for done, pairs in zip(attempt.successes, attempt.touching[1:], strict=False):
            held = [pair for pair in pairs if {names[side].split("/")[0] for side in pair} == {arm, prop}]
            assert not (done and held), f"{task} counts while {arm} touches {prop}"
        assert attempt.success_at_end


def test_the_expert_of_pick_place_moves_no_other_cube() -> None:
    scene = scene_of("pick_place")
    for number in range(5):
        attempt, begun = demonstrate(scene, width=Width.D1, seed=22, number=number, style=style_of(number, seed=0))
        colour = begun.setup.words["colour"]
        names = [prop.name for prop in world_of(scene).props]
        moved_m = np.linalg.norm(np.array(attempt.objects)[-1, :, :3] - np.array(attempt.objects)[0, :, :3], axis=1)
        for name, way_m in zip(names, moved_m, strict=False):
            assert (way_m > 0.05) == (name == f"{colour}_cube"), f"{name} moved {way_m:.3f} m"
            assert name == f"{colour}_cube" or way_m < 0.002
