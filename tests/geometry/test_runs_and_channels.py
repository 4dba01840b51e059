"""Tests of stretches of samples, and of what the names of channels tell."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.robots_of_numbers import robot, swing
from robokata.core.clock import grid_clock, step_clock
from robokata.geometry.channels import has_few_values, is_gripper, is_orientation, listed
from robokata.geometry.runs import Run, runs_of, samples_in, span_of


@given(st.lists(st.booleans(), max_size=60))
def test_runs_cover_the_mask_and_nothing_else(mask: list[bool]) -> None:
    covered = np.zeros(len(mask), bool)
    for run in runs_of(np.asarray(mask, bool)):
        covered[run.first : run.last + 1] = True
    assert covered.tolist() == mask


def test_small_holes_are_closed_and_short_runs_left_out() -> None:
    mask = np.asarray([1, 1, 0, 1, 0, 0, 0, 1], bool)
    assert runs_of(mask, bridge=1, at_least=2) == [Run(0, 3)]


@pytest.mark.parametrize(("rate_hz", "samples"), [(Fraction(50), 25), (Fraction(5), 2), (None, 15)])
def test_half_a_second_in_samples(rate_hz: Fraction | None, samples: int) -> None:
    assert samples_in(step_clock(100) if rate_hz is None else grid_clock(100, rate_hz), 0.5, untimed=15) == samples


def test_a_stretch_without_times_is_told_in_samples() -> None:
    timed, timeless = robot(swing()), robot(swing(), rate_hz=None)
    assert span_of(timed, timed.streams["state"].clock, 100, 180).words == "1.60 s from 2.00 s on"
    assert span_of(timeless, timeless.streams["state"].clock, 100, 180).words == "81 samples from sample 100 on"


@pytest.mark.parametrize(
    ("name", "gripper", "orientation"),
    [
        ("left_gripper.pos", True, False),
        ("kLeftHandThumbBend", True, False),
        ("main_shoulder_pan", False, False),
        ("wrist_roll", False, False),
        ("handle_height", False, False),
        ("steering", False, False),
        ("ee_yaw", False, True),
        ("rx", False, True),
        ("motor_3", False, False),
    ],
)
def test_what_a_name_tells(name: str, gripper: bool, orientation: bool) -> None:  # parameters of a test
    stream = robot(swing(joints=1), names=(name,)).streams["state"]
    assert (is_gripper(stream, 0), is_orientation(stream, 0)) == (gripper, orientation)


def test_a_switch_has_few_values_and_a_joint_many() -> None:
    assert has_few_values(np.tile([0.0, 1.0], 500))
    assert not has_few_values(swing()[:, 0])


def test_names_are_listed_for_a_sentence() -> None:
    assert [listed(list("abcdefgh")[:n]) for n in (1, 2, 3, 8)] == [
        "a",
        "a and b",
        "a, b and c",
        "a, b, c, d, e, f and 2 more",
    ]
