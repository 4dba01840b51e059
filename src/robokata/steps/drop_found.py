"""Episodes in which checks find something, left out: cleaning by `kata check`.

All checks run, or those that are named; thresholds, waivers and checks that are off come from a suite file. Checks
across episodes judge the episodes that are there at this step; what the original dataset declared of itself (its
statistics, its counts) is true of no other choice of episodes and is not judged.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from robokata.core.contracts import Gathered, unmet_need
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, RecipeRefused, UnknownName, Unsupported
from robokata.core.finding import Abstention, Finding, Level
from robokata.core.selection import Described, Selection, selection_of
from robokata.core.shelf import shelf
from robokata.core.source import EpisodeRow, Facts, row_of
from robokata.core.suite import Suite, read_suite


class Told(NamedTuple):
    """What the checks say of one episode by itself, and what they keep for judging all."""

    findings: tuple[Finding, ...]
    rows: Mapping[str, Any]
    row: EpisodeRow


def describe(
    episode: Episode,
    *,
    # Empty: every check.
    checks: tuple[str, ...] = (),
    # A suite file as `kata check --suite` takes it; empty: what the checks' authors chose.
    suite: str = "",
) -> Told:
    """Every finding in the episode, and the rows of the checks across episodes.

    Raises:
        RecipeRefused: there is no such check.
        SuiteRefused: the suite file cannot be obeyed.
    """
    demands, findings, rows = _suite_of(suite), list[Finding](), dict[str, Any]()
    for name in _chosen(checks, demands):
        leaf = shelf("checks")[name]
        if unmet_need(episode, leaf.NEEDS) is not None:
            continue
        try:
            if hasattr(leaf, "gather"):
                row = leaf.gather(episode, **demands.arguments(name, "gather"))
                if row is not None and not isinstance(row, Abstention):
                    rows[name] = row
            else:
                verdicts = leaf.check(episode, **demands.arguments(name, "check"))
                findings += [verdict for verdict in verdicts if isinstance(verdict, Finding)]
        except (DamagedData, Unsupported):
            continue  # unreadable_data, which is a check too, has the finding
    return Told(tuple(findings), rows, row_of(episode))


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
    demands, ordered = _suite_of(suite), sorted(rows, key=lambda row: row.episode)
    today = datetime.date.today()
    why: dict[str, str] = {}
    for finding in (*(each for row in ordered for each in row.value.findings), *_judged(ordered, checks, demands)):
        is_accepted = any(waiver.covers(finding, today) for waiver in demands.waivers)
        if finding.episode is not None and finding.level.rank <= Level(level).rank and not is_accepted:
            why.setdefault(finding.episode, f"{finding.check}: {finding.message}")
    return selection_of(rows, (row.episode for row in rows if row.episode not in why), why_not=why)


def _judged(rows: Sequence[Described], checks: tuple[str, ...], demands: Suite) -> Iterator[Finding]:
    facts = Facts(format="memory", version=None, rows=[row.value.row for row in rows])
    for name in _chosen(checks, demands):
        leaf = shelf("checks")[name]
        if hasattr(leaf, "judge"):
            gathered = [Gathered(row.episode, row.value.rows[name]) for row in rows if name in row.value.rows]
            for verdict in leaf.judge(gathered, facts, **demands.arguments(name, "judge")):
                if isinstance(verdict, Finding):
                    yield verdict


def _chosen(checks: tuple[str, ...], demands: Suite) -> tuple[str, ...]:
    try:
        return tuple(name for name in checks if shelf("checks")[name]) or demands.checks
    except UnknownName as error:
        raise RecipeRefused(f"drop_found: {error}") from None


def _suite_of(path: str) -> Suite:
    return read_suite(Path(path)) if path else Suite()
