"""A simulated world does what it is told, and tells the truth about it."""

from __future__ import annotations

import numpy as np
import pytest

from robokata.core.world import Setup, Width
from robokata.geometry.poses import angle_between_rad, pose_of
from robokata.sim.demonstration import scene_of, start
from robokata.sim.inverse_kinematics import ArmKinematics
from robokata.sim.model import PHYSICS_HZ, TEXTURES
from robokata.sim.variation import FACTORS, Variation, distractor_props, vary
from robokata.sim.world import SimWorld, Target
from robokata.tasks._moves import hand_down


def world(*, distractors: int = 0) -> SimWorld:
    scene = scene_of("stack")
    return SimWorld(scene.embodiment, scene.leaf.PROPS + distractor_props(distractors), control_hz=20)


def begun(made: SimWorld, seed: int = 0) -> Setup:
    return start(made, scene_of("stack"), width=Width.D0, rng=np.random.default_rng(seed)).setup


def test_props_stand_where_the_reset_puts_them() -> None:
    made = world()
    setup = begun(made)
    for prop in ("red", "green"):
        np.testing.assert_allclose(made.pose(prop)[:3, 3], setup.poses[prop][:3, 3], atol=1e-3)
        assert angle_between_rad(made.pose(prop)[:3, :3], setup.poses[prop][:3, :3]) < 0.01
        assert made.touches(prop, "table")
        assert made.speed_m_s(prop) < 1e-3


def test_a_commanded_tip_is_reached_within_two_millimetres() -> None:
    made = world()
    begun(made)
    target = hand_down(np.array([0.05, -0.1, 0.2]), 0.4)
    for _ in range(60):
        made.command_tips({"arm": Target(target, 0.08)})
        made.advance(PHYSICS_HZ // 20)
    assert np.linalg.norm(made.tip("arm")[:3, 3] - target[:3, 3]) < 0.002
    assert angle_between_rad(made.tip("arm")[:3, :3], target[:3, :3]) < 0.01


def test_joints_never_exceed_their_speed_whatever_is_commanded() -> None:
    made = world()
    begun(made)
    before = made.action()
    made.command_joints(before + 3.0)
    limits = [joint.velocity_limit for joint in made.robot.joints]
    moved = (made.action() - before)[: len(limits)]
    assert np.all(moved <= np.array(limits, dtype=float) / 20 + 1e-12)
    assert np.abs(moved).max() > 0.05, "nothing was limited: this test shows nothing"


def test_what_cannot_be_reached_is_known_before_anything_moves() -> None:
    made = world()
    begun(made)
    assert made.reaches("arm", hand_down(np.array([0.1, 0.2, 0.1]), 0.0))
    assert not made.reaches("arm", hand_down(np.array([1.5, 0.0, 0.1]), 0.0))


def test_inverse_kinematics_undoes_forward_kinematics() -> None:
    robot = scene_of("lift").embodiment
    arm = robot.arms[0]
    solver = ArmKinematics(robot, arm)
    rng = np.random.default_rng(3)
    for _ in range(20):
        joints = np.array(arm.home) + rng.normal(0, 0.25, len(arm.joints))
        found = solver.solve(solver.tip(joints), np.array(arm.home), iterations=80)
        assert found.error_m < 1e-3
        assert found.error_rad < 1e-2


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
def test_every_factor_changes_the_world_and_is_undone_to_the_bit(factor: object) -> None:
    name, size = factor.name, factor.usual  # type: ignore[attr-defined]
    made = world(distractors=2 if name == "distractors" else 0)
    begun(made)
    before = fingerprint(made)
    # A texture is drawn among several, the usual one among them.
    drawn = [vary(made, Variation({name: size}, seed=seed), number=0) for seed in range(len(TEXTURES))]
    assert all(name in each for each in drawn)
    assert fingerprint(made) != before
    begun(made)
    assert fingerprint(made) == before


def test_a_factor_draws_the_same_whatever_else_varies() -> None:
    made = world()
    begun(made)
    alone = vary(made, Variation({"light": 0.5}, seed=4), number=7)
    begun(made)
    beside = vary(made, Variation({"light": 0.5, "object_mass": 1.0, "texture": 0.2}, seed=4), number=7)
    assert alone["light"] == beside["light"]


def test_a_rescaled_prop_stands_on_the_table() -> None:
    made = world()
    begun(made)
    vary(made, Variation({"object_size": 0.3}, seed=1), number=0)
    made.settle()
    for prop, half_m in (("red", 0.02), ("green", 0.025)):
        scale = made.scale(prop)
        assert scale != 1.0
        assert made.pose(prop)[2, 3] == pytest.approx(half_m * scale, abs=1e-3)


def test_force_at_the_wrist_is_the_weight_of_what_hangs_there() -> None:
    made = world()
    begun(made)
    made.advance(PHYSICS_HZ)
    force_n, grams = made.force()[0, :3], 0.7 + 2 * (0.05 + 0.02)
    # Gravity is compensated on every body but the pads, which are geoms with mass of their own.
    assert np.linalg.norm(force_n) < grams * 9.81 + 1.0


def test_a_pose_is_not_shared_with_its_caller() -> None:
    made = world()
    begun(made)
    pose = made.pose("red")
    pose[:3, 3] += 1.0
    assert not np.allclose(pose, made.pose("red"))
    assert pose_of([0, 0, 0]).shape == (4, 4)


def fingerprint(made: SimWorld) -> tuple[bytes, ...]:
    model = made.model
    names = ("geom_type", "geom_size", "geom_rgba", "geom_matid", "geom_friction", "mat_rgba", "body_mass", "cam_pos")
    names += ("light_diffuse", "light_dir", "body_pos")
    return (*(np.asarray(getattr(model, name)).tobytes() for name in names), made.data.qpos.tobytes())
