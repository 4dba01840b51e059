"""A joint that is suddenly somewhere else.

What it finds:
    A single step of the measured state that is far larger than the fastest motion that the same channel keeps
    up anywhere else, in this episode and in the robot's other episodes. On a measured clock a step over a gap
    counts by the time that it had.

Why it hurts:
    The policy is shown a motion that no motor can make, with an action that did not cause it. Velocity and delta
    actions that are derived from the state get one enormous target, which also sets their normalisation.

Example:
    Recorders that lost an episode boundary joined 20 takes into one, with the arm jumping back to its start
    between them (strands-labs issue 708). Serial buses return a wrong reading for one sample now and then.

Limits:
    Switches and binary grippers (few values) are left out, and forces, currents and speeds, which jump at a contact
    (known by their names; without names a contact looks like a jump). Encoder wraps belong to encoder_wrap, a jump
    by one turn among them. A jump that is slower than the robot's own fast motions cannot be told from them.
    Simulated contacts (a finger that snaps) are as fast as a jump: a warning, not an error, unless several channels
    jump together or by a third of their range.

Repair:
    Split the episode at the jump, or drop the sample where only one is wrong. Splitting does not change what
    the robot would have done; smoothing over the jump would.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Gathered, Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Span, Verdict, spans_from
from robokata.core.source import EpisodeList, Facts
from robokata.core.stream import Role, Stream
from robokata.core.values import ArrayValues
from robokata.geometry.channels import has_few_values, is_gripper, listed, may_jump
from robokata.geometry.motion import Motion, motion_of, speed_of, wrap_period
from robokata.geometry.runs import moment_of, span_of

NEEDS: Sequence[Need] = (Need.STATE,)

_MOST_PER_CHANNEL = 20
"""Jumps of a channel that are kept: 20 lost boundaries were the most that one take was seen to hold."""


class Jump(NamedTuple):
    """One step of one channel that is far above the channel's own sustained speed."""

    channel: int
    size: float
    share_of_range: float
    span: Span
    moment: str
    """`3.98 s`, or `sample 199` where the format keeps no times."""


class Joints(NamedTuple):
    """One state stream of one episode."""

    stream: str
    names: tuple[str, ...]
    sustained: NDArray[np.float64]
    """(D,) fastest motion per sample that two steps in a row kept up."""
    jumps: tuple[Jump, ...]


class Row(NamedTuple):
    """One episode."""

    robot: str | None
    streams: tuple[Joints, ...]


def gather(
    episode: Episode,
    *,
    # 10 times: the largest step of sound recordings of six robots stays below 3 times their sustained speed (arms)
    # and below 8 times (simulated fingers).
    longer_than_sustained: float = 10.0,
    # A fifth of the channel's range: smaller jumps are single ticks of a coarse encoder that hardly moves.
    above_range_share: float = 0.2,
) -> Row | Abstention:
    """Sustained speed of every channel, and the candidates."""
    streams = [s for s in episode.numeric(Role.STATE) if len(s) >= 8]
    if not streams:
        return Abstention("fewer than 8 samples of state", episode.id)
    found = tuple(_joints(episode, s, longer_than_sustained, above_range_share) for s in streams)
    return Row(episode.embodiment.name if episode.embodiment else None, found)


def _joints(episode: Episode, stream: Stream, longer_than: float, above_range_share: float) -> Joints:
    motion, speed = motion_of(stream), speed_of(stream)
    with np.errstate(over="ignore", invalid="ignore"):
        reach = motion.high - motion.low
        suspects = (speed.largest > longer_than * speed.sustained) & (speed.largest > above_range_share * reach)
    jumps = []
    for channel in map(int, np.flatnonzero(suspects & np.isfinite(reach))):
        if is_gripper(stream, channel) or may_jump(stream, channel) or has_few_values(stream.table[:, channel]):
            continue
        steps = np.abs(motion.steps[:, channel]) / _intervals(stream)
        limit = max(longer_than * float(speed.sustained[channel]), above_range_share * float(reach[channel]))
        for at in _largest(steps, limit):
            if wrap_period(stream, channel=channel, step=at) or _was_stuck(motion, channel, at):
                continue
            span = span_of(episode, stream.clock, at, at + 1, channel=stream.channel_name(channel))
            moment, size = moment_of(episode, stream.clock, at), float(steps[at])
            jumps.append(Jump(channel, size, size / float(reach[channel]), span, moment))
    names = tuple(stream.channel_name(c) for c in range(len(reach)))
    return Joints(stream.name, names, speed.sustained.astype(np.float64), tuple(jumps))


def _largest(steps: NDArray[np.floating], limit: float) -> list[int]:
    """Places of the steps above a limit, largest first; the way back from one wrong sample is the same place."""
    found: list[int] = []
    for at in np.flatnonzero(steps > limit)[np.argsort(-steps[steps > limit], kind="stable")]:
        if all(abs(at - other) > 1 for other in found):
            found.append(int(at))
        if len(found) == _MOST_PER_CHANNEL:
            break
    return found


def _intervals(stream: Stream) -> NDArray[np.float64] | float:
    """(T - 1,) time of each step in usual intervals, at least 1; 1.0 where nobody measured it.

    Over a gap the joint had the time of many samples for its way. Stamps that lie too close make no step faster.
    """
    if not stream.clock.is_measured:
        return 1.0
    intervals_ns = np.diff(stream.clock.times_ns)
    usual_ns = float(np.median(intervals_ns))
    return np.maximum(1.0, intervals_ns / usual_ns) if usual_ns > 0 else 1.0


def _was_stuck(motion: Motion, channel: int, at: int) -> bool:
    """True where the channel stood exactly still before its jump while others moved: stuck_encoder's to tell."""
    changes = np.flatnonzero(motion.steps[:at, channel])
    held_from = int(changes[-1]) + 1 if len(changes) else 0
    # 5 steps: an encoder with noise does not repeat a value five times; a whole robot at rest in a simulation does.
    return at - held_from >= 5 and bool((motion.travel[held_from:at] > motion.still_below).any())


def judge(
    rows: Sequence[Gathered],
    facts: Facts,
    *,
    longer_than_sustained: float = 10.0,
    # A third of everything the channel does in the episode (the jump included) is no contact and no fast reach.
    error_above_range_share: float = 0.33,
    # 3 channels of one robot do not glitch in the same sample: the recording jumped.
    error_channels_count: int = 3,
) -> Iterator[Verdict]:
    """One finding per episode and stream with a jump that the robot's other episodes do not explain."""
    usual: dict[tuple[str | None, str, int], list[NDArray[np.float64]]] = defaultdict(list)
    for row in rows:
        if isinstance(row.value, Abstention):
            yield row.value
            continue
        for joints in row.value.streams:
            usual[row.value.robot, joints.stream, len(joints.names)].append(joints.sustained)
    # The median episode of the robot: one wild episode does not hide the jumps of the others.
    fastest = {key: np.median(np.stack(all_of), axis=0) for key, all_of in usual.items()}
    for row in rows:
        for joints in () if isinstance(row.value, Abstention) else row.value.streams:
            limit = longer_than_sustained * np.maximum(
                joints.sustained, fastest[row.value.robot, joints.stream, len(joints.names)]
            )
            jumps = [jump for jump in joints.jumps if jump.size > limit[jump.channel]]
            if jumps:
                yield _finding(row.episode, joints, jumps, error_above_range_share, error_channels_count)


def _finding(
    episode: str, joints: Joints, jumps: list[Jump], error_above_range_share: float, error_channels_count: int
) -> Finding:
    worst = max(jumps, key=lambda jump: jump.share_of_range)
    together = [jump for jump in jumps if jump.span.start_sample == worst.span.start_sample]
    names = [joints.names[jump.channel] for jump in together]
    elsewhere = sorted((j for j in jumps if j not in together), key=lambda jump: jump.span.start_sample or 0)
    every = list(dict.fromkeys([*names, *(joints.names[jump.channel] for jump in elsewhere)]))
    is_error = worst.share_of_range > error_above_range_share or len(together) >= error_channels_count
    sustained = float(joints.sustained[worst.channel])
    return Finding(
        level=Level.ERROR if is_error else Level.WARNING,
        message=(
            f"{listed(names)} of {joints.stream} jump{'s' if len(names) == 1 else ''} at {worst.moment}: "
            f"{joints.names[worst.channel]} by {worst.size:.3g} in one sample, "
            f"{100 * worst.share_of_range:.0f} % of its range, where its fastest motion is {sustained:.3g} per sample"
            f"{_also(joints, elsewhere)}"
        ),
        episode=episode,
        stream=joints.stream,
        channel=", ".join(every) if len(every) <= 6 else None,
        spans=spans_from((jump.span for jump in jumps), worst=worst.span),
        measured=worst.size,
        expected=sustained,
        repair="split the episode at the jump, or drop the sample if only one is wrong",
    )


def _also(joints: Joints, elsewhere: Sequence[Jump]) -> str:
    if not elsewhere:
        return ""
    places = listed([f"{joints.names[jump.channel]} at {jump.moment}" for jump in elsewhere])
    return f"; {len(elsewhere)} more jump{'s' if len(elsewhere) > 1 else ''}: {places}"


def plant(source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
    """Displace one joint of one episode for 5 samples by 30 times its sustained speed (times `magnitude`)."""
    episodes = list(to_plant_into(source.episodes.values(), "episode"))
    victim = int(rng.integers(len(episodes)))
    long_enough = (s for s in episodes[victim].numeric(Role.STATE) if len(s) >= 8)
    stream = to_plant_into(long_enough, "state of 8 samples")[0]
    speed, motion = speed_of(stream), motion_of(stream)
    with np.errstate(invalid="ignore"):
        reach = np.nan_to_num(motion.high - motion.low)
    joints = [
        c
        for c in range(len(reach))
        if not (is_gripper(stream, c) or may_jump(stream, c) or has_few_values(stream.table[:, c]))
    ]
    channel = int(rng.choice(joints)) if joints else int(np.argmax(reach))
    array = np.array(stream.values[:])
    table = array.reshape(len(array), -1)
    first = int(rng.integers(1, max(2, len(table) - 6)))
    # At least the range itself: on a joint that crawls, 30 times its speed is still inside its motion.
    size = magnitude * max(30 * float(speed.sustained[channel]), float(reach[channel]))
    table[first : first + 5, channel] += np.asarray(size).astype(table.dtype)
    episodes[victim] = episodes[victim].with_stream(stream.with_values(ArrayValues(array)))
    return EpisodeList(episodes, source.facts())
