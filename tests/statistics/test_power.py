"""Budgets: the reference's numbers, and power by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from robokata.core.errors import ComparisonRefused, InvalidEstimate
from robokata.statistics.comparison import mcnemar
from robokata.statistics.power import detectable_effect, effect_resolved_by_seeds, pairs_needed, trials_needed


@pytest.mark.parametrize(("effect", "trials"), [(0.05, 1250), (0.10, 292), (0.15, 119), (0.20, 60)])
def test_trials_needed_agree_with_the_reference(effect: float, trials: int) -> None:
    assert trials_needed(effect, rate_share=0.7) == trials
    assert detectable_effect(trials, rate_share=0.7) == pytest.approx(effect, abs=3e-3)


def test_where_even_a_rise_to_certainty_cannot_be_told_nothing_is_detectable() -> None:
    assert detectable_effect(5, rate_share=0.9) is None


def test_pairs_needed_have_the_power_that_they_promise() -> None:
    n, rng = pairs_needed(0.15, discordant_share=0.35), np.random.default_rng(0)
    found = 0
    for _ in range(2000):
        only_first, only_second, _ = rng.multinomial(n, [0.10, 0.25, 0.65])
        found += mcnemar(int(only_first), int(only_second)) <= 0.05
    # The exact test is a little conservative, the planning formula is not.
    assert 0.74 <= found / 2000 <= 0.84


def test_more_seeds_resolve_more_and_more_trials_hardly_do() -> None:
    base = effect_resolved_by_seeds(3, 100)
    assert effect_resolved_by_seeds(10, 100) < 0.5 * base
    assert effect_resolved_by_seeds(3, 10_000) > 0.7 * base


def test_the_effect_resolved_by_seeds_has_power_80_percent() -> None:
    from scipy import stats

    rng = np.random.default_rng(1)
    effect = effect_resolved_by_seeds(4, 50, seed_std=0.1, discordant_share=0.3)
    gaps = effect + rng.normal(0, np.sqrt(0.1**2 + 0.3 / 50), (20_000, 4))
    found = np.abs(gaps.mean(axis=1)) / (gaps.std(axis=1, ddof=1) / 2) > stats.t.ppf(0.975, 3)
    assert found.mean() == pytest.approx(0.8, abs=0.01)


def test_impossible_plans_are_refused() -> None:
    with pytest.raises(ComparisonRefused, match="the seed is the replicate"):
        effect_resolved_by_seeds(1, 500)
    with pytest.raises(InvalidEstimate):
        trials_needed(0.5, rate_share=0.7)
    with pytest.raises(InvalidEstimate):
        pairs_needed(0.5, discordant_share=0.3)
