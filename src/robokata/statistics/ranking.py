"""Policies in order, from which of two was preferred: Bradley-Terry, and Davidson where ties occur."""

from __future__ import annotations

import enum
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import ComparisonRefused
from robokata.core.estimate import Estimate
from robokata.statistics.bootstrap import resampled
from robokata.statistics.intervals import CONFIDENCE, normal_quantile
from robokata.statistics.multiple import holm

ELO_MIDDLE, ELO_SCALE = 1500.0, 200.0
"""Rating = 1500 + 200 theta, the scale of RoboArena's leaderboard. Chess uses 400 / ln 10 = 173.7: not comparable."""
_RIDGE = 1e-2
"""Pull towards 0 where some policy only won or only lost: its strength has no maximum of the likelihood."""


class Outcome(enum.StrEnum):
    """Which of two was preferred."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"


class Preference(NamedTuple):
    """One judgement of two policies on the same scene."""

    first: str
    second: str
    outcome: Outcome
    session: Hashable = None
    """What was judged together: the unit of the bootstrap. None: each judgement is its own."""


class Model(enum.StrEnum):
    """How ties are understood."""

    DAVIDSON = "Davidson"
    """A tie is an outcome of its own, likelier between equals (Davidson 1970)."""
    BRADLEY_TERRY = "Bradley-Terry, a tie is half a win for each"
    BRADLEY_TERRY_DECIDED = "Bradley-Terry, ties left out"


@dataclass(frozen=True)
class Ranked:
    """One policy in the order."""

    name: str
    rank: int
    """1 is the best."""
    rank_low: int
    rank_high: int
    """95 % interval of the rank, by bootstrap over sessions."""
    strength: Estimate
    """theta, the mean of all policies being 0."""
    rating: Estimate
    """1500 + 200 theta."""
    won: int
    lost: int
    tied: int


@dataclass(frozen=True)
class Ranking:
    """Policies, the best first."""

    policies: tuple[Ranked, ...]
    model: Model
    tie_ratio: float | None
    """nu: odds of a tie between equals are 2 nu : 2; None where the model has no ties."""
    covariance: NDArray[np.float64]
    """Of the strengths, (K, K), in the order of `policies`."""
    is_ridged: bool
    """True where the comparisons do not connect all policies both ways, so that a ridge was needed."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names, the best first."""
        return tuple(policy.name for policy in self.policies)

    def strengths(self) -> dict[str, float]:
        """theta by name."""
        return {policy.name: float(policy.strength.value or 0.0) for policy in self.policies}

    def difference(self, one: str, other: str, *, confidence_level: float = CONFIDENCE) -> tuple[Estimate, float]:
        """theta of one minus theta of the other with its interval, and the two-sided p-value (Wald)."""
        i, j = self.names.index(one), self.names.index(other)
        gap = self.policies[i].strength.value or 0.0
        gap -= self.policies[j].strength.value or 0.0
        error = math.sqrt(self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j])
        half = normal_quantile(0.5 + confidence_level / 2) * error
        n = self.policies[i].strength.n
        estimate = Estimate(f"{one} over {other}", gap, gap - half, gap + half, n, f"{self.model}, Wald")
        return estimate, math.erfc(abs(gap) / error / math.sqrt(2))

    def inseparable(self, *, alpha_level: float = 1 - CONFIDENCE) -> tuple[tuple[str, str], ...]:
        """Pairs that the data do not tell apart, after Holm over all pairs; the better of each comes first."""
        pairs = [(a, b) for i, a in enumerate(self.names) for b in self.names[i + 1 :]]
        adjusted = holm({f"{a}\n{b}": self.difference(a, b)[1] for a, b in pairs})
        return tuple((a, b) for a, b in pairs if adjusted[f"{a}\n{b}"] > alpha_level)


class _Fit(NamedTuple):
    strengths: NDArray[np.float64]
    covariance: NDArray[np.float64]
    tie_ratio: float | None
    is_ridged: bool


def rank(
    preferences: Sequence[Preference],
    *,
    model: Model = Model.DAVIDSON,
    # 500 refits give the rank interval to within one rank.
    resamples: int = 500,
    seed: int = 0,
    confidence_level: float = CONFIDENCE,
) -> Ranking:
    """Fit the model and order the policies.

    Davidson, Journal of the American Statistical Association 65 (1970): with a = e^theta_i, b = e^theta_j and
    c = 2 nu sqrt(a b), the outcomes have probabilities a, b and c over a + b + c. Maximum likelihood by Newton's
    method; standard errors from the inverse Hessian, centred.

    Raises:
        ComparisonRefused: there is nothing to compare.
    """
    names = sorted({name for p in preferences for name in (p.first, p.second)})
    played = [p for p in preferences if p.first != p.second]
    if len(names) < 2 or not played:
        raise ComparisonRefused(f"{len(played)} preferences between {len(names)} policies: nothing to rank.")
    table = _table(played, names)
    fit = _fit(_counts(table, len(names)), model)
    order = np.argsort(-fit.strengths, kind="stable")
    ranks = _resampled_ranks(played, table, len(names), model, resamples, seed) if resamples else None
    low, high = _rank_interval(_ranks(fit.strengths)[np.newaxis] if ranks is None else ranks, confidence_level)
    policies = tuple(
        _ranked(names[k], place, (int(low[k]), int(high[k])), fit, k, _record(table, k), model, confidence_level)
        for place, k in enumerate(order, start=1)
    )
    return Ranking(policies, model, fit.tie_ratio, fit.covariance[np.ix_(order, order)], fit.is_ridged)


def _resampled_ranks(
    played: Sequence[Preference], table: NDArray[np.int64], policies: int, model: Model, resamples: int, seed: int
) -> NDArray[np.float64]:
    """(resamples, K) ranks of refits on resampled sessions."""
    return resampled(
        lambda rows: _ranks(_fit(_counts(table[rows], policies), model).strengths),
        [p.session if p.session is not None else ("row", row) for row, p in enumerate(played)],
        rng=np.random.default_rng(seed),
        resamples=resamples,
    )


def _rank_interval(ranks: NDArray[Any], confidence_level: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Least and largest rank of each policy, (K,) each, without the tails."""
    tail = (1 - confidence_level) / 2
    low = np.quantile(ranks, tail, axis=0, method="lower").astype(np.int64)
    return low, np.quantile(ranks, 1 - tail, axis=0, method="higher").astype(np.int64)


def leave_one_out(preferences: Sequence[Preference], *, model: Model = Model.DAVIDSON) -> dict[str, Ranking]:
    """The ranking without each policy in turn: an order that hangs on one of them is no order.

    Raises:
        ComparisonRefused: fewer than three policies.
    """
    names = sorted({name for p in preferences for name in (p.first, p.second)})
    if len(names) < 3:
        raise ComparisonRefused(f"{len(names)} policies: leaving one out leaves nothing to rank.")
    return {
        name: rank([p for p in preferences if name not in (p.first, p.second)], model=model, resamples=0)
        for name in names
    }


def _ranked(
    name: str,
    place: int,
    interval: tuple[int, int],
    fit: _Fit,
    at: int,
    record: tuple[int, int, int],
    model: Model,
    confidence_level: float,
) -> Ranked:
    theta, error = float(fit.strengths[at]), math.sqrt(float(fit.covariance[at, at]))
    half = normal_quantile(0.5 + confidence_level / 2) * error
    method = f"{model}, Wald, {confidence_level:.0%}"
    strength = Estimate(f"strength of {name}", theta, theta - half, theta + half, sum(record), method)
    rating = Estimate(
        f"rating of {name}",
        ELO_MIDDLE + ELO_SCALE * theta,
        ELO_MIDDLE + ELO_SCALE * (theta - half),
        ELO_MIDDLE + ELO_SCALE * (theta + half),
        sum(record),
        method,
    )
    return Ranked(name, place, *interval, strength, rating, *record)


def _table(played: Sequence[Preference], names: Sequence[str]) -> NDArray[np.int64]:
    """One row per preference: first, second, outcome (0 first, 1 second, 2 tie)."""
    at = {name: number for number, name in enumerate(names)}
    codes = {Outcome.FIRST: 0, Outcome.SECOND: 1, Outcome.TIE: 2}
    return np.asarray([(at[p.first], at[p.second], codes[p.outcome]) for p in played], dtype=np.int64)


def _counts(table: NDArray[np.int64], policies: int) -> NDArray[np.float64]:
    """(2, K, K): [0, i, j] how often i beat j, [1, i, j] how often they tied (both ways round)."""
    counts = np.zeros((2, policies, policies))
    first, second, outcome = table.T
    np.add.at(counts[0], (first[outcome == 0], second[outcome == 0]), 1)
    np.add.at(counts[0], (second[outcome == 1], first[outcome == 1]), 1)
    np.add.at(counts[1], (first[outcome == 2], second[outcome == 2]), 1)
    counts[1] += counts[1].T
    return counts


def _record(table: NDArray[np.int64], at: int) -> tuple[int, int, int]:
    first, second, outcome = table.T
    won = ((first == at) & (outcome == 0)) | ((second == at) & (outcome == 1))
    lost = ((first == at) & (outcome == 1)) | ((second == at) & (outcome == 0))
    tied = ((first == at) | (second == at)) & (outcome == 2)
    return int(won.sum()), int(lost.sum()), int(tied.sum())


def _ranks(strengths: NDArray[np.float64]) -> NDArray[np.int64]:
    ranks = np.empty(len(strengths), dtype=np.int64)
    ranks[np.argsort(-strengths, kind="stable")] = np.arange(1, len(strengths) + 1)
    return ranks


def _fit(counts: NDArray[np.float64], model: Model) -> _Fit:
    wins, ties = counts
    has_ties = model is Model.DAVIDSON and bool(ties.any())
    if model is Model.BRADLEY_TERRY:
        wins = wins + ties / 2
    i, j = np.triu_indices(len(wins), k=1)
    outcomes = [wins[i, j], wins[j, i], ties[i, j]] if has_ties else [wins[i, j], wins[j, i]]
    seen = np.sum(outcomes, axis=0) > 0
    i, j = i[seen], j[seen]
    is_ridged = not _is_connected(wins + (ties if has_ties else 0))
    design = _design(i, j, len(wins), has_ties)
    offset = np.log(np.asarray([1.0, 1.0, 2.0][: len(outcomes)]))
    found, hessian = _newton(design, offset, np.asarray(outcomes)[:, seen], _RIDGE if is_ridged else 0.0)
    # The last policy was held at 0 to make the strengths unique; centring spreads that over all.
    free = len(wins) - 1
    strengths, covariance = np.zeros(len(wins)), np.zeros((len(wins), len(wins)))
    strengths[:free] = found[:free]
    covariance[:free, :free] = np.linalg.pinv(hessian, hermitian=True)[:free, :free]
    centre = np.eye(len(wins)) - 1 / len(wins)
    ratio = float(np.exp(found[free])) if has_ties else (0.0 if model is Model.DAVIDSON else None)
    return _Fit(centre @ strengths, centre @ covariance @ centre.T, ratio, is_ridged)


def _design(i: NDArray[np.int64], j: NDArray[np.int64], policies: int, has_ties: bool) -> NDArray[np.float64]:
    """(outcomes, pairs, parameters): which parameters make each outcome likelier; the last policy has none."""
    unit = np.eye(policies)[:, : policies - 1]
    tie = np.zeros((len(i), 1))
    rows = [np.hstack((unit[i], tie)), np.hstack((unit[j], tie)), np.hstack(((unit[i] + unit[j]) / 2, tie + 1))]
    return np.asarray(rows) if has_ties else np.asarray(rows[:2])[..., :-1]


def _newton(
    design: NDArray[np.float64], offset: NDArray[np.float64], seen: NDArray[np.float64], ridge: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Maximum of a log-linear likelihood, and the Hessian there. Convex, so halving steps always arrives."""
    at = np.zeros(design.shape[-1])
    total = seen.sum(axis=0)

    def state(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        utility = design @ at + offset[:, np.newaxis]
        log_sum = np.logaddexp.reduce(utility, axis=0)
        loss = float((total * log_sum).sum() - (seen * utility).sum()) + 0.5 * ridge * float(at @ at)
        return loss, np.exp(utility - log_sum)

    loss, shares = state(at)
    for _ in range(100):
        expected = np.einsum("op,opd->pd", shares, design)
        gradient = np.einsum("p,pd->d", total, expected) - np.einsum("op,opd->d", seen, design) + ridge * at
        hessian = np.einsum("op,p,opd,ope->de", shares, total, design, design)
        hessian -= np.einsum("p,pd,pe->de", total, expected, expected)
        hessian += ridge * np.eye(len(at))
        if np.abs(gradient).max() < 1e-9 * max(1.0, float(total.sum())):
            break
        step, length = np.linalg.lstsq(hessian, gradient, rcond=None)[0], 1.0
        # Armijo's rule with halving; the tie parameter stays within e^-10..e^10, where no data could place it.
        while length > 1e-10:
            tried = np.clip(at - length * step, -30, 30)
            new_loss, new_shares = state(tried)
            if new_loss <= loss - 1e-4 * length * float(gradient @ step):
                break
            length /= 2
        if length <= 1e-10:
            break
        at, loss, shares = tried, new_loss, new_shares
    return at, hessian


def _is_connected(beaten: NDArray[np.float64]) -> bool:
    """True where every policy is above every other through a chain of wins (or ties)."""
    reach = (beaten > 0) | np.eye(len(beaten), dtype=bool)
    for _ in range(max(1, math.ceil(math.log2(len(beaten))))):
        reach = (reach.astype(np.int64) @ reach.astype(np.int64)) > 0
    return bool(reach.all())
