"""When a robot moves, and how fast, judged from its own numbers."""

from __future__ import annotations

import math
import weakref
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import Clock
from robokata.core.episode import Episode
from robokata.core.stream import Role, Stream
from robokata.geometry.runs import samples_in


class Motion(NamedTuple):
    """Movement of one stream, between each sample and the next."""

    steps: NDArray[np.floating]
    """(T - 1, D) change of each channel from sample to sample, in the stream's own units; 0 where not finite."""
    travel: NDArray[np.float32]
    """(T - 1,) sum over the moving channels of |change| in shares of each channel's range in the episode."""
    still_below: float
    """Travel per step below which the stream counts as still: 2 % of its fast travel in this episode."""
    low: NDArray[np.floating]
    """(D,) smallest finite value of each channel, NaN where it has none."""
    high: NDArray[np.floating]
    """(D,) largest finite value of each channel, NaN where it has none."""
    share_of: NDArray[np.floating]
    """(D,) what one unit of each channel weighs in `travel`: 1 / range for channels that move, else 0."""


class Speed(NamedTuple):
    """How fast the channels of one stream go, per sample."""

    sustained: NDArray[np.floating]
    """(D,) largest change that two steps in a row reached in the same direction: a jump does not count."""
    largest: NDArray[np.floating]
    """(D,) largest change of one step, without sign."""


WRAP_PERIODS = (2 * math.pi, 360.0, 4096.0, 65536.0, 2.0, 200.0)
"""Turns as robots count them: radians, degrees, ticks of 12-bit servos (Dynamixel X, Feetech STS), 16-bit counters,
and the two normalised ranges of LeRobot's motor bus (-1..1, -100..100)."""

_motions: weakref.WeakKeyDictionary[Stream, Motion] = weakref.WeakKeyDictionary()
_speeds: weakref.WeakKeyDictionary[Stream, Speed] = weakref.WeakKeyDictionary()
_stills: weakref.WeakKeyDictionary[Stream, NDArray[np.bool_]] = weakref.WeakKeyDictionary()


def motion_of(stream: Stream) -> Motion:
    """Movement of a numeric stream; the result is kept as long as the stream lives.

    Channels are scaled by their own range (5th to 95th percentile would hide a short gripper event, so
    the full range is used), which makes radians, metres and servo ticks comparable without knowing units.
    Channels that only tremble around one value are left out: scaled by their range, noise would look like work.
    """
    known = _motions.get(stream)
    if known is None:
        known = _motions[stream] = _measure(stream.table)
    return known


def speed_of(stream: Stream) -> Speed:
    """Fastest motion of each channel of a numeric stream; kept as long as the stream lives."""
    known = _speeds.get(stream)
    if known is None:
        known = _speeds[stream] = _fastest(motion_of(stream).steps)
    return known


def mover_of(episode: Episode, clock: Clock) -> Stream | None:
    """The stream that tells best how the robot moves between the samples of another stream's clock.

    State first, because it is what the robot did; then action. Without times on either side only streams that
    number the same steps can be laid beside each other. None where no such stream ever changes.
    """
    for role in (Role.STATE, Role.ACTION):
        moving = [
            s for s in episode.numeric(role) if len(s) > 2 and s.clock.aligns_with(clock) and motion_of(s).travel.any()
        ]
        if moving:
            return max(moving, key=lambda s: len(s) * int(s.table.shape[1]))
    return None


def still_share(episode: Episode) -> tuple[Stream, NDArray[np.bool_]] | None:
    """The stream that tells best whether the robot moves, and for each of its steps whether it is still.

    State first, because it is what the robot did; action where there is no state. None where neither
    has numbers that change.
    """
    for role in (Role.STATE, Role.ACTION):
        candidates = [s for s in episode.numeric(role) if len(s) > 2]
        moving = [s for s in candidates if motion_of(s).travel.any()]
        if moving:
            best = max(moving, key=lambda s: len(s) * s.table.shape[1])
            return best, _still(best)
    return None


def wrap_period(stream: Stream, *, channel: int, step: int) -> float | None:
    """The turn that explains the jump of one channel from sample `step` to the next, None where none does.

    A wrapped channel never leaves one turn (its range in the episode), and goes on smoothly once the turn is
    taken off: what remains of the jump is no faster than three times the channel's own sustained motion.
    """
    motion, sustained = motion_of(stream), float(speed_of(stream).sustained[channel])
    reach = float(motion.high[channel]) - float(motion.low[channel])
    before, after = (float(number) for number in stream.table[step : step + 2, channel])
    jump = abs(after - before)
    for period in WRAP_PERIODS:
        rest = abs(jump - period)
        # 0.2 % of a turn: half a tick of a 9-bit encoder, for channels that hardly move elsewhere.
        if rest > max(3 * sustained, 0.002 * period) or rest > 0.1 * period or reach > 1.02 * period:
            continue
        # 2 and 200 are no turns of nature: the jump must go from one end of the normalised range to the other.
        is_normalised = period in (2.0, 200.0)
        if is_normalised and not all(0.4 * period < abs(end) < 0.51 * period for end in (before, after)):
            continue
        return period
    return None


def _measure(table: NDArray[Any]) -> Motion:
    numbers = table if table.dtype in (np.float32, np.float64) else table.astype(np.float64)
    count, width = numbers.shape
    if count == 0 or width == 0:
        nothing = np.full(width, np.nan, numbers.dtype)
        steps = np.zeros((max(0, count - 1), width), numbers.dtype)
        return Motion(steps, np.zeros(len(steps), np.float32), 0.0, nothing, nothing, np.zeros_like(nothing))
    with np.errstate(over="ignore", invalid="ignore"):
        steps = numbers[1:] - numbers[:-1]
        low, high = numbers.min(axis=0), numbers.max(axis=0)
        # A NaN anywhere shows in the extremes: the common case needs no mask.
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            steps[~np.isfinite(steps)] = 0
            low, high = _finite_extremes(numbers)
        share_of = _weights(steps, high - low)
        travel = (np.abs(steps) @ share_of).astype(np.float32)
    travel[~np.isfinite(travel)] = 0
    # 2 % of the fast travel: a joint that takes 1 s for its way would need 50 s at this speed.
    return Motion(steps, travel, 0.02 * _fast(travel), low, high, share_of)


def _finite_extremes(numbers: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    finite = np.isfinite(numbers)
    low = np.where(finite, numbers, np.inf).min(axis=0)
    high = np.where(finite, numbers, -np.inf).max(axis=0)
    absent = ~finite.any(axis=0)
    low[absent] = high[absent] = np.nan
    return low, high


def _weights(steps: NDArray[np.floating], reach: NDArray[np.floating]) -> NDArray[np.floating]:
    """1 / range for channels that move, else 0."""
    is_used = np.isfinite(reach) & (reach > 0)
    weights: NDArray[np.floating] = np.zeros_like(reach)
    weights[is_used] = 1 / reach[is_used]
    weights[~np.isfinite(weights)] = 0
    if len(steps) < 3:
        return weights
    scaled = steps * weights
    restless = np.einsum("td,td->d", scaled, scaled) / len(steps)
    # White noise of T samples has a mean squared step of 2 sigma^2 and a range near 2 sigma sqrt(2 ln T), so this
    # ratio is 1 / (4 ln T); half of that parts noise from motion, which is far below (0.0002 for a 1 s move at 50 Hz).
    moves = restless < 1 / (8 * math.log(len(steps) + 1))
    return np.where(moves, weights, 0) if (moves & is_used).any() else weights


def _fast(travel: NDArray[np.float32]) -> float:
    """95th percentile without sorting everything."""
    if not len(travel):
        return 0.0
    at = min(len(travel) - 1, int(0.95 * len(travel)))
    return float(np.partition(travel, at)[at])


def _fastest(steps: NDArray[np.floating]) -> Speed:
    width = steps.shape[1]
    if len(steps) == 0:
        return Speed(np.zeros(width, steps.dtype), np.zeros(width, steps.dtype))
    largest = np.maximum(steps.max(axis=0), -steps.min(axis=0))
    if len(steps) < 2:
        return Speed(np.zeros(width, steps.dtype), largest)
    upward = np.minimum(steps[1:], steps[:-1]).max(axis=0)
    downward = np.maximum(steps[1:], steps[:-1]).min(axis=0)
    return Speed(np.maximum(0, np.maximum(upward, -downward)), largest)


def _still(stream: Stream) -> NDArray[np.bool_]:
    """(T - 1,) True where the stream makes no headway over 0.1 s around the step."""
    known = _stills.get(stream)
    if known is not None:
        return known
    motion = motion_of(stream)
    # Headway, not single steps: sensor noise goes to and fro, motion adds up. 0.1 s is below a human's
    # reaction time, so no deliberate motion is averaged away. Where no rate is known, one step on either side.
    half = min(samples_in(stream.clock, 0.1, untimed=3) // 2, max(0, (len(motion.steps) - 1) // 2))
    if half == 0:
        headway = motion.travel
    else:
        table = stream.table
        numbers = table if np.isfinite(motion.low).all() else np.nan_to_num(table)
        numbers = numbers.astype(motion.steps.dtype, copy=False)
        at = np.arange(len(motion.steps))
        first, last = np.maximum(at - half, 0), np.minimum(at + 1 + half, len(numbers) - 1)
        with np.errstate(over="ignore", invalid="ignore"):
            headway = (np.abs(numbers[last] - numbers[first]) @ motion.share_of) / (last - first)
    still = np.asarray(headway <= 0.02 * _fast(headway.astype(np.float32)))
    _stills[stream] = still
    return still
