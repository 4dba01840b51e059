"""Start times of two videos, from the clocks in their files."""

from __future__ import annotations

import datetime
import re
from fractions import Fraction
from pathlib import Path

from robokata.core.errors import HandheldRefused
from robokata.core.require import require
from robokata.media.packet_index import OPENING, packet_index

_TIMECODE = re.compile(r"(\d\d):(\d\d):(\d\d)[:;](\d\d)")
"""SMPTE ST 12-1: hours, minutes, seconds, frames. Synchronised GoPro cameras keep it in a track of its own."""
_NOT_SAID = "Say it with --pair-offset-s SECONDS (time of the left video at which the right one starts)."


def offset_between(left: Path, right: Path) -> float:
    """Seconds from the start of the left video to the start of the right one.

    Raises:
        HandheldRefused: the files keep no common clock that is finer than a second.
        DamagedData: a file is no video.
    """
    starts = [_timecode_s(path) for path in (left, right)]
    if starts[0] is None or starts[1] is None:
        starts = [_created_s(path) for path in (left, right)]
    if starts[0] is None or starts[1] is None:
        raise HandheldRefused(
            f"{left.name} and {right.name}: neither time codes nor start times with a fraction of a second in both. "
            f"{_NOT_SAID}"
        )
    return float(starts[1] - starts[0])


def _timecode_s(path: Path) -> Fraction | None:
    found = next((text for text in _tags(path, "timecode") if _TIMECODE.fullmatch(text)), None)
    rate_hz = packet_index(path).average_rate_hz
    if found is None or rate_hz is None:
        return None
    hours, minutes, seconds, frames = (int(part) for part in _TIMECODE.fullmatch(found).groups())  # type: ignore[union-attr]
    return Fraction(3600 * hours + 60 * minutes + seconds) + frames / rate_hz


def _created_s(path: Path) -> Fraction | None:
    """`creation_time`, where it has a fraction: whole seconds are 30 frames wide."""
    for text in _tags(path, "creation_time"):
        try:
            moment = datetime.datetime.fromisoformat(text)
        except ValueError:
            continue
        if moment.microsecond:
            return Fraction(round(moment.timestamp() * 1_000_000), 1_000_000)
    return None


def _tags(path: Path, name: str) -> list[str]:
    packet_index(path)  # vets the file
    av = require("av", extra="video")
    with av.open(str(path), options=OPENING, metadata_errors="replace") as container:
        kept = [container.metadata, *(stream.metadata for stream in container.streams)]
    return [str(tags[name]) for tags in kept if name in tags]
