"""Effects of data choices: the seed is the replicate, intervals cover, and one seed is refused."""

from __future__ import annotations

import numpy as np
import pytest

from robokata.core.errors import ComparisonRefused
from robokata.statistics.replicates import effect_of


def arms(
    rng: np.random.Generator,
    *,
    seeds: int,
    trials: int,
    effect: float = 0.0,
    seed_sd: float = 0.3,
    scene_sd: float = 1.5,
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Successes of two arms on common scenes; spreads and the effect in logits."""
    scene = rng.normal(0.5, scene_sd, trials)
    out = []
    for arm in range(2):
        runs = {}
        for seed in range(seeds):
            logits = scene + effect * arm + rng.normal(0, seed_sd)
            wins = rng.random(trials) < 1 / (1 + np.exp(-logits))
            runs[str(seed)] = {str(trial): float(win) for trial, win in enumerate(wins)}
        out.append(runs)
    return out[0], out[1]


def test_the_value_is_the_mean_of_the_seeds_paired_differences() -> None:
    baseline, changed = arms(np.random.default_rng(0), seeds=3, trials=40, effect=1.0)
    found = effect_of("success", baseline=baseline, changed=changed)
    gaps = [np.mean(list(changed[s].values())) - np.mean(list(baseline[s].values())) for s in baseline]
    assert found.estimate.value == pytest.approx(np.mean(gaps))
    assert (found.seeds, found.trials, found.is_paired, found.estimate.n) == (3, 40, True, 3)


def test_one_training_seed_cannot_carry_a_claim() -> None:
    baseline, changed = arms(np.random.default_rng(0), seeds=1, trials=500)
    with pytest.raises(ComparisonRefused) as caught:
        effect_of("success", baseline=baseline, changed=changed)
    assert str(caught.value) == (
        "success: 1 training seed(s) in both arms. The training seed is the replicate: any number of rollouts of one "
        "checkpoint says nothing of how another seed would have turned out. Train at least 3 seeds per arm."
    )


def error_rate(*, seeds: int, trials: int, seed_sd: float, runs: int) -> float:
    rng = np.random.default_rng(8)
    wrong = 0
    for _ in range(runs):
        baseline, changed = arms(rng, seeds=seeds, trials=trials, seed_sd=seed_sd)
        wrong += effect_of("success", baseline=baseline, changed=changed).p_value <= 0.05
    return wrong / runs


def test_equal_recipes_are_called_different_no_more_often_than_said() -> None:
    # Standard error of 800 runs: 0.8 points. `python -m benchmarks type_one_error` runs more.
    assert 0.02 <= error_rate(seeds=3, trials=60, seed_sd=0.6, runs=800) <= 0.075
    # Where seeds do not differ at all, the variance of the table is overestimated, and the test errs less.
    assert error_rate(seeds=3, trials=60, seed_sd=0.0, runs=300) <= 0.05


def test_rollouts_taken_for_replicates_would_err_far_more_often() -> None:
    rng, wrong = np.random.default_rng(8), 0
    for _ in range(300):
        baseline, changed = arms(rng, seeds=3, trials=200, seed_sd=0.6)
        gaps = np.asarray([changed[s][t] - baseline[s][t] for s in baseline for t in baseline[s]])
        wrong += abs(gaps.mean()) > 1.96 * gaps.std(ddof=1) / np.sqrt(len(gaps))
    assert wrong / 300 > 0.3


def test_arms_that_never_differ_do_not_claim_an_effect_of_exactly_nothing() -> None:
    same = {seed: {str(t): 1.0 for t in range(50)} for seed in "abc"}
    found = effect_of("success", baseline=same, changed=same)
    assert found.estimate.value == 0
    assert found.estimate.low < 0 < found.estimate.high
    assert not found.is_resolved
    assert found.seeds_needed() is None


def test_an_effect_that_is_resolved_says_so_and_one_that_is_not_says_what_it_would_take() -> None:
    large = effect_of(
        "success",
        **dict(
            zip(("baseline", "changed"), arms(np.random.default_rng(1), seeds=5, trials=100, effect=2.0), strict=True)
        ),
    )
    assert large.is_resolved
    assert "p = " in large.sentence()
    small = effect_of(
        "success",
        **dict(
            zip(("baseline", "changed"), arms(np.random.default_rng(1), seeds=3, trials=50, effect=0.2), strict=True)
        ),
    )
    assert not small.is_resolved
    assert "not resolvable with this budget (smallest effect it finds: " in small.sentence()
    assert small.detectable > abs(small.estimate.value)


def test_trials_without_a_partner_are_left_out_and_named() -> None:
    baseline, changed = arms(np.random.default_rng(2), seeds=3, trials=30)
    del changed["1"]["7"]
    changed["x"] = changed.pop("2")
    found = effect_of("success", baseline=baseline, changed=changed)
    assert (found.seeds, found.trials) == (2, 29)
    assert found.estimate.note == (
        "training seeds of one arm only were left out: 2, x; "
        "3 trials had no partner on the same trial seed in every run and were left out"
    )


def test_trials_that_share_no_seeds_are_compared_by_the_seeds_means() -> None:
    baseline, changed = arms(np.random.default_rng(3), seeds=4, trials=30)
    moved = {s: {f"other {t}": v for t, v in runs.items()} for s, runs in changed.items()}
    apart, paired = (effect_of("success", baseline=baseline, changed=c) for c in (moved, changed))
    assert apart.estimate.value == pytest.approx(paired.estimate.value)
    assert (apart.is_paired, apart.freedom, apart.scene_std) == (False, 3, 0)


def test_quantities_of_another_scale_are_not_widened() -> None:
    rng = np.random.default_rng(4)
    rows = {s: {str(t): float(v) for t, v in enumerate(rng.normal(0.001, 1e-5, 40))} for s in "abc"}
    shifted = {s: {t: v + 1e-4 for t, v in row.items()} for s, row in rows.items()}
    assert effect_of("chatter", baseline=rows, changed=shifted, unit="1/s").is_resolved


def test_the_split_of_variance_is_found_again() -> None:
    rng = np.random.default_rng(5)
    seed, scene = rng.normal(0, 0.3, 200), rng.normal(0, 0.5, 200)
    table = seed[:, None] + scene[None] + rng.normal(0, 1.0, (200, 200))
    nothing = {str(s): {str(t): 0.0 for t in range(200)} for s in range(200)}
    changed = {str(s): {str(t): float(table[s, t]) for t in range(200)} for s in range(200)}
    found = effect_of("x", baseline=nothing, changed=changed)
    assert (found.seed_std, found.scene_std, found.residual_std) == pytest.approx((0.3, 0.5, 1.0), rel=0.12)
