"""Episodes in which checks find something, left out: cleaning by `kata check`.

All checks run, or those that are named; thresholds, waivers and checks that are off come from a suite file. Checks
across episodes judge the episodes that are there at this step; what the original dataset declared of itself (its
statistics, its counts) is true of no other choice of episodes and is not judged.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.contracts import Gathered
from robokata.core.episode import Episode
from robokata.core.errors import RecipeRefused, UnknownName
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.selection import Described, Selection, selection_of
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeRow, Facts, row_of
from robokata.core.suite import Suite, read_suite
from robokata.inspection.examination import examine, is_failure, judge_all


class Checked(NamedTuple):
    """What the checks say of one episode by itself, and what they keep for judging all."""

    verdicts: tuple[Verdict, ...]
    rows: Mapping[str, Any]
    row: EpisodeRow


def describe(
    episode: Episode,
    *,
    # Empty: every check.
    checks: tuple[str, ...] = (),
    # A suite file as `kata check --suite` takes it; empty: what the checks' authors chose.
    suite: str = "",
) -> Checked:
    """Every verdict on the episode, and the rows of the checks across episodes.

    Raises:
        RecipeRefused: there is no such check.
        SuiteRefused: the suite file cannot be obeyed.
    """
    examined = examine(episode, suite=_suite_of(checks, suite))
    return Checked(tuple(examined.verdicts), examined.rows, row_of(episode))


def choose(
    rows: Sequence[Described],
    *,
    # Errors alone: a warning is statistical evidence, and throwing data away for it is the user's to decide.
    level: str = "error",
    checks: tuple[str, ...] = (),
    suite: str = "",
) -> Selection:
    """Episodes without a finding at `level` or worse.

    Raises:
        RecipeRefused: there is no such level or check.
        SuiteRefused: the suite file cannot be obeyed.
    """
    if level not in list(Level):
        raise RecipeRefused(f"drop_found: level is {level!r}. It is one of {', '.join(Level)}.")
    demands, ordered = _suite_of(checks, suite), sorted(rows, key=lambda row: row.episode)
    facts = Facts(format="memory", version=None, rows=[row.value.row for row in ordered])
    gathered = {
        name: [Gathered(row.episode, row.value.rows[name]) for row in ordered if name in row.value.rows]
        for name in demands.checks
    }
    verdicts = [verdict for row in ordered for verdict in row.value.verdicts]
    verdicts += judge_all(gathered, demands, facts)
    today = datetime.date.today()
    why: dict[str, str] = {}
    for finding in verdicts:
        if not isinstance(finding, Finding) or finding.level.rank > Level(level).rank:
            continue
        for episode in finding.episodes:
            # A waiver for one copy of a group keeps that one alone.
            if not any(waiver.covers(replace(finding, episode=episode, also=()), today) for waiver in demands.waivers):
                why.setdefault(episode, f"{finding.check}: {finding.message}")
    chosen = (row.episode for row in rows if row.episode not in why)
    return selection_of(rows, chosen, why_not=why, notes=_failures(verdicts))


def _failures(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    """One sentence for each check whose own code raised: what it did not judge was not cleaned."""
    failed = [each for each in verdicts if isinstance(each, Abstention) and is_failure(each)]
    counts, reasons = Counter(each.check for each in failed), {each.check: each.reason for each in reversed(failed)}
    return tuple(
        f"{check} judged nothing in {count} {'place' if count == 1 else 'places'}: {reasons[check]}"
        for check, count in sorted(counts.items())
    )


def _suite_of(checks: tuple[str, ...], path: str) -> Suite:
    suite = read_suite(Path(path)) if path else Suite()
    if not checks:
        return suite
    for name in checks:
        if name not in shelf("checks"):
            raise RecipeRefused(f"drop_found: {UnknownName('check', name, shelf('checks').names())}")
    # A check that is named runs, also where the suite file turns it off.
    return replace(suite, off=frozenset(shelf("checks").names()) - frozenset(checks))
