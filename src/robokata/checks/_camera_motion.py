"""What a camera showed while the robot moved, picture by picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import paired
from robokata.core.episode import Episode
from robokata.core.stream import Stream
from robokata.geometry.motion import motion_of, mover_of
from robokata.media.luma_summary import glance
from robokata.media.packet_index import packet_index
from robokata.media.video import VideoFrames

BLANK_BELOW_LEVELS = 1.5
"""Spread of brightness below which a picture shows nothing, of 255."""
EXACT_LEVELS = 0.02
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
    spread: NDArray[np.float32]
    """(T,) spread of brightness inside each picture: near 0 where it is blank."""
    grids: NDArray[np.uint8]
    """(T, H', W') brightness of each picture on a coarse grid."""


def watch(episode: Episode, stream: Stream) -> Watched | str:
    """What a camera showed while the robot moved, or why that cannot be said."""
    mover = mover_of(episode, stream.clock)
    if mover is None:
        return "no state and no action on the camera's clock ever changes"
    look = glance(stream.pictures)
    count = len(look.change)
    if count < 3:
        return f"fewer than 4 pictures of {stream.name} can be decoded"
    motion = motion_of(mover)
    gone = np.concatenate(([0.0], np.cumsum(motion.travel, dtype=np.float64)))
    places, at_mover = (axis.astype(np.float64) for axis in paired(stream.clock, mover.clock))
    travel = np.diff(np.interp(places[: count + 1], at_mover, gone))
    noise = motion.still_below * np.median(np.diff(places[: count + 1])) / max(1.0, float(np.median(np.diff(at_mover))))
    moves = travel > noise
    if moves.sum() < 3:
        return "the robot does not move while it is filmed"
    is_key = _key_steps(stream, count)
    change = _without_refresh(look.change, is_key)
    per_travel = float(change[moves].sum() / travel[moves].sum())
    watched = Watched(change, travel, float(np.median(travel[moves])), per_travel, is_key, look.spread, look.grids)
    if float(change.max()) > EXACT_LEVELS and not _follows(watched):
        return f"the pictures of {stream.name} do not follow the motion of {mover.name}"
    return watched


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


def _follows(watched: Watched) -> bool:
    """True where the picture changes in most of the motion: the camera sees what moves."""
    moving = watched.travel > 0.33 * watched.usual_travel
    expected = watched.change_per_travel * watched.travel
    if watched.change_per_travel * watched.usual_travel <= 2 * EXACT_LEVELS:
        return False
    # A third: half of the pictures of a camera at half rate repeat, and so do those of a long freeze.
    return bool(moving.any()) and float(np.mean(watched.change[moving] > 0.2 * expected[moving])) > 1 / 3


def same_pictures(watched: Watched, below_change_share: float) -> NDArray[np.bool_]:
    """(T - 1,) True where a picture repeats the one before although the robot moved."""
    expected = watched.change_per_travel * np.minimum(watched.travel, watched.usual_travel)
    same = watched.change <= np.maximum(EXACT_LEVELS, below_change_share * expected)
    # A key frame between two repeats is a repeat drawn anew. Not where every second picture is one.
    if watched.is_key.mean() < 0.3:
        same[1:-1] |= watched.is_key[1:-1] & same[:-2] & same[2:]
    # Blank pictures are all alike: that is another defect.
    return np.asarray(same & (watched.spread[1:] > BLANK_BELOW_LEVELS))


def held_until_jumps(watched: Watched, *, at_least_pictures_count: int, catches_up_share: float) -> NDArray[np.bool_]:
    """(T - 1,) True where the picture goes nowhere until it jumps by what the robot's travel was worth.

    An encoder without look-ahead (NVENC, Jetson, x264 without mbtree) draws a repeated picture anew around each key
    frame: it never repeats exactly, yet keeps showing the same.
    """
    held = np.zeros(len(watched.change), bool)
    usual = watched.change_per_travel * np.maximum(watched.usual_travel, watched.travel)
    for jump in np.flatnonzero(watched.change > catches_up_share * usual).tolist():
        first = _held_since(watched, jump, at_least_pictures_count)
        if jump - first >= at_least_pictures_count:
            held[_quiet_from(watched, first, jump) : jump] = True
    return np.asarray(held & (watched.spread[1:] > BLANK_BELOW_LEVELS))


def _quiet_from(watched: Watched, first: int, jump: int) -> int:
    """Where from `first` on the camera's own noise goes quiet: a rest before a freeze is as near, but no repeat."""
    usual = float(np.median(watched.change[watched.travel > 0.33 * watched.usual_travel]))
    # 0.3 and 0.7: an encoder that draws repeats anew changes up to half of what noise does, in a quarter of them.
    if np.quantile(watched.change[(first + jump) // 2 : jump], 0.9) >= 0.3 * usual:
        return first
    quiet = next((at for at in range(first, jump) if watched.change[at : at + 6].max() < 0.3 * usual), first)
    is_rest = quiet > first and float(watched.change[first:quiet].mean()) > 0.7 * usual
    return quiet if is_rest else first


def _held_since(watched: Watched, jump: int, at_least_count: int) -> int:
    """First of the pictures that show what picture `jump`, the last before a jump, shows; `jump` where none catches up.

    Pictures are compared by squares: drawing anew moves many points by a few levels each, motion few points by many.
    """
    grids, gone = watched.grids, np.concatenate(([0.0], np.cumsum(watched.travel)))
    # Two pictures: an encoder may blend the last repeat with what comes. And soon after: a flash goes back by then.
    ahead = [_apart(grids, jump, min(jump + n, len(grids) - 1)) for n in (1, 2, at_least_count)]
    caught_up = min(max(ahead[:2]), ahead[2])
    # 3 % of the jump (17 % in levels): at crf 30 drawing anew makes 2.5 %.
    away: list[float] = []
    while len(away) < jump and (to_this := _apart(grids, jump - len(away) - 1, jump)) <= 0.03 * caught_up:
        away.append(to_this)
    if len(away) < at_least_count:
        return jump
    # Slow motion before it is as near: where it begins, pictures are further away than any of the later half.
    usual = _apart_per_travel(grids, gone, 1) * watched.usual_travel
    within = max(usual, 3 * max(away[: len(away) // 2 + 1], default=0.0))
    count = next((n for n, to_this in enumerate(away) if to_this > within), len(away))
    per_travel = _apart_per_travel(grids, gone, max(1, count))
    # A third to three times: freezes planted in six re-encoded datasets, and found, caught up by up to 1.2 times their
    # travel, a lamp and a cut after slow motion by 4 to 7 times. A tenth: even slow motion goes further.
    due = per_travel * (gone[jump + 1] - gone[jump - count])
    catches_up = due / 3 <= caught_up <= 3 * due
    goes_nowhere = max(away[:count], default=0.0) <= 0.1 * per_travel * (gone[jump] - gone[jump - count])
    return jump - count if catches_up and goes_nowhere else jump


def _apart_per_travel(grids: NDArray[np.uint8], gone: NDArray[np.float64], count: int) -> float:
    """How far apart pictures are per travel, over the episode, at `count` pictures from each other: it levels off."""
    # Half of the episode: of longer stretches it holds too few. 64 of them give the mean to some percent.
    count = min(count, len(grids) // 2)
    starts = np.unique(np.linspace(0, len(grids) - 1 - count, 64).astype(int))
    apart = sum(_apart(grids, start, start + count) for start in starts.tolist())
    return apart / max(float((gone[starts + count] - gone[starts]).sum()), 1e-12)


def _apart(grids: NDArray[np.uint8], one: int, other: int) -> float:
    """Mean squared difference of two pictures, in levels squared."""
    return float(np.mean(np.square(grids[one].astype(np.int32) - grids[other])))
