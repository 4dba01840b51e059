"""The e-process: the quoted operating characteristics, and peeking that it forgives and a z-test does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.statistics.comparison import Alternative
from robokata.statistics.sequential import EProcess, SequentialTest, log_wealth_paths, stop_at

PAIRS = 200


def crossings(p1: float, p2: float, *, alpha: float, streams: int = 4000) -> tuple[float, float]:
    """Share of streams that reject in either direction, and the mean number of pairs until then (or 200)."""
    rng = np.random.default_rng(1)
    first, second = rng.random((streams, PAIRS)) < p1, rng.random((streams, PAIRS)) < p2
    up = log_wealth_paths(first, second) >= -np.log(alpha)
    crossed = up | (log_wealth_paths(second, first) >= -np.log(alpha))
    stops = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, PAIRS)
    return float(crossed.any(axis=1).mean()), float(stops.mean())


def test_the_quoted_operating_characteristics_are_reproduced() -> None:
    # evaluation.md 1.2, each direction at .05: null 5.2 %; (.5, .7) power .88, mean n 96; (.5, .8) mean n 40.
    assert crossings(0.5, 0.5, alpha=0.05)[0] == pytest.approx(0.052, abs=0.008)
    power, mean_pairs = crossings(0.5, 0.7, alpha=0.05)
    assert power == pytest.approx(0.88, abs=0.015)
    assert mean_pairs == pytest.approx(96, abs=2)
    assert crossings(0.5, 0.8, alpha=0.05)[1] == pytest.approx(40, abs=1)


def test_the_two_sided_test_keeps_its_level_at_every_moment() -> None:
    assert crossings(0.5, 0.5, alpha=0.025)[0] < 0.04
    assert crossings(0.1, 0.1, alpha=0.025)[0] < 0.04


def test_peeking_with_a_z_test_errs_five_times_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    first, second = (np.cumsum(rng.random((20_000, 50)) < 0.7, axis=1) for _ in range(2))
    n = np.arange(1, 51)
    pooled = (first + second) / (2 * n)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled) * 2 / n, 1e-12))
    rejected = (np.abs(second - first) / n > 1.959964 * spread)[:, 4:]
    assert 0.24 <= rejected.any(axis=1).mean() <= 0.27
    assert rejected[:, -1].mean() == pytest.approx(0.05, abs=0.012)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_one_stream_at_a_time_gives_the_same_numbers_as_many(pairs: list[tuple[bool, bool]]) -> None:
    process, wealth = EProcess(), []
    for first, second in pairs:
        process.observe(first, second)
        wealth.append(process.log_wealth)
    first, second = np.asarray(pairs, dtype=bool).T
    assert log_wealth_paths(first, second) == pytest.approx(np.asarray(wealth))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_exchanging_the_policies_exchanges_the_verdict(pairs: list[tuple[bool, bool]]) -> None:
    one, other = stop_at(pairs), stop_at([(b, a) for a, b in pairs])
    mirrored = {Alternative.GREATER: Alternative.LESS, Alternative.LESS: Alternative.GREATER, None: None}
    assert (one.pairs, mirrored[one.winner]) == (other.pairs, other.winner)


def test_wealth_is_a_fair_bet_under_equality() -> None:
    # The e-value after ten pairs has mean at most 1, whatever the common rate.
    for rate in (0.1, 0.5, 0.9):
        rng = np.random.default_rng(3)
        wealth = np.exp(log_wealth_paths(rng.random((60_000, 10)) < rate, rng.random((60_000, 10)) < rate)[:, -1])
        assert wealth.mean() < 1.02


def test_a_clear_difference_stops_early_and_names_the_winner() -> None:
    verdict = stop_at([(False, True)] * 30)
    assert verdict.winner is Alternative.GREATER
    assert verdict.pairs < 10
    assert verdict.p_value <= 0.05
    assert stop_at([(True, False)] * 30).winner is Alternative.LESS
    assert stop_at([(True, False)] * 30, alternative=Alternative.GREATER).winner is None


def test_without_pairs_nothing_is_said() -> None:
    assert SequentialTest().verdict()[:3] == (0, 1.0, None)


# Successes of the first and second policy, trials of each, alpha, and where the reference's e-process stopped on the
# recorded order. The recorded trials may not be copied, so their order is not here: any order of these counts is.
QUOTED = {
    "CleanUpSpill": (40, 14, 50, 0.05, 7),
    "FoldRedTowel": (28, 46, 50, 0.05, 20),
    "SpoonOnTowel": (193, 42, 500, 0.01, 33),
    "EggplantInBasket": (282, 200, 500, 0.01, 192),
    "StackCube": (15, 0, 500, 0.01, 329),
    "Carrot policy": (92, 124, 150, 0.05, 132),
}


def stops_of_orders(k1: int, k2: int, n: int, alpha: float) -> np.ndarray:
    """Pairs until the better policy is named, for random orders of the same trials; n + 1 where it never is."""
    rng, better, worse = np.random.default_rng(0), max(k1, k2), min(k1, k2)
    second = rng.permuted(np.tile(np.arange(n) < better, (4000, 1)), axis=1)
    first = rng.permuted(np.tile(np.arange(n) < worse, (4000, 1)), axis=1)
    crossed = log_wealth_paths(first, second) >= -np.log(alpha)
    return np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, n + 1)


@pytest.mark.parametrize("stream", QUOTED)
def test_the_quoted_stopping_times_are_possible_for_the_quoted_counts(stream: str) -> None:
    k1, k2, n, alpha, quoted = QUOTED[stream]
    # Five are in the middle 90 % of orders; "Carrot policy" is late: 0.6 % of orders take as long.
    low, high = np.quantile(stops_of_orders(k1, k2, n, alpha), (0.001, 0.999))
    assert low <= quoted <= high


def test_the_quoted_stream_without_a_verdict_rarely_has_one() -> None:
    # Carrot distribution, 112/200 against 106/200: the reference's e-process never stopped.
    assert np.mean(stops_of_orders(112, 106, 200, 0.05) <= 200) < 0.2
