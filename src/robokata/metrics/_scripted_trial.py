"""Pick-and-place trials of numbers alone, with known attempts, drops, stalls, contacts and jumps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robokata.core.clock import NS_PER_S, measured_clock
from robokata.core.episode import Annotation, Arm, Embodiment, Episode, Gripper, Outcome
from robokata.core.stream import Kind, Role, Stream
from robokata.core.values import ArrayValues

RATE_HZ = 20
OPEN_M = 0.08
THING_M = 0.035
ROBOT = Embodiment(
    "made_arm", arms=(Arm("arm", ("j1", "j2", "j3"), "tip", (0.0, 0.0, 0.0), Gripper("gripper", open_m=OPEN_M)),)
)


@dataclass
class Script:
    """A timeline that grows: where the tip is, how far the jaws are open, where the thing is."""

    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.tip: list[NDArray[np.float64]] = [np.array([0.0, 0.0, 0.3])]
        self.opening: list[float] = [OPEN_M]
        self.command: list[float] = [OPEN_M]
        self.thing: list[NDArray[np.float64]] = [np.array([0.3, 0.1, 0.02])]
        self.held = False

    @property
    def now_s(self) -> float:
        return (len(self.tip) - 1) / RATE_HZ

    def move(self, to: ArrayLike, over_s: float) -> None:
        start, end, steps = self.tip[-1], np.asarray(to, dtype=np.float64), round(over_s * RATE_HZ)
        for step in range(1, steps + 1):
            phase = step / steps
            self._add(start + (end - start) * (10 * phase**3 - 15 * phase**4 + 6 * phase**5), self.command[-1])

    def wait(self, over_s: float) -> None:
        for _ in range(round(over_s * RATE_HZ)):
            self._add(self.tip[-1], self.command[-1])

    def jaws(self, command_m: float, *, on_thing: bool = False, over_s: float = 0.4) -> None:
        self.held = on_thing
        self.command[-1] = command_m
        for _ in range(round(over_s * RATE_HZ)):
            self._add(self.tip[-1], command_m)

    def lose(self) -> None:
        self.held = False
        self.thing[-1] = np.array([*self.tip[-1][:2], 0.02])
        self.wait(0.4)

    def _add(self, tip: NDArray[np.float64], command: float) -> None:
        # Jaws close at 20 cm/s and stop at the thing that they hold.
        limit = THING_M if self.held else 0.0
        step = 0.1 / RATE_HZ * 2
        opening = self.opening[-1] + float(np.clip(max(command, limit) - self.opening[-1], -step, step))
        self.thing.append(tip if self.held and opening <= THING_M else self.thing[-1])
        self.tip.append(tip)
        self.opening.append(opening)
        self.command.append(command)


def scripted_trial(
    rng: np.random.Generator,
    *,
    empties: int = 0,
    is_held: bool = True,
    drops: int = 0,
    stall_s: float = 0.0,
    contacts: int = 0,
    success: bool | None = True,
    chatter_rad: float = 0.0,
    detour_m: float = 0.0,
    executed_steps: int | None = None,
    jump_rad: float = 0.0,
    with_objects: bool = True,
) -> Episode:
    """One trial: `empties` closings on nothing, then (if `is_held`) a grasp, `drops` losses and regrasps, a place."""
    script = Script(rng)
    script.wait(0.5)
    marks: list[Annotation] = []
    spot = np.array([0.3, 0.1, 0.02]) + rng.normal(0, 0.02, 3) * np.array([1, 1, 0])
    script.thing[-1] = spot
    for _ in range(empties):
        script.move(spot + np.array([0.05, 0, 0]), 1.0)
        script.jaws(0.0)
        script.jaws(OPEN_M)
        script.move(spot + np.array([0, 0, 0.1]), 0.5)
    if stall_s:
        script.wait(stall_s)
    for number in range(drops + 1 if is_held else 0):
        script.move(script.thing[-1], 1.0)
        script.jaws(0.0, on_thing=True, over_s=0.8)
        marks.append(Annotation("subtask:take", 0.0, script.now_s))
        script.move(script.tip[-1] + (0, detour_m, 0.12), 1.0)
        if number < drops:
            marks.append(Annotation("drop:cube", script.now_s, script.now_s))
            script.lose()
            script.jaws(OPEN_M)
    done_s = None
    if is_held and success is not False:
        script.move((0.3, -0.2, 0.05), 1.2)
        script.jaws(OPEN_M)
        done_s = script.now_s
        marks.append(Annotation("subtask:place", 0.0, done_s))
    script.wait(0.3)
    starts_s = rng.uniform(0.2, 3.0, contacts) if contacts else ()
    marks += [Annotation(f"contact:arm/palm:thing{n}", float(s), float(s) + 0.1) for n, s in enumerate(starts_s)]
    return _episode(script, marks, success, done_s, chatter_rad, executed_steps, jump_rad, with_objects)


def without_simulator(episode: Episode) -> Episode:
    """The same trial as a robot would have logged it: no things, no annotations."""
    bare = episode.without_stream("simulation.objects")
    return replace(bare, annotations=(), extra={})


def _episode(
    script: Script,
    marks: list[Annotation],
    success: bool | None,
    done_s: float | None,
    chatter_rad: float,
    executed_steps: int | None,
    jump_rad: float,
    with_objects: bool,
) -> Episode:
    rng, count = script.rng, len(script.tip)
    clock = measured_clock(np.arange(count, dtype=np.int64) * (NS_PER_S // RATE_HZ), declared_rate_hz=Fraction(RATE_HZ))
    tip = np.asarray(script.tip)
    joints = tip @ np.array([[1.0, 0.2, 0.1], [0.1, 1.1, 0.3], [0.2, 0.1, 0.9]])
    command = np.column_stack((joints, script.command))
    if chatter_rad:
        command[:, :3] += chatter_rad * np.where(np.arange(count) % 2, 1, -1)[:, np.newaxis]
    if executed_steps and jump_rad:
        command[:, 0] += jump_rad * (np.arange(count) // executed_steps)
    state = np.column_stack((joints, script.opening)) + rng.normal(0, 1e-5, (count, 4))
    channels = ("j1", "j2", "j3", "gripper")
    pose = np.column_stack((tip, np.tile([0.0, 0, 0, 1], (count, 1))))
    tip_names = tuple(f"tip.{axis}" for axis in ("x", "y", "z", "qx", "qy", "qz", "qw"))
    thing = np.column_stack((script.thing, np.tile([0.0, 0, 0, 1], (count, 1))))
    columns = [
        ("observation.state", Role.STATE, state, channels),
        ("observation.tip_pose", Role.STATE, pose, tip_names),
        ("action", Role.ACTION, command, channels),
    ]
    if with_objects:
        columns.append(("simulation.objects", Role.SENSOR, thing, tuple(n.replace("tip", "cube") for n in tip_names)))
    simulation = {
        "subtasks": ["take", "place"],
        "contacts_recorded": True,
        "success_once": done_s is not None,
        "success_at_end": bool(success),
        "first_success_s": done_s,
    }
    facts = {"policy": "made", "horizon_s": 30.0}
    if executed_steps:
        facts["executed_steps"] = executed_steps
    return Episode(
        "made",
        {n: Stream(n, Kind.TENSOR, role, clock, ArrayValues(v), channels=named) for n, role, v, named in columns},
        embodiment=ROBOT,
        annotations=tuple(marks),
        outcome=Outcome(success, "made"),
        declared_rate_hz=Fraction(RATE_HZ),
        extra={"simulation": simulation, "trial": facts},
    )
