"""An attempt as an Episode: every stream on its own clock, and pictures rendered from the stored states."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import Clock, measured_clock
from robokata.core.episode import Episode, Instruction, Origin, Outcome
from robokata.core.require import require
from robokata.core.stream import Evidence, Fact, Kind, Meaning, Role, Stream
from robokata.core.values import ArrayValues
from robokata.geometry.poses import continuous_quats
from robokata.sim.attempt import Attempt
from robokata.sim.cameras import Filming, cameras_of, film
from robokata.sim.events import annotations_of
from robokata.sim.gl import backend
from robokata.sim.model import PHYSICS_HZ, model_hash
from robokata.sim.sensors import Sensors, stamps_ns, ticks_of
from robokata.sim.world import SimWorld

_POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")


def episode_of(
    attempt: Attempt,
    world: SimWorld,
    *,
    id: str,
    instruction: str,
    made: Mapping[str, Any],
    origin: Origin | None = None,
    filming: Filming | None = None,
    rng: np.random.Generator,
    filmed: Callable[[int, int], None] | None = None,
) -> Episode:
    """The attempt as an Episode in memory. `made` says how it was made: task, width, seed, factors, ...

    The world must be the one that it happened in (or one with the same model): pictures are rendered with it.
    `filmed` is told after each moment how many are rendered, and of how many.
    """
    streams = [*_numbers(attempt, world, rng)]
    if filming is not None:
        streams += _films(attempt, world, filming, rng, filmed)
    simulation = {
        **made,
        "robot": world.robot.name,
        "model_hash": model_hash(world.text),
        "mujoco": require("mujoco", extra="sim").__version__,
        "control_hz": world.control_hz,
        "physics_hz": PHYSICS_HZ,
        "sensors": attempt.sensors.to_json(),
        "cameras": cameras_of(world, filming),
        "renderer": None if filming is None else backend().name,
        "subtasks": [subtask.name for subtask in attempt.subtasks],
        "targets": sorted({subtask.prop for subtask in attempt.subtasks}),
        "reached": list(attempt.reached),
        "contacts_recorded": True,
        "success_once": attempt.success_once,
        "success_at_end": attempt.success_at_end,
        "first_success_s": attempt.first_success_s,
    }
    return Episode(
        id=id,
        streams={stream.name: stream for stream in streams},
        embodiment=world.robot,
        instructions=(Instruction(instruction, source="task"),),
        annotations=tuple(annotations_of(attempt, world)),
        outcome=Outcome(attempt.success_at_end, "the task's own predicate, at the end"),
        origin=origin or Origin(),
        declared_rate_hz=Fraction(world.control_hz),
        declared_steps=len(attempt.steps),
        extra={"simulation": simulation},
    )


def _numbers(attempt: Attempt, world: SimWorld, rng: np.random.Generator) -> list[Stream]:
    control = _clock(attempt.steps, world.control_hz)
    arms = [("" if len(world.arms) == 1 else f"{name}.") for name in world.arms]
    props = [prop.name for prop in world.own_props]
    return [
        _state(attempt, world, control, rng),
        _table(
            "observation.tip_pose", Role.STATE, control, _smooth(attempt.tips), _channels(arms, "tip.", _POSE), _POSES
        ),
        _table("action", Role.ACTION, control, attempt.action, world.action_channels, _JOINT_TARGETS),
        _table(
            "action.tip_pose",
            Role.ACTION,
            control,
            _smooth(attempt.commands),
            world.command_channels,
            _POSES,
        ),
        _table(
            "simulation.objects", Role.SENSOR, control, _smooth(attempt.objects), _channels(props, ".", _POSE), _POSES
        ),
        _physics(attempt, control),
        *_force(attempt, world, arms, rng),
        *(
            Stream(f"simulation.{name}", Kind.TENSOR, Role.SENSOR, control, ArrayValues(np.array(rows)))
            for name, rows in attempt.labels.items()
        ),
    ]


def _state(attempt: Attempt, world: SimWorld, control: Clock, rng: np.random.Generator) -> Stream:
    sensors = attempt.sensors
    rows, clock = np.array(attempt.state), control
    if sensors.joints_hz is not None:
        ticks, physics = _at_ticks(attempt, sensors.joints_hz)
        rows = world.state_of(physics)
        times_ns = _stamps(sensors, ticks, sensors.joints_hz, sensors.joints_latency_s, rng)
        clock = measured_clock(times_ns, declared_rate_hz=Fraction(sensors.joints_hz))
    if sensors.joints_noise_rad:
        rows = rows + rng.normal(0.0, sensors.joints_noise_rad, rows.shape) * world.is_joint
    return _table("observation.state", Role.STATE, clock, rows, world.action_channels, _JOINTS)


def _physics(attempt: Attempt, control: Clock) -> Stream:
    """The simulator's states at the moments that pictures show."""
    clock, rows = control, np.array(attempt.physics)
    if attempt.sensors.camera_hz is not None:
        steps, rows = _at_ticks(attempt, attempt.sensors.camera_hz)
        clock = _clock(steps, attempt.sensors.camera_hz)
    return _table("simulation.state", Role.SENSOR, clock, rows, None, Meaning())


def _force(attempt: Attempt, world: SimWorld, arms: Sequence[str], rng: np.random.Generator) -> list[Stream]:
    if not attempt.force:
        return []
    sensors = attempt.sensors
    rows = np.array(attempt.force).reshape(len(attempt.force), -1)
    if sensors.force_noise_n:
        rows = rows + rng.normal(0.0, sensors.force_noise_n, rows.shape)
    rate_hz = sensors.force_hz or world.control_hz
    times_ns = _stamps(sensors, np.array(attempt.force_steps), rate_hz, 0.0, rng)
    clock = measured_clock(times_ns, declared_rate_hz=Fraction(rate_hz))
    names = [f"{arm}{axis}" for arm in arms for axis in ("fx", "fy", "fz", "tx", "ty", "tz")]
    meaning = Meaning(unit=_fact("N, N m"), frame=_fact("tool"))
    return [_table("observation.force", Role.SENSOR, clock, rows, names, meaning)]


def _films(
    attempt: Attempt,
    world: SimWorld,
    filming: Filming,
    rng: np.random.Generator,
    filmed: Callable[[int, int], None] | None,
) -> list[Stream]:
    sensors = attempt.sensors
    if sensors.camera_hz is None:
        steps, physics = np.array(attempt.steps), np.array(attempt.physics)
    else:
        steps, physics = _at_ticks(attempt, sensors.camera_hz)
    rate_hz = sensors.camera_hz or world.control_hz
    times_ns = _stamps(sensors, steps, rate_hz, sensors.camera_latency_s, rng)
    clock = measured_clock(times_ns, declared_rate_hz=Fraction(rate_hz))
    levels = sensors.pixel_noise_levels
    return film(world, physics, filming, clock=clock, pixel_noise_levels=levels, rng=rng, filmed=filmed)


def _smooth(poses: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Poses (T, N, 7 or 8) whose quaternions do not change sign from sample to sample."""
    rows = np.array(poses)
    for owner in range(rows.shape[1]):
        rows[:, owner, 3:7] = continuous_quats(rows[:, owner, 3:7])
    return rows


def _all_states(attempt: Attempt) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    states = {**attempt.between, **dict(zip(attempt.steps, attempt.physics, strict=True))}
    steps = np.array(sorted(states), dtype=np.int64)
    return steps, np.array([states[int(step)] for step in steps])


def _at_ticks(attempt: Attempt, rate_hz: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Stored states at the ticks of a fast sensor: steps (T,), states (T, nq + nv)."""
    steps, physics = _all_states(attempt)
    ticks = np.array(list(ticks_of(rate_hz, int(steps[0]), int(steps[-1]) + 1)), dtype=np.int64)
    ticks = ticks[np.isin(ticks, steps)]
    return ticks, physics[np.searchsorted(steps, ticks)]


def _stamps(
    sensors: Sensors, steps: NDArray[np.int64], rate_hz: int, latency_s: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    return stamps_ns(steps, rate_hz=rate_hz, latency_s=latency_s, jitter_share=sensors.jitter_share, rng=rng)


def _exact_ns(steps: NDArray[np.int64] | Sequence[int]) -> NDArray[np.int64]:
    return np.asarray(steps, dtype=np.int64) * (1_000_000_000 // PHYSICS_HZ)


def _clock(steps: Sequence[int] | NDArray[np.int64], rate_hz: int) -> Clock:
    return measured_clock(_exact_ns(steps), declared_rate_hz=Fraction(rate_hz))


def _channels(owners: Sequence[str], joint: str, names: Sequence[str]) -> list[str]:
    return [f"{owner}{joint}{name}" for owner in owners for name in names]


def _table(name: str, role: Role, clock: Clock, rows: Any, channels: Sequence[str] | None, meaning: Meaning) -> Stream:
    values = np.asarray(rows, dtype=np.float64)
    # Not -1: from no rows it cannot be told, and no rows do not know their own width.
    width = math.prod(values.shape[1:]) if len(values) or channels is None else len(channels)
    values = values.reshape(len(values), width)
    named = None if channels is None else tuple(channels)
    return Stream(name, Kind.TENSOR, role, clock, ArrayValues(values), channels=named, meaning=meaning)


def _fact(value: str) -> Fact:
    return Fact(value, Evidence.ROBOT)


_JOINTS = Meaning(unit=_fact("rad"), gripper=_fact("width_m"))
_JOINT_TARGETS = Meaning(unit=_fact("rad"), gripper=_fact("width_m"), reference=_fact("absolute"))
_POSES = Meaning(unit=_fact("m"), frame=_fact("world"), rotation=_fact("quat_xyzw"), reference=_fact("absolute"))
