"""Attempts to grasp: each closing of a gripper, and whether something stayed between the jaws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.stream import Stream
from robokata.geometry.gripper import GripperTrack, grippers_of
from robokata.geometry.tip import TipPath, times_of, tip_paths

TURN_SHARE = 0.2
"""Share of the stroke by which a gripper must turn round to count as closing or opening.

Relative to where it was, not absolute (closed below 0.4, open above 0.6): a cube of half the stroke keeps the jaws at
0.5 for good, and an absolute threshold would never see that grasp."""
EMPTY_SHARE = 0.06
"""Share of the stroke above closed-on-nothing, or above the command, from which something is between the jaws: 5 mm of
80 mm. Thinner things are taken for nothing."""
RISE_M = 0.02
HOLD_S = 1.0
"""A grasp is a hold that lifts by this much or lasts this long (RoboEval's and DROID's graspers need less to slip)."""
_NEAR_M = 0.15
"""A thing that rises farther than this from the tip was not lifted by it."""


class Grasp(NamedTuple):
    """One attempt: the gripper closed, stayed closed for 0.2 s, and opened again or the episode ended."""

    gripper: str
    start_s: float
    """When the jaws began to close."""
    end_s: float
    """When they began to open, or the end of the episode."""
    is_held: bool | None
    """True where something was grasped; None where the numbers cannot tell."""
    lost_s: float | None
    """When what was held was lost from jaws that stayed closed, None where it was not (or nothing tells)."""
    reason: str | None = None
    """Why `is_held` is None."""


class Attempts(NamedTuple):
    """Attempts of an episode in the order in which they began, or why they cannot be counted."""

    grasps: tuple[Grasp, ...]
    reason: str | None
    evidence: str
    """Who says which way round the gripper opens, and by what holding is judged."""
    has_times: bool = False
    """False where the format keeps no times, and seconds are sample numbers."""
    shows_losses: bool = False
    """True where jaws that lose what they held would show."""


class Closing(NamedTuple):
    """Samples of one closing."""

    first: int
    """Last open one."""
    settled: int
    """First closed one."""
    last: int
    """Last closed one."""


def attempts_of(episode: Episode) -> Attempts:
    """All attempts of all grippers."""
    grippers = grippers_of(episode)
    if grippers.reason is not None:
        return Attempts((), grippers.reason, "")
    tips = tip_paths(episode)
    objects = episode.streams.get("simulation.objects")
    grasps = []
    for number, track in enumerate(grippers.tracks):
        tip = tips[number] if len(tips) == len(grippers.tracks) else None
        # Seconds of one and step numbers of the other cannot be compared.
        tip = tip if tip is not None and tip.has_times == track.has_times else None
        for closing in closings(track.openness, dwell_samples=track.dwell_samples):
            grasp = _grasp(episode, track, closing, tip, objects)
            # Where things are known and none rises, jaws that stand where they were told were opened less, not closed.
            if not (objects is not None and grasp.reason == _AS_TOLD):
                grasps.append(grasp)
    judged = "what rises" if objects is not None else "the jaws and the tip"
    evidence = f"opening: {grippers.tracks[0].evidence}; holding: {judged}"
    return Attempts(
        tuple(sorted(grasps, key=lambda grasp: grasp.start_s)),
        None,
        evidence,
        all(track.has_times for track in grippers.tracks),
        all(track.is_calibrated and track.is_measured for track in grippers.tracks),
    )


def closings(
    openness: NDArray[np.float64], *, dwell_samples: int, turn_share: float = TURN_SHARE
) -> tuple[Closing, ...]:
    """Closings of a gripper, (T,) openness: it falls by `turn_share` of its range from where it was open, and stays.

    A gripper that begins closed has made no attempt; one that is closed at the end has.
    """
    span = float(np.ptp(openness)) if len(openness) else 0.0
    if span == 0:
        return ()
    return tuple(
        closing
        for closing in _turns(openness, turn_share * span)
        if closing.last - closing.settled + 1 >= dwell_samples
    )


def _turns(openness: NDArray[np.float64], turn: float) -> Iterator[Closing]:
    """Follow the extremes: a fall of `turn` below the highest value since the last opening is a closing."""
    top = bottom = float(openness[0])
    is_closed: bool | None = None  # unknown until the first turn
    first = settled = last = 0
    for at, value in enumerate(openness.tolist()):
        if is_closed is not True:
            top = max(top, value)
            # Half a turn of slack: jaws that settle, or bounce off a thing, have not turned round.
            first = at if value >= top - turn / 2 else first
            if value <= top - turn:
                is_closed, settled, bottom = True, at, value
        if is_closed is not False:
            bottom = min(bottom, value)
            last = at if value <= bottom + turn / 2 else last
            if value >= bottom + turn:
                if is_closed is True:
                    yield Closing(first, settled, last)
                is_closed, top, first = False, value, at
    if is_closed is True:
        yield Closing(first, settled, len(openness) - 1)


def _grasp(
    episode: Episode, track: GripperTrack, closing: Closing, tip: TipPath | None, objects: Stream | None
) -> Grasp:
    start_s, end_s = float(track.times_s[closing.first]), float(track.times_s[closing.last])
    filled = _is_filled(track, closing)
    lost_s = _lost_s(track, closing, filled)
    if objects is not None and _rises(episode, objects, tip, start_s, end_s):
        return Grasp(track.name, start_s, end_s, True, lost_s)
    if _stands_as_told(track, closing):
        return Grasp(track.name, start_s, end_s, None, None, _AS_TOLD)
    if filled is None:
        why = "only the command of the gripper is known" if not track.is_measured else _UNCALIBRATED
        return Grasp(track.name, start_s, end_s, None, None, why)
    is_long = (end_s - float(track.times_s[closing.settled]) >= HOLD_S) if track.has_times else None
    lifts = _lifts(tip, start_s, end_s)
    is_filled = filled >= 0.5
    # Without times neither lasting nor (on another clock) lifting can be told: being filled at the end has to do.
    is_held = is_filled and (lifts or (is_long if is_long is not None else True))
    return Grasp(track.name, start_s, end_s, is_held, lost_s)


_UNCALIBRATED = "nothing tells how far this gripper closes on nothing: no limits, no width, no command on its scale"

_AS_TOLD = "the jaws stand as far apart as they were told: nothing tells whether a thing is between them"


def _stands_as_told(track: GripperTrack, closing: Closing) -> bool:
    """True where the jaws were told to stay apart, and stand just so: to approach a thing, or around one."""
    if track.commanded is None or not track.is_calibrated:
        return False
    closed = slice((closing.settled + closing.last + 1) // 2, closing.last + 1)
    told, stands = float(np.median(track.commanded[closed])), float(np.median(track.openness[closed]))
    return told > EMPTY_SHARE and abs(stands - told) <= EMPTY_SHARE


def _filled_samples(track: GripperTrack, closing: Closing) -> NDArray[np.bool_] | None:
    """(N,) True where the jaws of the closed samples stand off what an empty gripper would show; None if unknown."""
    closed = slice(closing.settled, closing.last + 1)
    if track.is_calibrated and track.is_measured:
        return track.openness[closed] > EMPTY_SHARE
    if track.commanded is not None:
        return track.openness[closed] - track.commanded[closed] > EMPTY_SHARE
    return None


def _is_filled(track: GripperTrack, closing: Closing) -> float | None:
    """Share of the second half of the closed time in which the jaws are kept apart: the first half they may move."""
    filled = _filled_samples(track, closing)
    return None if filled is None else float(filled[len(filled) // 2 :].mean())


def _lost_s(track: GripperTrack, closing: Closing, filled: float | None) -> float | None:
    """When closed jaws that were kept apart for a dwell meet after all."""
    if filled is None or not track.is_calibrated:
        return None
    apart = _filled_samples(track, closing)
    if apart is None or apart[-1]:
        return None
    # The jaws must have rested on something: on the way to empty they are apart for a moment too.
    rested = np.abs(np.diff(track.openness[closing.settled : closing.last + 1])) < 0.002
    longest = _longest_run(apart[1:] & rested)
    if longest < 2 * track.dwell_samples:
        return None
    return float(track.times_s[closing.settled + int(np.flatnonzero(apart)[-1]) + 1])


def _longest_run(mask: NDArray[np.bool_]) -> int:
    longest = run = 0
    for on in mask:
        run = run + 1 if on else 0
        longest = max(longest, run)
    return longest


def _lifts(tip: TipPath | None, start_s: float, end_s: float) -> bool:
    if tip is None or not tip.has_times:
        return False
    heights_m = tip.position_m[tip.at(start_s) : tip.at(end_s) + 1, 2]
    # From the lowest point on: a closing may begin above it.
    lowest = int(np.argmin(heights_m))
    return bool(heights_m[lowest:].max() - heights_m[lowest] >= RISE_M)


def _rises(episode: Episode, objects: Stream, tip: TipPath | None, start_s: float, end_s: float) -> bool:
    """True where a thing rises while the gripper is closed, near its tip."""
    times_s = times_of(episode, objects)
    rows = np.flatnonzero((times_s >= start_s) & (times_s <= end_s))
    if not len(rows):
        return False
    for columns in _heights(objects.channels or ()):
        position_m = objects.table[rows][:, columns]
        peak = int(np.argmax(position_m[:, 2]))
        if position_m[peak, 2] - position_m[0, 2] < RISE_M:
            continue
        if tip is None:
            return True
        if np.linalg.norm(tip.position_m[tip.at(float(times_s[rows[peak]]))] - position_m[peak]) <= _NEAR_M:
            return True
    return False


def _heights(channels: Sequence[str]) -> Iterator[list[int]]:
    at = {channel: column for column, channel in enumerate(channels)}
    for channel in channels:
        if channel.endswith(".x"):
            owner = channel.removesuffix(".x")
            yield [at[f"{owner}.{axis}"] for axis in "xyz"]
