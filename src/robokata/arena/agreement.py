"""Which cheap judgement orders policies as many rollouts do: preference, progress, or success?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.arena.roboarena import Arena, Rollout
from robokata.arena.rollouts import mean_score, progress_of, success_of
from robokata.core.errors import ComparisonRefused
from robokata.core.estimate import Estimate
from robokata.statistics.bootstrap import percentile_interval, resampled
from robokata.statistics.intervals import CONFIDENCE
from robokata.statistics.ranking import Model, Preference, rank
from robokata.statistics.validity import STATISTICS, Agreement, agreement

JUDGED = ("A", "B")
"""Letters of the two rollouts of a session that were compared; the others are held out."""
COMPARISONS = 10
"""A policy with fewer judgements is not ranked: RoboArena's own report leaves out two with one each."""


@dataclass(frozen=True)
class Judged:
    """One way to judge policies, against the mean progress of rollouts that it did not see."""

    judgement: str
    agreement: Agreement
    behind_preference: Mapping[str, Estimate]
    """Statistic -> how much worse than preference on the same resampled sessions; above 0 is worse. Empty for
    preference itself."""
    worse_share: Mapping[str, float]
    """Statistic -> share of resamples in which it is worse than preference."""


class _Row(NamedTuple):
    """One session: what its preference was, and its rollouts."""

    preference: Preference
    judged: tuple[Rollout, ...]
    held_out: tuple[Rollout, ...]


def ranked_preferences(arena: Arena, *, at_least: int = COMPARISONS) -> tuple[Preference, ...]:
    """The preferences between policies that were judged often enough, again until all are."""
    kept = arena.preferences
    while True:
        counts: dict[str, int] = defaultdict(int)
        for p in kept:
            counts[p.first] += 1
            counts[p.second] += 1
        rare = {name for name, count in counts.items() if count < at_least}
        if not rare:
            return kept
        kept = tuple(p for p in kept if p.first not in rare and p.second not in rare)


def compare_judgements(arena: Arena, *, resamples: int = 400, seed: int = 0) -> tuple[Judged, ...]:
    """Preference, progress and binary success of the judged rollouts against progress of the held-out ones.

    Against all rollouts progress would seem best, because it would be compared with itself.

    Raises:
        ComparisonRefused: no session has held-out rollouts.
    """
    rows = _sessions(arena)
    if not any(row.held_out for row in rows):
        raise ComparisonRefused("No session holds rollouts besides the two that were judged: nothing is held out.")
    names = sorted({name for row in rows for name in (row.preference.first, row.preference.second)})

    def statistics(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
        chosen = [rows[number] for number in numbers]
        real = _held_out_progress(chosen)
        out = [_statistics(names, real, judge(chosen)) for judge in _JUDGEMENTS.values()]
        return np.asarray(out)

    everything = np.arange(len(rows))
    found = resampled(
        statistics,
        [row.preference.session for row in rows],
        rng=np.random.default_rng(seed),
        resamples=resamples,
    )
    real = _held_out_progress(rows)
    values = statistics(everything)
    return tuple(
        _judged(number, judgement, real, judge(rows), values, found)
        for number, (judgement, judge) in enumerate(_JUDGEMENTS.items())
    )


def _judged(
    number: int,
    judgement: str,
    real: dict[str, float],
    simulated: dict[str, float],
    values: NDArray[np.float64],
    draws: NDArray[np.float64],
) -> Judged:
    plain = agreement(real=real, simulated={name: simulated[name] for name in real if name in simulated})
    estimates = []
    for column, quantity in enumerate(STATISTICS):
        low, high = percentile_interval(draws[:, number, column])
        value, n = float(values[number, column]), plain.mmrv.n
        estimates.append(
            Estimate(quantity, value, low, high, n, f"over policies, bootstrap over sessions, {CONFIDENCE:.0%}")
        )
    shown = Agreement(estimates[0], estimates[1], estimates[2], plain.without)
    behind, worse = {}, {}
    for column, quantity in enumerate(STATISTICS) if number else ():
        # A larger MMRV is worse, and so is a smaller correlation.
        sign = 1 if quantity == "MMRV" else -1
        gaps = sign * (draws[:, number, column] - draws[:, 0, column])
        low, high = percentile_interval(gaps)
        gap = sign * float(values[number, column] - values[0, column])
        what = f"{quantity} of {judgement}, worse than preference by"
        behind[quantity] = Estimate(what, gap, low, high, len(draws), "bootstrap over sessions, 95%")
        worse[quantity] = float((gaps > 0).mean())
    return Judged(judgement, shown, behind, worse)


def _sessions(arena: Arena) -> list[_Row]:
    by_session: dict[str, list[Rollout]] = defaultdict(list)
    for rollout in arena.of_valid_sessions():
        by_session[rollout.session].append(rollout)
    preferences = ranked_preferences(arena)
    known = {name for p in preferences for name in (p.first, p.second)}
    rows = []
    for p in preferences:
        rollouts = [r for r in by_session[str(p.session)] if r.policy in known and r.letter is not None]
        judged = tuple(r for r in rollouts if r.letter in JUDGED)
        rows.append(_Row(p, judged, tuple(r for r in rollouts if r.letter not in JUDGED)))
    return rows


def _held_out_progress(rows: Sequence[_Row]) -> dict[str, float]:
    return mean_score([rollout for row in rows for rollout in row.held_out], progress_of)


def _statistics(names: Sequence[str], real: dict[str, float], simulated: dict[str, float]) -> list[float]:
    common = [name for name in names if name in real and name in simulated]
    r, s = (np.asarray([values[name] for name in common]) for values in (real, simulated))
    found = [statistic(real=r, simulated=s) for statistic in STATISTICS.values()]
    return [np.nan if value is None else value for value in found]


def _by_preference(rows: Sequence[_Row]) -> dict[str, float]:
    return rank([row.preference for row in rows], model=Model.DAVIDSON, resamples=0).strengths()


def _by_progress(rows: Sequence[_Row]) -> dict[str, float]:
    return mean_score([rollout for row in rows for rollout in row.judged], progress_of)


def _by_success(rows: Sequence[_Row]) -> dict[str, float]:
    return mean_score([rollout for row in rows for rollout in row.judged], success_of)


_JUDGEMENTS: dict[str, Callable[[Sequence[_Row]], dict[str, float]]] = {
    "preference (Davidson)": _by_preference,
    "mean progress": _by_progress,
    "binary success": _by_success,
}
