"""What an expansion made, and why attempts failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robokata.core.contracts import ExpansionJobs
from robokata.core.errors import WriteRefused
from robokata.core.estimate import Estimate
from robokata.expansion.reset_bias import Bias, reset_biases
from robokata.runtime.jobs import Production, Tried
from robokata.runtime.notebook import html_table
from robokata.statistics.intervals import proportion


@dataclass(frozen=True)
class Expansion:
    """What an expansion made."""

    production: Production
    by: str
    asked: int
    """Episodes that were asked for."""
    attempt: str
    """What was tried, in the plural."""
    may_fall_short: bool
    """True where fewer episodes than asked for only mean that the sources give no more."""
    acceptance: Estimate
    """Share of the attempts that succeeded."""
    reasons: Mapping[str, int]
    """Why attempts failed, most frequent first."""
    sources: Mapping[str, int]
    """Source episode -> new episodes that use it."""
    biases: tuple[Bias, ...]
    """Of the resets, where attempts have some."""
    selection: str | None = None
    """Which source episodes were taken of which splits, in words; None where there is nothing to say."""

    @property
    def most_common_reason(self) -> str:
        """The most frequent reason of a failure, with its count."""
        return next((f"{reason}: {count}" for reason, count in self.reasons.items()), "nothing failed")

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            **self.production.to_json(),
            "by": self.by,
            "asked": self.asked,
            "acceptance": self.acceptance.to_json(),
            "reasons": dict(self.reasons),
            "sources": dict(self.sources),
            "selection": self.selection,
            "biases": [bias.to_json() for bias in self.biases],
        }

    def _repr_html_(self) -> str:
        rows = [
            ("folder", self.production.out),
            ("episodes", f"{self.production.kept} of {self.asked}"),
            ("tries", self.production.tried),
            *((f"failed: {reason}", count) for reason, count in list(self.reasons.items())[:5]),
        ]
        return html_table(f"Expansion by {self.by}", rows)


def summarise_expansion(
    production: Production, lines: Sequence[Tried], jobs: ExpansionJobs, *, by: str, asked: int
) -> Expansion:
    """The report of a finished run, from its journal."""
    good = [tried for tried in lines if tried.row["success"]]
    reasons = Counter(str(tried.row["reason"]) for tried in lines if not tried.row["success"])
    used = Counter(source for tried in good for source in _sources(tried.row))
    return Expansion(
        production=production,
        by=by,
        asked=asked,
        attempt=jobs.attempt,
        may_fall_short=jobs.may_fall_short,
        acceptance=proportion("acceptance", len(good), len(lines)),
        reasons=dict(reasons.most_common()),
        sources=dict(used.most_common()),
        biases=tuple(reset_biases(lines)) if lines and "reset" in lines[0].row else (),
    )


def refuse_too_few(found: Expansion, jobs: ExpansionJobs) -> None:
    """Refuse an expansion that made nothing, or less than it must.

    Raises:
        WriteRefused: it is one, with the most frequent reason.
    """
    made = found.production
    if not made.kept and jobs.may_fall_short:
        reason = next(iter(found.reasons), "there is no source")
        raise WriteRefused(f"{made.out}: no episode could be made of {made.tried} tries. Most often: {reason}")
    if made.kept < found.asked and not jobs.may_fall_short:
        raise WriteRefused(
            f"{made.out}: {made.succeeded} of {made.tried} {jobs.attempt} succeeded, fewer than one in "
            f"{jobs.tries_per_episode} ({found.most_common_reason}). {made.kept} episodes are kept there. {jobs.advice}"
        )


def _sources(row: Mapping[str, Any]) -> list[str]:
    return sorted(set(row["told"].values())) if "told" in row else [str(row["source"])] if "source" in row else []
