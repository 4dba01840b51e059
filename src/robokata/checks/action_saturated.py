"""Commands that are cut off at their limits.

What it finds:
    Channels of the action that run into their own largest or smallest value with speed, stay exactly there, and
    leave again: clipped peaks, not poses in which the robot rests.

Why it hurts:
    What the operator wanted lies outside of what was recorded. The policy learns to press against the limit, and
    a regression to such data undershoots every large motion.

Example:
    Spacemouse and joystick deltas are cut to -1..1 before they are written, and 0.9375 in OpenVLA's Bridge data
    "could not be 0.9375 metre" (openvla issue 315): the scale and the cut are part of the data's meaning.

Limits:
    Grippers and switches live at their extremes and are left out (DROID's gripper is at 1.0 for 52 % of its steps);
    so are components of quaternions: a device limits an angle or a turn, never one of these.
    A robot that holds still is not clipped: stretches in which no other channel of the action moves are left out, so
    that an action of one channel, or one of which all channels are cut at once, is not judged. A clip that is reached
    slowly looks like a rest and is not seen; nor is one that smoothing has rounded off.

Repair:
    Nothing gets the lost commands back. Use the measured state as the target where it went further, or drop the
    spans; the first changes what the robot would have done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Finding, Level, Verdict, spans_from, stretches_in_words
from robokata.core.stream import Role, Stream
from robokata.core.values import ArrayValues
from robokata.geometry.channels import has_few_values, is_gripper, is_quaternion, listed
from robokata.geometry.motion import motion_of
from robokata.geometry.runs import Run, runs_of, span_of

NEEDS: Sequence[Need] = (Need.ACTION,)


class Clipped(NamedTuple):
    """One channel that is cut off."""

    channel: int
    plateaus: list[Run]
    share: float
    """Share of the episode's samples that lie on a plateau."""


def check(
    episode: Episode,
    *,
    # A tenth of the samples: below that, the lost peaks hardly move a regression.
    pinned_above_share: float = 0.1,
    # Two plateaus: one can be the pose in which the task ends.
    plateaus_count: int = 2,
    # Three samples of exactly the same extreme value do not come from a hand or a noisy leader arm.
    plateau_samples_count: int = 3,
) -> Iterator[Verdict]:
    """One finding per action stream, with every plateau of every clipped channel."""
    for stream in episode.numeric(Role.ACTION):
        if len(stream) >= 16 and stream.table.shape[1]:
            clipped = list(_clipped(stream, pinned_above_share, plateaus_count, plateau_samples_count))
            if clipped:
                yield _finding(episode, stream, clipped, pinned_above_share)


def _clipped(stream: Stream, above_share: float, plateaus_count: int, samples_count: int) -> Iterator[Clipped]:
    motion, table = motion_of(stream), stream.table
    moving_channels = (motion.steps != 0).sum(axis=1)
    with np.errstate(invalid="ignore"):
        # Exactly the extreme value: anything that a hand, a filter or a sensor made differs in the last digits.
        pinned = (table == motion.high) | (table == motion.low)
        enough = pinned.sum(axis=0) >= above_share * len(table)
        moving = enough & (motion.high > motion.low)
    for channel in np.flatnonzero(moving):
        column = table[:, channel]
        if is_gripper(stream, int(channel)) or is_quaternion(stream, int(channel)) or has_few_values(column):
            continue
        speed = np.abs(motion.steps[:, channel])
        # Half the mean step of the moving samples: a rest is reached with a speed near zero, a clip in full flight.
        with np.errstate(over="ignore"):
            in_flight = 0.5 * float(speed[speed > 0].mean(dtype=np.float64))
        plateaus = [
            run
            for high in (True, False)
            for run in runs_of(
                column == (motion.high if high else motion.low)[channel],
                at_least=samples_count,
            )
            if _runs_into(speed, run, in_flight) and _others_move(moving_channels, run)
        ]
        share = sum(run.length for run in plateaus) / len(table)
        if len(plateaus) >= plateaus_count and share >= above_share:
            yield Clipped(int(channel), sorted(plateaus), share)


def _runs_into(speed: NDArray[np.floating], run: Run, in_flight: float) -> bool:
    """True where the channel arrives at a plateau or leaves it in full flight (the cut step itself is shortened)."""
    before = speed[max(0, run.first - 2) : run.first]
    after = speed[run.last : run.last + 2]
    return any(len(side) > 0 and float(side.max()) > in_flight for side in (before, after))


def _others_move(moving_channels: NDArray[np.integer], run: Run) -> bool:
    """True where other channels go on in at least half of a plateau's steps: the whole robot does not rest there."""
    # Within a plateau the channel itself does not move: whatever moves there is another one.
    inside = moving_channels[run.first : run.last]
    return bool(len(inside)) and float((inside > 0).mean()) >= 0.5


def _finding(episode: Episode, stream: Stream, clipped: list[Clipped], above_share: float) -> Finding:
    worst = max(clipped, key=lambda one: one.share)
    names = [stream.channel_name(one.channel) for one in clipped]
    spans = [
        span_of(episode, stream.clock, run.first, run.last, channel=stream.channel_name(one.channel))
        for one in sorted(clipped, key=lambda one: one is not worst)
        for run in sorted(one.plateaus, key=lambda run: -run.length)
    ]
    told = spans_from(spans, worst=spans[0])
    motion = motion_of(stream)
    low, high = float(motion.low[worst.channel]), float(motion.high[worst.channel])
    return Finding(
        level=Level.WARNING,
        message=(
            f"{listed(names)} of {stream.name} {'is' if len(names) == 1 else 'are'} cut off at the limits: "
            f"{stream.channel_name(worst.channel)} runs {len(worst.plateaus)} times into {low:.4g} or "
            f"{high:.4g} and stays there for {100 * worst.share:.0f} % of the samples; cut off "
            f"{stretches_in_words(told, worst='longest of ' + stream.channel_name(worst.channel))}"
        ),
        episode=episode.id,
        stream=stream.name,
        channel=", ".join(names) if len(names) <= 6 else None,
        spans=told,
        measured=worst.share,
        expected=above_share,
        unit="share of samples",
        repair="find out where the recorder clips the command; drop these spans, or use the measured state as target",
    )


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Cut every action channel to the middle 50 % of its range (`magnitude` 0.5: the middle 75 %)."""
    stream = to_plant_into((s for s in episode.numeric(Role.ACTION) if len(s) >= 16), "action of 16 samples")[0]
    motion = motion_of(stream)
    array = np.array(stream.values[:])
    table = array.reshape(len(array), -1)
    cut = min(0.45, 0.25 * magnitude)
    for channel in range(table.shape[1]):
        if is_gripper(stream, channel) or has_few_values(table[:, channel]):
            continue
        low, high = float(motion.low[channel]), float(motion.high[channel])
        limits = np.asarray([low + cut * (high - low), high - cut * (high - low)]).astype(table.dtype)
        np.clip(table[:, channel], limits[0], limits[1], out=table[:, channel])
    return episode.with_stream(stream.with_values(ArrayValues(array)))
