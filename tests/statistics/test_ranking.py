"""Rankings from preferences: an oracle's maximum, known strengths found again, equals not told apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from robokata.core.errors import ComparisonRefused
from robokata.statistics.ranking import Model, Outcome, Preference, leave_one_out, rank

THETA = {"a": 0.8, "b": 0.3, "c": 0.0, "d": -1.1}


def judged(count: int, *, seed: int = 0, nu: float = 0.4, theta: dict[str, float] | None = None) -> list[Preference]:
    """Preferences drawn from Davidson's model."""
    strengths, rng = theta or THETA, np.random.default_rng(seed)
    names, out = sorted(strengths), []
    for number in range(count):
        i, j = rng.choice(names, 2, replace=False)
        a, b = np.exp(strengths[i]), np.exp(strengths[j])
        weights = np.array([a, b, 2 * nu * np.sqrt(a * b)])
        outcome = rng.choice([Outcome.FIRST, Outcome.SECOND, Outcome.TIE], p=weights / weights.sum())
        out.append(Preference(str(i), str(j), Outcome(outcome), number))
    return out


def minus_log_likelihood(parameters: np.ndarray, preferences: list[Preference]) -> float:
    theta = dict(zip(sorted(THETA), [*parameters[:3], 0.0], strict=True))
    total = 0.0
    for p in preferences:
        a, b = np.exp(theta[p.first]), np.exp(theta[p.second])
        c = 2 * np.exp(parameters[3]) * np.sqrt(a * b)
        total -= np.log({Outcome.FIRST: a, Outcome.SECOND: b, Outcome.TIE: c}[p.outcome] / (a + b + c))
    return total


def test_the_fit_is_the_maximum_that_an_independent_optimiser_finds() -> None:
    preferences = judged(150)
    oracle = optimize.minimize(minus_log_likelihood, np.zeros(4), args=(preferences,), method="Nelder-Mead")
    expected = np.array([*oracle.x[:3], 0.0])
    found = rank(preferences, resamples=0)
    strengths = np.array([found.strengths()[name] for name in sorted(THETA)])
    assert strengths == pytest.approx(expected - expected.mean(), abs=2e-3)
    assert found.tie_ratio == pytest.approx(np.exp(oracle.x[3]), abs=2e-3)


def test_standard_errors_are_the_spread_between_repetitions() -> None:
    fits = [rank(judged(300, seed=seed), resamples=0) for seed in range(150)]
    best = np.array([fit.strengths()["a"] for fit in fits])
    spread = fits[0].policies[fits[0].names.index("a")].strength
    assert (spread.high - spread.low) / 2 / 1.96 == pytest.approx(best.std(ddof=1), rel=0.2)
    centred = THETA["a"] - np.mean(list(THETA.values()))
    covered = [e.low <= centred <= e.high for fit in fits for e in [fit.policies[fit.names.index("a")].strength]]
    assert np.mean(covered) >= 0.9


def test_known_strengths_are_found_again_and_ranks_have_intervals() -> None:
    found = rank(judged(2000), resamples=100)
    assert found.names == ("a", "b", "c", "d")
    assert [(p.rank_low, p.rank_high) for p in found.policies] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert found.policies[0].rating.value == pytest.approx(1500 + 200 * found.strengths()["a"])
    assert sum(p.won - p.lost for p in found.policies) == 0
    assert not found.is_ridged


def test_equals_are_not_told_apart() -> None:
    wrong = 0
    for seed in range(200):
        fit = rank(judged(120, seed=seed, theta={"a": 0.0, "b": 0.0, "c": -0.5}), resamples=0)
        wrong += fit.difference("a", "b")[1] <= 0.05
    # Standard error of 200 repetitions: 1.5 points.
    assert wrong / 200 <= 0.095


def test_the_order_of_preferences_and_of_names_in_them_does_not_matter() -> None:
    preferences = judged(100)
    turned = {Outcome.FIRST: Outcome.SECOND, Outcome.SECOND: Outcome.FIRST, Outcome.TIE: Outcome.TIE}
    mirrored = [Preference(p.second, p.first, turned[p.outcome], p.session) for p in reversed(preferences)]
    assert rank(mirrored, resamples=0).strengths() == pytest.approx(rank(preferences, resamples=0).strengths())


def test_a_policy_that_only_lost_is_ranked_last_with_a_ridge() -> None:
    preferences = [p for p in judged(80) if "d" not in (p.first, p.second)]
    preferences += [Preference("a", "d", Outcome.FIRST)] * 5
    found = rank(preferences, resamples=0)
    assert found.is_ridged
    assert found.names[-1] == "d"
    assert found.policies[-1].strength.high - found.policies[-1].strength.low > 3


def test_without_ties_davidson_is_bradley_terry() -> None:
    decided = [p for p in judged(200) if p.outcome is not Outcome.TIE]
    plain = rank(decided, model=Model.BRADLEY_TERRY_DECIDED, resamples=0)
    assert rank(decided, resamples=0).strengths() == pytest.approx(plain.strengths())


def test_sessions_are_resampled_whole() -> None:
    preferences = judged(60)
    tripled = [p for p in preferences for _ in range(3)]
    alone = rank([p._replace(session=None) for p in tripled], resamples=200)
    whole = rank(tripled, resamples=200)
    width = [sum(p.rank_high - p.rank_low for p in found.policies) for found in (alone, whole)]
    assert width[1] > width[0]


def test_leaving_one_out_leaves_the_others() -> None:
    without = leave_one_out(judged(300))
    assert sorted(without) == ["a", "b", "c", "d"]
    assert all(len(found.policies) == 3 and name not in found.names for name, found in without.items())


def test_nothing_to_rank_is_refused() -> None:
    with pytest.raises(ComparisonRefused) as caught:
        rank([])
    assert str(caught.value) == "0 preferences between 0 policies: nothing to rank."
