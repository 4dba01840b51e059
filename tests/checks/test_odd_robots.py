"""Sound robots that are unlike a tabletop arm: the catalogue may tell of them, but finds no error."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from robokata.core.clock import grid_clock, measured_clock
from robokata.core.episode import Embodiment, Episode, Instruction
from robokata.core.finding import Level
from robokata.core.source import EpisodeList
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues
from robokata.inspection.run import check_dataset

Numbers = NDArray[np.floating]


def _robot(
    number: int,
    state: Numbers,
    action: Numbers,
    *,
    rate_hz: int = 50,
    measures: tuple[str, ...] | None = None,
    commands: tuple[str, ...] | None = None,
) -> Episode:
    """One episode with measured times in even ones and synthesized times in odd ones."""
    rng, count, rate = np.random.default_rng(number), len(state), Fraction(rate_hz)
    period_ns = 1_000_000_000 / rate_hz
    times_ns = (np.arange(count) * period_ns + rng.normal(0, 0.01 * period_ns, count)).astype(np.int64)
    clock = grid_clock(count, rate) if number % 2 else measured_clock(np.sort(times_ns), declared_rate_hz=rate)
    streams = [
        Stream(name, Kind.TENSOR, role, clock, ArrayValues(values.astype(np.float32)), channels=names)
        for name, role, values, names in (
            ("state", Role.STATE, state, measures),
            ("action", Role.ACTION, action, commands),
        )
    ]
    return Episode(
        str(number),
        {s.name: s for s in streams},
        embodiment=Embodiment("odd"),
        instructions=(Instruction(f"do task {number}", source="task"),),
        declared_rate_hz=rate,
    )


def _path(rng: np.random.Generator, steps: int, joints: int, *, poses: int = 6, rest_share: float = 0.1) -> Numbers:
    """Minimum-jerk moves between random poses, (steps, joints), with a rest after each."""
    knots = rng.uniform(-1, 1, (poses, joints))
    phase = np.linspace(0, poses - 1, steps)
    leg = np.minimum(phase.astype(int), poses - 2)
    t = np.clip((phase - leg) / (1 - rest_share), 0, 1)[:, np.newaxis]
    return np.asarray(knots[leg] + (10 * t**3 - 15 * t**4 + 6 * t**5) * (knots[leg + 1] - knots[leg]))


def _noisy(rng: np.random.Generator, path: Numbers, noise: float = 3e-4) -> Numbers:
    return np.asarray(path + rng.normal(0, noise, path.shape))


def _late(path: Numbers, lag: int = 3) -> Numbers:
    return np.concatenate([np.repeat(path[:1], lag, axis=0), path[:-lag]])


def in_bursts(number: int) -> Episode:
    """Rests for nine tenths of the time, then goes fast."""
    rng = np.random.default_rng(number)
    action = _path(rng, 1000, 6, poses=5, rest_share=0.9)
    return _robot(number, _noisy(rng, _late(action)), action)


def without_encoder_noise_in_bursts(number: int) -> Episode:
    """A simulated arm: at rest every number repeats exactly, then it is fast."""
    rng = np.random.default_rng(number)
    action = _path(rng, 1000, 6, poses=5, rest_share=0.9)
    return _robot(number, _late(action), action)


def gripper_only(number: int) -> Episode:
    """A single channel that opens and closes, with an object that stops it half way."""
    rng = np.random.default_rng(number)
    action = (np.sin(np.arange(400) * 0.05 + rng.uniform(0, 6)) > 0).astype(float)[:, np.newaxis]
    state = np.zeros_like(action)
    for at in range(1, len(state)):
        state[at] = state[at - 1] + np.clip(np.maximum(action[at], 0.4) - state[at - 1], -0.08, 0.08)
    return _robot(number, _noisy(rng, state), action, measures=("gripper",), commands=("gripper",))


def mobile_base(number: int) -> Episode:
    """x and y without bound, a yaw that wraps, commanded by velocities."""
    rng = np.random.default_rng(number)
    turn = 0.6 + 0.2 * np.sin(np.arange(1500) * 0.01 + rng.uniform(0, 6))
    yaw = np.cumsum(turn) / 50
    speed = 0.8 + 0.2 * np.cos(np.arange(1500) * 0.008)
    x, y = np.cumsum(speed * np.cos(yaw)) / 50 + 0.01 * np.arange(1500), np.cumsum(speed * np.sin(yaw)) / 50
    state = np.stack([x, y, (yaw + np.pi) % (2 * np.pi) - np.pi], axis=1)
    action = np.stack([speed, turn], axis=1)
    names = ("x", "y", "yaw")
    return _robot(number, _noisy(rng, state, 1e-4), action, measures=names, commands=("linear", "angular"))


def force_at_1_khz(number: int) -> Episode:
    """Forces with noise, and the spike of a contact."""
    rng = np.random.default_rng(number)
    steps = 5000
    force = rng.normal(0, 0.3, (steps, 6))
    for at in rng.integers(200, steps - 600, 3):
        force[at : at + 400, 2] += 25 * np.exp(-np.arange(400) / 80)
    target = _path(rng, steps, 6)
    names = ("fx", "fy", "fz", "tx", "ty", "tz")
    return _robot(number, force, target, rate_hz=1000, measures=names, commands=("x", "y", "z", "rx", "ry", "rz"))


def at_3_hz(number: int) -> Episode:
    """RT-1: 40 coarse steps, actions as deltas, a gripper that closes once, an end flag."""
    rng = np.random.default_rng(number)
    pose = _path(rng, 40, 6, poses=4)
    closed = np.where(np.arange(40) > 22, 1.0, 0.0)[:, np.newaxis]
    ends = (np.arange(40) == 39).astype(float)[:, np.newaxis]
    delta = np.diff(pose, axis=0, append=pose[-1:])
    return _robot(number, np.hstack([_noisy(rng, pose), closed]), np.hstack([delta, closed, ends]), rate_hz=3)


def delta_actions(number: int) -> Episode:
    """As many deltas as joints."""
    rng = np.random.default_rng(number)
    pose = _path(rng, 600, 7)
    return _robot(number, _noisy(rng, pose), np.diff(pose, axis=0, append=pose[-1:]))


def conveyor(number: int) -> Episode:
    """One belt at one speed, and a command that never changes."""
    rng = np.random.default_rng(number)
    belt = 0.2 * np.arange(500)[:, np.newaxis] / 50 + 0.1 * number
    return _robot(number, _noisy(rng, belt, 1e-5), np.full((500, 1), 0.2), measures=("belt",), commands=("belt_speed",))


def humanoid(number: int) -> Episode:
    """100 joints, of which the task moves 20."""
    rng = np.random.default_rng(number)
    action = np.zeros((600, 100))
    action[:, :20] = _path(rng, 600, 20)
    action[:, 20:] = np.random.default_rng(0).uniform(-1, 1, 80)
    state = _late(action)
    state[:, :20] = _noisy(rng, state[:, :20])
    names = tuple(f"joint_{n}" for n in range(100))
    return _robot(number, state, action, measures=names, commands=names)


ROBOTS = (
    in_bursts,
    without_encoder_noise_in_bursts,
    gripper_only,
    mobile_base,
    force_at_1_khz,
    at_3_hz,
    delta_actions,
    conveyor,
    humanoid,
)


@pytest.mark.parametrize("make", ROBOTS, ids=lambda make: make.__name__)
def test_a_sound_but_odd_robot_has_no_error(make: Callable[[int], Episode]) -> None:
    for first in (0, 10, 20):
        report = check_dataset(EpisodeList([make(first + number) for number in range(6)]))
        assert [f.message for f in report.findings if f.level is Level.ERROR] == []
        assert [a.reason for a in report.abstentions if "failed" in a.reason] == []
