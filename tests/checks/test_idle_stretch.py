"""Tests of the check `idle_stretch`."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from checks.robots_of_numbers import above_info, findings, reasons, robot, swing
from robokata.checks import idle_stretch
from robokata.core.finding import Level
from robokata.testing import tiny_episode


def _waiting(*, before: int = 0, between: int = 0, after: int = 0) -> NDArray[np.float32]:
    """Motion of 8 s with waits (in samples) before, in the middle and after; the encoders keep their noise."""
    path = swing(noise=0)
    path = np.concatenate(
        [
            np.repeat(path[:1], before, axis=0),
            path[:200],
            np.repeat(path[200:201], between, axis=0),
            path[200:],
            np.repeat(path[-1:], after, axis=0),
        ]
    )
    return (path + np.random.default_rng(0).normal(0, 3e-4, path.shape)).astype(np.float32)


def test_start_middle_and_end_are_told_apart() -> None:
    found = findings(idle_stretch, robot(_waiting(before=100, between=150, after=200)))
    spans = [(f.start_s, f.end_s) for f in found]
    for (start_s, end_s), (at_s, until_s) in zip(spans, [(0, 2), (6, 9), (13, 17)], strict=True):
        assert (start_s, end_s) == (pytest.approx(at_s, abs=0.15), pytest.approx(until_s, abs=0.15))


def test_a_long_wait_is_a_warning_with_its_share() -> None:
    (found,) = findings(idle_stretch, robot(_waiting(before=300)))
    assert found.level is Level.WARNING
    assert found.message == (
        "the robot does nothing for 6.0 s at the start from 0.00 s to 5.96 s (43 % of the episode), judged by state"
    )
    assert found.repair == "trim the start"


def test_a_short_episode_that_hardly_moves_is_a_warning_too() -> None:
    # 2.4 s of waiting and 0.6 s of motion: no 3 s of anything, and nearly all that it teaches is to stay.
    short = np.concatenate([np.repeat(_waiting()[:1], 120, axis=0), _waiting()[:30]])
    (found,) = findings(idle_stretch, robot(short))
    assert found.level is Level.WARNING
    assert "(79 % of the episode)" in found.message
    as_much = np.concatenate([short[:60], _waiting()[:70]])
    assert [f.level for f in findings(idle_stretch, robot(as_much))] == [Level.INFO]


def test_a_short_wait_is_information() -> None:
    assert [f.level for f in findings(idle_stretch, robot(_waiting(after=100)))] == [Level.INFO]


def test_a_wait_in_the_middle_is_never_to_be_cut_for_chunked_policies() -> None:
    (found,) = findings(idle_stretch, robot(_waiting(between=400)))
    assert found.repair == "look at it; keep it for policies that predict chunks"


def test_a_format_without_times_is_told_in_samples() -> None:
    (found,) = findings(idle_stretch, robot(_waiting(before=300), rate_hz=None))
    assert "does nothing for 29" in found.message or "does nothing for 30" in found.message
    assert "samples at the start from sample 0 to " in found.message


def test_a_robot_that_never_moves_abstains() -> None:
    assert reasons(idle_stretch, robot(np.ones((400, 3)))) == ["neither state nor action ever changes"]


def test_sound_robots_are_silent() -> None:
    assert [m for n in range(20) for m in above_info(idle_stretch, tiny_episode(n))] == []
