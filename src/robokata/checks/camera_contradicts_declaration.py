"""A camera whose pictures are not what the dataset declares of them.

What it finds:
    Height, width, channels, bits, codec, pixel format, frames, rate, sound and depth that the metadata declares of a
    camera and that its file, or its first picture, does not have; pictures that EXIF asks viewers to turn; intrinsics
    of another picture size, or with a principal point off the picture. Every episode's file is asked.

Why it hurts:
    Loaders allocate by the declared shape and crash, or stretch the picture; converters copy packets under a codec's
    name that no player can use; a depth map that is declared as colour is decoded to 8 bits, and most of its distances
    are gone.

Example:
    Published sets declare videos of 748 x 960 whose files are 768 x 960 (AgiBot-World PR 74), and h264 for files that
    are MPEG-4 part 2 in all of their 43 videos.

Limits:
    Compares what a file's header says: a picture in the middle that differs from the first is unreadable_data's or
    truncated_video's. The rate is the one that a camera's own entry declares; the dataset's is
    rate_contradicts_declaration's. Grey of 8 bits can be a camera or a depth map, and a file does not tell which.
    Files that are absent or broken are missing_media's and truncated_video's.

Repair:
    Write what the file holds into the metadata. The pictures do not change; what a loader makes of them does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from robokata.core.contracts import Gathered, Need, to_plant_into
from robokata.core.declared import picture_declarations
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.source import Declaration, EpisodeList, Facts

NEEDS: Sequence[Need] = (Need.PICTURES,)

_LABELS = {
    "is_depth": "declaration as a depth map",
    "has_sound": "declaration of sound",
    "pixel_format": "pixel format",
    "bits": "number of bits per channel",
    "frames": "number of frames",
    "rate_hz": "rate in frames per second",
    "intrinsics": "picture size of the intrinsics",
}
_MISLEADS_TOOLS = ("codec", "pixel_format", "has_sound", "orientation", "intrinsics", "rate_hz")
"""Statements that tools print and players ignore: the pictures come out right. The others decide on tensors."""


class Stated(NamedTuple):
    """What one episode's pictures are declared to be."""

    compared: int
    false: tuple[tuple[str, Declaration], ...]
    """Streams and the statements that their files contradict."""


def gather(episode: Episode) -> Stated:
    """Statements about the cameras of one episode, compared with the headers of their files."""
    compared = [(s.name, stated) for s in episode.pictures() for stated in picture_declarations(s)]
    return Stated(len(compared), tuple((name, stated) for name, stated in compared if not stated.holds))


def judge(rows: Sequence[Gathered], facts: Facts) -> Iterator[Verdict]:
    """One finding per camera and statement, however many files contradict it. Exact: there are no thresholds."""
    stated = [(row.episode, row.value) for row in rows if isinstance(row.value, Stated)]
    if not any(value.compared for _, value in stated):
        yield Abstention("nothing is declared of the pictures")
        return
    groups: dict[tuple[str, str, object, object], list[tuple[str, Declaration]]] = {}
    for episode, value in stated:
        for stream, false in value.false:
            groups.setdefault((stream, false.subject, false.declared, false.found), []).append((episode, false))
    for (stream, *_), found in groups.items():
        yield _finding(stream, found, len(stated))


def _finding(stream: str, found: Sequence[tuple[str, Declaration]], episodes: int) -> Finding:
    first, stated = found[0]
    name, hint = _LABELS.get(stated.subject, stated.subject), f" ({stated.hint})" if stated.hint else ""
    where = "all episodes" if len(found) == episodes else f"{len(found)} of {episodes} episodes, first {first}"
    # Loaders repeat a grey channel where three are declared; of three where one is declared they have no rule.
    is_grey = stated.subject == "channels" and stated.found == 1
    declared, held = _shown(stated.declared), _shown(stated.found)
    is_minor = stated.subject in _MISLEADS_TOOLS or is_grey
    return Finding(
        level=Level.WARNING if is_minor else Level.ERROR,
        message=f"{stream}: {name} is {declared} in the metadata and {held} in the file{hint}, in {where}",
        episode=None if len(found) == episodes else first,
        stream=stream,
        measured=_plain(stated.found),
        expected=_plain(stated.declared),
        repair=f"write {held} into the metadata, or restore the file that it describes",
    )


def _shown(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _plain(value: object) -> float | int | str | None:
    return value if value is None or isinstance(value, (int, float, str)) else str(value)


def plant(source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
    """Declare pictures of one camera that are higher by half (times `magnitude`) than those in its files."""
    episodes = list(source.episodes.values())
    names = sorted({s.name for e in episodes for s in e.pictures() if len(s) and s.shape[0]})
    if not names or magnitude <= 0:
        return source
    name = names[int(rng.integers(len(to_plant_into(names, "camera with pictures"))))]
    for at, episode in enumerate(episodes):
        stream = episode.streams.get(name)
        if stream is not None and stream.is_picture and len(stream):
            height = stream.shape[0] + max(1, round(0.5 * magnitude * stream.shape[0]))
            episodes[at] = episode.with_stream(replace(stream, declared={**stream.declared, "height": height}))
    return EpisodeList(episodes, source.facts())
