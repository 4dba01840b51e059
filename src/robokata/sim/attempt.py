"""One attempt at a task as numbers: every control step, without a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.world import Setup, Subtask
from robokata.sim.model import PHYSICS_HZ
from robokata.sim.sensors import Sensors
from robokata.sim.world import SimWorld

Array = NDArray[np.float64]


@dataclass
class Attempt:
    """What happened. It grows while the attempt lasts; row i of everything is control step i."""

    subtasks: tuple[Subtask, ...]
    sensors: Sensors
    steps: list[int] = field(default_factory=list)
    """Physics steps since the reset, when the state was measured and the command given."""
    state: list[Array] = field(default_factory=list)
    action: list[Array] = field(default_factory=list)
    tips: list[Array] = field(default_factory=list)
    commands: list[Array] = field(default_factory=list)
    objects: list[Array] = field(default_factory=list)
    physics: list[Array] = field(default_factory=list)
    touching: list[frozenset[tuple[int, int]]] = field(default_factory=list)
    between: dict[int, Array] = field(default_factory=dict)
    """Physics states between control steps, for sensors faster than the control: step -> state."""
    force: list[Array] = field(default_factory=list)
    force_steps: list[int] = field(default_factory=list)
    reached: dict[str, int] = field(default_factory=dict)
    """Subtask -> index of the control step after which it was first reached."""
    successes: list[bool] = field(default_factory=list)
    """Whether the task was done after each control step."""
    labels: dict[str, list[Any]] = field(default_factory=dict)
    """Further rows per control step, by name: clean targets, source demonstrations, command times."""

    @property
    def success_once(self) -> bool:
        """True where the task was done at some moment."""
        return True in self.successes

    @property
    def success_at_end(self) -> bool:
        """True where the task was done at the end."""
        return self.successes[-1] if self.successes else False

    @property
    def first_success_s(self) -> float | None:
        """Seconds until the task was first done, None where it never was."""
        if not self.success_once:
            return None
        at = self.successes.index(True)
        # Judged at the end of the control step, which is the time of the next.
        return (self.steps[at] + self._period) / PHYSICS_HZ

    @property
    def _period(self) -> int:
        return self.steps[1] - self.steps[0] if len(self.steps) > 1 else 0


class Recorder:
    """Steps a world and writes down what happens. A class, because an attempt grows."""

    def __init__(self, world: SimWorld, setup: Setup, *, task: Any, sensors: Sensors | None = None) -> None:
        self.world, self.setup, self.task = world, setup, task
        self.sensors = sensors or Sensors()
        self.attempt = Attempt(task.subtasks(setup), self.sensors)
        self._period = PHYSICS_HZ // world.control_hz
        self._horizon: int = round(task.HORIZON_S * PHYSICS_HZ)

    @property
    def is_over_time(self) -> bool:
        """True when the task's horizon has passed."""
        return self.world.steps >= self._horizon

    def step(self, command: Callable[[], None], *, labels: Mapping[str, Any] | None = None) -> None:
        """Measure, command, let one control period pass, and judge."""
        world, attempt = self.world, self.attempt
        at, state, tips, objects = world.steps, world.state(), world.tips(), world.objects()
        physics, touching = world.physics_state(), world.touching()
        # Before anything is written down: a command that fails must not leave half a row behind.
        command()
        attempt.steps.append(at)
        attempt.state.append(state)
        attempt.tips.append(tips)
        attempt.objects.append(objects)
        attempt.physics.append(physics)
        attempt.touching.append(touching)
        attempt.action.append(world.action())
        attempt.commands.append(world.commands())
        for name, value in (labels or {}).items():
            attempt.labels.setdefault(name, []).append(value)
        self._let_pass()
        self._judge()

    def _let_pass(self) -> None:
        end = self.world.steps + self._period
        for at, kinds in self.sensors.ticks(self.world.steps, end):
            if at > self.world.steps:
                self.world.advance(at - self.world.steps)
            if "state" in kinds and at not in self.attempt.between:
                self.attempt.between[at] = self.world.physics_state()
            if "force" in kinds:
                self.attempt.force.append(self.world.force())
                self.attempt.force_steps.append(at)
        self.world.advance(end - self.world.steps)

    def _judge(self) -> None:
        attempt, at = self.attempt, len(self.attempt.steps) - 1
        for subtask in self._open():
            if subtask.reached(self.world):
                attempt.reached[subtask.name] = at
        attempt.successes.append(bool(self.task.succeeded(self.world, self.setup)))

    def _open(self) -> Iterator[Subtask]:
        """The next subtask of each arm whose forerunners are done."""
        seen = set()
        for subtask in self.attempt.subtasks:
            if subtask.name in self.attempt.reached or subtask.arm in seen:
                continue
            seen.add(subtask.arm)
            if all(name in self.attempt.reached for name in subtask.after):
                yield subtask
