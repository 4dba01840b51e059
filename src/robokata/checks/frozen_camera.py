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
    camera that does not see the moving part: it abstains where the pictures do not follow the motion, and says
    "warning" where the picture does not catch up after the stretch. A freeze of less than 3 pictures or 0.2 s is
    only seen as part of a rhythm. Without state and action it abstains.

Repair:
    Cut the stretch out or drop the episode. For a rhythm, keep only the new pictures and the lower rate. Neither
    changes what the robot would have done; inventing the missing pictures would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Need
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import IndexedValues
from robokata.geometry.motion import motion_of, mover_of
from robokata.geometry.runs import Run, runs_of, samples_in, span_of
from robokata.media.glance import Glance, glance
from robokata.media.images import RawImages
from robokata.media.video import VideoFrames, packet_index

NEEDS: Sequence[Need] = (Need.PICTURES, Need.NUMBERS)

_EXACT_LEVELS = 0.02
"""Mean change of brightness that counts as none: 1 of 50 grid points by one level, what P-skipped blocks leave."""


class Watched(NamedTuple):
    """What one camera showed and what the robot did, from each picture to the next."""

    change: NDArray[np.float32]
    """(T - 1,) change of the picture, in levels of brightness."""
    travel: NDArray[np.float64]
    """(T - 1,) travel of the robot."""
    usual_travel: float
    """Median travel from picture to picture while the robot moves."""
    change_per_travel: float
    """Change of the picture per travel, over all motion of the episode."""
    is_key: NDArray[np.bool_]
    """(T - 1,) True where the later picture is a key frame of a video."""


def check(
    episode: Episode,
    *,
    # 3 pictures and 0.2 s: a camera that skips once or twice is the business of the rhythm below.
    at_least_pictures_count: int = 3,
    at_least_s: float = 0.2,
    # 5 % of the change that this much motion makes elsewhere: half of it would be a slow part of the scene.
    below_change_share: float = 0.05,
    # A third of the usual motion: less is a robot that comes to rest.
    moving_above_share: float = 0.33,
    # The first new picture shows the motion of the whole stretch: at least twice one picture's usual change.
    catches_up_share: float = 2.0,
    error_above_s: float = 0.5,
    # 8 % repeated pictures: clocks that are 1 % apart repeat 1 %. Half of the rate repeats 50 %, but video hides those
    # that fall on key frames (a third to nearly all at LeRobot's two pictures per group).
    rhythm_above_share: float = 0.08,
) -> Iterator[Verdict]:
    """One finding per camera for its longest freeze, one for a rhythm of repeats."""
    for stream in episode.pictures():
        if len(stream) <= at_least_pictures_count or stream.values.dtype == np.uint16:
            continue
        mover = mover_of(episode, stream.clock)
        if mover is None:
            reason = "no state and no action on the camera's clock ever changes"
            yield Abstention("frozen_camera", reason, episode.id, stream.name)
            continue
        look = glance(stream.pictures)
        if len(look.change) < at_least_pictures_count:
            reason = f"fewer than {at_least_pictures_count + 1} pictures of {stream.name} can be decoded"
            yield Abstention("frozen_camera", reason, episode.id, stream.name)
            continue
        watched = _watch(stream, look, mover)
        if watched is None:
            yield Abstention("frozen_camera", "the robot does not move while it is filmed", episode.id, stream.name)
            continue
        if watched.change.max() <= _EXACT_LEVELS:
            # A blank picture is blank_camera's: here, a real view that never changes.
            if float(np.median(look.spread)) > 1.5:
                yield _one_picture(episode, stream, watched)
            continue
        if not _follows(watched):
            reason = f"the pictures of {stream.name} do not follow the motion of {mover.name}"
            yield Abstention("frozen_camera", reason, episode.id, stream.name)
            continue
        same = _same(watched, below_change_share)
        needed = max(at_least_pictures_count, samples_in(stream.clock, at_least_s))
        freezes = [
            run
            for run in runs_of(same, at_least=needed)
            if watched.travel[run.first : run.last + 1].mean() > moving_above_share * watched.usual_travel
        ]
        proven = [r for r in freezes if _catches_up(watched, r, catches_up_share) or _is_too_quiet(watched, freezes, r)]
        if proven:
            yield _frozen(episode, stream, watched, proven, error_above_s)
        yield from _rhythm(episode, stream, watched, same, proven, moving_above_share, rhythm_above_share)


def _watch(stream: Stream, look: Glance, mover: Stream) -> Watched | None:
    count = len(look.change)
    motion = motion_of(mover)
    gone = np.concatenate(([0.0], np.cumsum(motion.travel, dtype=np.float64)))
    times_ns = stream.clock.times_ns[: count + 1].astype(np.float64)
    travel = np.diff(np.interp(times_ns, mover.clock.times_ns.astype(np.float64), gone))
    noise = motion.still_below * np.median(np.diff(times_ns)) / max(1.0, _period_ns(mover))
    moves = travel > noise
    if moves.sum() < 3:
        return None
    is_key = _key_steps(stream, count)
    change = _without_refresh(look.change, is_key)
    per_travel = float(change[moves].sum() / travel[moves].sum())
    return Watched(change, travel, float(np.median(travel[moves])), per_travel, is_key)


def _key_steps(stream: Stream, count: int) -> NDArray[np.bool_]:
    if not isinstance(stream.values, VideoFrames):
        return np.zeros(count, bool)
    first = stream.values.first + 1
    # A glance that decoded `count` + 1 pictures has found their packets in the index.
    is_key = packet_index(stream.values.path).is_key[first : first + count]
    # In a video of key frames only, every step holds the same share of redrawing, and there is nothing to tell apart.
    return is_key if is_key.mean() <= 0.6 else np.zeros(count, bool)


def _without_refresh(change: NDArray[np.float32], is_key: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Change without what a video's key frames add: each draws the whole picture anew, moved or not."""
    if is_key.sum() < 4:
        return change
    # What key frames change beyond the steps around them, where that is least: more would be motion. 1.2, because
    # redrawing varies by a fifth with what is in view.
    around = np.convolve(np.pad(change, 1, mode="edge"), [0.5, 0.0, 0.5], mode="valid")
    beyond = np.maximum(0, change[is_key] - around[is_key])
    refresh = 1.2 * np.float32(np.quantile(beyond, 0.1))
    return np.asarray(np.where(is_key, np.maximum(0, change - refresh), change), dtype=np.float32)


def _period_ns(mover: Stream) -> float:
    return float(np.median(np.diff(mover.clock.times_ns)))


def _follows(watched: Watched) -> bool:
    """True where the picture changes in most of the motion: the camera sees what moves."""
    moving = watched.travel > 0.33 * watched.usual_travel
    expected = watched.change_per_travel * watched.travel
    # A third: half of the pictures of a camera at half rate repeat, and so do those of a long freeze.
    if watched.change_per_travel * watched.usual_travel <= 2 * _EXACT_LEVELS:
        return False
    return bool(moving.any()) and float(np.mean(watched.change[moving] > 0.2 * expected[moving])) > 1 / 3


def _same(watched: Watched, below_change_share: float) -> NDArray[np.bool_]:
    """(T - 1,) True where a picture repeats the one before although the robot moved."""
    expected = watched.change_per_travel * np.minimum(watched.travel, watched.usual_travel)
    same = watched.change <= np.maximum(_EXACT_LEVELS, below_change_share * expected)
    # A key frame between two repeats is a repeat drawn anew. Not where every second picture is one.
    if watched.is_key.mean() < 0.3:
        same[1:-1] |= watched.is_key[1:-1] & same[:-2] & same[2:]
    return np.asarray(same)


def _catches_up(watched: Watched, run: Run, share: float) -> bool:
    """True where the first new picture after a stretch of repeats shows more than one picture's motion."""
    # Two pictures: an encoder that looks ahead blends the last repeat with what comes.
    after = slice(run.last + 1, run.last + 3)
    if run.last + 1 >= len(watched.change):
        return False
    usual_travel = max(watched.usual_travel, float(watched.travel[after].max()))
    return bool(watched.change[after].max() > share * watched.change_per_travel * usual_travel)


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
    return quiet > 5 * max(_EXACT_LEVELS, float(watched.change[run.first : run.last + 1].max()))


def _frozen(episode: Episode, stream: Stream, watched: Watched, runs: list[Run], error_above_s: float) -> Finding:
    longest = max(runs, key=lambda run: run.length)
    span = span_of(episode, stream.clock, longest.first, longest.last + 1)
    frozen_s = longest.length / samples_in(stream.clock, 1.0) if span.unit == "samples" else span.length
    usual = watched.change_per_travel * watched.travel[longest.first : longest.last + 1].mean()
    change = float(watched.change[longest.first : longest.last + 1].max())
    stretches = f"; {len(runs)} such stretches" if len(runs) > 1 else ""
    return Finding(
        check="frozen_camera",
        level=Level.ERROR if frozen_s >= error_above_s else Level.WARNING,
        message=(
            f"{stream.name} repeats one picture for {span.words}, while the robot moves: change {change:.2f} "
            f"where this motion makes {usual:.2f} levels{stretches}"
        ),
        episode=episode.id,
        stream=stream.name,
        start_s=span.start_s,
        end_s=span.end_s,
        measured=span.length,
        expected=0.0,
        unit=span.unit,
        repair="cut the stretch out, or drop the episode",
    )


def _one_picture(episode: Episode, stream: Stream, watched: Watched) -> Finding:
    return Finding(
        check="frozen_camera",
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
        check="frozen_camera",
        level=Level.WARNING,
        message=(
            f"{stream.name} repeats the picture before in at least {100 * share:.0f} % of the frames in which the "
            f"robot moves, mostly every {_ordinal(period)} one: a slower camera was written at the rate of the table"
        ),
        episode=episode.id,
        stream=stream.name,
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
    return float(np.median(caught_up / np.maximum(due, _EXACT_LEVELS))) > 0.5


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Repeat one picture of one camera for 1 s (times `magnitude`) where the robot moves most."""
    streams = [s for s in episode.pictures() if len(s) > 8 and s.values.dtype != np.uint16]
    stream = streams[int(rng.integers(len(streams)))]
    pictures, count = stream.pictures, len(stream)
    mover = next(episode.numeric(Role.STATE, Role.ACTION))
    gone = np.concatenate(([0.0], np.cumsum(motion_of(mover).travel, dtype=np.float64)))
    at_picture = np.interp(stream.clock.times_ns.astype(float), mover.clock.times_ns.astype(float), gone)
    length = min(round(magnitude * samples_in(stream.clock, 1.0)), count - 2)
    first = int(np.argmax(at_picture[length:] - at_picture[: count - length]))
    source = np.arange(count)
    source[first : first + length + 1] = first
    held = IndexedValues(pictures.shape, pictures.dtype, lambda index: pictures[int(source[index])])
    raw = RawImages(held, where=f"{stream.name}, partly frozen")
    return episode.with_stream(replace(stream, kind=Kind.IMAGE, values=raw, encoding="raw"))
