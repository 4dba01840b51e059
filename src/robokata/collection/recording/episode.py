"""Conversion of a journal to an Episode: pictures at the exact ticks, and every command with its times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.collection.recording.journal import JournalContent
from robokata.collection.session.arm_controller import Hold
from robokata.core.clock import Clock, measured_clock
from robokata.core.episode import Episode, Origin, Outcome
from robokata.core.errors import DamagedData
from robokata.core.stream import Evidence, Fact, Kind, Meaning, Role, Stream
from robokata.core.values import ArrayValues
from robokata.core.world import Setup, instruction_of
from robokata.sim.attempt import Attempt
from robokata.sim.cameras import Filming
from robokata.sim.demonstration import Scene, world_of
from robokata.sim.episode import episode_of
from robokata.sim.model import PHYSICS_HZ
from robokata.sim.sensors import Sensors
from robokata.sim.world import SimWorld

Rows = list[dict[str, Any]]
_NS_PER_STEP = 1_000_000_000 // PHYSICS_HZ


def setup_as_json(setup: Setup) -> dict[str, Any]:
    """A reset as plain values."""
    return {"poses": {name: pose.tolist() for name, pose in setup.poses.items()}, "words": dict(setup.words)}


def setup_from_json(said: Mapping[str, Any]) -> Setup:
    """The reset that `setup_as_json` wrote."""
    return Setup({name: np.array(pose) for name, pose in said["poses"].items()}, dict(said["words"]))


def episode_from(recording: JournalContent, *, id: str, filmed: Callable[[int, int], None] | None = None) -> Episode:
    """The recording as an Episode; `filmed` is told how many moments are rendered, and of how many.

    Raises:
        DamagedData: the journal holds no control step.
    """
    head, rows = recording.head, recording.rows
    if len(rows) < 2:
        raise DamagedData(recording.path, f"holds {len(rows)} control steps: too few for an episode.")
    scene = Scene(**head["scene"])
    world, setup = world_of(scene), setup_from_json(head["setup"])
    noise = {arm: np.array(values) for arm, values in head["joint_noise_rad"].items()}
    world.reset(setup, joint_noise_rad=noise)
    attempt = _attempt(rows, scene, setup, Sensors(**head["sensors"]))
    filming = Filming(**{**head["filming"], "cameras": tuple(head["filming"]["cameras"])})
    episode = episode_of(
        attempt,
        world,
        id=id,
        instruction=instruction_of(scene.leaf, setup),
        made={
            "task": scene.task,
            "width": head["width"],
            "seed": head["seed"],
            "words": dict(setup.words),
            "by": "person",
        },
        origin=Origin(session=head["session"], operator=head["operator"], recorded_at=head["recorded_at"]),
        filming=filming,
        rng=np.random.default_rng(head["seed"]),
        filmed=filmed,
    )
    streams = dict(episode.streams)
    for stream in _teleoperation(rows, world, streams["action"].clock):
        streams[stream.name] = stream
    extra = {"teleoperation": {**head["control"], **_summary(rows, world), **(recording.kept or {"was_cut": True})}}
    outcome = episode.outcome
    if recording.kept is None:
        outcome = Outcome(outcome.success, "the task's own predicate where the recording was cut")
    return replace(episode, streams=streams, extra={**episode.extra, **extra}, outcome=outcome)


def _attempt(rows: Rows, scene: Scene, setup: Setup, sensors: Sensors) -> Attempt:
    def column(name: str) -> list[NDArray[np.float64]]:
        return [np.array(row[name], dtype=np.float64) for row in rows]

    attempt = Attempt(
        subtasks=tuple(scene.leaf.subtasks(setup)),
        sensors=sensors,
        steps=[int(row["step"]) for row in rows],
        state=column("state"),
        action=column("action"),
        tips=column("tips"),
        commands=column("commands"),
        objects=column("objects"),
        physics=column("physics"),
        touching=[frozenset((int(a), int(b)) for a, b in row["touching"]) for row in rows],
        successes=[bool(row["success"]) for row in rows],
    )
    for row in rows:
        attempt.between.update({int(step): np.array(state) for step, state in row["between"].items()})
        attempt.reached.update(row["reached"])
    return attempt


def _teleoperation(rows: Rows, world: SimWorld, control: Clock) -> list[Stream]:
    began_ns = rows[0]["began_ns"]
    wall_ns = np.array([row["began_ns"] - began_ns for row in rows], dtype=np.int64)
    loop = np.array([[row["late_ns"] * 1e-9, row["busy_ns"] * 1e-9] for row in rows])
    streams = [
        replace(
            _numbers("teleoperation.loop", control, loop, ("late", "busy"), Meaning(unit=_said("s"))),
            other_clocks={"host": measured_clock(wall_ns)},
        ),
        _numbers("teleoperation.hold", control, np.array([row["holds"] for row in rows]), world.arms, Meaning()),
        _numbers("teleoperation.tracking_error", control, _errors_m(rows), world.arms, Meaning(unit=_said("m"))),
    ]
    for arm in world.arms:
        applied = [(row["step"], each) for row in rows for each in row["applied"] if each["arm"] == arm]
        streams += _commands(arm, applied, began_ns)
    return streams


def _commands(arm: str, applied: Sequence[tuple[int, dict[str, Any]]], began_ns: int) -> list[Stream]:
    """What an operator commanded, one stream per kind of command: a command's numbers, and how it came."""
    out = []
    kinds = {(each["kind"], each["relative"]) for _, each in applied}
    for kind, relative in sorted(kinds):
        rows = [(step, each) for step, each in applied if (each["kind"], each["relative"]) == (kind, relative)]
        name = f"teleoperation.{arm}.{'device_pose' if relative else kind}"
        values = np.array([each["values"] for _, each in rows], dtype=np.float64)
        out.append(_on_command_clocks(name, rows, began_ns, values, _CHANNELS.get(kind), _meaning(kind, relative)))
    with_jaws = [(step, each) for step, each in applied if each["opening"] is not None]
    if with_jaws:
        values = np.array([[each["opening"]] for _, each in with_jaws])
        jaws = Meaning(gripper=_said("1_open"))
        out.append(_on_command_clocks(f"teleoperation.{arm}.opening", with_jaws, began_ns, values, ("opening",), jaws))
    if applied:
        values = np.array([[each[name] for name in _WAYS] for _, each in applied], dtype=np.float64)
        out.append(_on_command_clocks(f"teleoperation.{arm}.way", list(applied), began_ns, values, _WAYS, Meaning()))
    return out


_WAYS = ("seq", "enabled", "clutch", "overwritten")
_CHANNELS = {
    "twist": ("vx", "vy", "vz", "wx", "wy", "wz"),
    "pose": ("x", "y", "z", "qx", "qy", "qz", "qw"),
}


def _on_command_clocks(
    name: str,
    rows: Sequence[tuple[int, dict[str, Any]]],
    began_ns: int,
    values: NDArray[np.float64],
    channels: tuple[str, ...] | None,
    meaning: Meaning,
) -> Stream:
    """The clock is the world's, at the step that took it up; `sent`, `received` and `applied` are the host's."""
    step_ns = np.array([step for step, _ in rows], dtype=np.int64) * _NS_PER_STEP
    others = {
        word: measured_clock(np.array([each[f"{word}_ns"] - began_ns for _, each in rows], dtype=np.int64))
        for word in ("sent", "received", "applied")
    }
    others["client"] = measured_clock(np.array([each["client_ns"] for _, each in rows], dtype=np.int64))
    # Events, not a sensor: they come when somebody commands, so a silence among them is no lost sample.
    stream = _numbers(name, measured_clock(step_ns), values, channels, meaning, role=Role.BOOKKEEPING)
    return replace(stream, other_clocks=others)


def _numbers(
    name: str,
    clock: Clock,
    values: NDArray[Any],
    channels: Sequence[str] | None,
    meaning: Meaning,
    *,
    role: Role = Role.SENSOR,
) -> Stream:
    named = None if channels is None else tuple(channels)
    table = np.asarray(values, dtype=np.float64)
    return Stream(name, Kind.TENSOR, role, clock, ArrayValues(table), channels=named, meaning=meaning)


def _meaning(kind: str, relative: bool) -> Meaning:
    if kind == "twist":
        return Meaning(unit=_said("m/s"), frame=_said("world"), reference=_said("velocity"))
    if kind == "pose":
        frame = "headset" if relative else "world"
        return Meaning(unit=_said("m"), frame=_said(frame), rotation=_said("quat_xyzw"), reference=_said("absolute"))
    return Meaning(unit=_said("rad"), reference=_said("absolute"))


def _errors_m(rows: Rows) -> NDArray[np.float64]:
    """Distance between the tip commanded one period ago and the tip measured now, (T, arms)."""
    tips = np.array([row["tips"] for row in rows])[:, :, :3]
    commands = np.array([row["commands"] for row in rows])[:, :, :3]
    wanted = np.concatenate([commands[:1], commands[:-1]])
    return np.asarray(np.linalg.norm(tips - wanted, axis=2))


def _summary(rows: Rows, world: SimWorld) -> dict[str, Any]:
    applied = [each for row in rows for each in row["applied"]]
    holds = np.array([row["holds"] for row in rows])
    errors_mm = _errors_m(rows)[1:] * 1000
    return {
        "devices": sorted({each["device"] for each in applied}),
        "clients": sorted({each["client"] for each in applied}),
        "commands": len(applied),
        "overwritten": sum(each["overwritten"] for each in applied),
        "held_steps": {
            arm: {hold.name.lower(): count for hold, count in Counter(Hold(h) for h in holds[:, at]).items()}
            for at, arm in enumerate(world.arms)
        },
        "sent_to_applied_ms": _quantiles([(each["applied_ns"] - each["sent_ns"]) / 1e6 for each in applied]),
        "received_to_applied_ms": _quantiles([(each["applied_ns"] - each["received_ns"]) / 1e6 for each in applied]),
        "tracking_error_mm": _quantiles(errors_mm.ravel().tolist()),
        "loop_late_ms": _quantiles([row["late_ns"] / 1e6 for row in rows]),
    }


def _quantiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    p50, p95, p99 = (float(each) for each in np.percentile(values, [50, 95, 99]))
    return {"p50": p50, "p95": p95, "p99": p99, "max": max(values)}


def _said(value: str) -> Fact:
    return Fact(value, Evidence.USER)
