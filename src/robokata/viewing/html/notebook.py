"""Notebook views of datasets, episodes and streams: small tables, and one filmstrip."""

from __future__ import annotations

from base64 import b64encode

import numpy as np

from robokata.core.episode import Episode
from robokata.core.errors import RobokataError
from robokata.core.source import Source
from robokata.core.stream import Stream
from robokata.media.thumbnail import thumbnail_jpeg
from robokata.runtime.notebook import html_table
from robokata.viewing.html.page import render

_PICTURES = 8
_ROWS = 10


def dataset_html(source: Source) -> str:
    """What the indexes say of a dataset, its first episodes, and a filmstrip of one of them."""
    facts, keys = source.facts(), list(source.keys())
    about = [
        ("path", source.path),
        ("format", f"{facts.format} {facts.version or ''}".strip()),
        ("episodes", len(keys)),
        ("robots", ", ".join(facts.robots) or None),
        ("splits", ", ".join(f"{name} {count}" for name, count in facts.splits.items()) or None),
    ]
    wanted = set(keys)
    rows = [row for row in facts.rows if row.id in wanted][:_ROWS]
    table = html_table(
        f"{len(keys)} episodes" if len(keys) <= _ROWS else f"the first {len(rows)} of {len(keys)} episodes",
        [(row.id, row.steps, _seconds(row.duration_s), "; ".join(row.instructions)) for row in rows],
        head=("id", "steps", "seconds", "instruction"),
    )
    return html_table("Dataset", about) + (table if rows else "") + _filmstrip_of_first(source, keys)


def episode_html(episode: Episode) -> str:
    """The streams of an episode, and a filmstrip of its first camera."""
    rows = [_stream_row(stream) for stream in episode]
    instructions = "; ".join(dict.fromkeys(each.text for each in episode.instructions))
    title = f"Episode {episode.id}" + (f": {instructions}" if instructions else "")
    return html_table(title, rows, head=("stream", "role", "shape", "samples", "clock")) + filmstrip(episode)


def stream_html(stream: Stream) -> str:
    """One stream as a table."""
    channels = None if stream.channels is None else ", ".join(stream.channels)
    more = [("channels", channels), ("unit", stream.meaning.unit), ("encoding", stream.encoding)]
    names = ("name", "role", "shape", "samples", "clock")
    return html_table("Stream", [*zip(names, _stream_row(stream), strict=True), *more])


def filmstrip(episode: Episode) -> str:
    """Pictures of the first camera, spread evenly over the episode; nothing where none can be shown."""
    camera = next((stream for stream in episode.pictures() if len(stream)), None)
    if camera is None:
        return ""
    pictures = []
    try:
        for index in np.linspace(0, len(camera) - 1, min(_PICTURES, len(camera))).round().astype(int):
            jpeg = b64encode(thumbnail_jpeg(camera.pictures[int(index)], width_px=96)).decode()
            pictures.append((index, jpeg))
    except RobokataError:
        return ""  # a table without pictures is better than a traceback in the place of both
    # Plain text: the tables that it is appended to would be escaped by markup.
    return str(render("pictures", pictures=pictures))


def _filmstrip_of_first(source: Source, keys: list[str]) -> str:
    try:
        return filmstrip(source.episode(keys[0])) if keys else ""
    except RobokataError:
        return ""


def _stream_row(stream: Stream) -> tuple[object, ...]:
    try:
        shape, samples = "x".join(map(str, stream.shape)) or "1", len(stream)
    except RobokataError as error:
        return stream.name, stream.role, f"cannot be read: {error}", None, stream.clock.quality
    return stream.name, stream.role, shape, samples, stream.clock.quality


def _seconds(duration_s: float | None) -> str | None:
    return None if duration_s is None else f"{duration_s:.2f}"
