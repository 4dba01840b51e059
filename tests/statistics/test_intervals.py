"""Intervals: published values, exact coverage, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from robokata.core.errors import InvalidEstimate
from robokata.statistics.intervals import (
    METHODS,
    as_shown,
    clopper_pearson,
    jeffreys,
    mean_of_counts,
    mean_of_numbers,
    mean_of_shares,
    proportion,
    wilson,
)

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(("ours", "theirs"), [(clopper_pearson, "exact"), (wilson, "wilson")])
def test_exact_and_score_intervals_agree_with_scipys(ours: object, theirs: str) -> None:
    for k, n, level in [(0, 1, 0.95), (1, 1, 0.9), (0, 17, 0.99), (5, 17, 0.95), (500, 999, 0.95), (998, 999, 0.9)]:
        found = ours(k, n, confidence_level=level)  # type: ignore[operator]
        expected = stats.binomtest(k, n).proportion_ci(level, method=theirs)
        assert found == pytest.approx((expected.low, expected.high), abs=1e-11)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (7, 10, 0.348, 0.933),
        (14, 20, 0.457, 0.881),
        (35, 50, 0.554, 0.821),
        (350, 500, 0.658, 0.740),
        (477, 500, 0.932, 0.971),
    ],
)
def test_clopper_pearson_agrees_with_the_reference(k: int, n: int, low: float, high: float) -> None:
    assert clopper_pearson(k, n) == pytest.approx((low, high), abs=5e-4)


@pytest.mark.parametrize("method", METHODS)
def test_no_success_and_no_failure_have_an_end_and_no_nan(method: str) -> None:
    none, everything = METHODS[method](0, 500), METHODS[method](500, 500)
    assert none.low == 0
    assert everything.high == 1
    assert 0 < none.high < 0.01
    assert none.high == pytest.approx(1 - everything.low)


def test_wilsons_interval_agrees_with_newcombe() -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    for k, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        assert wilson(k, n) == pytest.approx((low, high), abs=5e-5)


def test_jeffreys_agrees_with_its_definition() -> None:
    assert jeffreys(7, 10) == pytest.approx(stats.beta.interval(0.95, 7.5, 3.5))


@given(counts)
def test_the_exact_interval_holds_the_rate_and_wilsons_is_narrower_in_the_middle(count: tuple[int, int]) -> None:
    k, n = count
    exact = clopper_pearson(k, n)
    assert 0 <= exact.low <= k / n <= exact.high <= 1
    assert clopper_pearson(n - k, n) == pytest.approx((1 - exact.high, 1 - exact.low))
    if 0 < k < n:
        assert wilson(k, n).high - wilson(k, n).low < exact.high - exact.low


def coverage(method: str, rate: float, n: int) -> float:
    """Exact: the probability of the counts whose interval holds the rate."""
    inside = [low <= rate <= high for low, high in (METHODS[method](k, n) for k in range(n + 1))]
    return float(stats.binom.pmf(np.flatnonzero(inside), n, rate).sum())


@pytest.mark.parametrize("n", [10, 50])
def test_clopper_pearson_covers_at_every_rate_and_wilson_on_average(n: int) -> None:
    rates = np.linspace(0.01, 0.99, 49)
    exact = [coverage("Clopper-Pearson", rate, n) for rate in rates]
    assert min(exact) >= 0.95
    for method in ("Wilson", "Jeffreys"):
        assert np.mean([coverage(method, rate, n) for rate in rates]) == pytest.approx(0.95, abs=0.01)


def test_trials_without_data_have_no_rate() -> None:
    assert proportion("success", 0, 0).reason == "no trials"


def test_contradicting_counts_are_refused() -> None:
    with pytest.raises(InvalidEstimate) as caught:
        proportion("success", 7, 5)
    assert str(caught.value) == "7 successes in 5 trials: expected 0 <= successes <= trials, trials >= 1."


def test_alike_values_never_claim_to_be_exact() -> None:
    assert mean_of_shares("progress", [1.0] * 10).low == pytest.approx(0.733, abs=1e-3)
    assert mean_of_counts("drops", [0] * 10).high == pytest.approx(3.689 / 10, abs=1e-3)
    assert (mean_of_numbers("time", [2.0, 2.0]).value, mean_of_numbers("time", [2.0, 2.0]).low) == (2.0, None)
    assert mean_of_numbers("time", [2.0]).method == "one trial: no interval"


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_a_mean_of_shares_lies_in_its_interval_and_in_0_to_1(values: list[float]) -> None:
    found = mean_of_shares("progress", values)
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60))
def test_a_mean_count_lies_in_its_interval(values: list[int]) -> None:
    found = mean_of_counts("attempts", values)
    assert 0 <= found.low <= found.value <= found.high


def test_counts_with_more_spread_than_poissons_get_wider_intervals() -> None:
    even, bursts = mean_of_counts("c", [2] * 20), mean_of_counts("c", [0] * 10 + [4] * 10)
    assert even.value == bursts.value
    assert bursts.high - bursts.low > 1.2 * (even.high - even.low)


@pytest.mark.parametrize("kind", ["numbers", "shares", "counts"])
def test_means_cover(kind: str) -> None:
    rng = np.random.default_rng(4)
    draw, estimate, truth = {
        "numbers": (lambda: rng.gamma(4, 1, 30), mean_of_numbers, 4.0),
        "shares": (lambda: rng.choice([0, 0.5, 1], 20, p=[0.1, 0.2, 0.7]), mean_of_shares, 0.8),
        "counts": (lambda: rng.negative_binomial(2, 0.5, 30), mean_of_counts, 2.0),
    }[kind]
    found = [estimate("x", draw()) for _ in range(1500)]
    covered = np.mean([e.low <= truth <= e.high for e in found])
    # Standard error of 1500 draws: 0.6 points. The 0 and the 1 that are added make shares conservative.
    assert 0.93 <= covered <= 0.992


def test_values_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(InvalidEstimate) as caught:
        mean_of_numbers("time", [1.0, math.nan])
    assert str(caught.value) == "time: one of 2 values is not finite. Leave the trial out, and say why."
    with pytest.raises(InvalidEstimate):
        mean_of_shares("progress", [1.2])
    with pytest.raises(InvalidEstimate):
        mean_of_counts("drops", [-1])


def test_a_chart_draws_the_interval_of_wilson_and_leaves_other_estimates_alone() -> None:
    claimed = proportion("success", 14, 20)
    drawn = as_shown(claimed)
    assert (drawn.low, drawn.high) == wilson(14, 20)
    assert drawn.value == claimed.value
    assert claimed.low < drawn.low < drawn.high < claimed.high
    other = mean_of_numbers("seconds", [1.0, 2.0, 4.0])
    assert as_shown(other) is other
    nothing = proportion("success", 0, 0)
    assert as_shown(nothing) is nothing
