"""Tests of the check `joint_teleport`."""

from __future__ import annotations

import math

import numpy as np
import pytest

from checks.robots_of_numbers import findings, reasons, robot, swing
from robokata.checks import joint_teleport
from robokata.core.clock import measured_clock
from robokata.core.episode import Episode
from robokata.core.finding import Level
from robokata.testing import tiny_source

NAMES = ("pan", "lift", "elbow")


def test_a_jump_is_found_where_it_is() -> None:
    state = swing()
    state[200:, 1] += 1.5
    (found,) = findings(joint_teleport, robot(state, names=NAMES))
    assert found.message.startswith("lift of state jumps at 3.98 s: lift by 1.5")
    assert (found.level, found.channel) == (Level.ERROR, "lift")
    assert (found.start_s, found.end_s) == (pytest.approx(3.98), pytest.approx(4.0))


def test_one_wrong_sample_is_found_too() -> None:
    state = swing()
    state[200, 1] += 1.5
    assert [f.channel for f in findings(joint_teleport, robot(state, names=NAMES))] == ["lift"]


def test_a_lost_episode_boundary_moves_all_joints_at_once() -> None:
    state = np.concatenate([swing(200, seed=1), swing(200, seed=1)[::-1] * 0.2 - 0.8])
    (found,) = findings(joint_teleport, robot(state, names=NAMES))
    assert found.level is Level.ERROR
    assert found.start_s == pytest.approx(3.98)


def test_a_fast_but_real_motion_is_no_jump() -> None:
    state = swing()
    state[200:204, 1] += np.linspace(0, 1, 4)
    state[204:, 1] += 1
    assert findings(joint_teleport, robot(state, names=NAMES)) == []


def test_a_binary_gripper_and_a_named_gripper_may_snap() -> None:
    state = swing()
    state[:, 1] = np.arange(400) > 200
    assert findings(joint_teleport, robot(state, names=NAMES)) == []
    state[:, 1] = swing()[:, 1] * 0.01 + (np.arange(400) > 200)
    assert findings(joint_teleport, robot(state, names=("pan", "gripper", "elbow"))) == []


def test_an_encoder_wrap_is_not_a_teleport() -> None:
    state = swing()
    state[:, 1] = (np.linspace(0, 9, 400) + math.pi) % (2 * math.pi) - math.pi
    assert findings(joint_teleport, robot(state, names=NAMES)) == []


def test_a_speed_that_the_robot_shows_in_other_episodes_is_no_jump() -> None:
    slow = swing() * np.float32(0.05)
    slow[200:, 1] += 0.03
    fast = [robot(swing(seed=n) * np.float32(8), names=NAMES, name=str(n)) for n in (1, 2)]
    assert findings(joint_teleport, robot(slow, names=NAMES), *fast) == []
    assert len(findings(joint_teleport, robot(slow, names=NAMES))) == 1


def _with_times(episode: Episode, times_ns: np.ndarray) -> Episode:
    state = episode.streams["state"]
    return episode.with_stream(state.with_values(state.values, clock=measured_clock(times_ns)))


def test_the_way_that_a_joint_went_in_a_gap_of_the_clock_is_no_jump() -> None:
    whole, kept = swing(800, noise=1e-5), np.delete(np.arange(800), slice(300, 400))
    times_ns = kept * 20_000_000
    assert findings(joint_teleport, _with_times(robot(whole[kept], names=NAMES), times_ns)) == []
    # Without times nobody knows of the gap.
    assert findings(joint_teleport, robot(whole[kept], names=NAMES))


def test_a_jump_beside_a_gap_is_found_where_it_is() -> None:
    whole, kept = swing(800, noise=1e-5), np.delete(np.arange(800), slice(300, 400))
    state = whole[kept]
    state[500:, 1] += 1.5
    (found,) = findings(joint_teleport, _with_times(robot(state, names=NAMES), kept * 20_000_000))
    assert (found.channel, found.start_s) == ("lift", pytest.approx(599 * 0.02))


def test_stamps_that_stand_still_or_bunch_up_make_no_jump() -> None:
    for times_ns in (np.zeros(400, np.int64), np.repeat(np.arange(200), 2) * 40_000_000):
        assert findings(joint_teleport, _with_times(robot(swing(), names=NAMES), times_ns)) == []


@pytest.mark.parametrize("name", ["force_z", "fz", "elbow.vel", "wrench.2", "motor_current", "joint_velocity"])
def test_what_has_no_inertia_may_jump(name: str) -> None:
    state = swing()
    state[200:, 1] += 1.5
    assert findings(joint_teleport, robot(state, names=("pan", name, "elbow"))) == []


def test_without_times_the_message_speaks_of_samples() -> None:
    state = swing()
    state[200:, 1] += 1.5
    (found,) = findings(joint_teleport, robot(state, names=NAMES, rate_hz=None))
    assert found.message.startswith("lift of state jumps at sample 199: lift by 1.5")


def test_sound_robots_are_silent() -> None:
    assert findings(joint_teleport, *tiny_source(10).episodes.values()) == []


def test_a_few_samples_abstain() -> None:
    assert reasons(joint_teleport, robot(swing(5))) == ["fewer than 8 samples of state"]


def test_a_reading_that_catches_up_after_it_was_stuck_is_left_to_stuck_encoder() -> None:
    state = swing()
    state[100:160, 1] = state[100, 1]
    assert findings(joint_teleport, robot(state, names=NAMES)) == []


def test_every_jump_of_a_stream_is_named_and_counted() -> None:
    state = swing()
    state[198:, 1] += 1.5
    state[201:, 0] += 1.2
    state[300:, 1] += 1.0
    (found,) = findings(joint_teleport, robot(state, names=NAMES))
    assert found.message.startswith("pan of state jumps at 4.00 s: pan by 1.21")
    assert found.message.endswith("; 2 more jumps: lift at 3.94 s and lift at 5.98 s")
    assert found.channel == "pan, lift"
