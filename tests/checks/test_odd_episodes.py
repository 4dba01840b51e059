"""Checks of numbers and cameras at the edge of what exists."""

from __future__ import annotations

import pytest

from checks.robots_of_numbers import oddities, verdicts
from robokata.core.finding import Abstention, Finding
from robokata.core.shelf import shelf

NAMES = (
    "not_finite",
    "dead_channel",
    "stuck_encoder",
    "joint_teleport",
    "encoder_wrap",
    "action_saturated",
    "idle_stretch",
    "blank_camera",
    "frozen_camera",
)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_raises_on_no_one_or_two_samples_nan_infinity_whole_and_huge_numbers(name: str) -> None:
    for episode in oddities():
        for verdict in verdicts(shelf("checks")[name], episode):
            assert isinstance(verdict, (Abstention, Finding))
