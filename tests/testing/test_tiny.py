"""Tests of the sound robot: deterministic, different in every episode, and true to its declarations."""

from __future__ import annotations

import numpy as np

from robokata.testing import tiny_episode, tiny_source
from robokata.testing.tiny import CAMERA


def test_the_same_number_gives_the_same_episode_and_another_number_another() -> None:
    one, same, other = (tiny_episode(n, duration_s=0.6) for n in (1, 1, 2))
    for name in ("observation.state", CAMERA):
        np.testing.assert_array_equal(one.stream(name).values[:], same.stream(name).values[:])
        assert not np.array_equal(one.stream(name).values[:], other.stream(name).values[:])
    np.testing.assert_array_equal(one.stream(CAMERA).clock.times_ns, same.stream(CAMERA).clock.times_ns)


def test_every_declaration_of_the_tiny_dataset_holds() -> None:
    facts = tiny_source(3, duration_s=0.6).facts()
    assert facts.declarations
    assert all(declaration.holds for declaration in facts.declarations)
    assert [(row.first_row, row.end_row) for row in facts.rows] == [(0, 30), (30, 60), (60, 90)]


def test_clocks_are_measured_or_synthesized_as_asked() -> None:
    assert tiny_episode(duration_s=0.4).stream("action").clock.quality == "measured"
    assert tiny_episode(duration_s=0.4, is_measured=False).stream("action").clock.quality == "synthesized"
