"""Everything that a task imports: `from robokata.authoring.tasks import Move, Prop, Setup, Subtask`.

A task defines

- `ROBOT`: the robot that does it by default, and `NEEDS: RobotNeed`: what any other robot must have;
- `INSTRUCTIONS`: the instruction and its paraphrases, with the slots that `Setup.words` fills;
- `PROPS`: the things on the table, and `HORIZON_S`: when an attempt has failed;
- `reset(rng, *, width, reach_m) -> Setup`: draw where things are;
- `subtasks(setup) -> tuple[Subtask, ...]`: the parts of the task, in order;
- `succeeded(world, setup) -> bool`: true while the task is done;
- `demonstrate(world, setup, rng) -> Iterator[tuple[Move, ...]]`: what a skilled operator does next.

A task knows no simulator: it sees a `World`. `moves` and `resets` hold what several tasks share. Entry point group:
`robokata.tasks`. Tests: `robokata.testing.TASK_CLAUSES`.
"""

from robokata.core.contracts import TaskLeaf
from robokata.core.world import Move, Pose, Prop, RobotNeed, Setup, Shape, Slide, Solid, Subtask, Width, World
from robokata.geometry.poses import inverse, pose_of, wrapped_rad, yaw_of, yaw_rotation
from robokata.tasks import _moves as moves
from robokata.tasks import _resets as resets

__all__ = [
    "Move",
    "Pose",
    "Prop",
    "RobotNeed",
    "Setup",
    "Shape",
    "Slide",
    "Solid",
    "Subtask",
    "TaskLeaf",
    "Width",
    "World",
    "inverse",
    "moves",
    "pose_of",
    "resets",
    "wrapped_rad",
    "yaw_of",
    "yaw_rotation",
]
