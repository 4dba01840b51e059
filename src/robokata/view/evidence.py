"""What convinces: the pictures and the curve of the stretch that a finding names."""

from __future__ import annotations

import base64
from html import escape
from typing import NamedTuple

import numpy as np

from robokata.core.clock import NS_PER_S
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, Unsupported
from robokata.core.finding import Finding
from robokata.core.source import Source
from robokata.core.stream import Role, Stream
from robokata.media.glance import glance
from robokata.media.images import RawImages
from robokata.media.thumbnail import thumbnail_jpeg
from robokata.view.plot import COLOURS, Line, line_plot

_FRAMES = 8
"""Pictures per filmstrip: they fill one row of the page."""
_CLOCK_CHECKS = ("clock_", "rate_", "stamp_")


class Stretch(NamedTuple):
    """Seconds of an episode to show, and the part of them that is in question."""

    low_s: float
    high_s: float
    marked_s: tuple[float, float] | None


def evidence_html(source: Source, finding: Finding) -> str:
    """Filmstrip and plot of a finding as HTML, empty where there is nothing to show."""
    if finding.episode is None or finding.episode not in set(source.keys()):
        return ""
    try:
        episode = source.episode(finding.episode)
        stretch = _stretch(episode, finding)
        stream = episode.streams.get(finding.stream or "")
        parts = [_plot(episode, stream, finding, stretch), _filmstrip(episode, stream, stretch)]
    except (DamagedData, Unsupported) as damage:
        # The finding itself says that something is damaged; here it only costs the picture of it.
        return f'<p class="note">No picture of this: {escape(str(damage))}</p>'
    return "".join(part for part in parts if part)


def _stretch(episode: Episode, finding: Finding) -> Stretch:
    if finding.start_s is None:
        return Stretch(0.0, episode.duration_s, None)
    end_s = finding.end_s if finding.end_s is not None else finding.start_s
    # As much before and after as the finding is long, at least a second: what is usual must be visible too.
    margin_s = max(1.0, end_s - finding.start_s)
    return Stretch(
        max(0.0, finding.start_s - margin_s), min(episode.duration_s, end_s + margin_s), (finding.start_s, end_s)
    )


def _plot(episode: Episode, stream: Stream | None, finding: Finding, stretch: Stretch) -> str:
    if stream is None:
        stream = next(episode.numeric(Role.STATE, Role.ACTION), None)
        if stream is None:
            return ""
    times_s = (stream.clock.times_ns - episode.start_ns) / NS_PER_S
    inside = (times_s >= stretch.low_s) & (times_s <= stretch.high_s)
    if finding.check.startswith(_CLOCK_CHECKS):
        intervals_ms = np.diff(times_s) * 1000
        lines = [Line("interval", times_s[:-1][inside[:-1]], intervals_ms[inside[:-1]])]
        return line_plot(lines, y_label=f"{stream.name}: time to the next sample (ms)", shaded_s=stretch.marked_s)
    if stream.is_picture:
        seen = glance(stream.pictures)
        count = min(len(seen.change), len(times_s) - 1)
        chosen = inside[1 : count + 1]
        lines = [
            Line(
                "change to the picture before",
                times_s[1 : count + 1][chosen],
                seen.change[:count][chosen].astype(float),
            ),
            Line(
                "brightness / 10", times_s[1 : count + 1][chosen], seen.mean[1 : count + 1][chosen].astype(float) / 10
            ),
        ]
        return line_plot(lines, y_label=f"{stream.name}: grey levels", shaded_s=stretch.marked_s)
    if not stream.is_numeric or not len(stream):
        return ""
    table = stream.table[: len(inside)][inside[: len(stream)]].astype(np.float64)
    times = times_s[: len(stream)][inside[: len(stream)]]
    lines = [Line(stream.channel_name(c), times, table[:, c]) for c in _channels(stream, finding, table)]
    unit = f" ({stream.meaning.unit})" if stream.meaning.unit else ""
    return line_plot(lines, y_label=f"{stream.name}{unit}", shaded_s=stretch.marked_s)


def _channels(stream: Stream, finding: Finding, table: np.ndarray) -> list[int]:
    """Columns to draw: those that the finding names, else those that move most."""
    names = [stream.channel_name(c) for c in range(table.shape[1])]
    named = [part.strip() for part in (finding.channel or "").split(",")]
    asked = [names.index(name) for name in named if name in names]
    if asked:
        return asked[: len(COLOURS)]
    with np.errstate(invalid="ignore"):
        reach = np.nan_to_num(np.nanmax(table, axis=0, initial=-np.inf) - np.nanmin(table, axis=0, initial=np.inf))
    return sorted(np.argsort(-reach)[: len(COLOURS)].tolist())


def _filmstrip(episode: Episode, stream: Stream | None, stretch: Stretch) -> str:
    camera = stream if stream is not None and stream.is_picture else next(episode.pictures(), None)
    if camera is None or not len(camera):
        return ""
    times_s = (camera.clock.times_ns - episode.start_ns) / NS_PER_S
    inside = np.flatnonzero((times_s >= stretch.low_s) & (times_s <= stretch.high_s))
    inside = inside[inside < len(camera)]
    if not len(inside):
        return ""
    chosen = np.unique(inside[np.linspace(0, len(inside) - 1, min(_FRAMES, len(inside))).astype(int)])
    figures = []
    for ordinal in chosen.tolist():
        try:
            picture = camera.pictures[ordinal]
        except DamagedData as damage:
            figures.append(f'<figure class="lost" title="{escape(str(damage))}">no picture<br>frame {ordinal}</figure>')
            continue
        scale = camera.values.scale if isinstance(camera.values, RawImages) else 1.0
        data = base64.b64encode(thumbnail_jpeg(picture, scale=scale)).decode()
        time_s = float(times_s[ordinal])
        is_marked = stretch.marked_s is not None and stretch.marked_s[0] - 1e-6 <= time_s <= stretch.marked_s[1] + 1e-6
        figures.append(
            f'<figure{" class=marked" if is_marked else ""}><img alt="frame {ordinal} of {escape(camera.name)}" '
            f'src="data:image/jpeg;base64,{data}"><figcaption>{time_s:.2f} s</figcaption></figure>'
        )
    return f'<div class="strip" title="{escape(camera.name)}">{"".join(figures)}</div>'
