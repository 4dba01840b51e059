"""A camera that repeats its picture while the robot moves.

What it finds:
    Stretches of identical pictures during motion, and cameras whose pictures repeat in a rhythm (15 pictures per
    second that were written as 30).

Why it hurts:
    The policy sees an old world with new joint angles: it learns that the arm may be anywhere in a given picture.
    A stretch of 0.5 s is enough to break the one grasp of the episode.

Example:
    "Repeated frames ... hard to catch without scanning the actual pixels" (lerobot-doctor issue 7). The head camera of
    a published Unitree G1 set is declared at 30 Hz and holds every picture twice: 15 Hz.

Limits:
    Judged against the same camera's own change per motion. An idle robot before a still camera is sound, and so is a
    camera that does not see the moving part: it abstains where the pictures do not follow the motion. Where the picture
    does not catch up after the stretch, as in simulated scenes with one small thing that moves, it says "warning", and
    in a video nothing: there a still scene repeats exactly too. A freeze of less than 3 pictures or 0.2 s is only seen
    as part of a rhythm, and in video that draws a repeated picture anew around each key frame (NVENC, Jetson, x264
    without mbtree) one may be missed (of planted ones of 1 s or more a fifth, of shorter ones a third) or begin up to
    0.2 s off. Without state and action it abstains. Without times its limits are pictures (`untimed_at_least_count`,
    `untimed_error_above_count`), strict for slow cameras; `--rate-hz` gives it seconds.

Repair:
    Cut the stretch out or drop the episode. For a rhythm, keep only the new pictures and the lower rate. Neither
    changes what the robot would have done; inventing the missing pictures would.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from robokata.checks._camera_motion import (
    BLANK_BELOW_LEVELS,
    EXACT_LEVELS,
    Watched,
    held_until_jumps,
    same_pictures,
    watch,
)
from robokata.core.clock import paired
from robokata.core.contracts import Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict, spans_from
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import IndexedValues
from robokata.geometry.motion import motion_of
from robokata.geometry.runs import Run, runs_of, samples_in, span_of
from robokata.media.images import RawImages

NEEDS: Sequence[Need] = (Need.PICTURES, Need.NUMBERS)


def check(
    episode: Episode,
    *,
    # 3 pictures and 0.2 s: a camera that skips once or twice is the business of the rhythm below.
    at_least_pictures_count: int = 3,
    at_least_s: float = 0.2,
    # The same where no rate is known, in pictures: 0.2 s at 30 Hz, the rate of most cameras on robots, or longer.
    untimed_at_least_count: int = 6,
    # 5 % of the change that this much motion makes elsewhere: half of it would be a slow part of the scene.
    below_change_share: float = 0.05,
    # A third of the usual motion: less is a robot that comes to rest.
    moving_above_share: float = 0.33,
    # The first new picture shows the motion of the whole stretch: at least twice one picture's usual change.
    catches_up_share: float = 2.0,
    # 0.5 s: a grasp takes 0.3 to 0.8 s, so a freeze of this length can hide one whole.
    error_above_s: float = 0.5,
    untimed_error_above_count: int = 15,
    # 8 % repeated pictures: clocks that are 1 % apart repeat 1 %. Half of the rate repeats 50 %, but video hides those
    # that fall on key frames (a third to nearly all at LeRobot's two pictures per group).
    rhythm_above_share: float = 0.08,
) -> Iterator[Verdict]:
    """One finding per camera with its freezes, one for a rhythm of repeats."""
    for stream in episode.pictures():
        if len(stream) <= at_least_pictures_count or stream.values.dtype == np.uint16:
            continue
        watched = watch(episode, stream)
        if isinstance(watched, str):
            yield Abstention(watched, episode.id, stream.name)
            continue
        if float(watched.change.max()) <= EXACT_LEVELS:
            # A blank picture is blank_camera's: here, a real view that never changes.
            if float(np.median(watched.spread)) > BLANK_BELOW_LEVELS:
                yield _one_picture(episode, stream, watched)
            continue
        same = same_pictures(watched, below_change_share)
        needed = samples_in(stream.clock, at_least_s, untimed=untimed_at_least_count)
        needed = max(at_least_pictures_count, needed)
        error_above = error_above_s if stream.clock.has_times else untimed_error_above_count
        if stream.kind is Kind.VIDEO:
            same |= held_until_jumps(watched, at_least_pictures_count=needed, catches_up_share=catches_up_share)
        freezes = [
            run
            for run in runs_of(same, at_least=needed)
            if watched.travel[run.first : run.last + 1].mean() > moving_above_share * watched.usual_travel
        ]
        proven = [r for r in freezes if _catches_up(watched, r, catches_up_share) or _is_too_quiet(watched, freezes, r)]
        yield from _frozen(episode, stream, watched, proven, error_above)
        if not proven and stream.kind is not Kind.VIDEO:
            # Half a second: what no catching up proves must at least hide a grasp.
            least = samples_in(stream.clock, 0.5, untimed=untimed_error_above_count)
            alone = [r for r in freezes if r.length >= least and _is_alone(watched, same, r)]
            yield from _frozen(episode, stream, watched, alone, math.inf)
            proven = alone
        yield from _rhythm(episode, stream, watched, same, proven, moving_above_share, rhythm_above_share)


def _catches_up(watched: Watched, run: Run, share: float) -> bool:
    """True where the first new picture after a stretch of repeats shows more than one picture's motion."""
    # Two pictures: an encoder that looks ahead blends the last repeat with what comes.
    after = slice(run.last + 1, run.last + 3)
    if run.last + 1 >= len(watched.change):
        return False
    usual = watched.change_per_travel * np.maximum(watched.usual_travel, watched.travel[after])
    return bool((watched.change[after] > share * usual).any())


def _is_alone(watched: Watched, same: NDArray[np.bool_], run: Run) -> bool:
    """True where the robot goes at its usual speed before one and the same picture, and this camera never else does."""
    stretch = slice(run.first, run.last + 1)
    if watched.change[stretch].max() > EXACT_LEVELS or watched.travel[stretch].mean() < watched.usual_travel:
        return False
    moving = same & (watched.travel > 0.33 * watched.usual_travel)
    # A third: a camera whose scene often stands still repeats in stretches of every length.
    return all(
        other.length * 3 <= run.length for other in runs_of(moving) if other.last < run.first or other.first > run.last
    )


def _is_too_quiet(watched: Watched, freezes: list[Run], run: Run) -> bool:
    """True where even the quietest other pictures of this camera differ clearly more: its noise is gone."""
    if watched.is_key.any():
        return False
    others = np.ones(len(watched.change), bool)
    for freeze in freezes:
        others[freeze.first : freeze.last + 1] = False
    # 5 times: a camera's noise hardly varies, so a stretch at a fifth of its quietest 5 % is no quiet scene. Simulated
    # cameras have no noise, video keeps little of it: they prove nothing here.
    quiet = float(np.quantile(watched.change[others], 0.05)) if others.any() else 0.0
    return quiet > 5 * max(EXACT_LEVELS, float(watched.change[run.first : run.last + 1].max()))


def _frozen(
    episode: Episode, stream: Stream, watched: Watched, runs: list[Run], error_above: float
) -> Iterator[Verdict]:
    if not runs:
        return
    longest = max(runs, key=lambda run: run.length)
    spans = {run: span_of(episode, stream.clock, run.first, run.last + 1) for run in runs}
    span = spans[longest]
    usual = watched.change_per_travel * watched.travel[longest.first : longest.last + 1].mean()
    change = float(watched.change[longest.first : longest.last + 1].max())
    stretches = f"; {len(runs)} such stretches" if len(runs) > 1 else ""
    yield Finding(
        level=Level.ERROR if span.length >= error_above else Level.WARNING,
        message=(
            f"{stream.name} repeats one picture for {span.words}, while the robot moves: change {change:.2f} "
            f"where this motion makes {usual:.2f} levels{stretches}"
        ),
        episode=episode.id,
        stream=stream.name,
        spans=spans_from(spans.values(), worst=span),
        measured=span.length,
        expected=0.0,
        unit=span.unit,
        repair="cut the stretch out, or drop the episode",
    )


def _one_picture(episode: Episode, stream: Stream, watched: Watched) -> Finding:
    return Finding(
        level=Level.ERROR,
        message=f"{stream.name} shows one and the same picture in all {len(watched.change) + 1} frames "
        "while the robot moves",
        episode=episode.id,
        stream=stream.name,
        measured=1.0,
        expected=0.0,
        unit="share of pictures",
        repair="leave this camera out, or drop the episode",
    )


def _rhythm(
    episode: Episode,
    stream: Stream,
    watched: Watched,
    same: NDArray[np.bool_],
    told: list[Run],
    moving_above_share: float,
    rhythm_above_share: float,
) -> Iterator[Verdict]:
    moving = watched.travel > moving_above_share * watched.usual_travel
    for run in told:
        moving[run.first : run.last + 1] = False
    repeats = np.flatnonzero(same & moving)
    share = len(repeats) / max(1, int(moving.sum()))
    # 8 repeats: fewer are no rhythm, whatever their share.
    if share <= rhythm_above_share or len(repeats) < 8:
        return
    gaps = np.diff(repeats)
    period = int(np.median(gaps))
    if period < 2 or float(np.mean(gaps == period)) < 0.5 or not _alternates(watched, repeats):
        return
    yield Finding(
        level=Level.WARNING,
        message=(
            f"{stream.name} repeats the picture before in at least {100 * share:.0f} % of the frames in which the "
            f"robot moves, mostly every {_ordinal(period)} one: a slower camera was written at the rate of the table"
        ),
        episode=episode.id,
        stream=stream.name,
        # A rhythm goes from its first repeat to its last.
        spans=(span_of(episode, stream.clock, int(repeats[0]), int(repeats[-1]) + 1),),
        measured=share,
        expected=0.0,
        unit="share of pictures",
        repair="keep only the new pictures, at the camera's own rate",
    )


def _alternates(watched: Watched, repeats: NDArray[np.int64]) -> bool:
    """True where the picture after a repeat holds the motion of both; video that drops small changes does not."""
    repeats = repeats[repeats + 1 < len(watched.change)]
    if not len(repeats):
        return False
    due = watched.change_per_travel * (watched.travel[repeats] + watched.travel[repeats + 1])
    caught_up = watched.change[repeats + 1]
    low, middle, high = np.quantile(caught_up, [0.25, 0.5, 0.75])
    # Key frames that draw a blurred picture anew differ by the same amount each time (10 %), motion does not (45 % and
    # more on a Unitree G1).
    if watched.is_key[repeats + 1].any() and high - low < 0.25 * middle:
        return False
    # Half of what is due: the change of a picture levels off as the motion grows.
    return float(np.median(caught_up / np.maximum(due, EXACT_LEVELS))) > 0.5


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Repeat one picture of one camera for 1 s (times `magnitude`) where the robot moves most."""
    streams = [s for s in episode.pictures() if len(s) > 8 and s.values.dtype != np.uint16]
    stream = streams[int(rng.integers(len(to_plant_into(streams, "camera of 9 pictures"))))]
    pictures, count = stream.pictures, len(stream)
    beside = (s for s in episode.numeric(Role.STATE, Role.ACTION) if s.clock.aligns_with(stream.clock))
    mover = to_plant_into(beside, "state and no action")[0]
    gone = np.concatenate(([0.0], np.cumsum(motion_of(mover).travel, dtype=np.float64)))
    places, at_mover = (axis.astype(float) for axis in paired(stream.clock, mover.clock))
    at_picture = np.interp(places, at_mover, gone)
    length = min(round(magnitude * samples_in(stream.clock, 1.0, untimed=30)), count - 2)
    first = int(np.argmax(at_picture[length:] - at_picture[: count - length]))
    source = np.arange(count)
    source[first : first + length + 1] = first
    held = IndexedValues(pictures.shape, pictures.dtype, lambda index: pictures[int(source[index])])
    raw = RawImages(held, where=f"{stream.name}, partly frozen")
    return episode.with_stream(replace(stream, kind=Kind.IMAGE, values=raw, encoding="raw"))
