"""What a task may say of a world, and ask of it: props, subtasks, moves. No simulator is known here."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Embodiment
from robokata.core.errors import UnknownName

Pose = NDArray[np.float64]
"""A rigid transform `world_from_x`, (4, 4)."""
TABLE = "table"
"""Name under which `World.touches` knows the table."""


class Width(enum.StrEnum):
    """How far apart resets lie, after MimicGen: D0 as demonstrated, D1 wide, D2 wider and rotated at will."""

    D0 = "D0"
    D1 = "D1"
    D2 = "D2"


class Shape(enum.StrEnum):
    """Primitives: no meshes, because a software renderer is bound by vertices."""

    BOX = "box"
    CYLINDER = "cylinder"
    CAPSULE = "capsule"
    SPHERE = "sphere"


@dataclass(frozen=True)
class Solid:
    """One primitive of a prop."""

    shape: Shape
    size_m: tuple[float, ...]
    """Half sizes (box: 3), radius and half length (cylinder, capsule: 2), radius (sphere: 1)."""
    rgba: tuple[float, float, float, float]
    mass_kg: float
    at_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quat_xyzw: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    friction: float = 1.0
    """Sliding friction; 1.0 is rubber on wood."""
    collides: bool = True


@dataclass(frozen=True)
class Slide:
    """A straight joint between a prop and the prop (or the table) that it belongs to."""

    axis: tuple[float, float, float]
    range_m: tuple[float, float]
    damping_n_s_m: float = 5.0
    stiction_n: float = 0.5


@dataclass(frozen=True)
class Prop:
    """One thing that the robot can meet: a rigid body of primitives."""

    name: str
    solids: tuple[Solid, ...]
    is_free: bool = True
    """True where it moves freely; else it stands where the reset puts it."""
    is_distractor: bool = False
    """True for what only stands beside: no policy is told where it is, and no subtask is about it."""
    yaw_symmetry: int = 1
    """Turns about its vertical that leave it looking the same: 4 for a cube, 0 for any turn (a cylinder)."""
    parent: str | None = None
    """The prop that it is part of (a drawer of its cabinet)."""
    slide: Slide | None = None
    at_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Position in the parent, where there is one."""
    marks: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    """Named points in the prop's frame (m): a handle, the mouth of a hole."""


@dataclass(frozen=True)
class Setup:
    """One reset: where things are, and what is asked."""

    poses: Mapping[str, Pose]
    """world_from_prop of every prop without a parent."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What fills the slots of the instruction: `{"colour": "red"}`."""


class World(Protocol):
    """A world while something happens in it. Poses are `world_from_x`; the origin is the middle of the table's top."""

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms: `("arm",)`, or `("left", "right")`."""
        ...

    @property
    def time_s(self) -> float: ...

    def pose(self, prop: str) -> Pose:
        """world_from_prop."""
        ...

    def mark_m(self, prop: str, mark: str) -> NDArray[np.float64]:
        """A named point of a prop in the world, (3,)."""
        ...

    def slide_m(self, prop: str) -> float:
        """How far a sliding prop is drawn."""
        ...

    def scale(self, prop: str) -> float:
        """Size of a prop as a share of what the task says: 1.0 but where a factor changed it."""
        ...

    def speed_m_s(self, prop: str) -> float:
        """How fast a prop moves."""
        ...

    def tip(self, arm: str) -> Pose:
        """Measured pose of the point between an arm's jaws: z out of the hand, y along the jaws' motion."""
        ...

    def command(self, arm: str) -> Pose:
        """The tip pose last commanded."""
        ...

    def opening_m(self, arm: str) -> float:
        """Measured distance of the jaws."""
        ...

    def max_opening_m(self, arm: str) -> float:
        """Distance of the jaws when the gripper is open."""
        ...

    def touches(self, one: str, other: str) -> bool:
        """True while two of these touch: props, arms (their jaws), `table`."""
        ...

    def holds(self, arm: str, prop: str) -> bool:
        """True while a prop touches both jaws of an arm."""
        ...


class RobotNeed(NamedTuple):
    """What a task needs of a robot."""

    arms: tuple[str, ...]
    """Names of its arms: `("arm",)`, or `("left", "right")`."""
    reach_m: tuple[float, float]
    """Half extents (x, y) of the table that every arm must reach: its resets are laid out in them."""
    joints: int = 5
    """Joints of each arm: five point the hand down at any turn, six turn it as they like."""

    def unmet(self, robot: Embodiment) -> str | None:
        """What a robot lacks, in words; None where it lacks nothing."""
        arms = {arm.name: arm for arm in robot.arms}
        if tuple(sorted(arms)) != tuple(sorted(self.arms)):
            return f"it has the arms {', '.join(arms) or 'none'}, and {', '.join(self.arms)} are needed"
        fewest = min(len(arm.joints) for arm in robot.arms)
        if fewest < self.joints:
            return f"an arm of {fewest} joints, and {self.joints} are needed"
        if robot.reach_m is None or any(has < need for has, need in zip(robot.reach_m, self.reach_m, strict=True)):
            has = "an unknown reach" if robot.reach_m is None else f"a reach of {robot.reach_m} m"
            return f"{has}, and {self.reach_m} m are needed"
        return None


class Subtask(NamedTuple):
    """One part of a task: it ends when `reached`, and its motion is relative to `prop`."""

    name: str
    arm: str
    prop: str
    """The object of reference."""
    reached: Callable[[World], bool]
    after: tuple[str, ...] = ()
    """Subtasks (of another arm) that must be reached before this one may begin: sequential coordination."""
    beside: str | None = None
    """A subtask of the other arm that is done in step with this one: synchronised coordination."""


@dataclass(frozen=True)
class Move:
    """One motion of one arm, given by where it ends."""

    arm: str
    to: Pose
    """world_from_tip at its end."""
    opening_m: float
    """Distance of the jaws that is commanded from its start on."""
    settle_s: float = 0.0
    """Time to stay afterwards: jaws need some to close."""
    speed_share: float = 1.0
    """Share of the operator's own speed: contacts are made slowly."""
    is_transit: bool = False
    """True in free space: here a clumsy operator dawdles and takes detours."""


def instruction_of(task: Any, setup: Setup, *, paraphrase: int = 0) -> str:
    """The task's instruction with its slots filled; `paraphrase` 0 is the usual wording.

    Raises:
        UnknownName: the task has no such paraphrase.
    """
    texts = task.INSTRUCTIONS
    if not 0 <= paraphrase < len(texts):
        raise UnknownName("paraphrase", str(paraphrase), [str(number) for number in range(len(texts))])
    return str(texts[paraphrase].format(**setup.words))


def turns_of(prop: Prop) -> list[NDArray[np.float64]]:
    """Rotations about its own vertical that leave a prop looking the same, (3, 3) each; 16 stand for any turn."""
    count = prop.yaw_symmetry or 16
    out = []
    for turn in range(count):
        c, s = math.cos(2 * math.pi * turn / count), math.sin(2 * math.pi * turn / count)
        out.append(np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]))
    return out
