"""Tests of the check `encoder_wrap`."""

from __future__ import annotations

import math

import numpy as np
import pytest

from checks.robots_of_numbers import findings, robot, swing
from robokata.checks import encoder_wrap
from robokata.core.episode import Episode
from robokata.core.finding import Level
from robokata.testing import tiny_episode


def _turning(period: float, *, name: str = "wrist_roll", low: float = 0.0) -> Episode:
    """A joint that makes one and a half turns in 8 s, read by an encoder of this period."""
    state = swing().astype(np.float64)
    rng = np.random.default_rng(0)
    angle = np.linspace(0, 1.5 * period, 400) + rng.normal(0, 2e-4 * period, 400)
    state[:, 1] = (angle - low) % period + low
    return robot(state, names=("pan", name, "elbow"))


@pytest.mark.parametrize("period", [2 * math.pi, 360.0, 4096.0, 65536.0])
def test_every_turn_that_robots_count_in_is_known(period: float) -> None:
    (found,) = findings(encoder_wrap, _turning(period))
    assert (found.level, found.channel, found.expected) == (Level.ERROR, "wrist_roll", period)
    assert found.start_s == pytest.approx(8 * 2 / 3, abs=0.05)


def test_the_message_names_the_turn() -> None:
    (found,) = findings(encoder_wrap, _turning(360.0))
    assert found.message == (
        "wrist_roll of state wraps around 1 time: wrist_roll jumps by -358.62 in one sample at 5.32 s, one turn of "
        "360, and goes on smoothly once the turn is taken off"
    )


def test_an_angle_of_a_pose_wraps_by_definition() -> None:
    assert [f.level for f in findings(encoder_wrap, _turning(2 * math.pi, name="ee_yaw", low=-math.pi))] == [Level.INFO]


def test_a_channel_without_a_name_may_be_either() -> None:
    assert [f.level for f in findings(encoder_wrap, _turning(2 * math.pi, name="1"))] == [Level.WARNING]


def test_a_jump_that_is_no_turn_is_not_reported() -> None:
    assert findings(encoder_wrap, _turning(5.0)) == []


def test_a_channel_that_leaves_one_turn_is_not_wrapped() -> None:
    state = swing() * 5
    state[200:, 1] += 2 * math.pi
    assert findings(encoder_wrap, robot(state, names=("a", "b", "c"))) == []


def test_a_gripper_that_toggles_between_its_ends_is_no_wrap() -> None:
    state = swing()
    state[:, 1] = np.where(np.arange(400) // 50 % 2, 1.0, -1.0)
    assert findings(encoder_wrap, robot(state, names=("a", "b", "c"))) == []


def test_the_sign_flip_of_a_quaternion_is_no_wrap() -> None:
    half_rad = np.linspace(0.1, 0.6, 400)
    quat_xyzw = np.stack([np.sin(half_rad), 0 * half_rad, 0 * half_rad, np.cos(half_rad)], axis=1)
    quat_xyzw[200:] *= -1
    assert findings(encoder_wrap, robot(quat_xyzw)) == []


def test_sound_robots_are_silent() -> None:
    assert [f for n in range(20) for f in encoder_wrap.check(tiny_episode(n))] == []
