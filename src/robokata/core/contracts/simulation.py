"""What files in `robots/` and `tasks/` define."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np

from robokata.core.episode import Embodiment
from robokata.core.world import Move, Prop, RobotNeed, Setup, Subtask, Width, World


@runtime_checkable
class RobotLeaf(Protocol):
    """A file in `robots/`. It does every task whose `NEEDS` it meets; no task is edited for it."""

    ROBOT: Embodiment
    """Facts of the robot, named like the file, each number with its source."""


@runtime_checkable
class TaskLeaf(Protocol):
    """A file in `tasks/`."""

    ROBOT: str
    """The robot that does it where none is asked for."""
    NEEDS: RobotNeed
    """What a robot must have to do it: every robot of the shelf that has it can be asked for."""
    INSTRUCTIONS: tuple[str, ...]
    """The instruction and its paraphrases, with the slots that `Setup.words` fills."""
    PROPS: tuple[Prop, ...]
    HORIZON_S: float
    """Time after which an attempt has failed."""

    def reset(self, rng: np.random.Generator, *, width: Width, reach_m: tuple[float, float]) -> Setup:
        """Draw where things are and what is asked, within a robot's reach (half extents around the origin)."""
        ...

    def subtasks(self, setup: Setup) -> tuple[Subtask, ...]:
        """The parts of the task, in order; they are its subgoals too."""
        ...

    def succeeded(self, world: World, setup: Setup) -> bool:
        """True while the task is done."""
        ...

    def demonstrate(self, world: World, setup: Setup, rng: np.random.Generator) -> Iterator[tuple[Move, ...]]:
        """What a skilled operator would do next, looking at the world between moves; one tuple happens at once."""
        ...
