"""Tests of statistics: exact for any subset, whatever the cut, and NaN is not counted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.core.errors import DamagedData
from robokata.loading.statistics import statistics_from, statistics_of


@given(st.integers(0, 2**32), st.lists(st.integers(1, 40), min_size=1, max_size=6), st.floats(-1e3, 1e3))
def test_any_cut_into_blocks_gives_numpys_answer_over_what_is_there(seed: int, sizes: list[int], offset: float) -> None:
    rng = np.random.default_rng(seed)
    table = rng.normal(offset, 2, (sum(sizes), 3))
    table[rng.random(table.shape) < 0.2] = np.nan
    table[0] = offset  # every column has a value
    found = statistics_of(np.split(table, np.cumsum(sizes)[:-1]))
    np.testing.assert_allclose(found.mean, np.nanmean(table, 0), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.std, np.nanstd(table, 0), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.q99, np.nanquantile(table, 0.99, axis=0), rtol=1e-9)
    assert found.count.tolist() == (~np.isnan(table)).sum(0).tolist()


def test_a_channel_that_is_never_there_has_no_count_and_no_nan() -> None:
    found = statistics_of([np.full((5, 2), np.nan)])
    assert found.count.tolist() == [0, 0]
    assert all(np.isfinite(np.asarray(value)).all() for value in found.to_json().values())


def test_statistics_come_back_from_json_as_they_were_and_damage_is_refused() -> None:
    found = statistics_of([np.arange(12.0).reshape(4, 3)])
    told = json.loads(json.dumps(found.to_json()))
    again = statistics_from(told, where="card.json", shape=(3,))
    assert again.to_json() == found.to_json()
    with pytest.raises(DamagedData, match="not finite numbers of the shape"):
        statistics_from(told, where="card.json", shape=(4,))
    with pytest.raises(DamagedData, match="negative spread"):
        statistics_from({**told, "std": [-1, 0, 0]}, where="card.json", shape=(3,))
