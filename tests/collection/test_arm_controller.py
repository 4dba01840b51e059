"""The safety logic of one arm: it follows a fresh command, never jumps, never leaves its bounds, and holds else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from operator_commands import command, hand, news, twist, world_at_rest

from robokata.collection.session.arm_controller import ArmController, Hold, integrate_twist
from robokata.collection.session.commands import Bounds, CommandKind, Device, command_bounds
from robokata.geometry.poses import angle_between_rad, pose_of, rotation_from_vector
from robokata.sim.model import PHYSICS_HZ
from robokata.sim.world import SimWorld, Target

MS = 1_000_000
OPEN = Bounds(np.full(3, -9.0), np.full(3, 9.0), {})
HERE, AHEAD = pose_of([0.0, 0.0, 0.0]), pose_of([0.0, 0.0, -0.05])
"""Of a held device: WebXR looks along -z."""


@pytest.fixture
def world() -> SimWorld:
    return world_at_rest("lift")


@pytest.fixture
def controller(world: SimWorld) -> ArmController:
    return ArmController("arm", command_bounds(world.robot, world.tips()[:, :3]), operator_yaw_rad=0.0)


def test_an_arm_that_was_never_commanded_holds(world: SimWorld, controller: ArmController) -> None:
    assert controller.decide(world, None, now_ns=10**12) is None
    assert controller.hold is Hold.NOBODY


@pytest.mark.parametrize(("age_ms", "hold"), [(0, Hold.FOLLOWS), (200, Hold.FOLLOWS), (201, Hold.STALE)])
def test_a_command_is_followed_for_200_ms_and_then_the_arm_holds(
    world: SimWorld, controller: ArmController, age_ms: int, hold: Hold
) -> None:
    target = controller.decide(world, news(twist(0.1, 0, 0, 0, 0, 0, at_ms=1000)), now_ns=(1000 + age_ms) * MS)
    assert controller.hold is hold
    assert (target is None) == (hold is Hold.STALE)


def test_a_stale_arm_follows_again_with_the_next_command(world: SimWorld, controller: ArmController) -> None:
    controller.decide(world, news(twist(0.1, 0, 0, 0, 0, 0, at_ms=0)), now_ns=0)
    assert controller.decide(world, None, now_ns=500 * MS) is None
    target = controller.decide(world, news(twist(0.1, 0, 0, 0, 0, 0, at_ms=510)), now_ns=510 * MS)
    assert controller.hold is Hold.FOLLOWS
    assert target is not None
    step_m = target.tip[:3, 3] - world.command("arm")[:3, 3]
    assert step_m == pytest.approx([0.1 / world.control_hz, 0, 0]), "one period's way, not what was missed"


def test_a_command_that_is_not_enabled_holds_the_arm(world: SimWorld, controller: ArmController) -> None:
    assert controller.decide(world, news(twist(0.1, 0, 0, 0, 0, 0, enabled=False)), now_ns=0) is None
    assert controller.hold is Hold.IDLE


def test_forgetting_is_as_if_no_command_had_come(world: SimWorld, controller: ArmController) -> None:
    controller.decide(world, news(twist(0.1, 0, 0, 0, 0, 0)), now_ns=0)
    controller.forget()
    assert controller.decide(world, None, now_ns=1 * MS) is None
    assert controller.hold is Hold.NOBODY


def test_joints_and_the_opening_go_through_and_the_jaws_stay_without_one(
    world: SimWorld, controller: ArmController
) -> None:
    joints = command(CommandKind.JOINTS, [0.1] * 7, opening_share=0.25)
    target = controller.decide(world, news(joints), now_ns=0)
    assert target is not None
    assert target.joints_rad.tolist() == [0.1] * 7
    assert target.opening_m == pytest.approx(0.25 * world.max_opening_m("arm"))
    unchanged = controller.decide(world, news(twist(0, 0, 0, 0, 0, 0)), now_ns=0)
    assert unchanged is not None
    assert unchanged.opening_m == world.commanded_opening_m("arm")


def follow(world: SimWorld, controller: ArmController, item: Any, at_ms: float = 0.0) -> np.ndarray[Any, Any]:
    """The target's tip (4, 4) after a command, which the world takes up at once."""
    target = controller.decide(world, news(item), now_ns=round(at_ms * 1e6))
    assert target is not None
    world.command_tips({"arm": Target(target.tip, target.opening_m)})
    return np.asarray(target.tip)


def test_closing_the_clutch_moves_nothing_wherever_the_hand_is(world: SimWorld, controller: ArmController) -> None:
    before = world.command("arm").copy()
    far = pose_of([1.0, 2.0, 3.0], rotation_from_vector([0.5, 1.0, 0.0]))
    assert follow(world, controller, hand(far, clutch=True)) == pytest.approx(before, abs=1e-9)


def test_a_closed_clutch_repeats_the_motion_of_the_hand(world: SimWorld, controller: ArmController) -> None:
    before = follow(world, controller, hand(HERE, clutch=True))
    after = follow(world, controller, hand(AHEAD, clutch=True))
    assert after[:3, 3] - before[:3, 3] == pytest.approx([0.05, 0, 0], abs=1e-9)


def test_an_open_clutch_lets_the_hand_move_freely_and_the_jaws_obey(world: SimWorld, controller: ArmController) -> None:
    follow(world, controller, hand(HERE, clutch=True))
    before = world.command("arm").copy()
    target = controller.decide(world, news(hand(AHEAD, clutch=False, opening_share=0.5)), now_ns=0)
    assert controller.hold is Hold.IDLE
    assert target is not None
    assert target.tip == pytest.approx(before)
    assert target.opening_m == pytest.approx(0.5 * world.max_opening_m("arm"))
    assert follow(world, controller, hand(AHEAD, clutch=True)) == pytest.approx(before, abs=1e-9), "no jump"


@pytest.mark.parametrize("pause", ["stale", "disabled"])
def test_a_clutch_that_stayed_closed_over_a_pause_does_not_jump(
    world: SimWorld, controller: ArmController, pause: str
) -> None:
    before = follow(world, controller, hand(HERE, clutch=True))
    if pause == "stale":
        assert controller.decide(world, None, now_ns=300 * MS) is None
    else:
        assert controller.decide(world, news(hand(AHEAD, clutch=True, enabled=False)), now_ns=0) is None
    assert follow(world, controller, hand(AHEAD, clutch=True, at_ms=310), 310) == pytest.approx(before, abs=1e-9)


@pytest.mark.parametrize("other", [{"client": "browser-2"}, {"device": Device.PROGRAM}])
def test_another_hand_with_a_closed_clutch_starts_from_where_the_arm_is(
    world: SimWorld, controller: ArmController, other: dict[str, Any]
) -> None:
    before = follow(world, controller, hand(HERE, clutch=True))
    assert follow(world, controller, hand(AHEAD, clutch=True, **other)) == pytest.approx(before, abs=1e-9)


def test_a_hand_does_not_undo_what_the_keys_did_in_between(world: SimWorld, controller: ArmController) -> None:
    follow(world, controller, hand(HERE, clutch=True))
    by_keys = follow(world, controller, twist(0.0, 0.2, 0, 0, 0, 0))
    assert follow(world, controller, hand(HERE, clutch=True)) == pytest.approx(by_keys, abs=1e-9)


@pytest.mark.parametrize("by_m", [(3, 0, 0), (-3, 0, 0), (0, 3, 0), (0, -3, 0), (0, 0, 3), (0, 0, -3), (9, 9, 9)])
def test_no_motion_of_a_hand_takes_the_tip_out_of_the_bounds(
    world: SimWorld, controller: ArmController, by_m: tuple[float, float, float]
) -> None:
    follow(world, controller, hand(HERE, clutch=True))
    tip = follow(world, controller, hand(pose_of(by_m), clutch=True))
    assert (tip[:3, 3] >= controller.bounds.low_m).all()
    assert (tip[:3, 3] <= controller.bounds.high_m).all()
    assert np.linalg.norm(tip[:3, 3]) < 3, "and not where the hand is"


def test_a_twist_stops_at_the_bounds() -> None:
    bounds = Bounds(np.array([-1.0, -1.0, -0.01]), np.array([1.0, 1.0, 0.5]), {})
    low = pose_of([0.0, 0.0, 0.0])
    for _ in range(10):
        low = integrate_twist(low, low, np.array([0, 0, -0.9, 0, 0, 0]), bounds, 20)
    assert low[:3, 3].tolist() == [0.0, 0.0, -0.01]


def test_a_twist_integrates_metres_and_radians_per_second() -> None:
    tip = pose_of([0.0, 0.0, 0.0])
    for _ in range(20):
        tip = integrate_twist(tip, tip, np.array([0.2, 0, 0, 0, 0, 0.5]), OPEN, 20)
    assert tip[:3, 3] == pytest.approx([0.2, 0, 0])
    assert angle_between_rad(np.eye(3), tip[:3, :3]) == pytest.approx(0.5)


def test_a_twist_waits_on_its_leash_for_an_arm_that_cannot_follow() -> None:
    stuck, commanded = pose_of([0.0, 0.0, 0.0]), pose_of([0.0, 0.0, 0.0])
    for _ in range(100):
        commanded = integrate_twist(commanded, stuck, np.array([0.3, 0, 0, 0, 0, 2.0]), OPEN, 20)
    assert 0.06 < commanded[0, 3] <= 0.08
    assert 0.4 < angle_between_rad(np.eye(3), commanded[:3, :3]) <= 0.6


def test_a_twist_back_is_not_held_by_the_leash() -> None:
    """An arm that was pressed into something has to come out again, however far the command was ahead."""
    stuck, ahead = pose_of([0.0, 0.0, 0.0]), pose_of([0.2, 0.0, 0.0])
    back = integrate_twist(ahead, stuck, np.array([-0.4, 0, 0, 0, 0, 0]), OPEN, 20)
    assert back[0, 3] == pytest.approx(0.18)
    further = integrate_twist(ahead, stuck, np.array([0.4, 0, 0, 0, 0, 0]), OPEN, 20)
    assert further[0, 3] == pytest.approx(0.2)


def test_an_arm_that_is_pressed_on_the_table_keeps_its_command_near(world: SimWorld, controller: ArmController) -> None:
    for period in range(120):
        at_ms = 50.0 * period
        follow(world, controller, twist(0, 0, -0.3, 0, 0, 0, at_ms=at_ms), at_ms)
        world.advance(PHYSICS_HZ // world.control_hz)
    lead_m = float(np.linalg.norm(world.command("arm")[:3, 3] - world.tip("arm")[:3, 3]))
    assert lead_m <= 0.08 + 0.3 / world.control_hz
    assert world.command("arm")[2, 3] >= -0.01


def test_two_arms_hold_and_follow_each_on_its_own() -> None:
    both = world_at_rest("hand_over")
    bounds = command_bounds(both.robot, both.tips()[:, :3])
    left, right = (ArmController(arm, bounds, operator_yaw_rad=0.0) for arm in ("left", "right"))
    follows = left.decide(both, news(twist(0.1, 0, 0, 0, 0, 0, arm="left", at_ms=1000)), now_ns=1000 * MS)
    assert right.decide(both, None, now_ns=1000 * MS) is None
    assert (left.hold, right.hold) == (Hold.FOLLOWS, Hold.NOBODY)
    assert follows is not None
    late = right.decide(both, news(twist(0.1, 0, 0, 0, 0, 0, arm="right", at_ms=1150)), now_ns=1250 * MS)
    assert left.decide(both, None, now_ns=1250 * MS) is None
    assert (left.hold, right.hold) == (Hold.STALE, Hold.FOLLOWS)
    assert late is not None
    assert late.tip[:3, 3] - both.command("right")[:3, 3] == pytest.approx([0.1 / both.control_hz, 0, 0])
