"""Curves that show a defect: intervals of a clock, lag of two clocks, travel of a robot, change of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S
from robokata.core.contracts import CurveKind
from robokata.core.episode import Episode
from robokata.core.finding import Finding, Span
from robokata.core.shelf import shelf
from robokata.core.stream import Role, Stream
from robokata.geometry.motion import motion_of
from robokata.media.luma_summary import glance
from robokata.viewing.svg.line_plot import COLOURS, PlotLine, line_plot

if TYPE_CHECKING:
    from markupsafe import Markup


class Stretch(NamedTuple):
    """Seconds of an episode to show, and the parts of them that are in question."""

    low_s: float
    high_s: float
    marked_s: tuple[tuple[float, float], ...] = ()
    is_timed: bool = True
    """False where the source has no times: the seconds are sample numbers then."""

    @property
    def x_unit(self) -> str:
        """What stands behind the numbers of the time axis."""
        return "s" if self.is_timed else ""


def stretch_of(episode: Episode, finding: Finding, *, only_worst: bool = False) -> Stretch:
    """The seconds of a finding (or of its worst span) with what is usual around them: as much again, at least 1 s."""
    whole = whole_of(episode, finding)
    marked = tuple(_ends(span, is_timed=whole.is_timed) for span in finding.spans)
    if not marked:
        return whole
    shown = marked[:1] if only_worst else marked
    start_s, end_s = min(start for start, _ in shown), max(end for _, end in shown)
    margin_s = max(1.0, end_s - start_s)
    low_s, high_s = max(0.0, start_s - margin_s), min(whole.high_s, end_s + margin_s)
    # A finding about all of it marks none of it.
    is_all = any(start <= 0 and end >= 0.99 * whole.high_s for start, end in marked)
    return Stretch(low_s, high_s, () if is_all else marked, whole.is_timed)


def _ends(span: Span, *, is_timed: bool) -> tuple[float, float]:
    start, end = (span.start_s, span.end_s) if is_timed else (span.start_sample, span.end_sample)
    start = 0.0 if start is None else start
    return float(start), float(start if end is None else end)


def whole_of(episode: Episode, finding: Finding) -> Stretch:
    """All of an episode on the axis of a finding: seconds, or step numbers where the finding counts those."""
    if _is_timed(episode, finding):
        return Stretch(0.0, (episode.end_ns - episode.start_ns) / NS_PER_S)
    last = max((float(s.clock.steps.max()) for s in episode.streams.values() if len(s.clock)), default=0.0)
    return Stretch(0.0, last, is_timed=False)


def _is_timed(episode: Episode, finding: Finding) -> bool:
    if finding.spans:
        return finding.spans[0].start_s is not None
    stream = episode.streams.get(finding.stream or "")
    return episode.duration_s is not None if stream is None else stream.clock.has_times and len(stream.clock) > 0


def curve_of(episode: Episode, finding: Finding, *, twin: Episode | None = None) -> Markup | str:
    """The plot of a finding as SVG, empty where no numbers show it.

    Raises:
        DamagedData: the numbers or pictures of this stretch cannot be read.
        Unsupported: they hold what we cannot read.
    """
    stretch = stretch_of(episode, finding)
    stream = episode.streams.get(finding.stream or "")
    if stream is None:
        stream = next(episode.numeric(Role.STATE, Role.ACTION), None)
    if stream is None or not len(stream.clock):
        return ""
    if twin is not None:
        return _two_takes(episode, twin, stream, stretch.x_unit)
    # A report may be older than the checks that are installed.
    curve = shelf("checks")[finding.check].CURVE if finding.check in shelf("checks") else CurveKind.VALUES
    if curve is CurveKind.INTERVALS:
        return _intervals(episode, stream, stretch)
    if curve is CurveKind.LAGS and stream.other_clocks:
        return _lags(episode, stream, stretch)
    if curve is CurveKind.TRAVEL and stream.is_numeric:
        return _travel(episode, stream, stretch)
    if stream.is_picture:
        return _changes(episode, stream, stretch)
    return _numbers(episode, stream, finding, stretch) if stream.is_numeric else ""


def _plot(lines: list[PlotLine], label: str, stretch: Stretch) -> Markup | str:
    return line_plot(lines, y_label=label, shaded_s=stretch.marked_s, x_unit=stretch.x_unit)


def _times_s(episode: Episode, stream: Stream) -> NDArray[np.float64]:
    """(T,) seconds from the episode's start, or step numbers where there are no times."""
    if not stream.clock.has_times:
        return stream.clock.places.astype(np.float64)
    seconds: NDArray[np.float64] = (stream.clock.times_ns - episode.start_ns) / NS_PER_S
    return seconds


def _cut(line: PlotLine, stretch: Stretch) -> PlotLine:
    count = min(len(line.times_s), len(line.values))
    times_s, values = line.times_s[:count], line.values[:count].astype(np.float64)
    inside = (times_s >= stretch.low_s - 1e-9) & (times_s <= stretch.high_s + 1e-9)
    return PlotLine(line.label, times_s[inside], values[inside], line.is_dashed)


def _intervals(episode: Episode, stream: Stream, stretch: Stretch) -> Markup | str:
    times_s = _times_s(episode, stream)
    line = _cut(PlotLine("interval", times_s[:-1], np.diff(times_s) * 1000), stretch)
    return line_plot(
        [line], y_label=f"{stream.name}: time to the next sample (ms)", shaded_s=stretch.marked_s, x_unit=stretch.x_unit
    )


def _lags(episode: Episode, stream: Stream, stretch: Stretch) -> Markup | str:
    times_s = _times_s(episode, stream)
    lines = [
        _cut(PlotLine(f"own clock minus {name}", times_s, (stream.clock.times_ns - clock.times_ns) / 1e6), stretch)
        for name, clock in stream.other_clocks.items()
        if len(clock) == len(stream.clock)
    ]
    return line_plot(
        lines, y_label=f"{stream.name}: lag between its clocks (ms)", shaded_s=stretch.marked_s, x_unit=stretch.x_unit
    )


def _travel(episode: Episode, stream: Stream, stretch: Stretch) -> Markup | str:
    line = _cut(PlotLine("travel", _times_s(episode, stream)[1:], motion_of(stream).travel.astype(np.float64)), stretch)
    label = f"{stream.name}: travel from sample to sample (sum of shares of each channel's range)"
    return _plot([line], label, stretch)


def _changes(episode: Episode, stream: Stream, stretch: Stretch) -> Markup | str:
    seen, times_s = glance(stream.pictures), _times_s(episode, stream)
    lines = [
        _cut(PlotLine("change to the picture before", times_s[1:], seen.change.astype(np.float64)), stretch),
        _cut(PlotLine("brightness / 10", times_s, seen.mean.astype(np.float64) / 10), stretch),
    ]
    return _plot(lines, f"{stream.name}: grey levels", stretch)


def _numbers(episode: Episode, stream: Stream, finding: Finding, stretch: Stretch) -> Markup | str:
    times_s, table = _times_s(episode, stream), stream.table
    chosen = _channels(stream, finding, table)
    lines = [_cut(PlotLine(stream.channel_name(c), times_s, table[:, c]), stretch) for c in chosen]
    left_out = f", {len(chosen)} of {table.shape[1]} channels" if len(chosen) == len(COLOURS) < table.shape[1] else ""
    return line_plot(
        lines, y_label=f"{stream.name}{_unit(stream)}{left_out}", shaded_s=stretch.marked_s, x_unit=stretch.x_unit
    )


def _two_takes(episode: Episode, twin: Episode, stream: Stream, x_unit: str) -> Markup | str:
    """The channel that moves most, of both episodes over each other; the second is dashed: it would hide the first."""
    other = twin.streams.get(stream.name)
    if other is None or not stream.is_numeric or not other.is_numeric or not len(other):
        return ""
    channel = _liveliest(stream.table, most=1)[0]
    if channel >= other.table.shape[1]:
        return ""
    lines = [
        PlotLine(
            f"episode {one.id}", _times_s(one, its)[: len(its)], its.table[:, channel].astype(np.float64), is_dashed
        )
        for one, its, is_dashed in ((episode, stream, False), (twin, other, True))
    ]
    return line_plot(lines, y_label=f"{stream.name}, {stream.channel_name(channel)}{_unit(stream)}", x_unit=x_unit)


def _unit(stream: Stream) -> str:
    return f" ({stream.meaning.unit})" if stream.meaning.unit else ""


def _channels(stream: Stream, finding: Finding, table: NDArray[np.generic]) -> list[int]:
    """Columns to draw: those that the finding names, else those that move most."""
    names = [stream.channel_name(c) for c in range(table.shape[1])]
    named = [part.strip() for part in (finding.channel or "").split(",")]
    asked = [names.index(name) for name in [finding.channel, *named] if name in names]
    return list(dict.fromkeys(asked))[: len(COLOURS)] or _liveliest(table, most=len(COLOURS))


def _liveliest(table: NDArray[np.generic], *, most: int) -> list[int]:
    numbers = table.astype(np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    with np.errstate(invalid="ignore"):
        reach = np.fmax.reduce(numbers, axis=0) - np.fmin.reduce(numbers, axis=0)
    return sorted(np.argsort(-np.nan_to_num(reach), kind="stable")[:most].tolist())
