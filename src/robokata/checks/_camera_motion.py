"""What a camera showed while the robot moved, picture by picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.stream import Stream
from robokata.geometry.motion import motion_of, mover_of
from robokata.media.glance import glance
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
    times_ns = stream.clock.times_ns[: count + 1].astype(np.float64)
    travel = np.diff(np.interp(times_ns, mover.clock.times_ns.astype(np.float64), gone))
    noise = motion.still_below * np.median(np.diff(times_ns)) / max(1.0, _period_ns(mover))
    moves = travel > noise
    if moves.sum() < 3:
        return "the robot does not move while it is filmed"
    is_key = _key_steps(stream, count)
    change = _without_refresh(look.change, is_key)
    per_travel = float(change[moves].sum() / travel[moves].sum())
    watched = Watched(change, travel, float(np.median(travel[moves])), per_travel, is_key, look.spread)
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


def _period_ns(mover: Stream) -> float:
    return float(np.median(np.diff(mover.clock.times_ns)))


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
