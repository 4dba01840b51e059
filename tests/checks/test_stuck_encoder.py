"""Tests of the check `stuck_encoder`."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from checks.robots_of_numbers import above_info, findings, reasons, robot, swing
from robokata.checks import stuck_encoder
from robokata.core.clock import grid_clock
from robokata.core.episode import Episode
from robokata.core.finding import Level
from robokata.core.values import ArrayValues
from robokata.testing import tiny_episode

NAMES = ("pan", "lift", "elbow")
FIRST, LAST = 100, 180


def _driven(*, names: tuple[str, ...] = NAMES, first: int = FIRST, last: int = LAST, channel: int = 1) -> Episode:
    """A robot that follows its commands, but for one channel from `first` to `last`."""
    action, state = swing(noise=0), swing()
    state[first : last + 1, channel] = state[first, channel]
    return robot(state, action, names=names)


def test_a_reading_that_stands_still_while_commanded_is_an_error() -> None:
    (found,) = findings(stuck_encoder, _driven())
    assert found.message == (
        "lift of state stands still while commanded: lift repeats one value for 1.60 s from 2.00 s on, "
        "and its command goes through 19 % of its range"
    )
    assert (found.level, found.channel, found.unit) == (Level.ERROR, "lift", "s")
    assert (found.start_s, found.end_s) == (pytest.approx(2.0), pytest.approx(3.6))


def test_a_joint_that_never_moves_although_it_is_told_to_is_stuck() -> None:
    (found,) = findings(stuck_encoder, _driven(first=0, last=399))
    assert found.measured == pytest.approx(399 / 50)


def test_a_joint_that_rests_because_it_is_told_to_is_sound() -> None:
    action, state = swing(noise=0), swing()
    action[FIRST:LAST, 1] = action[FIRST, 1]
    state[FIRST:LAST, 1] = state[FIRST, 1]
    assert findings(stuck_encoder, robot(state, action, names=NAMES)) == []


def test_an_unused_channel_without_a_command_is_sound() -> None:
    action, state = swing(noise=0), swing()
    action[:, 1], state[:, 1] = 0.0, 0.1
    assert findings(stuck_encoder, robot(state, action, names=NAMES)) == []


def test_a_gripper_that_holds_something_is_sound() -> None:
    assert findings(stuck_encoder, _driven(names=("pan", "gripper.pos", "elbow"))) == []


def test_a_coarse_encoder_that_repeats_its_values_is_sound() -> None:
    action = swing(noise=0)
    assert findings(stuck_encoder, robot(np.round(action * 4) / 4, action, names=NAMES)) == []


def test_a_stretch_below_half_a_second_is_left_alone() -> None:
    assert findings(stuck_encoder, _driven(last=FIRST + 20)) == []


def test_delta_actions_cannot_be_compared_and_abstain() -> None:
    episode = _driven()
    delta = np.diff(swing(noise=0), axis=0, append=0).astype(np.float32)
    stuck = robot(np.asarray(episode.streams["state"].table), delta, names=NAMES)
    assert reasons(stuck_encoder, stuck) == ["state does not follow action value by value: not the same quantity"]


def test_an_action_of_other_channels_abstains() -> None:
    assert reasons(stuck_encoder, robot(swing(), swing(joints=2))) == [
        "no action has the channels and the clock of state"
    ]


def test_an_action_on_its_own_slower_clock_is_compared_at_the_times_of_the_state() -> None:
    episode = _driven()
    action = episode.streams["action"]
    slow = action.with_values(ArrayValues(action.table[::5]), clock=grid_clock(80, Fraction(10)))
    assert [f.channel for f in findings(stuck_encoder, episode.with_stream(slow))] == ["lift"]


def test_sound_robots_are_silent() -> None:
    assert [m for n in range(20) for m in above_info(stuck_encoder, tiny_episode(n))] == []


def test_readings_that_are_no_numbers_are_no_readings_that_repeat() -> None:
    action, state = swing(noise=0), swing()
    state[FIRST : LAST + 1, 1] = np.nan
    assert findings(stuck_encoder, robot(state, action, names=NAMES)) == []
