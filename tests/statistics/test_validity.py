"""MMRV and correlations: SIMPLER's published values, and the trap in the order of its arguments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from published.simpler import SIMPLER, Published
from robokata.core.errors import InvalidEstimate
from robokata.statistics.validity import agreement, binomial_draws, mmrv, pearson, spearman


def rates(published: Published) -> tuple[np.ndarray, np.ndarray]:
    return np.array(list(published.real.values())), np.array(list(published.simulated.values()))


@pytest.mark.parametrize("task", SIMPLER)
def test_simplers_published_values_are_reproduced(task: str) -> None:
    real, simulated = rates(SIMPLER[task])
    assert mmrv(real=real, simulated=simulated) == pytest.approx(SIMPLER[task].mmrv, abs=5e-5)
    assert pearson(real=real, simulated=simulated) == pytest.approx(SIMPLER[task].pearson, abs=5e-5)


@pytest.mark.parametrize(("task", "exchanged"), [("pick coke can", 0.0618), ("move near", 0.0027)])
def test_exchanging_real_and_simulated_changes_mmrv(task: str, exchanged: float) -> None:
    real, simulated = rates(SIMPLER[task])
    assert mmrv(real=simulated, simulated=real) == pytest.approx(exchanged, abs=5e-5)
    with pytest.raises(TypeError):
        mmrv(real, simulated)  # type: ignore[misc]


performances = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=12)


@given(performances)
def test_the_correlations_agree_with_scipys(pairs: list[tuple[float, float]]) -> None:
    real, simulated = np.asarray(pairs).T
    if min(np.ptp(real), np.ptp(simulated)) < 1e-3:
        return
    assert pearson(real=real, simulated=simulated) == pytest.approx(stats.pearsonr(real, simulated)[0], abs=1e-6)
    assert spearman(real=real, simulated=simulated) == pytest.approx(stats.spearmanr(real, simulated)[0], abs=1e-6)


@given(performances)
def test_the_same_order_has_no_violation(pairs: list[tuple[float, float]]) -> None:
    real = np.asarray(pairs)[:, 0]
    assert mmrv(real=real, simulated=np.unique(real, return_inverse=True)[1]) == 0


def test_without_variation_there_is_no_correlation_and_a_reason() -> None:
    found = agreement(real={"a": 0.1, "b": 0.2, "c": 0.3}, simulated=dict.fromkeys("abc", 0.5))
    assert found.pearson.reason == "one of the two measurements is the same for every policy"


def test_intervals_need_trials_and_leaving_one_out_shows_what_hangs_on_one_policy() -> None:
    task = SIMPLER["pick coke can"]
    assert agreement(real=task.real, simulated=task.simulated).pearson.low is None
    draws = binomial_draws(task.real, trials=75, rng=np.random.default_rng(0))
    found = agreement(real=task.real, simulated=task.simulated, real_draws=draws)
    assert found.mmrv.low < 0.0313 < found.mmrv.high
    assert found.pearson.low < 0.9754 <= found.pearson.high + 0.02
    assert set(found.without) == set(task.real)
    assert found.without["rt-1-begin"]["Pearson"] < found.pearson.value


def test_two_policies_have_no_correlation() -> None:
    with pytest.raises(InvalidEstimate, match="a correlation needs three or more"):
        agreement(real={"a": 1.0, "b": 0.0}, simulated={"a": 1.0, "b": 0.0})
