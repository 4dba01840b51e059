"""How often each test claims a difference where there is none, and what intervals cover."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.timing import Row
from robokata.statistics.bootstrap import two_level_interval
from robokata.statistics.comparison import barnard, mcnemar
from robokata.statistics.intervals import METHODS
from robokata.statistics.multiple import holm
from robokata.statistics.ranking import Outcome, Preference, rank
from robokata.statistics.replicates import Runs, effect_of
from robokata.statistics.sequential import log_wealth_paths
from robokata.statistics.survival import log_rank

_Z = 1.959964
NOMINAL = 0.05
BETWEEN, AT_MOST = "3..6 %", "<= 5 % (exact)"


def type_one_error(folder: Path) -> Iterator[Row]:
    """Error of the first kind at 5 % nominal, by simulation (exact tests by enumeration)."""
    yield from _exact()
    yield from _sequential()
    yield _row("log-rank, 50 + 50 trials, horizon at 1.5 mean times", _log_rank_error(4000), BETWEEN)
    yield _row("Davidson, two equal of 7 policies, 500 judgements (Wald)", _davidson_error(2000), BETWEEN)
    rng = np.random.default_rng(5)
    family = np.mean(
        [min(holm({str(k): p for k, p in enumerate(r)}).values()) <= NOMINAL for r in rng.random((20000, 8))]
    )
    yield _row("Holm, any false claim among 8 independent tests", float(family), BETWEEN)
    for seed_sd in (0.3, 0.6, 0.8):
        what = f"effect over 3 training seeds x 100 common scenes, seeds differ by {seed_sd} logits"
        yield _row(what, _effect_error(seeds=3, trials=100, seed_sd=seed_sd, runs=4000), BETWEEN)
    same = _effect_error(seeds=3, trials=100, seed_sd=0.0, runs=2000)
    yield _row("the same where seeds do not differ at all (conservative)", same, AT_MOST)
    naive = _effect_error(seeds=3, trials=100, seed_sd=0.6, runs=1000, by=_rollouts_as_replicates)
    yield Row("beside it: rollouts taken for replicates", f"{naive:.1%}", "fails, > 15 %", naive > 0.15)


def seed_coverage(folder: Path) -> Iterator[Row]:
    """Coverage of 95 % intervals of an effect: crossed table (ours), Student's t over seeds, two-level bootstrap."""
    for seeds, trials, seed_sd, scene_arm_sd in (
        (3, 50, 0.3, 0.5),
        (3, 200, 0.8, 0.5),
        (5, 100, 0.6, 0.3),
        (10, 50, 0.0, 1.0),
    ):
        ours, student, bootstrap = _coverage(seeds, trials, seed_sd, scene_arm_sd, runs=600)
        what = f"{seeds} seeds x {trials} scenes, seed {seed_sd}, scene x arm {scene_arm_sd} logits"
        shown = f"{ours:.1%} (t over seeds {student:.1%}, bootstrap {bootstrap:.1%})"
        yield Row(f"coverage of the effect: {what}", shown, "93..99.5 %", 0.93 <= ours <= 0.995)


def interval_coverage(folder: Path) -> Iterator[Row]:
    """Exact coverage of the intervals of a success rate, least and mean over rates 1..99 %."""
    rates = np.linspace(0.01, 0.99, 99)
    for n in (10, 50, 200):
        for name, method in METHODS.items():
            ends = np.asarray([method(k, n) for k in range(n + 1)])
            inside = (ends[:, :1] <= rates) & (rates <= ends[:, 1:])
            covered = (stats.binom.pmf(np.arange(n + 1)[:, None], n, rates) * inside).sum(axis=0)
            is_exact = name == "Clopper-Pearson"
            holds = covered.min() >= 0.95 if is_exact else 0.93 <= covered.mean() <= 0.97
            target = "least >= 95 %" if is_exact else "mean 95 +- 2 %"
            yield Row(f"{name}, n = {n}", f"least {covered.min():.1%}, mean {covered.mean():.1%}", target, holds)


def _exact() -> Iterator[Row]:
    for rate in (0.3, 0.7):
        yield _row(f"Barnard, 25 + 25 trials at a rate of {rate}", _barnard_error(25, rate), AT_MOST)
    for differ in (0.2, 0.5):
        yield _row(f"McNemar, 100 pairs of which {differ:.0%} differ", _mcnemar_error(100, differ), AT_MOST)


def _sequential() -> Iterator[Row]:
    for pairs in (200, 1000):
        both = _crossing(0.5, 0.5, pairs=pairs, alpha_level=NOMINAL, streams=8000)[0]
        yield _row(f"e-process looked at after each of {pairs} pairs, 5 % in each direction", both, BETWEEN)
        sided = _crossing(0.5, 0.5, pairs=pairs, alpha_level=NOMINAL / 2, streams=8000)[0]
        yield _row(f"the same, two-sided (2.5 % each): a bound, never an equality; {pairs} pairs", sided, AT_MOST)
    power, mean_pairs = _crossing(0.5, 0.7, pairs=200, alpha_level=NOMINAL, streams=8000)
    yield Row(
        "e-process, .5 against .7, 200 pairs: power, mean pairs",
        f"{power:.2f}, {mean_pairs:.0f}",
        ".88, 96 (reference)",
        abs(power - 0.88) < 0.015 and abs(mean_pairs - 96) < 2,
    )
    _, mean_pairs = _crossing(0.5, 0.8, pairs=200, alpha_level=NOMINAL, streams=8000)
    yield Row("e-process, .5 against .8: mean pairs", f"{mean_pairs:.0f}", "40 (reference)", abs(mean_pairs - 40) < 1.5)
    for rate in (0.3, 0.7):
        naive = _peeking_error(rate, streams=40_000)
        what = f"beside it: z-test looked at after each of 5..50 pairs, rate {rate}"
        yield Row(what, f"{naive:.1%}", "fails, 24..27 %", 0.235 <= naive <= 0.275)


def _row(what: str, error: float, target: str) -> Row:
    # 0.4 points of slack at the upper end: two standard errors of 8,000 simulations.
    holds = 0.026 <= error <= 0.064 if target == BETWEEN else error <= 0.0505
    return Row(f"error of the first kind: {what}", f"{error:.2%}", target, holds)


def _barnard_error(n: int, rate: float) -> float:
    weight = stats.binom.pmf(np.arange(n + 1), n, rate)
    error = 0.0
    for a in range(n + 1):
        for b in range(a, n + 1):
            # The test is the same with the arms exchanged.
            if weight[a] * weight[b] > 1e-9 and _barnard(a, b, n) <= NOMINAL:
                error += weight[a] * weight[b] * (1 if a == b else 2)
    return float(error)


@functools.cache
def _barnard(a: int, b: int, n: int) -> float:
    return barnard(a, n, b, n)


def _mcnemar_error(pairs: int, discordant: float) -> float:
    error = 0.0
    for differ in range(pairs + 1):
        rejected = [c for c in range(differ + 1) if mcnemar(differ - c, c) <= NOMINAL]
        error += stats.binom.pmf(differ, pairs, discordant) * stats.binom.pmf(rejected, differ, 0.5).sum()
    return float(error)


def _crossing(p1: float, p2: float, *, pairs: int, alpha_level: float, streams: int) -> tuple[float, float]:
    rng, limit = np.random.default_rng(1), -np.log(alpha_level)
    first, second = rng.random((streams, pairs)) < p1, rng.random((streams, pairs)) < p2
    crossed = (log_wealth_paths(first, second) >= limit) | (log_wealth_paths(second, first) >= limit)
    stops = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, pairs)
    return float(crossed.any(axis=1).mean()), float(stops.mean())


def _peeking_error(rate: float, *, streams: int) -> float:
    rng, n = np.random.default_rng(2), np.arange(1, 51)
    first, second = (np.cumsum(rng.random((streams, 50)) < rate, axis=1) for _ in range(2))
    pooled = (first + second) / (2 * n)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled) * 2 / n, 1e-12))
    return float((np.abs(second - first) / n > _Z * spread)[:, 4:].any(axis=1).mean())


def _log_rank_error(runs: int) -> float:
    rng, wrong = np.random.default_rng(3), 0
    for _ in range(runs):
        one, two = rng.exponential(10, 50), rng.exponential(10, 50)
        wrong += log_rank(np.minimum(one, 15), one < 15, np.minimum(two, 15), two < 15).p_value <= NOMINAL
    return wrong / runs


def _davidson_error(runs: int) -> float:
    rng, names, wrong = np.random.default_rng(4), [f"p{k}" for k in range(7)], 0
    theta = dict(zip(names, (0, 0, 0.4, 0.3, 0.1, -0.4, -1), strict=True))
    for _ in range(runs):
        preferences = []
        for _ in range(500):
            i, j = rng.choice(7, 2, replace=False)
            a, b = np.exp(theta[names[i]]), np.exp(theta[names[j]])
            tie = 0.44 * np.sqrt(a * b)
            at = rng.random() * (a + b + tie)
            outcome = Outcome.FIRST if at < a else Outcome.SECOND if at < a + b else Outcome.TIE
            preferences.append(Preference(names[i], names[j], outcome))
        wrong += rank(preferences, resamples=0).difference("p0", "p1")[1] <= NOMINAL
    return wrong / runs


def _tables(
    rng: np.random.Generator, seeds: int, trials: int, effect: float, seed_sd: float, scene_arm_sd: float
) -> list[NDArray[np.float64]]:
    """Successes (seeds, trials) of two arms on common scenes of spread 1.5 logits."""
    scene = rng.normal(0.5, 1.5, trials)
    out = []
    for arm in range(2):
        logits = scene + effect * arm + rng.normal(0, seed_sd, (seeds, 1)) + rng.normal(0, scene_arm_sd, trials)
        out.append((rng.random((seeds, trials)) < 1 / (1 + np.exp(-logits))).astype(np.float64))
    return out


def _runs(table: NDArray[np.float64]) -> Runs:
    return {str(s): {str(t): float(value) for t, value in enumerate(row)} for s, row in enumerate(table)}


def _crossed(one: NDArray[np.float64], two: NDArray[np.float64]) -> bool:
    return effect_of("success", baseline=_runs(one), changed=_runs(two)).p_value <= NOMINAL


def _rollouts_as_replicates(one: NDArray[np.float64], two: NDArray[np.float64]) -> bool:
    gaps = (two - one).ravel()
    return bool(abs(gaps.mean()) > _Z * gaps.std(ddof=1) / np.sqrt(len(gaps)))


def _effect_error(
    *,
    seeds: int,
    trials: int,
    seed_sd: float,
    runs: int,
    by: Callable[[NDArray[np.float64], NDArray[np.float64]], bool] = _crossed,
) -> float:
    rng = np.random.default_rng(6)
    return sum(by(*_tables(rng, seeds, trials, 0.0, seed_sd, 0.0)) for _ in range(runs)) / runs


def _coverage(seeds: int, trials: int, seed_sd: float, scene_arm_sd: float, *, runs: int) -> tuple[float, float, float]:
    rng, effect = np.random.default_rng(7), 0.8
    spread = np.sqrt(1.5**2 + seed_sd**2 + scene_arm_sd**2)
    many = rng.normal(0.5, spread, 4_000_000)
    truth = float((1 / (1 + np.exp(-many - effect)) - 1 / (1 + np.exp(-many))).mean())
    hits = np.zeros(3)
    for _ in range(runs):
        one, two = _tables(rng, seeds, trials, effect, seed_sd, scene_arm_sd)
        found = effect_of("success", baseline=_runs(one), changed=_runs(two)).estimate
        gaps = (two - one).mean(axis=1)
        half = stats.t.ppf(0.975, seeds - 1) * gaps.std(ddof=1) / np.sqrt(seeds)
        low, high = two_level_interval(two - one, rng=rng, resamples=300)
        assert found.low is not None
        assert found.high is not None
        hits += (found.low <= truth <= found.high, abs(gaps.mean() - truth) <= half, low <= truth <= high)
    return tuple((hits / runs).tolist())
