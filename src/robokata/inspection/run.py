"""Every check on every episode, then across episodes."""

from __future__ import annotations

import datetime
import enum
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

from robokata.core.contracts import Gathered
from robokata.core.errors import RateRefused
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.source import Source
from robokata.core.suite import Suite, Waiver
from robokata.inspection.examination import examine, judge_all, unreadable
from robokata.runtime.engine import map_episodes, worker_count
from robokata.runtime.notebook import html_table
from robokata.survey.dataset_survey import Survey, survey


class Judgement(enum.StrEnum):
    """What a check of a dataset comes to."""

    SOUND = "sound"
    """Something was judged, and nothing at or above the level that fails was found."""
    NOT_SOUND = "not sound"
    NOTHING_TO_JUDGE = "nothing to judge"
    """Nothing was found, and nothing could be: no check decided, or no stream holds what checks look at."""


def _episodes(count: int) -> str:
    return f"the {count} episodes that were checked" if count > 1 else "the episode that was checked"


class Waived(NamedTuple):
    """A finding that a waiver accepts."""

    finding: Finding
    waiver: Waiver


@dataclass(frozen=True)
class Report:
    """What a check of one dataset gave."""

    dataset: Survey
    episodes_checked: int
    episodes_with_values: int
    """How many of them hold numbers or pictures, which is what checks look into."""
    findings: tuple[Finding, ...]
    """Worst first: by level, then check, then the dataset's order."""
    abstentions: tuple[Abstention, ...]
    checks: tuple[str, ...]
    """Names of the checks that ran."""
    waived: tuple[Waived, ...] = ()
    expired: tuple[Waiver, ...] = ()
    """Waivers whose date has passed: they accept nothing any more."""
    fail_on: Level = Level.ERROR
    keys: tuple[str, ...] = ()
    """Episodes that were checked, in the dataset's order."""
    source: Source | None = field(default=None, repr=False, compare=False)
    """The dataset itself, for pictures of the evidence."""

    @property
    def judgement(self) -> Judgement:
        """Sound, not sound, or nothing to judge."""
        if any(finding.level.rank <= self.fail_on.rank for finding in self.findings):
            return Judgement.NOT_SOUND
        return Judgement.SOUND if self.why_unjudged is None else Judgement.NOTHING_TO_JUDGE

    @property
    def why_unjudged(self) -> str | None:
        """Why nothing could be judged, in words; None where something could."""
        if not self.episodes_checked:
            return "the dataset is empty: no episode was checked"
        if not self.episodes_with_values:
            return f"no stream of {_episodes(self.episodes_checked)} holds numbers or pictures"
        return None if self.decided else f"every check abstained on {_episodes(self.episodes_checked)}"

    @property
    def is_sound(self) -> bool:
        """True where something was judged and nothing at or above `fail_on` was found."""
        return self.judgement is Judgement.SOUND

    @cached_property
    def decided(self) -> tuple[str, ...]:
        """Checks that decided on at least one episode: they found something there, or did not abstain."""
        silent: defaultdict[str, set[str | None]] = defaultdict(set)
        streams: defaultdict[tuple[str, str | None], set[str]] = defaultdict(set)
        for each in self.abstentions:
            if each.stream is None:
                silent[each.check].add(each.episode)
            else:
                streams[each.check, each.episode].add(each.stream)
        known = sum(stream.role != "bookkeeping" for stream in self.dataset.streams)
        for (check, episode), names in streams.items():
            if len(names) >= known:
                silent[check].add(episode)
        spoke = {finding.check for finding in self.findings} | {waived.finding.check for waived in self.waived}
        return tuple(
            name
            for name in self.checks
            if name in spoke or (None not in silent[name] and len(silent[name]) < self.episodes_checked)
        )

    def _repr_html_(self) -> str:
        rows = [
            (each.level.value, each.check, ", ".join(each.episodes) or None, each.message)
            for each in self.findings[:20]
        ]
        title = f"{self.dataset.path}: {self.judgement.value}, {len(self.findings)} findings"
        return html_table(title, rows, head=("level", "check", "episodes", "what was found"))

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`: `findings`, `abstentions`, `dataset`, and what was waived."""
        return {
            "findings": [finding.to_json() for finding in self.findings],
            "abstentions": [abstention.to_json() for abstention in self.abstentions],
            "dataset": self.dataset.to_json(),
            "episodes_checked": self.episodes_checked,
            "checks": list(self.checks),
            "judgement": self.judgement.value,
            "is_sound": self.is_sound,
            "checks_decided": list(self.decided),
            "why_unjudged": self.why_unjudged,
            "fail_on": self.fail_on.value,
            "waived": [
                {**waived.finding.to_json(), "reason": waived.waiver.reason, "expires": str(waived.waiver.expires)}
                for waived in self.waived
            ],
            "expired_waivers": [
                {"check": w.check, "reason": w.reason, "expires": str(w.expires)} for w in self.expired
            ],
        }


def check_dataset(
    source: Source,
    *,
    suite: Suite | None = None,
    keys: Sequence[str] | None = None,
    workers: int | None = None,
    today: datetime.date | None = None,
    started: Callable[[int], None] = lambda episodes: None,
    advance: Callable[[int], None] = lambda episodes: None,
) -> Report:
    """Check a dataset, or the episodes `keys` of it.

    `started` is told the number of episodes, `advance` each time some are done: that is the progress bar.
    The report does not depend on `workers`.

    Raises:
        DamagedData: the dataset's own index cannot be read.
        RateRefused: a rate is declared for an episode that it cannot be meant for.
    """
    suite = suite or Suite()
    chosen = list(source.keys() if keys is None else keys)
    facts = source.facts()
    overview = survey(source, facts=facts)
    started(len(chosen))
    if workers is None:
        size = overview.total_bytes
        workers = worker_count(source, len(chosen), size_bytes=size)
    verdicts: list[Verdict] = []
    rows: dict[str, list[Gathered]] = {name: [] for name in suite.checks}
    with_values = 0
    for key, examined, error in map_episodes(
        source, partial(examine, suite=suite), keys=chosen, workers=workers, advance=advance
    ):
        if examined is None:
            if isinstance(error, RateRefused):
                raise error
            verdicts.append(unreadable(key, error))
            continue
        verdicts += examined.verdicts
        with_values += examined.has_values
        for name, row in examined.rows.items():
            rows[name].append(Gathered(key, row))
    verdicts += judge_all(rows, suite, facts)
    report = _report(overview, verdicts, suite, chosen, today or datetime.date.today(), source)
    return replace(report, episodes_with_values=with_values)


def _report(
    overview: Survey, verdicts: list[Verdict], suite: Suite, keys: list[str], today: datetime.date, source: Source
) -> Report:
    findings, waived = [], []
    for verdict in verdicts:
        if isinstance(verdict, Finding):
            waiver = next((w for w in suite.waivers if w.covers(verdict, today)), None)
            if waiver is None:
                findings.append(verdict)
            else:
                waived.append(Waived(verdict, waiver))
    # Python's sort is stable: inside a check the dataset's order stays.
    findings.sort(key=lambda finding: (finding.level.rank, finding.check))
    return Report(
        dataset=overview,
        episodes_checked=len(keys),
        episodes_with_values=0,
        findings=tuple(findings),
        abstentions=tuple(v for v in verdicts if isinstance(v, Abstention)),
        checks=suite.checks,
        waived=tuple(waived),
        expired=tuple(w for w in suite.waivers if today > w.expires),
        fail_on=suite.fail_on,
        keys=tuple(keys),
        source=source,
    )
