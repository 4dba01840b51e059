"""Moments that can be merged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.statistics.moments import merged, moments_of

TABLE = np.random.default_rng(0).normal(1e3, 1, (1000, 3))


@given(st.lists(st.integers(1, 999), max_size=6, unique=True))
def test_moments_of_parts_are_the_moments_of_the_whole_wherever_it_is_cut(cuts: list[int]) -> None:
    whole, *rest = [moments_of(part) for part in np.split(TABLE, sorted(cuts))]
    for part in rest:
        whole = merged(whole, part)
    assert whole.samples == 1000
    np.testing.assert_allclose(whole.mean, TABLE.mean(0), rtol=1e-13)
    np.testing.assert_allclose(whole.spread, TABLE.std(0), rtol=1e-10)
    np.testing.assert_array_equal([whole.low, whole.high], [TABLE.min(0), TABLE.max(0)])


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float16, np.float32])
def test_every_type_of_number_is_summed_in_float64(dtype: Any) -> None:
    table = np.full((3000, 2), 100).astype(dtype)
    found = moments_of(table)
    assert found.mean.dtype == found.squares.dtype == found.low.dtype == np.float64
    assert found.mean.tolist() == [float(table[0, 0])] * 2
    assert found.squares.tolist() == [0, 0]


def test_a_nan_spoils_its_own_channel_only() -> None:
    table = TABLE.copy()
    table[5, 1] = np.nan
    found = merged(moments_of(table), moments_of(TABLE))
    assert np.isfinite(found.mean).tolist() == [True, False, True]
    assert np.isfinite(found.spread).tolist() == [True, False, True]
