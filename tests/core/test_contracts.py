"""Tests of needs: an episode that lacks something is told so in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from robokata.core.clock import step_clock
from robokata.core.contracts import Need, unmet_need
from robokata.core.episode import Episode
from robokata.testing import tiny_episode


def test_a_sound_episode_meets_every_need() -> None:
    assert unmet_need(tiny_episode(duration_s=0.4), list(Need)) is None


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        (Need.STATE, "the episode has no measured robot state"),
        (Need.ACTION, "the episode has no recorded action"),
        (Need.NUMBERS, "the episode has no numeric streams"),
        (Need.PICTURES, "the episode has no pictures"),
        (Need.MEASURED_CLOCK, "the format keeps no times"),
        (Need.DECLARED_RATE, "the dataset declares no rate"),
        (Need.INSTRUCTIONS, "the dataset has no place for instructions"),
    ],
)
def test_an_empty_episode_says_what_it_lacks(need: Need, reason: str) -> None:
    assert unmet_need(Episode("empty", {}), [need]) == (need, reason)


def test_synthesized_times_are_told_from_no_times() -> None:
    synthesized = unmet_need(tiny_episode(duration_s=0.4, is_measured=False), [Need.MEASURED_CLOCK])
    assert synthesized is not None
    assert synthesized.reason == (
        "the times are synthesized from sample number and rate: they cannot show what the clock did"
    )
    action = tiny_episode(duration_s=0.4).stream("action")
    timeless = Episode("t", {"action": replace(action, clock=step_clock(20))})
    assert unmet_need(timeless, [Need.MEASURED_CLOCK]) == (Need.MEASURED_CLOCK, "the format keeps no times")
