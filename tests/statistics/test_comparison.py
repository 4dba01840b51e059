"""Tests of two policies: published p-values, oracles, and errors of the first kind by enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from robokata.core.errors import InvalidEstimate
from robokata.statistics.comparison import (
    Alternative,
    barnard,
    compare_apart,
    compare_pairs,
    difference_interval,
    mcnemar,
    paired_difference_interval,
    posterior_better,
)


def test_barnard_agrees_with_the_reference() -> None:
    # Carrot distribution, 112/200 against 106/200: .287 one-sided.
    assert barnard(112, 200, 106, 200, alternative=Alternative.LESS) == pytest.approx(0.287, abs=2e-3)


def test_barnard_where_all_succeed_says_nothing() -> None:
    assert barnard(10, 10, 20, 20) == 1
    assert barnard(0, 10, 0, 20) == 1


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_binomial_test_of_the_pairs_that_differ(b: int, c: int) -> None:
    for alternative in Alternative:
        expected = stats.binomtest(c, b + c, 0.5, alternative=alternative.value).pvalue if b + c else 1.0
        assert mcnemar(b, c, alternative=alternative) == pytest.approx(expected)


def test_pairs_are_compared_entry_by_entry() -> None:
    first = [True] * 6 + [False] * 14
    second = [True] * 4 + [False] * 2 + [True] * 10 + [False] * 4
    found = compare_pairs(first, second)
    assert found.discordant == (2, 10)
    assert found.difference.value == pytest.approx(0.4)
    assert found.p_value == pytest.approx(stats.binomtest(2, 12).pvalue)
    assert found.difference.low > 0
    assert str(found) == "difference of success: 0.4 [0.083, 0.624], n = 20, p = 0.0386 (McNemar exact)"


def test_pairing_finds_what_comparing_apart_misses() -> None:
    rng = np.random.default_rng(0)
    easy = rng.random(60) < 0.5
    first, second = easy & (rng.random(60) < 0.95), easy | (rng.random(60) < 0.2)
    paired = compare_pairs(first.tolist(), second.tolist())
    apart = compare_apart(int(first.sum()), 60, int(second.sum()), 60)
    assert paired.p_value < 0.01 < apart.p_value
    assert paired.difference.value == pytest.approx(apart.difference.value)


def test_unequal_lengths_are_no_pairs() -> None:
    with pytest.raises(InvalidEstimate) as caught:
        compare_pairs([True], [True, False])
    assert str(caught.value) == (
        "1 trials of the first and 2 of the second are no pairs. Pair them by seed, or compare them with compare_apart."
    )


def test_nothing_to_compare_is_no_p_value() -> None:
    assert compare_pairs([], []).p_value is None
    assert compare_apart(0, 0, 1, 2).difference.reason == "no trials"


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
@settings(max_examples=30)
def test_the_posterior_agrees_with_sampling_and_with_its_mirror(k1: int, m1: int, k2: int, m2: int) -> None:
    share = posterior_better(k1, k1 + m1, k2, k2 + m2)
    assert share + posterior_better(k2, k2 + m2, k1, k1 + m1) == pytest.approx(1)
    rng = np.random.default_rng(0)
    drawn = rng.beta(k2 + 1, m2 + 1, 40_000) > rng.beta(k1 + 1, m1 + 1, 40_000)
    assert share == pytest.approx(drawn.mean(), abs=0.015)


def test_newcombes_intervals_agree_with_his_tables() -> None:
    # Statistics in Medicine 17 (1998) 873, table II, (a) 56/70 - 48/80, method 10.
    assert difference_interval(48, 80, 56, 70) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert difference_interval(0, 20, 0, 10) == pytest.approx((-0.1611, 0.2775), abs=5e-5)
    # Statistics in Medicine 17 (1998) 2635: 36 both, 12 only the second, 2 only the first, 0 neither.
    assert paired_difference_interval(36, 2, 12, 50) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_intervals_turn_round_with_the_arms() -> None:
    low, high = difference_interval(30, 50, 41, 60)
    assert difference_interval(41, 60, 30, 50) == pytest.approx((-high, -low))
    low, high = paired_difference_interval(20, 3, 9, 50)
    assert paired_difference_interval(20, 9, 3, 50) == pytest.approx((-high, -low))


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8])
def test_barnard_errs_no_more_often_than_it_says(rate: float) -> None:
    n = 12
    weight = stats.binom.pmf(np.arange(n + 1), n, rate)
    pairs = itertools.product(range(n + 1), repeat=2)
    error = sum(weight[a] * weight[b] for a, b in pairs if barnard(a, n, b, n) <= 0.05)
    # Exact, so never above; discrete, so below. scipy maximises over the nuisance rate numerically.
    assert 0.005 < error <= 0.0502


@pytest.mark.parametrize("discordant", [0.2, 0.6])
def test_mcnemar_errs_no_more_often_than_it_says(discordant: float) -> None:
    n, error = 60, 0.0
    for differ in range(n + 1):
        rejected = [c for c in range(differ + 1) if mcnemar(differ - c, c) <= 0.05]
        error += stats.binom.pmf(differ, n, discordant) * stats.binom.pmf(rejected, differ, 0.5).sum()
    assert 0.01 < error <= 0.05


def test_difference_intervals_cover() -> None:
    rng = np.random.default_rng(2)
    hits = []
    for _ in range(3000):
        a, b = rng.binomial(40, 0.6), rng.binomial(50, 0.75)
        low, high = difference_interval(a, 40, b, 50)
        hits.append(low <= 0.15 <= high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)


def test_paired_difference_intervals_cover() -> None:
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(3000):
        both, one, two, _ = rng.multinomial(60, [0.45, 0.1, 0.2, 0.25])
        low, high = paired_difference_interval(both, one, two, 60)
        hits.append(low <= 0.1 <= high)
    assert np.mean(hits) == pytest.approx(0.95, abs=0.015)
