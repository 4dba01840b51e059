"""Where each robot's tip is, from its document's numbers alone."""

from __future__ import annotations

import numpy as np
import pytest

from robokata.core.shelf import shelf
from robokata.sim.inverse_kinematics import ArmKinematics


def tip_m(name: str, arm: int, joints: list[float]) -> np.ndarray:
    robot = shelf("robots")[name].ROBOT
    return ArmKinematics(robot, robot.arms[arm]).tip(np.array(joints))[:3, 3]


def test_a_panda_with_every_joint_at_zero_is_as_its_denavit_hartenberg_table_says() -> None:
    height_m = 0.333 + 0.316 + 0.384 - 0.107 - 0.1034
    assert tip_m("franka_panda", 0, [0.0] * 7) == pytest.approx([-0.5 + 0.088, 0, height_m], abs=1e-6)


def test_a_viperx_that_points_straight_ahead_is_as_long_as_its_urdf_says() -> None:
    ahead_m = 0.05955 + 0.2 + 0.1 + 0.069744 + 0.042825 + 0.025875 + 0.0385
    height_m = 0.02 + 0.079 + 0.04805 + 0.3
    assert tip_m("viperx_bimanual", 0, [0.0] * 6) == pytest.approx([-0.469 + ahead_m, 0, height_m], abs=1e-6)
    assert tip_m("viperx_bimanual", 1, [0.0] * 6) == pytest.approx([0.469 - ahead_m, 0, height_m], abs=1e-6)


def test_the_left_waist_turns_the_hand_to_its_own_left() -> None:
    x, y, _ = tip_m("viperx_bimanual", 0, [np.pi / 2, 0, 0, 0, 0, 0])
    assert x == pytest.approx(-0.469, abs=1e-6)
    assert y > 0.5


def test_an_so100_with_its_upper_arm_up_and_forearm_level_is_as_its_urdf_says() -> None:
    # 1.8, -pi/2 and 1.0 undo the turns of the URDF's own joint origins; -pi/2 turns the jaws to the side.
    tip = tip_m("so100", 0, [0.0, 1.8, -np.pi / 2, 1.0, -np.pi / 2])
    ahead_m = -0.16 + 0.0306 + 0.028 + 0.1349
    height_m = 0.05 + 0.0165 + 0.1025 + 0.11257 + 0.0052 - 0.0601 - 0.0954
    assert tip == pytest.approx([ahead_m, 0.009 - 0.03, height_m], abs=1e-6)


@pytest.mark.parametrize(
    ("name", "arm", "at_m"),
    [
        ("franka_panda", 0, (0.463 - 0.5, 0.0, 0.275)),
        ("so100", 0, (0.0, 0.0, 0.10)),
        ("viperx_bimanual", 0, (-0.16, 0.0, 0.22)),
        ("viperx_bimanual", 1, (0.16, 0.0, 0.22)),
    ],
)
def test_home_is_where_it_is_said_to_be(name: str, arm: int, at_m: tuple[float, float, float]) -> None:
    robot = shelf("robots")[name].ROBOT
    assert tip_m(name, arm, list(robot.arms[arm].home)) == pytest.approx(at_m, abs=2e-3)
