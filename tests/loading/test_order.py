"""Tests of the order: every sample once per epoch, mixtures exact, resuming exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robokata.core.errors import TrainingRefused
from robokata.loading.order import Order


@given(st.integers(1, 300), st.integers(0, 2**31), st.integers(1, 64))
def test_with_equal_weights_an_epoch_is_a_permutation(count: int, seed: int, batch: int) -> None:
    order = Order(np.full(count, 0.1), seed=seed)
    taken = np.concatenate([order.take(batch) for _ in range(-(-2 * count // batch))])[: 2 * count]
    assert sorted(taken[:count]) == sorted(taken[count:]) == list(range(count))


@given(st.integers(0, 2**31), st.integers(0, 400), st.integers(1, 50))
def test_resuming_gives_what_would_have_come(seed: int, before: int, then: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.1, 3, 70)
    through, first = Order(weights, seed=seed), Order(weights, seed=seed)
    expected = through.take(before + then)[before:]
    first.take(before)
    again = Order(weights, seed=seed)
    again.load_state_dict(first.state_dict())
    assert again.take(then).tolist() == expected.tolist()


def test_a_mixture_holds_in_every_epoch_and_every_sample_gets_its_share_within_one() -> None:
    # 90 samples of one source, 10 of another, each half of what is learnt.
    weights = np.concatenate([np.full(90, 0.5 / 90), np.full(10, 0.5 / 10)])
    order = Order(weights, seed=3)
    for _ in range(5):
        counts = np.bincount(order.take(100), minlength=100)
        assert abs(counts[90:].sum() - 50) <= 1
        assert set(counts[:90]) <= {0, 1}
        assert set(counts[90:]) == {5} or set(counts[90:]) <= {4, 5, 6}


def test_a_weight_of_nothing_is_never_drawn() -> None:
    order = Order(np.asarray([0.0, 1.0, 2.0]), seed=0)
    assert 0 not in order.take(3000)


def test_seeds_and_epochs_differ() -> None:
    first, second = Order(np.ones(50), seed=0), Order(np.ones(50), seed=1)
    epoch = first.take(50).tolist()
    assert epoch != first.take(50).tolist()
    assert epoch != second.take(50).tolist()


def test_resuming_another_order_is_refused() -> None:
    with pytest.raises(TrainingRefused, match="seed 0 and 50 samples; this one has seed 1 and 50"):
        Order(np.ones(50), seed=1).load_state_dict(Order(np.ones(50), seed=0).state_dict())
