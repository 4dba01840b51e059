"""Kaplan-Meier, restricted mean and log-rank: the textbook's data, oracles and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.core.errors import InvalidEstimate
from robokata.statistics.survival import kaplan_meier, log_rank, restricted_mean

# Freireich et al. 1963: weeks of remission, 6-MP and placebo (Klein and Moeschberger 2003, table 1.1).
DRUG = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
DRUG_HAPPENED = [True] * 9 + [False] * 12
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def test_the_curve_agrees_with_the_textbook() -> None:
    curve = kaplan_meier(DRUG, DRUG_HAPPENED)
    assert curve.times_s.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert curve.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
    assert curve.survival == pytest.approx([0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=1e-3)
    assert curve.spread == pytest.approx([0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346], abs=1e-4)
    assert curve.happened_by(5.9) == 0
    assert curve.happened_by(100) == pytest.approx(1 - 0.448, abs=1e-3)


def test_the_log_rank_test_agrees_with_the_textbook() -> None:
    found = log_rank(DRUG, DRUG_HAPPENED, PLACEBO, [True] * 21)
    assert found.chi_square == pytest.approx(16.79, abs=5e-3)
    assert found.p_value == pytest.approx(4.17e-5, rel=1e-2)


@given(st.lists(st.floats(0.1, 50), min_size=2, max_size=40))
def test_without_censoring_the_restricted_mean_is_the_mean_of_the_shortened_times(times: list[float]) -> None:
    found = restricted_mean("t", times, [True] * len(times), horizon_s=30.0)
    assert found.value == pytest.approx(np.minimum(times, 30).mean())


@given(st.lists(st.tuples(st.floats(0.1, 29), st.booleans()), min_size=2, max_size=40))
def test_failures_that_were_given_the_horizon_count_with_it(rows: list[tuple[float, bool]]) -> None:
    times = [time if happened else 30.0 for time, happened in rows]
    found = restricted_mean("t", times, [happened for _, happened in rows], horizon_s=30.0)
    assert found.value == pytest.approx(np.mean(times))


def test_the_intervals_of_the_restricted_mean_cover() -> None:
    rng, hits = np.random.default_rng(0), []
    truth = 10 * (1 - np.exp(-2))
    for _ in range(1500):
        times, limit = rng.exponential(10, 50), rng.uniform(5, 40, 50)
        limit[:25] = 21  # or the longest trial might end before the horizon
        seen = np.minimum(times, limit)
        found = restricted_mean("t", seen.tolist(), (times <= limit).tolist(), horizon_s=20.0)
        hits.append(found.low <= truth <= found.high)
    # Standard error of 1500 draws: 0.6 points.
    assert 0.93 <= np.mean(hits) <= 0.97


def test_where_nothing_happens_nothing_differs() -> None:
    assert log_rank([1.0, 2.0], [False, False], [3.0], [False]) == (0.0, 1.0)
    assert log_rank([], [], [3.0], [True]) == (0.0, 1.0)


def test_log_rank_errs_as_often_as_it_says() -> None:
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(800):
        one, two = rng.exponential(10, 40), rng.exponential(10, 40)
        wrong += log_rank(np.minimum(one, 15), one < 15, np.minimum(two, 15), two < 15).p_value <= 0.05
    assert 0.03 <= wrong / 800 <= 0.075


def test_a_horizon_beyond_what_was_seen_is_refused() -> None:
    with pytest.raises(InvalidEstimate, match="nothing is known of the time between"):
        restricted_mean("t", [2.0, 8.0], [True, False], horizon_s=10.0)
    with pytest.raises(InvalidEstimate):
        kaplan_meier([1.0, -1.0], [True, True])
