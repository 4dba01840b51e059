"""A recording in progress: the attempt, and its journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from robokata.collection.recording.journal import Journal
from robokata.core.world import Setup
from robokata.sim.attempt import Recorder
from robokata.sim.model import PHYSICS_HZ
from robokata.sim.sensors import Sensors
from robokata.sim.world import SimWorld


class Recording:
    """Steps the world through a recorder and writes every control step to a journal."""

    def __init__(
        self, world: SimWorld, setup: Setup, *, task: Any, sensors: Sensors, journal: Journal, limit_s: float
    ) -> None:
        self.journal = journal
        self._recorder = Recorder(world, setup, task=task, sensors=sensors)
        self._most_steps = round(limit_s * world.control_hz)
        self._limit_s = limit_s
        self._period = PHYSICS_HZ // world.control_hz
        self._reached: set[str] = set()
        self._forces = 0

    @property
    def steps(self) -> int:
        """Control steps so far."""
        return len(self._recorder.attempt.steps)

    def step(self, command: Callable[[], None]) -> bool:
        """One control period; True while the task is done."""
        self._recorder.step(command)
        return self._recorder.attempt.successes[-1]

    def write(self, applied: Iterable[Any], holds: list[int], *, began_ns: int, late_ns: int, busy_ns: int) -> None:
        """Hand the step that has just passed to the journal."""
        attempt = self._recorder.attempt
        first = attempt.steps[-1]
        between = {
            step: attempt.between[step] for step in range(first, first + self._period) if step in attempt.between
        }
        reached = {name: at for name, at in attempt.reached.items() if name not in self._reached}
        self._reached |= reached.keys()
        row: dict[str, Any] = {
            "step": first,
            "state": attempt.state[-1],
            "action": attempt.action[-1],
            "tips": attempt.tips[-1],
            "commands": attempt.commands[-1],
            "objects": attempt.objects[-1],
            "physics": attempt.physics[-1],
            "touching": attempt.touching[-1],
            "between": between,
            "success": attempt.successes[-1],
            "reached": reached,
            "holds": holds,
            "began_ns": began_ns,
            "late_ns": late_ns,
            "busy_ns": busy_ns,
            "applied": [_applied_as_json(each) for each in applied],
        }
        self.journal.append(row)

    def must_stop(self) -> str | None:
        """Why the recording cannot go on."""
        if self.journal.problem is not None:
            return f"The disk says: {self.journal.problem}. Recording stopped; every finished episode is intact."
        if self.steps >= self._most_steps:
            return f"The limit of {self._limit_s:g} s is reached."
        return None


def _applied_as_json(applied: Any) -> dict[str, Any]:
    command = applied.command
    return {
        "arm": command.arm,
        "kind": str(command.kind),
        "relative": command.is_relative,
        "values": command.values,
        "opening": command.opening_share,
        "enabled": command.enabled,
        "clutch": command.clutch,
        "device": str(command.device),
        "client": command.client,
        "seq": command.sequence,
        "client_ns": command.client_ns,
        "sent_ns": command.sent_ns,
        "received_ns": command.received_ns,
        "applied_ns": applied.applied_ns,
        "overwritten": applied.overwritten,
    }
