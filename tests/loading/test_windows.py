"""Tests of windows: which sample belongs to which moment."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robokata.loading.windows import moments, nearest_at, newest_at

TIMES = st.lists(st.integers(0, 2_000_000_000), min_size=1, max_size=30, unique=True)
MOMENTS = st.lists(st.integers(-200_000_000, 2_500_000_000), min_size=1, max_size=20)


@given(TIMES, MOMENTS)
def test_the_newest_sample_is_never_younger_than_the_moment_and_none_lies_between(
    times: list[int], at: list[int]
) -> None:
    clock = np.asarray(times, np.int64)
    found = newest_at(clock, np.asarray(at, np.int64), stale_after_s=10)
    for moment, row, is_there in zip(at, found.rows, found.is_there, strict=True):
        past = [time for time in times if time <= moment]
        assert is_there == bool(past)
        assert clock[row] == (max(past) if past else min(times))


@given(TIMES, MOMENTS)
def test_the_nearest_sample_is_nearest_even_on_a_clock_out_of_order(times: list[int], at: list[int]) -> None:
    clock = np.asarray(times, np.int64)
    found = nearest_at(clock, np.asarray(at, np.int64))
    for moment, row in zip(at, found.rows, strict=True):
        assert abs(clock[row] - moment) == min(abs(time - moment) for time in times)


def test_a_sample_older_than_half_a_second_is_absent() -> None:
    found = newest_at(np.asarray([0], np.int64), np.asarray([500_000_000, 500_000_001], np.int64))
    assert found.is_there.tolist() == [True, False]


def test_past_the_end_the_last_command_fills_the_place_and_is_marked() -> None:
    clock = np.arange(5, dtype=np.int64) * 50_000_000
    found = nearest_at(clock, np.asarray([100_000_000, 220_000_000, 230_000_000, 900_000_000], np.int64))
    assert found.rows.tolist() == [2, 4, 4, 4]
    assert found.is_there.tolist() == [True, True, False, False]


@given(st.integers(2, 200), st.floats(0, 0.2))
def test_thinning_a_jittered_clock_to_its_own_rate_keeps_every_sample(count: int, jitter: float) -> None:
    rng = np.random.default_rng(count)
    times = np.arange(count) * 50_000_000 + (rng.uniform(-1, 1, count) * jitter * 50_000_000).astype(np.int64)
    kept = moments(times, first_ns=int(times.min()), last_ns=int(times.max()), every_s=0.05)
    # Jitter against a fixed grid may merge two neighbours now and then, never every second one.
    assert len(kept) >= 0.6 * count
    if jitter == 0:
        assert len(kept) == count


def test_thirty_pictures_a_second_thinned_to_ten_leaves_every_third() -> None:
    times = np.arange(30, dtype=np.int64) * 33_333_333
    kept = moments(times, first_ns=0, last_ns=10**9, every_s=0.1)
    assert kept[:10].tolist() == times[::3].tolist()
