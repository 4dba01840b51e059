"""An angle that jumps by one full turn.

What it finds:
    Jumps of one turn (2 pi, 360, 4096 or 65536 ticks, or the whole of a normalised range) in state or action,
    where taking the turn off leaves a smooth motion.

Why it hurts:
    To a policy, and to every mean, difference and interpolation, the two ends of the range are as far apart as
    they can be, while the joint did not move. Averaging the two readings commands the opposite direction.

Example:
    Feetech and Dynamixel servos count 4096 ticks per turn and restart at 0: an SO-100 arm whose homing offset is
    set wrongly crosses that point in the middle of its work.

Limits:
    Angles of a pose (roll, pitch, yaw) wrap at pi by definition: information only. In a stream without channel
    names nobody can tell a joint from such an angle: a warning. Sign flips of quaternions are no wraps. A joint
    that sits on the boundary without crossing it is not seen.

Repair:
    Unwrap the channel (add the turn after each crossing), in state and action alike; better, calibrate the
    homing offset. The numbers change by whole turns, what the robot would have done does not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Finding, Level, Verdict, spans_from
from robokata.core.stream import Role, Stream
from robokata.core.values import ArrayValues
from robokata.geometry.channels import has_few_values, is_gripper, is_orientation, listed, may_jump
from robokata.geometry.motion import WRAP_PERIODS, motion_of, speed_of, wrap_period
from robokata.geometry.runs import moment_of, span_of

NEEDS: Sequence[Need] = (Need.NUMBERS,)


class Wrap(NamedTuple):
    """The crossings of one channel."""

    channel: int
    period: float
    samples: NDArray[np.int64]
    """Sample before each crossing."""
    level: Level


def check(
    episode: Episode,
    *,
    # 0.9 of a turn: the motion of the sample in which the joint crosses is part of the jump.
    at_least_turns: float = 0.9,
) -> Iterator[Verdict]:
    """One finding per stream and level, with every crossing."""
    for stream in episode.numeric(Role.STATE, Role.ACTION):
        if len(stream) < 8 or not stream.table.shape[1]:
            continue
        wraps = list(_wraps(stream, at_least_turns))
        for level in Level:
            of_level = [wrap for wrap in wraps if wrap.level is level]
            if of_level:
                yield _finding(episode, stream, of_level)


def _wraps(stream: Stream, at_least_turns: float) -> Iterator[Wrap]:
    motion, speed = motion_of(stream), speed_of(stream)
    # Most channels never make a step of 0.9 of the smallest turn, nor one far above their own speed.
    with np.errstate(invalid="ignore", over="ignore"):
        suspects = (speed.largest >= at_least_turns * min(WRAP_PERIODS)) & (speed.largest > 4 * speed.sustained)
    for channel in np.flatnonzero(suspects):
        column, steps = stream.table[:, channel], motion.steps[:, channel]
        if is_gripper(stream, int(channel)) or may_jump(stream, int(channel)) or has_few_values(column):
            continue
        period = wrap_period(stream, channel=int(channel), step=int(np.argmax(np.abs(steps))))
        if period is None:
            continue
        # Noise on the boundary crosses it to and fro: every jump of nearly a turn belongs to the same finding.
        samples = np.flatnonzero(np.abs(steps) >= at_least_turns * period)
        yield Wrap(int(channel), period, samples, _level(stream, int(channel), period))


def _level(stream: Stream, channel: int, period: float) -> Level:
    rotation = stream.meaning.rotation
    if is_orientation(stream, channel) or (rotation is not None and str(rotation).startswith(("euler", "axis_angle"))):
        return Level.INFO
    # Nameless numbers may be the angles of a pose, and a normalised range has no turn of its own.
    is_named = stream.channels is not None and not stream.channel_name(channel).isdigit()
    return Level.ERROR if is_named and period not in (2.0, 200.0) else Level.WARNING


def _finding(episode: Episode, stream: Stream, wraps: list[Wrap]) -> Finding:
    first = min(wraps, key=lambda wrap: int(wrap.samples[0]))
    names = [stream.channel_name(wrap.channel) for wrap in wraps]
    at, count = int(first.samples[0]), sum(len(wrap.samples) for wrap in wraps)
    spans = [
        span_of(episode, stream.clock, int(k), int(k) + 1, channel=stream.channel_name(wrap.channel))
        for wrap in sorted(wraps, key=lambda wrap: wrap is not first)
        for k in wrap.samples
    ]
    jump = float(motion_of(stream).steps[at, first.channel])
    is_pose = first.level is Level.INFO
    doubt = " (a joint, or an angle of a pose: the channels have no names)" if first.level is Level.WARNING else ""
    return Finding(
        level=first.level,
        message=(
            f"{listed(names)} of {stream.name} wrap{'s' if len(names) == 1 else ''} around {count} "
            f"time{'s' if count != 1 else ''}: {stream.channel_name(first.channel)} jumps by {jump:.5g} in one sample "
            f"at {moment_of(episode, stream.clock, at)}, "
            f"one turn of {_turn(first.period)}, and goes on smoothly once the turn is taken off{doubt}"
        ),
        episode=episode.id,
        stream=stream.name,
        channel=", ".join(names) if len(names) <= 6 else None,
        spans=spans_from(spans, worst=spans[0]),
        measured=abs(jump),
        expected=first.period,
        repair=(
            "use a rotation representation without a jump (6D, quaternion) before averaging or differencing"
            if is_pose
            else "unwrap the channel in state and action alike, and calibrate the homing offset"
        ),
    )


def _turn(period: float) -> str:
    return "2 pi" if period == 2 * math.pi else f"{period:g}"


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Put the zero of one joint's encoder into the middle of its motion (of `magnitude` joints, rounded up)."""
    long_enough = (s for s in episode.numeric(Role.STATE, Role.ACTION) if len(s) >= 8)
    stream = to_plant_into(long_enough, "state or action of 8 samples")[0]
    array = np.array(stream.values[:], dtype=_wide_enough(stream))
    table = array.reshape(len(array), -1)
    motion = motion_of(stream)
    reach = motion.high - motion.low
    joints = [
        c
        for c in range(table.shape[1])
        if reach[c] > 0 and not is_gripper(stream, c) and not has_few_values(table[:, c])
    ]
    for channel in rng.permutation(joints)[: math.ceil(magnitude)]:
        column = table[:, channel]
        biggest = float(np.abs(column).max())
        period = next(turn for turn in (2 * math.pi, 360.0, 4096.0, 65536.0) if turn > max(biggest, reach[channel]))
        # The fastest moment: there the joint surely crosses, and does not rest on the boundary.
        at = int(np.argmax(np.abs(motion.steps[:, channel])))
        boundary = (float(column[at]) + float(column[at + 1])) / 2
        column[column > boundary] -= period
    return episode.with_stream(stream.with_values(ArrayValues(array)))


def _wide_enough(stream: Stream) -> np.dtype[Any]:
    return stream.values.dtype if stream.values.dtype.kind == "f" else np.dtype(np.float64)
