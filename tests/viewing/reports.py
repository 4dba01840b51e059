"""Reports of datasets in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level
from robokata.core.source import EpisodeList
from robokata.inspection.run import Report, check_dataset
from robokata.survey.dataset_survey import survey
from robokata.testing.tiny import tiny_episode


def episodes(count: int) -> list[Episode]:
    return [replace(tiny_episode(n, duration_s=2.0), id=str(n)) for n in range(count)]


def report_of(
    findings: Sequence[Finding], *, source: EpisodeList | None = None, abstentions: Sequence[Abstention] = ()
) -> Report:
    """A report that says these findings; without a source there is no evidence to draw."""
    shown = source if source is not None else EpisodeList(episodes(2))
    return Report(
        dataset=survey(shown),
        episodes_checked=len(shown.keys()),
        episodes_with_values=len(shown.keys()),
        findings=tuple(findings),
        abstentions=tuple(abstentions),
        checks=("clock_gap", "not_finite", "stamp_lag"),
        keys=tuple(shown.keys()),
        source=source,
    )


def a_finding(**changed: object) -> Finding:
    usual = Finding(Level.ERROR, "observation.state holds 3 NaN", "0", "observation.state", check="not_finite")
    return replace(usual, **changed)  # type: ignore[arg-type]  # names of the dataclass's own fields


__all__ = ["a_finding", "check_dataset", "episodes", "report_of"]
