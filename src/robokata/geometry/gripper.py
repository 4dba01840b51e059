"""How far each gripper is open, found by role and name, and which way round its numbers run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.stream import Role, Stream
from robokata.geometry.channels import is_gripper, may_jump
from robokata.geometry.runs import samples_in
from robokata.geometry.tip import has_times, times_of

_OPENING = re.compile(r"width|opening|aperture|(?:^|[._/ ])open(?:$|[._/ ])", re.I)
FEW_JAWS = 4
"""More gripper channels than two arms with two jaws each have are fingers of a hand, which has no single opening."""
_MOVES_SHARE = 0.1
_UNTIMED_SETTLES = 6
"""Samples in which a gripper settles where no rate is known: 0.2 s of a 30 Hz recorder, longer at slower ones."""
"""Share of its stroke that a gripper must cover in an episode to have been used at all."""


class GripperTrack(NamedTuple):
    """One gripper over time."""

    name: str
    times_s: NDArray[np.float64]
    """(T,) seconds from the episode's start; sample numbers where the format keeps no times."""
    openness: NDArray[np.float64]
    """(T,) 0 is closed, 1 is open, on the scale that `evidence` names; all 1 where it never moves."""
    commanded: NDArray[np.float64] | None
    """(T,) commanded openness on the same scale, None where the commands are not known or run on another scale."""
    is_calibrated: bool
    """True where 0 is the gripper closed on nothing, rather than the lowest value of this episode."""
    is_measured: bool
    """False where only the command is known: commands close all the way, whatever is between the jaws."""
    has_times: bool
    dwell_samples: int
    """Samples in 0.2 s: closings shorter than this are chatter."""
    evidence: str
    """Who says which way round it opens."""


class Grippers(NamedTuple):
    """The grippers of an episode, or why there are none to speak of."""

    tracks: tuple[GripperTrack, ...]
    reason: str | None


class _Scale(NamedTuple):
    closed: float
    opened: float
    is_calibrated: bool
    evidence: str


def grippers_of(episode: Episode) -> Grippers:
    """Grippers by measured opening; by command where nothing was measured."""
    found = _channels(episode, Role.STATE, Role.SENSOR, Role.UNKNOWN)
    is_measured = bool(found)
    found = found or _channels(episode, Role.ACTION)
    if not found:
        return Grippers((), "no channel is named like a gripper")
    if len(found) > FEW_JAWS:
        return Grippers((), f"{len(found)} finger channels: a hand has no single opening")
    tracks = []
    for stream, channel in found:
        values = np.asarray(stream.table[:, channel], dtype=np.float64)
        scale = _scale(episode, stream, channel, values) if np.isfinite(values).all() else None
        if scale is None:
            name = stream.channel_name(channel)
            which = stream.name if name.isdigit() else f"{stream.name}, channel {name}"
            return Grippers((), f"nothing tells which way round the gripper of {which} opens")
        tracks.append(_track(episode, stream, channel, values, scale, is_measured))
    return Grippers(tuple(tracks), None)


def _channels(episode: Episode, *roles: Role) -> list[tuple[Stream, int]]:
    """Gripper channels of the first stream that has any: others repeat it."""
    joints = {arm.gripper.joint for arm in episode.embodiment.arms if arm.gripper} if episode.embodiment else set()
    for stream in episode.numeric(*roles):
        if len(stream) < 2 or stream.name.startswith("simulation."):
            continue
        found = [
            (stream, channel)
            for channel in range(stream.table.shape[1])
            if (is_gripper(stream, channel) or stream.channel_name(channel) in joints) and not may_jump(stream, channel)
        ]
        if found:
            return found
    return []


def _scale(episode: Episode, stream: Stream, channel: int, values: NDArray[np.float64]) -> _Scale | None:
    """Which values are closed and open; None where nobody says and the episode does not show it."""
    low, high = float(values.min()), float(values.max())
    for arm in episode.embodiment.arms if episode.embodiment else ():
        if arm.gripper is not None and arm.gripper.joint == stream.channel_name(channel):
            return _Scale(0.0, max(arm.gripper.open_m, high), True, "the robot's description")
    said = str(stream.meaning.gripper) if stream.meaning.gripper is not None else None
    if said == "1_open":
        return _Scale(0.0, 1.0, True, "the stream's meaning")
    if said == "1_closed":
        return _Scale(1.0, 0.0, True, "the stream's meaning")
    if said == "width_m" or _OPENING.search(stream.channel_name(channel)) or _OPENING.search(stream.name):
        # A width is 0 on nothing, by what the word means.
        return _Scale(0.0, high, True, "it is a width") if high > 0 else None
    if high == low:
        return _Scale(low - 1.0, low, False, "it never moves")
    return _inferred(values, low, high, samples_in(stream.clock, 0.2, untimed=_UNTIMED_SETTLES))


def _inferred(values: NDArray[np.float64], low: float, high: float, samples: int) -> _Scale | None:
    """Grippers rest open before the approach and after the release: both ends of the episode at one end of the range.

    ALOHA's grippers start closed and end open or half open, and are rightly not judged by this.
    """
    ends = (values[:samples] - low) / (high - low), (values[-samples:] - low) / (high - low)
    if all((end < 0.1).all() for end in ends):
        return _Scale(high, low, False, "it begins and ends at its lowest value")
    if all((end > 0.9).all() for end in ends):
        return _Scale(low, high, False, "it begins and ends at its highest value")
    return None


def _track(
    episode: Episode, stream: Stream, channel: int, values: NDArray[np.float64], scale: _Scale, is_measured: bool
) -> GripperTrack:
    openness = (values - scale.closed) / (scale.opened - scale.closed)
    if np.ptp(openness) < _MOVES_SHARE:
        openness = np.ones_like(openness)
    return GripperTrack(
        stream.name if stream.channel_name(channel).isdigit() else stream.channel_name(channel),
        times_of(episode, stream),
        openness,
        _commanded(episode, stream, channel, values, scale) if is_measured else None,
        scale.is_calibrated,
        is_measured,
        has_times(stream),
        samples_in(stream.clock, 0.2, untimed=_UNTIMED_SETTLES),
        scale.evidence,
    )


def _commanded(
    episode: Episode, stream: Stream, channel: int, values: NDArray[np.float64], scale: _Scale
) -> NDArray[np.float64] | None:
    """The command that belongs to a measured channel: one of the same name, and on the same scale."""
    name = stream.channel_name(channel)
    for action, column in _partners(episode, stream, name, channel):
        if len(action) != len(stream) or not is_gripper(action, column):
            continue
        command = np.asarray(action.table[:, column], dtype=np.float64)
        if not np.isfinite(command).all():
            continue
        # On the same scale the two cover about the same range; a switch in -1..1 does not, nor does a speed.
        slack = 0.5 * max(float(np.ptp(values)), float(np.ptp(command)))
        if command.min() >= values.min() - slack and command.max() <= values.max() + slack:
            return (command - scale.closed) / (scale.opened - scale.closed)
    return None


def _partners(episode: Episode, stream: Stream, name: str, channel: int) -> Iterator[tuple[Stream, int]]:
    last_word = stream.name.rpartition(".")[2]
    for action in episode.numeric(Role.ACTION):
        if action.channels is not None and name in action.channels:
            yield action, action.channels.index(name)
        is_namesake = action.channels is None and action.name.rpartition(".")[2] == last_word
        if is_namesake and channel < action.table.shape[1]:
            yield action, channel
