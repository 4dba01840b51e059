"""Evidence of a finding: the pictures and the curve of the stretch that it names."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from robokata.core.clock import NS_PER_S
from robokata.core.episode import Episode
from robokata.core.errors import DamagedData, RobokataError
from robokata.core.finding import Finding
from robokata.core.source import Source
from robokata.core.stream import Stream
from robokata.media.images import RawImages
from robokata.media.thumbnail import thumbnail_jpeg
from robokata.viewing.html.page import render
from robokata.viewing.svg.curves import Stretch, curve_of, stretch_of, whole_of

if TYPE_CHECKING:
    from markupsafe import Markup

_FRAMES = 8
"""Pictures per filmstrip: they fill one row of the page."""


def evidence_html(source: Source, finding: Finding) -> Markup | str:
    """Filmstrip and plot of a finding as HTML, empty where there is nothing to show."""
    keys = source.keys()
    key = finding.episode
    if key is None and finding.stream is not None:
        # What holds for a stream in all episodes shows in any of them.
        key = next(iter(keys), None)
    if key is None or key not in set(keys):
        return ""
    try:
        episode = source.episode(key)
        twin = source.episode(finding.twin) if finding.twin is not None and finding.twin in keys else None
        # Eight pictures show one stretch: the worst. The curve shows all of them.
        stretch = stretch_of(episode, finding, only_worst=True)
        stream = episode.streams.get(finding.stream or "")
    except RobokataError as damage:
        # The finding itself says that something is damaged; here it only costs the picture of it.
        return _lost(damage)
    if finding.episode is None and stream is None:
        return ""
    parts: list[Markup | str] = [_note(f"for example episode {key}")] if finding.episode is None else []
    try:
        parts.append(curve_of(episode, finding, twin=twin))
    except RobokataError as damage:
        parts.append(_lost(damage))
    shown = [] if finding.episode is None else [episode] if twin is None else [episode, twin]
    for one in shown:
        try:
            strip = filmstrip(one, stream, stretch if one is episode else whole_of(one, finding))
        except RobokataError as damage:
            strip = _lost(damage)
        if strip and twin is not None:
            strip = _note(f"episode {one.id}") + strip
        parts.append(strip)
    return _joined(list(dict.fromkeys(part for part in parts if part)))


def _joined(parts: list[Markup | str]) -> Markup:
    from markupsafe import Markup

    return Markup("").join(parts)


def _note(words: str) -> Markup:
    return render("note", words=words)


def _lost(damage: RobokataError) -> Markup:
    return _note(f"No picture of this: {damage}")


class _Frame(NamedTuple):
    """One picture of a filmstrip, or why there is none."""

    ordinal: int
    when: str
    is_marked: bool
    jpeg: str | None
    """Base64."""
    problem: str = ""


def filmstrip(episode: Episode, stream: Stream | None, stretch: Stretch) -> Markup | str:
    """Some pictures of a stretch, those in question framed; of the stream's own camera where it is one.

    Raises:
        DamagedData: the stream's index cannot be read; a single damaged picture costs only itself.
    """
    camera = stream if stream is not None and stream.is_picture else next(episode.pictures(), None)
    if camera is not None and camera.name in episode.streams:
        camera = episode.streams[camera.name]
    if camera is None or not len(camera):
        return ""
    if not camera.clock.has_times and stretch.is_timed:
        return ""  # seconds of another stream do not say which picture
    times_s = (camera.clock.times_ns - episode.start_ns) / NS_PER_S if stretch.is_timed else camera.clock.steps
    inside = np.flatnonzero((times_s >= stretch.low_s - 1e-9) & (times_s <= stretch.high_s + 1e-9))
    inside = inside[inside < len(camera)]
    if not len(inside):
        return ""
    chosen = np.unique(inside[np.linspace(0, len(inside) - 1, min(_FRAMES, len(inside))).round().astype(int)])
    return render(
        "filmstrip", camera=camera.name, frames=[_frame(camera, int(n), float(times_s[n]), stretch) for n in chosen]
    )


def _frame(camera: Stream, ordinal: int, time_s: float, stretch: Stretch) -> _Frame:
    when = f"{time_s:.2f} s" if stretch.is_timed else f"sample {ordinal}"
    is_marked = any(start - 1e-6 <= time_s <= end + 1e-6 for start, end in stretch.marked_s)
    try:
        picture = camera.pictures[ordinal]
    except DamagedData as damage:
        return _Frame(ordinal, when, is_marked, None, str(damage))
    scale = camera.values.scale if isinstance(camera.values, RawImages) else 1.0
    return _Frame(ordinal, when, is_marked, base64.b64encode(thumbnail_jpeg(picture, scale=scale)).decode())
