"""RoboArena's published tables: the ranking, and which judgement orders policies best."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.timing import Row
from robokata.arena.agreement import compare_judgements, ranked_preferences
from robokata.arena.roboarena import read_roboarena
from robokata.arena.rollouts import compare_on_shared_scenes, progress_of, success_of
from robokata.statistics.ranking import rank

_WORST = "paligemma_binning_droid"
_COPIES = ("pi0_fast_copy_1_of_2", "pi0_fast_copy_2_of_2")


def roboarena(folder: Path) -> Iterator[Row]:
    """Ranking with intervals, judgements against held-out rollouts, and the A/A pair."""
    chosen = os.environ.get("ROBOKATA_DATA")
    data = Path(chosen) if chosen else Path(__file__).parents[2] / "shared" / "data"
    if not (data / "eval-roboarena").exists():
        yield Row("RoboArena's tables", "not here: set ROBOKATA_DATA", "skipped", True)
        return
    arena = read_roboarena(data / "eval-roboarena")
    preferences = ranked_preferences(arena)
    ranking = rank(preferences)
    for policy in ranking.policies:
        rating = policy.rating
        shown = f"{rating.value:.0f} [{rating.low:.0f}, {rating.high:.0f}], rank {policy.rank_low}..{policy.rank_high}"
        what = f"{policy.rank}. {policy.name} (won {policy.won}, lost {policy.lost}, tied {policy.tied})"
        yield Row(what, shown, "-", True)
    what = f"pairs that {len(preferences)} judgements do not tell apart (Holm)"
    yield Row(what, f"{len(ranking.inseparable())} of 21", "> 0", bool(ranking.inseparable()))
    judgements = compare_judgements(arena)
    for judged in judgements:
        a, without = judged.agreement, judged.agreement.without[_WORST]
        r, m = a.pearson, a.mmrv
        shown = f"r {r.value:.3f} [{r.low:.2f}, {r.high:.2f}], MMRV {m.value:.3f} [{m.low:.3f}, {m.high:.3f}]"
        yield Row(f"{judged.judgement}, against held-out progress", shown, "-", True)
        left = f"r {without['Pearson']:.3f}, rho {without['Spearman']:.3f}"
        yield Row(f"{judged.judgement}, without {_WORST}", left, "-", True)
    behind = judgements[-1].behind_preference["Pearson"]
    shown = f"{behind.value:.3f} [{behind.low:.3f}, {behind.high:.3f}]"
    yield Row("binary success orders worse than preference: r lower by", shown, "> 0", (behind.low or 0) > 0)
    for quantity, score in (("progress", progress_of), ("success", success_of)):
        gap = compare_on_shared_scenes(arena.rollouts, *_COPIES, score=score, quantity=quantity)
        holds = gap.low is not None and gap.high is not None and gap.low < 0 < gap.high
        shown = f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]"
        yield Row(f"A/A: one policy under two names, difference of {quantity}", shown, "contains 0", holds)
