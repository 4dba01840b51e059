"""Tests of the check `action_saturated`."""

from __future__ import annotations

import numpy as np
import pytest

from checks.robots_of_numbers import findings, robot, swing
from robokata.checks import action_saturated
from robokata.core.finding import Level
from robokata.testing import tiny_episode

NAMES = ("x", "y", "z")


def test_clipped_peaks_are_a_warning_with_their_share() -> None:
    action = swing(800)
    action[:, 1] = np.clip(action[:, 1], -0.7, 0.7)
    (found,) = findings(action_saturated, robot(action=action, names=NAMES))
    assert found.message.startswith(
        "y of action is cut off at the limits: y runs 6 times into -0.7 or 0.7 and stays there for 49 % of the samples"
        "; cut off in 6 stretches, the longest of y from "
    )
    assert len(found.spans) == 6
    assert {span.channel for span in found.spans} == {"y"}
    at_limit = np.flatnonzero(np.abs(action[:, 1]) == 0.7)
    assert (found.start_sample, found.end_sample) == (at_limit[0], at_limit[-1])
    assert (found.level, found.channel, found.expected) == (Level.WARNING, "y", 0.1)
    assert found.measured == pytest.approx(0.5, abs=0.1)


def test_a_peak_that_is_cut_on_one_side_only_is_found() -> None:
    action = swing(800)
    action[:, 1] = np.minimum(action[:, 1], 0.5)
    assert [f.channel for f in findings(action_saturated, robot(action=action, names=NAMES))] == ["y"]


def test_a_robot_that_holds_its_home_pose_is_not_saturated() -> None:
    t = np.clip(np.linspace(-1, 4, 400), 0, 1)  # rests at both ends, and slows down before it rests
    action = np.stack([10 * t**3 - 15 * t**4 + 6 * t**5] * 3, axis=1)
    assert findings(action_saturated, robot(action=action, names=NAMES)) == []


def test_grippers_and_switches_live_at_their_ends() -> None:
    clipped = np.clip(swing(800), -0.5, 0.5)
    assert findings(action_saturated, robot(action=clipped, names=("l_gripper", "finger_1", "jaw"))) == []
    assert findings(action_saturated, robot(action=np.round(clipped), names=NAMES)) == []


def test_no_device_limits_a_component_of_a_quaternion() -> None:
    clipped = np.clip(swing(800), -0.5, 0.5)
    assert findings(action_saturated, robot(action=clipped, names=("tip.qx", "tip.qy", "qw"))) == []
    assert len(findings(action_saturated, robot(action=clipped, names=("tip.x", "qvel", "seq")))) == 1


def test_constant_channels_and_empty_streams_are_silent() -> None:
    assert findings(action_saturated, robot(action=np.ones((100, 3))), robot(action=np.ones((0, 3)), name="1")) == []


def test_a_suite_may_accept_more() -> None:
    clipped = robot(action=np.clip(swing(800), -0.7, 0.7))
    assert list(action_saturated.check(clipped, pinned_above_share=0.9)) == []


def test_sound_robots_are_silent() -> None:
    assert [f for n in range(20) for f in action_saturated.check(tiny_episode(n))] == []


def test_a_robot_that_holds_still_at_an_extreme_is_not_clipped() -> None:
    """Point to point with rests: all joints stop at once, several times at the very same pose."""
    rest, move = np.zeros(20), np.linspace(0, 1, 12)
    path = np.concatenate([rest, move, rest + 1, move[::-1], rest, move, rest + 1, move[::-1], rest])
    action = np.stack([path, 0.5 * path, -path], axis=1)
    assert findings(action_saturated, robot(action=action, names=NAMES)) == []
