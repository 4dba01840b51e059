"""A camera that shows nothing: black, white or one colour.

What it finds:
    Pictures without content, over a whole episode or in a stretch: their brightness is the same everywhere.

Why it hurts:
    The policy gets an input that carries nothing, and at deployment gets one that does. A camera that goes black
    for a moment teaches it that black pictures mean whatever the arm did then.

Example:
    Octo's Bridge test set has a fourth view, `image_3`, that is one blank JPEG of 691 bytes in every step; all
    pictures of `utokyo_saytap` in Open X-Embodiment are zero (open_x_embodiment issue 85).

Limits:
    Depth pictures are left out: far away and without return are black there. A lens that is covered by an object
    looks blank for a moment and is right; so near-blank stretches count from 3 pictures on. Pictures that differ in
    colour only, at one brightness, look blank to it.

Repair:
    Leave the camera out where the whole stream is blank (mask it, do not feed zeros), cut the stretch where it is
    not. Neither changes what the robot would have done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict, spans_from, stretches_in_words
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import IndexedValues
from robokata.geometry.runs import runs_of, span_of
from robokata.media.images import RawImages
from robokata.media.luma_summary import Glance, glance

NEEDS: Sequence[Need] = (Need.PICTURES,)


def check(
    episode: Episode,
    *,
    # 5 % of the spread of brightness that the episode's cameras usually have (40 to 70 levels): 2 to 3.5 levels.
    below_usual_share: float = 0.05,
    # 1.5 of 255 levels for cameras without a sound neighbour: sensor noise alone makes 1 to 3, a white wall 5.
    below_spread_levels: float = 1.5,
    # An object before the lens darkens one or two pictures; exactly uniform ones count from the first.
    at_least_pictures_count: int = 3,
    # Half of the episode: the camera is of no use in it.
    error_above_share: float = 0.5,
) -> Iterator[Verdict]:
    """One finding per camera, with every blank stretch."""
    looks = {s.name: glance(s.pictures) for s in episode.pictures() if _shows_light(s)}
    usual = [float(np.median(look.spread)) for look in looks.values() if len(look.spread)]
    # The best camera of the episode: with two of three blank, the median would be blank itself.
    floor = max(below_spread_levels, below_usual_share * max(usual, default=0.0))
    for name, look in looks.items():
        if not len(look.spread):
            if len(episode.streams[name]):
                reason = f"no picture of {name} can be decoded"
                yield Abstention(reason, episode.id, name)
            continue
        blank = _blank(look, floor, at_least_pictures_count)
        if blank.any():
            yield _finding(episode, episode.streams[name], look, blank, error_above_share)


def _shows_light(stream: Stream) -> bool:
    return stream.role is not Role.DEPTH and stream.values.dtype != np.uint16


def _blank(look: Glance, floor: float, at_least_count: int) -> NDArray[np.bool_]:
    """(T,) which pictures are blank, without stretches that are too short to count."""
    blank = np.zeros(len(look.spread), bool)
    for run in runs_of(look.spread < floor, at_least=at_least_count):
        blank[run.first : run.last + 1] = True
    # Not one sample of 2304 differs: no lens makes such a picture, so one is enough.
    return np.asarray(blank | (look.spread == 0))


def _finding(
    episode: Episode, stream: Stream, look: Glance, blank: NDArray[np.bool_], error_above_share: float
) -> Finding:
    runs = runs_of(blank)
    longest = max(runs, key=lambda run: run.length)
    spans = {run: span_of(episode, stream.clock, run.first, run.last) for run in runs}
    told = spans_from(spans.values(), worst=spans[longest])
    share, count = float(blank.mean()), int(blank.sum())
    brightness = float(look.mean[longest.first : longest.last + 1].mean())
    whole = count == len(blank)
    return Finding(
        level=Level.ERROR if share > error_above_share else Level.WARNING,
        message=(
            f"{stream.name} shows nothing in {'all' if whole else f'{count} of'} {len(blank)} pictures"
            + ("" if whole else f", {stretches_in_words(told)} ({longest.length} in a row)")
            + f": {_colour(brightness)}, spread of brightness "
            f"{float(look.spread[longest.first : longest.last + 1].max()):.1f} of 255"
            + ("" if whole else f" where it is usually {float(np.median(look.spread[~blank])):.0f}")
        ),
        episode=episode.id,
        stream=stream.name,
        spans=told,
        measured=share,
        expected=0.0,
        unit="share of pictures",
        repair="leave this camera out (mask it)" if share > error_above_share else "cut the stretch out",
    )


def _colour(brightness: float) -> str:
    # 16 and 235 are black and white of limited-range video (ITU-R BT.601).
    return "black" if brightness < 20 else "white" if brightness > 230 else f"one brightness of {brightness:.0f}"


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Turn one camera black for a tenth of the episode (times `magnitude`)."""
    streams = [s for s in episode.pictures() if len(s) and _shows_light(s)]
    stream = streams[int(rng.integers(len(to_plant_into(streams, "camera with pictures"))))]
    pictures = stream.pictures
    length = min(len(stream), round(0.1 * magnitude * len(stream)))
    first = int(rng.integers(0, len(stream) - length + 1))

    def load(index: int) -> NDArray[np.generic]:
        picture = pictures[index]
        return np.zeros_like(picture) if first <= index < first + length else picture

    black = RawImages(IndexedValues(pictures.shape, pictures.dtype, load), where=f"{stream.name}, partly black")
    return episode.with_stream(replace(stream, kind=Kind.IMAGE, values=black, encoding="raw"))
