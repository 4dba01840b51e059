"""Closings of a gripper, from its opening alone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.core.clock import grid_clock
from robokata.core.episode import Episode
from robokata.core.stream import Evidence, Fact, Kind, Meaning, Role, Stream
from robokata.core.values import ArrayValues
from robokata.geometry.gripper import grippers_of
from robokata.metrics._grasp_attempts import attempts_of, closings


def ramp(*levels: float, rest: int = 12, slope: int = 6) -> np.ndarray:
    """Openness that rests at each level and goes evenly between them."""
    parts = [np.full(rest, levels[0])]
    for before, after in itertools.pairwise(levels):
        parts += [np.linspace(before, after, slope + 2)[1:-1], np.full(rest, after)]
    return np.concatenate(parts)


@given(st.lists(st.floats(0, 0.7), min_size=0, max_size=6), st.integers(0, 99))
def test_as_many_closings_are_found_as_were_made(plateaus: list[float], seed: int) -> None:
    levels = [1.0]
    for plateau in plateaus:
        levels += [plateau, 1.0]
    openness = ramp(*levels) + np.random.default_rng(seed).normal(0, 0.004, len(ramp(*levels)))
    found = closings(openness, dwell_samples=4)
    assert len(found) == (len(plateaus) if plateaus else 0) or np.ptp(openness) < 0.1
    assert all(a.last < b.first for a, b in itertools.pairwise(found))


def test_a_wide_thing_that_stops_the_jaws_half_way_is_seen() -> None:
    (found,) = closings(ramp(1.0, 0.55, 1.0), dwell_samples=4)
    assert (found.first, found.last) == pytest.approx((13, 31), abs=2)


def test_chatter_and_a_gripper_that_begins_closed_are_no_attempts() -> None:
    assert closings(ramp(0.0, 1.0), dwell_samples=4) == ()
    assert closings(np.ones(50), dwell_samples=4) == ()
    blip = ramp(1.0, 1.0)
    blip[10:12] = 0.0
    assert closings(blip, dwell_samples=4) == ()


def test_a_gripper_that_is_closed_at_the_end_has_attempted() -> None:
    (found,) = closings(ramp(1.0, 0.3), dwell_samples=4)
    assert found.last == len(ramp(1.0, 0.3)) - 1


def recorded(values: np.ndarray, *, name: str = "gripper", said: str | None = None) -> Episode:
    meaning = Meaning(gripper=Fact(said, Evidence.FILE)) if said else Meaning()
    clock = grid_clock(len(values), Fraction(20))
    stream = Stream(
        "observation.state", Kind.TENSOR, Role.STATE, clock, ArrayValues(values[:, None]), (name,), meaning=meaning
    )
    return Episode("e", {stream.name: stream})


@pytest.mark.parametrize(
    ("values", "name", "said", "evidence"),
    [
        (ramp(1.0, 0.3), "gripper", "1_open", "the stream's meaning"),
        (1 - ramp(1.0, 0.3), "gripper", "1_closed", "the stream's meaning"),
        (0.08 * ramp(1.0, 0.3), "gripper", "width_m", "it is a width"),
        (0.08 * ramp(1.0, 0.3), "gripper_width", None, "it is a width"),
        (17 - 5 * ramp(1.0, 0.3, 1.0), "gripper", None, "it begins and ends at its lowest value"),
        (17 + 5 * ramp(1.0, 0.3, 1.0), "gripper", None, "it begins and ends at its highest value"),
    ],
)
def test_which_way_round_it_opens_is_declared_or_shown(
    values: np.ndarray, name: str, said: str | None, evidence: str
) -> None:
    (track,) = grippers_of(recorded(values, name=name, said=said)).tracks
    assert track.evidence == evidence
    assert track.openness[0] == pytest.approx(1)
    assert track.openness[25] < 0.35


def test_forces_and_hands_are_no_grippers() -> None:
    assert grippers_of(recorded(ramp(1.0, 0.3), name="gripper_force")).reason == "no channel is named like a gripper"
    one = recorded(ramp(1.0, 0.3)).stream("observation.state")
    fingers = tuple(f"hand_{k}" for k in range(6))
    hand = replace(one, values=ArrayValues(np.tile(one.table, 6)), channels=fingers)
    assert grippers_of(Episode("e", {hand.name: hand})).reason == "6 finger channels: a hand has no single opening"


def test_a_thing_between_the_jaws_is_told_from_nothing() -> None:
    held = attempts_of(recorded(ramp(1.0, 0.4, 1.0, rest=40), said="1_open")).grasps
    empty = attempts_of(recorded(ramp(1.0, 0.0, 1.0, rest=40), said="1_open")).grasps
    assert [grasp.is_held for grasp in (*held, *empty)] == [True, False]


def test_what_slips_out_of_closed_jaws_is_lost() -> None:
    (grasp,) = attempts_of(recorded(ramp(1.0, 0.4, 0.0, 1.0, rest=40), said="1_open")).grasps
    assert grasp.lost_s == pytest.approx(4.9, abs=0.4)


def commanded(values: np.ndarray, command: np.ndarray) -> Episode:
    state = recorded(values, said="1_open").stream("observation.state")
    action = replace(state, name="action", role=Role.ACTION, values=ArrayValues(command[:, None]))
    return Episode("e", {state.name: state, action.name: action})


def test_jaws_that_stand_half_open_because_they_were_told_to_are_not_taken_for_a_grasp() -> None:
    half = ramp(1.0, 0.5, 1.0, rest=40)
    (grasp,) = attempts_of(commanded(half, half)).grasps
    assert (grasp.is_held, grasp.reason) == (
        None,
        "the jaws stand as far apart as they were told: nothing tells whether a thing is between them",
    )
    (grasp,) = attempts_of(commanded(half, ramp(1.0, 0.0, 1.0, rest=40))).grasps
    assert grasp.is_held
