"""Tests of the check `not_finite`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from checks.robots_of_numbers import findings, robot, swing, verdicts
from robokata.checks import not_finite
from robokata.core.finding import Level
from robokata.core.stream import Role
from robokata.testing import tiny_episode


def test_the_first_place_the_count_and_the_channel_are_told() -> None:
    state = swing()
    state[100:103, 1] = np.nan
    state[150, 2] = np.inf
    (found,) = findings(not_finite, robot(state, names=("pan", "lift", "elbow")))
    assert found.message == (
        "state holds 3 NaN and 1 infinite values in 4 of 400 samples, first at sample 100 (2.00 s), "
        "in channels lift and elbow"
    )
    assert (found.level, found.start_s, found.end_s, found.measured) == (Level.ERROR, 2.0, 3.0, 4)


def test_a_channel_that_is_never_filled_is_to_be_dropped_and_not_its_samples() -> None:
    state = swing()
    state[:, 1] = np.nan
    (found,) = findings(not_finite, robot(state))
    assert found.repair == "drop these channels: they are never filled"


@pytest.mark.parametrize(("value", "level"), [(np.inf, Level.INFO), (np.nan, Level.WARNING)])
def test_a_range_finder_that_sees_nothing_is_no_error(value: float, level: Level) -> None:
    ranges = swing()
    ranges[5, 0] = value
    episode = robot(ranges)
    episode = episode.with_stream(replace(episode.streams["state"], role=Role.SENSOR))
    assert [f.level for f in findings(not_finite, episode)] == [level]


def test_huge_but_finite_numbers_are_finite() -> None:
    assert verdicts(not_finite, robot(np.full((50, 3), 3e38, np.float32))) == []


def test_whole_numbers_and_the_tiny_robot_are_finite() -> None:
    assert verdicts(not_finite, robot(np.ones((50, 3), np.int32)), replace(tiny_episode(), id="tiny")) == []


def test_one_nan_may_be_allowed_by_the_suite() -> None:
    state = swing()
    state[7, 0] = np.nan
    assert list(not_finite.check(robot(state), allowed_count=1)) == []
