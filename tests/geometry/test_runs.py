"""Tests of runs: against a loop that a child could write."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.core.clock import grid_clock, step_clock
from robokata.core.episode import Episode
from robokata.geometry.runs import Run, moment_of, robust_spread, runs_of


def naive(mask: list[bool], at_least: int, bridge: int) -> list[Run]:
    runs: list[Run] = []
    for at, inside in enumerate(mask):
        if inside and runs and at - runs[-1].last - 1 <= bridge:
            runs[-1] = Run(runs[-1].first, at)
        elif inside:
            runs.append(Run(at, at))
    return [run for run in runs if run.length >= at_least]


@given(st.lists(st.booleans(), max_size=50), st.integers(1, 6), st.integers(0, 5))
def test_runs_are_what_a_loop_finds(mask: list[bool], at_least: int, bridge: int) -> None:
    assert runs_of(np.asarray(mask, bool), at_least=at_least, bridge=bridge) == naive(mask, at_least, bridge)


def test_the_robust_spread_is_the_standard_deviation_and_ignores_an_outlier() -> None:
    values = np.random.default_rng(0).normal(0, 2.0, (20_000, 2))
    values[0] = 1e9
    assert robust_spread(values) == pytest.approx([2.0, 2.0], rel=0.05)


def test_a_moment_is_told_in_seconds_only_where_the_format_keeps_times() -> None:
    timed, untimed = grid_clock(10, Fraction(5)), step_clock(10)
    assert moment_of(Episode("0", {}), timed, 4) == "0.80 s"
    assert moment_of(Episode("0", {}), untimed, 4) == "sample 4"
