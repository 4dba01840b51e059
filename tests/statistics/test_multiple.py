"""Holm's adjustment."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.core.errors import InvalidEstimate
from robokata.statistics.multiple import holm


def test_the_smallest_is_multiplied_by_all_and_the_order_stays() -> None:
    assert holm({"c": 0.03, "a": 0.01, "b": 0.04}) == pytest.approx({"c": 0.06, "a": 0.03, "b": 0.06})
    assert list(holm({"c": 0.03, "a": 0.01})) == ["c", "a"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusting_never_makes_a_claim_easier_nor_reorders(values: list[float]) -> None:
    given_values = {str(k): p for k, p in enumerate(values)}
    adjusted = holm(given_values)
    assert all(given_values[name] <= adjusted[name] <= 1 for name in adjusted)
    order = sorted(given_values, key=lambda name: given_values[name])
    assert all(adjusted[a] <= adjusted[b] for a, b in itertools.pairwise(order))


def test_any_false_claim_among_eight_is_as_rare_as_one_was() -> None:
    rng = np.random.default_rng(0)
    wrong = [min(holm({str(k): p for k, p in enumerate(row)}).values()) <= 0.05 for row in rng.random((4000, 8))]
    assert 0.04 <= np.mean(wrong) <= 0.06


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(InvalidEstimate):
        holm({"a": 1.2})
