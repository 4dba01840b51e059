"""A channel that never changes.

What it finds:
    Channels of state and action that keep one value over all episodes of a robot, and channels that keep one
    value through one episode although they live in the other episodes of the same robot.

Why it hurts:
    A channel without spread has standard deviation 0: normalising it divides by zero, and the first noise at
    deployment becomes a huge input. A channel that dies in one episode is an unplugged sensor, and the policy
    learns that this joint may stand still while the arm moves.

Example:
    The GR1 pick-and-place set that ships with GR00T-Dreams has 44 action channels, of which 25 never change;
    `columbia_cairlab_pusht_real` trains to a NaN loss because of 6 constant observations and 5 constant actions
    (LeRobot issue 3280).

Limits:
    One episode alone cannot tell an unused channel from a dead one: information only. A gripper, a command or a
    switch that is not used in an episode is legitimate: information only.

Repair:
    Leave the channels out, or normalise them with a floor under the standard deviation. Neither changes what the
    robot would have done. Drop an episode in which a sensor died.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Gathered, Need, to_plant_into
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.source import EpisodeList, Facts
from robokata.core.stream import Role, Stream
from robokata.core.values import ArrayValues
from robokata.geometry.channels import is_gripper, listed
from robokata.geometry.motion import motion_of

NEEDS: Sequence[Need] = (Need.NUMBERS,)


class Life(NamedTuple):
    """How far each channel of one stream went in one episode."""

    stream: str
    role: Role
    names: tuple[str, ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    repeats: NDArray[np.float32]
    """(D,) share of samples that equal the one before: near 0 for a sensor with noise, near 1 for a switch."""
    is_gripper: NDArray[np.bool_]


class Lives(NamedTuple):
    """The streams of one episode."""

    robot: str | None
    streams: tuple[Life, ...]


def gather(episode: Episode) -> Lives | Abstention:
    """Range of every state and action channel."""
    lives = [_life(s) for s in episode.numeric(Role.STATE, Role.ACTION) if len(s) > 1 and s.table.shape[1]]
    if not lives:
        return Abstention("no state and no action with two samples or more", episode.id)
    return Lives(episode.embodiment.name if episode.embodiment else None, tuple(lives))


def _life(stream: Stream) -> Life:
    motion = motion_of(stream)
    width = stream.table.shape[1]
    return Life(
        stream.name,
        stream.role,
        tuple(stream.channel_name(c) for c in range(width)),
        motion.low.astype(np.float64),
        motion.high.astype(np.float64),
        np.mean(motion.steps == 0, axis=0, dtype=np.float32),
        np.asarray([is_gripper(stream, c) for c in range(width)]),
    )


def judge(
    rows: Sequence[Gathered],
    facts: Facts,
    *,
    # 4 others: with fewer, "it lives everywhere else" is a coincidence of a few takes.
    other_episodes_count: int = 4,
    # A sensor with noise repeats a value now and then; one that repeats half of its samples may well rest for 10 s.
    repeats_below_share: float = 0.5,
) -> Iterator[Verdict]:
    """One finding per robot and stream for channels that never change, one per episode and stream for dead ones."""
    groups: dict[tuple[str | None, str, tuple[str, ...]], list[tuple[str, Life]]] = defaultdict(list)
    for row in rows:
        if isinstance(row.value, Abstention):
            yield row.value
            continue
        for life in row.value.streams:
            groups[row.value.robot, life.stream, life.names].append((row.episode, life))
    for (robot, _, _), members in groups.items():
        lows, highs = (np.stack([getattr(life, end) for _, life in members]) for end in ("low", "high"))
        is_constant = lows == highs
        with np.errstate(invalid="ignore"):
            never = is_constant.all(axis=0) & (lows == lows[0]).all(axis=0)
        yield from _unused(robot, members, never)
        if len(members) > other_episodes_count:
            yield from _died(members, is_constant, repeats_below_share)


def _unused(robot: str | None, members: list[tuple[str, Life]], never: NDArray[np.bool_]) -> Iterator[Verdict]:
    count, life = int(never.sum()), members[0][1]
    if not count:
        return
    names = [name for name, dead in zip(life.names, never, strict=True) if dead]
    of_robot = f" of {robot}" if robot else ""
    yield Finding(
        level=Level.WARNING if len(members) > 1 else Level.INFO,
        message=(
            f"{count} of {len(never)} channels of {life.stream}{of_robot} never change in "
            f"{len(members)} episode{'s' if len(members) != 1 else ''}: {listed(names, most=12)}; "
            "their standard deviation is 0"
        ),
        episode=members[0][0] if len(members) == 1 else None,
        stream=life.stream,
        channel=", ".join(names) if count <= 6 else None,
        measured=count,
        expected=0,
        repair="leave these channels out, or put a floor under the standard deviation they are normalised with",
    )


def _died(
    members: list[tuple[str, Life]], is_constant: NDArray[np.bool_], repeats_below_share: float
) -> Iterator[Verdict]:
    repeats = np.stack([life.repeats for _, life in members])
    for at, (episode, life) in enumerate(members):
        lives_elsewhere = ~np.delete(is_constant, at, axis=0).any(axis=0)
        dead = is_constant[at] & lives_elsewhere
        if not dead.any():
            continue
        usual = np.median(np.delete(repeats, at, axis=0), axis=0)
        is_sensor = dead & (usual < repeats_below_share) & ~life.is_gripper & (life.role is Role.STATE)
        for chosen, level in ((is_sensor, Level.WARNING), (dead & ~is_sensor, Level.INFO)):
            names = [name for name, is_one in zip(life.names, chosen, strict=True) if is_one]
            if not names:
                continue
            yield Finding(
                level=level,
                message=(
                    f"{listed(names)} of {life.stream} keep{'s' if len(names) == 1 else ''} one value through this "
                    f"episode and change{'s' if len(names) == 1 else ''} in all other {len(members) - 1} episodes"
                ),
                episode=episode,
                stream=life.stream,
                channel=", ".join(names) if len(names) <= 6 else None,
                measured=len(names),
                expected=0,
                repair="drop the episode" if level is Level.WARNING else "nothing, if the channel was not used here",
            )


def plant(source: EpisodeList, rng: np.random.Generator, magnitude: float) -> EpisodeList:
    """Unplug one joint of the state in one episode, and (from `magnitude` 1 on) one command in all."""
    episodes = list(source.episodes.values())
    if magnitude <= 0:
        return EpisodeList(episodes, source.facts())
    victim = int(rng.integers(len(to_plant_into(episodes, "episode"))))
    state = to_plant_into(episodes[victim].numeric(Role.STATE, Role.ACTION), "state and no action")[0]
    episodes[victim] = _hold(episodes[victim], state, int(rng.integers(_plain_width(state))), None)
    if magnitude >= 1:
        moved = [*episodes[0].numeric(Role.ACTION), *episodes[0].numeric(Role.STATE)]
        command = to_plant_into(moved, "state and no action")[0]
        channel = int(rng.integers(_plain_width(command)))
        value = command.table[0, channel]
        episodes = [_hold(e, e.streams[command.name], channel, value) for e in episodes]
    return EpisodeList(episodes, source.facts())


def _plain_width(stream: Stream) -> int:
    """Channels to choose from: the last one is often the gripper."""
    return max(1, int(stream.table.shape[1]) - 1)


def _hold(episode: Episode, stream: Stream, channel: int, value: float | None) -> Episode:
    array = np.array(stream.values[:])
    table = array.reshape(len(array), -1)
    table[:, channel] = table[0, channel] if value is None else value
    return episode.with_stream(stream.with_values(ArrayValues(array)))
