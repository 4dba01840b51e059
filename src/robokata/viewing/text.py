"""Numbers and names in readable form, shared by terminal and HTML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from robokata.core.finding import Abstention, Finding
from robokata.survey.dataset_survey import StreamSummary

UNKNOWN = "unknown"

_NAMED_EPISODES = 6
"""Episodes of one finding that its place names: its message and the JSON have more."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def size(count_bytes: int | None) -> str:
    """Bytes with a decimal unit: 4.2 MB."""
    if count_bytes is None:
        return UNKNOWN
    number = float(count_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.2f} TB"


def hours(value: float | None) -> str:
    """A duration: 2.31 h, 4.2 min or 12.5 s."""
    if value is None:
        return UNKNOWN
    seconds = value * 3600
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{value:,.2f} h"


def rate(value: float | None) -> str:
    """A rate: 30 Hz, 29.97 Hz."""
    if value is None:
        return UNKNOWN
    rounded = f"{value:.2f}".rstrip("0").rstrip(".")
    return f"{rounded} Hz"


def unit(stream: StreamSummary) -> str:
    """Unit of a stream's numbers; nothing for what has none by nature: pictures, texts, counters."""
    if stream.kind != "tensor" or stream.role in ("bookkeeping", "ending"):
        return stream.unit or ""
    return stream.unit or UNKNOWN


def shape(stream: StreamSummary) -> str:
    """Shape of a sample: 14, 480x640x3, scalar."""
    if stream.shape is None:
        return UNKNOWN
    return "x".join(str(part) for part in stream.shape) or "scalar"


def span(finding: Finding) -> str:
    """Where in the episode: 3.20-4.10 s, samples 384-405 (2 stretches) without times; nothing for the whole of it."""
    several = f" ({len(finding.spans)} stretches)" if len(finding.spans) > 1 else ""
    if finding.start_s is not None:
        start_s, end_s = finding.start_s, finding.start_s if finding.end_s is None else finding.end_s
        return (f"{start_s:.2f} s" if end_s - start_s < 0.005 else f"{start_s:.2f}–{end_s:.2f} s") + several
    first, last = finding.start_sample, finding.end_sample
    if first is None:
        return ""
    return (f"sample {first}" if last in (None, first) else f"samples {first}–{last}") + several


def place(finding: Finding) -> str:
    """Episodes, stream, channel and seconds in one line."""
    channel = finding.channel
    if channel is not None and len(channel) > 40:
        channel = f"{channel[:40]}…"
    parts = [
        _episodes(finding.episodes),
        finding.stream,
        f"[{channel}]" if channel else None,
        span(finding),
    ]
    return " ".join(part for part in parts if part) or "dataset"


def _episodes(names: Sequence[str]) -> str | None:
    if len(names) < 2:
        return f"episode {names[0]}" if names else None
    more = f" and {len(names) - _NAMED_EPISODES} more" if len(names) > _NAMED_EPISODES else ""
    return f"episodes {', '.join(names[:_NAMED_EPISODES])}{more}"


def said(message: str, root: str) -> str:
    """A message whose files are named from the dataset on: the path of the dataset itself stands above it."""
    return message.replace(f"{root.rstrip('/')}/", "") if len(root) > 1 else message


def value(finding: Finding, number: float | int | str | None) -> str:
    """A measured or expected value with its unit."""
    if number is None:
        return ""
    shown = f"{number:.4g}" if isinstance(number, float) else str(number)
    return f"{shown} {finding.unit}" if finding.unit else shown


class FindingGroup(NamedTuple):
    """All findings of one check at one level."""

    check: str
    level: str
    findings: tuple[Finding, ...]

    @property
    def episodes(self) -> int:
        """Different episodes among them."""
        return len({episode for finding in self.findings for episode in finding.episodes})


def groups(findings: Sequence[Finding]) -> list[FindingGroup]:
    """Findings grouped by check and level, worst first, and the most frequent first inside a level."""
    together: dict[tuple[int, str, str], list[Finding]] = {}
    for finding in findings:
        together.setdefault((finding.level.rank, finding.level.value, finding.check), []).append(finding)
    ordered = sorted(together.items(), key=lambda item: (item[0][0], -len(item[1]), item[0][2]))
    return [FindingGroup(check, level, tuple(same)) for (_, level, check), same in ordered]


class Silence(NamedTuple):
    """One reason why a check did not decide, and how often."""

    check: str
    reason: str
    times: int


def silences(abstentions: Sequence[Abstention]) -> list[Silence]:
    """Abstentions grouped by check and reason, most frequent first.

    Reasons that differ in their numbers alone are one, told by the first: a jump at 0.95 s and one at 1.05 s.
    """
    counted = Counter((a.check, _NUMBER.sub("#", a.reason)) for a in abstentions)
    first_reasons: dict[tuple[str, str], str] = {}
    for abstention in abstentions:
        first_reasons.setdefault((abstention.check, _NUMBER.sub("#", abstention.reason)), abstention.reason)
    return [Silence(check, first_reasons[check, reason], count) for (check, reason), count in counted.most_common()]
