"""What a check says: something is wrong here, or I cannot tell and why."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

MOST_SPANS = 64
"""Spans of one finding: as many as a person may look through; beyond it neighbours are joined, none is left out."""


class Level(enum.StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """The data contradicts itself, or cannot be used as it is."""
    WARNING = "warning"
    """Statistical evidence of a defect."""
    INFO = "info"
    """A property to know before training."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Level).index(self)


@dataclass(frozen=True)
class Span:
    """A stretch of a stream, from its first to its last sample, both in it."""

    start_s: float | None = None
    end_s: float | None = None
    """Seconds from the episode's start, None where the stream has no times."""
    start_sample: int | None = None
    end_sample: int | None = None
    """Numbers of the samples, None where the span is no stretch of a stream's samples."""
    channel: str | None = None
    """The channel that the stretch is about, None where it is about the stream."""

    @property
    def length(self) -> float:
        """Seconds between its ends, or samples where there are no times."""
        if self.start_s is None or self.end_s is None:
            return 0.0 if self.start_sample is None else (self.end_sample or 0) - self.start_sample + 1
        return self.end_s - self.start_s

    @property
    def unit(self) -> str:
        """Unit of `length`."""
        return "samples" if self.start_s is None else "s"

    @property
    def words(self) -> str:
        """`1.60 s from 2.00 s on`, `80 samples from sample 100 on`."""
        if self.start_s is None:
            return f"{self.length:.0f} samples from sample {self.start_sample} on"
        return f"{self.length:.2f} s from {self.start_s:.2f} s on"

    @property
    def ends(self) -> str:
        """`from 2.00 s to 3.60 s`, `from sample 100 to 179`."""
        if self.start_s is None:
            return f"from sample {self.start_sample} to {self.end_sample}"
        return f"from {self.start_s:.2f} s to {self.end_s:.2f} s"


@dataclass(frozen=True)
class Finding:
    """A defect: which check, where, what was measured, what was expected, and what to do."""

    check: str = field(default="", kw_only=True)
    """The check that says it. A check leaves it out: whoever runs the check fills it in (`by`)."""
    level: Level
    message: str
    """One sentence with the numbers in it."""
    episode: str | None = None
    """None for a finding about the dataset as a whole."""
    stream: str | None = None
    channel: str | None = None
    spans: tuple[Span, ...] = ()
    """Every stretch that the message tells of, the one that it describes first; empty: the whole episode.

    At most MOST_SPANS: see `spans_from`.
    """
    also: tuple[str, ...] = ()
    """Further episodes with the same defect, where it is one for all of them: the other copies of a recording."""
    twin: str | None = None
    """The sound episode of a finding about copies: the one that `episode` and `also` are copies of."""
    measured: float | int | str | None = None
    expected: float | int | str | None = None
    unit: str | None = None
    """Unit of `measured` and `expected`, None where they are words or counts."""
    repair: str | None = None
    """What to do, in the user's words; nothing is ever repaired silently."""

    @property
    def episodes(self) -> tuple[str, ...]:
        """Every episode that has the defect; empty for a finding about the dataset as a whole."""
        return () if self.episode is None else (self.episode, *self.also)

    @property
    def start_s(self) -> float | None:
        """Seconds from the episode's start to the first of the spans; None without times or spans."""
        return min((span.start_s for span in self.spans if span.start_s is not None), default=None)

    @property
    def end_s(self) -> float | None:
        """Seconds from the episode's start to the end of the last of the spans; None without times or spans."""
        return max((span.end_s for span in self.spans if span.end_s is not None), default=None)

    @property
    def start_sample(self) -> int | None:
        """Number of the first sample of the spans."""
        return min((span.start_sample for span in self.spans if span.start_sample is not None), default=None)

    @property
    def end_sample(self) -> int | None:
        """Number of the last sample of the spans."""
        return max((span.end_sample for span in self.spans if span.end_sample is not None), default=None)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; the four ends are those of all spans together."""
        ends = ("start_s", "end_s", "start_sample", "end_sample")
        return {**asdict(self), "level": self.level.value, **{name: getattr(self, name) for name in ends}}


def spans_from(stretches: Iterable[Span], *, worst: Span | None = None) -> tuple[Span, ...]:
    """The spans of a finding: the worst first (the longest where none is named), the others in their order in time.

    More than MOST_SPANS become fewer by joining neighbours over the smallest holes, so that all that was told stays
    covered; where more channels than that are told of, spans are no longer one channel's.
    """
    spans = list(stretches)
    if not spans:
        return ()
    worst = worst or max(spans, key=lambda span: span.length)
    if len({span.channel for span in spans}) > MOST_SPANS:
        spans, worst = [replace(span, channel=None) for span in spans], replace(worst, channel=None)
    spans = sorted(dict.fromkeys(spans), key=lambda span: (span.channel or "", *_place(span)))
    if len(spans) > MOST_SPANS:
        spans = _join(spans, worst, len(spans) - MOST_SPANS)
    first = next(span for span in spans if span.channel == worst.channel and _holds(span, worst))
    return (first, *sorted((span for span in spans if span is not first), key=_place))


def whole_span(duration_s: float | None) -> tuple[Span, ...]:
    """All of an episode as the spans of a finding; none where nobody knows how long it lasts."""
    return () if duration_s is None else (Span(0.0, duration_s),)


def stretches_in_words(spans: Sequence[Span], *, worst: str = "longest") -> str:
    """`from 2.00 s to 3.60 s`, or of several `in 3 stretches, the longest from 2.00 s to 3.60 s`."""
    if len(spans) == 1:
        return spans[0].ends
    count = f"{len(spans)}{' or more' if len(spans) == MOST_SPANS else ''}"
    return f"in {count} stretches, the {worst} {spans[0].ends}"


def _place(span: Span) -> tuple[float, float, int, int]:
    return span.start_s or 0.0, span.end_s or 0.0, span.start_sample or 0, span.end_sample or 0


def _holds(outer: Span, inner: Span) -> bool:
    first, last = _place(outer), _place(inner)
    return first[0] <= last[0] and last[1] <= first[1] and first[2] <= last[2] and last[3] <= first[3]


def _join(spans: list[Span], worst: Span, count: int) -> list[Span]:
    """`count` fewer spans of a list by channel and time: the smallest holes are closed, those beside the worst last."""
    holes = []
    for at, (before, after) in enumerate(itertools.pairwise(spans)):
        if before.channel == after.channel:
            start, end = _place(after), _place(before)
            hole = start[0] - end[1] if before.start_s is not None else start[2] - end[3]
            holes.append((worst in (before, after), hole, at))
    closed = {at for _, _, at in sorted(holes)[:count]}
    out = [spans[0]]
    for at, span in enumerate(spans[1:]):
        if at in closed:
            out[-1] = _hull(out[-1], span)
        else:
            out.append(span)
    return out


def _hull(one: Span, other: Span) -> Span:
    def end(name: str, choose: Any) -> Any:
        values = [getattr(span, name) for span in (one, other) if getattr(span, name) is not None]
        return choose(values) if values else None

    return Span(end("start_s", min), end("end_s", max), end("start_sample", min), end("end_sample", max), one.channel)


@dataclass(frozen=True)
class Abstention:
    """A check that could not decide. Not a pass."""

    check: str = field(default="", kw_only=True)
    """The check that abstains; whoever runs it fills it in (`by`)."""
    reason: str
    episode: str | None = None
    """None where the reason holds for the dataset as a whole."""
    stream: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


Verdict = Finding | Abstention


def by(check: str, verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """Verdicts under the name of the check that gave them."""
    for verdict in verdicts:
        yield verdict if verdict.check == check else replace(verdict, check=check)
