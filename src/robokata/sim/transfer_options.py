"""How a demonstration is told again elsewhere: choice of the source, motion to its new place, bridge, noise.

After MimicGen (Mandlekar et al., arXiv 2310.17596), written from the published algorithm, with a speed-limited bridge
instead of a fixed number of steps, and with the symmetries of the objects.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import RecipeRefused
from robokata.core.world import Prop, turns_of
from robokata.geometry.poses import (
    Pose,
    angle_between_rad,
    between,
    inverse,
    nearest_turn,
    pose_of,
)
from robokata.runtime.schema import Count, Kind, Positive, Size, is_integer, read_table, require_table
from robokata.sim.segments import Cut
from robokata.sim.world import Target


class SourceChoice(enum.StrEnum):
    """Which demonstration a subtask is told after."""

    RANDOM = "random"
    NEAREST_OBJECT = "nearest_object"
    """One of those whose object of reference lay nearest to where it lies now."""
    NEAREST_ROBOT = "nearest_robot"
    """One of those whose first command, moved, is nearest to where the arm is now."""


def _is_range(value: Any) -> bool:
    is_pair = isinstance(value, (list, tuple)) and len(value) == 2 and all(map(is_integer, value))
    return is_pair and 0 <= value[0] <= value[1]


_Range = Annotated[tuple[int, int], Kind("two integers that rise, such as [1, 5]", _is_range)]


@dataclass(frozen=True)
class Telling:
    """How one subtask is told again."""

    choice: SourceChoice = SourceChoice.NEAREST_OBJECT
    nearest: Count = 3
    """Sources among which a nearest choice picks: MimicGen's 3 keeps variety."""
    offset_steps: _Range = (1, 5)
    """Steps by which the boundary moves past the moment at which the subtask was reached, drawn anew each time."""
    bridge_least_steps: Count = 5
    bridge_speed_m_s: Positive = 0.4
    """Mean speed of an operator's transit."""
    bridge_turn_rad_s: Positive = 1.8
    noise_m: Size = 0.001
    """Standard deviation of the wander added to commanded positions: acceptance falls from 2 mm on."""
    yaw_weight_m_rad: Size = 0.05
    """What a turn of the object counts beside its distance in a nearest choice."""


@dataclass(frozen=True)
class Tellings:
    """How all subtasks of a task are told again."""

    usual: Telling = Telling()
    of_subtask: dict[str, Telling] = field(default_factory=dict)
    one_source: bool = False
    """True: one demonstration for the whole attempt; else each subtask chooses its own."""

    def of(self, subtask: str) -> Telling:
        """How this subtask is told."""
        return self.of_subtask.get(subtask, self.usual)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


def chosen(
    cuts: Sequence[Cut], telling: Telling, *, prop: Prop, prop_now: Pose, tip_now: Pose, rng: np.random.Generator
) -> Cut:
    """One of the cuts, as the telling says."""
    if telling.choice is SourceChoice.RANDOM:
        return cuts[int(rng.integers(len(cuts)))]
    if telling.choice is SourceChoice.NEAREST_OBJECT:
        scores = [_object_score_m(cut, prop, prop_now, telling.yaw_weight_m_rad) for cut in cuts]
    else:
        firsts = [(moved(cut, prop, prop_now) @ cut.targets[0])[:3, 3] for cut in cuts]
        scores = [float(np.linalg.norm(first - tip_now[:3, 3])) for first in firsts]
    nearest = np.argsort(scores, kind="stable")[: telling.nearest]
    return cuts[int(rng.choice(nearest))]


def moved(cut: Cut, prop: Prop, prop_now: Pose) -> Pose:
    """The motion that brings the cut's object to where it lies now, by its symmetry the one of least turn."""
    turn = nearest_turn(prop_now[:3, :3], cut.prop_at_start[:3, :3], turns_of(prop))
    return np.asarray(prop_now @ pose_of(np.zeros(3), turn) @ inverse(cut.prop_at_start))


def targets_of(
    cut: Cut, motion: Pose, telling: Telling, *, start: Target, control_hz: int, rng: np.random.Generator
) -> list[Target]:
    """Commands from where the arm is told to be now: a bridge, then the moved piece."""
    low, high = telling.offset_steps
    scale = control_hz / 20  # offsets are given at 20 Hz
    end = min(cut.end + round(int(rng.integers(low, high + 1)) * scale), len(cut.targets))
    piece = [
        Target(motion @ pose, float(opening_m))
        for pose, opening_m in zip(cut.targets[:end], cut.openings_m[:end], strict=True)
    ]
    return [*bridge(start, piece[0].tip, telling, control_hz=control_hz), *piece]


def bridge(start: Target, to: Pose, telling: Telling, *, control_hz: int) -> Iterator[Target]:
    """Straight from one pose to another, no faster than an operator; the jaws stay as they are."""
    distance_m = float(np.linalg.norm(to[:3, 3] - start.tip[:3, 3]))
    turn_rad = angle_between_rad(start.tip[:3, :3], to[:3, :3])
    steps = max(
        telling.bridge_least_steps,
        math.ceil(distance_m / telling.bridge_speed_m_s * control_hz),
        math.ceil(turn_rad / telling.bridge_turn_rad_s * control_hz),
    )
    for step in range(1, steps):
        yield Target(between(start.tip, to, step / steps), start.opening_m)


def with_noise(
    targets: Sequence[Target], telling: Telling, *, control_hz: int, rng: np.random.Generator
) -> Iterator[Target]:
    """The same commands with a smooth wander of the positions, as a hand has."""
    memory = 0.8 ** (20 / control_hz)  # a wander of 0.2 s: white noise would shake the arm
    wander: NDArray[np.float64] = np.zeros(3)
    kick_m = telling.noise_m * math.sqrt(1 - memory**2)
    for target in targets:
        wander = memory * wander + rng.normal(0.0, kick_m, 3)
        tip = target.tip.copy()
        tip[:3, 3] += wander
        yield replace_tip(target, tip)


def replace_tip(target: Target, tip: Pose) -> Target:
    """The same opening at another pose."""
    return Target(tip, target.opening_m)


def _object_score_m(cut: Cut, prop: Prop, prop_now: Pose, yaw_weight_m_rad: float) -> float:
    turn = nearest_turn(prop_now[:3, :3], cut.prop_at_start[:3, :3], turns_of(prop))
    apart_rad = angle_between_rad(prop_now[:3, :3] @ turn, cut.prop_at_start[:3, :3])
    return float(np.linalg.norm(prop_now[:3, 3] - cut.prop_at_start[:3, 3])) + yaw_weight_m_rad * apart_rad


def tellings_from(table: Mapping[str, Any], *, where: str) -> Tellings:
    """Tellings from a table: top-level keys change the usual telling, `[subtask.NAME]` one subtask's.

    Raises:
        RecipeRefused: an unknown key, or a value that it cannot have; it begins with `where`.
    """
    rest = dict(require_table(table, where=where))
    parts = require_table(rest.pop("subtask", {}), where=f"{where}, [subtask]")
    one_source = rest.pop("one_source", False)
    if type(one_source) is not bool:
        raise RecipeRefused(f"{where}: one_source must be true or false, got {one_source!r}.")
    more = "one_source, and [subtask.NAME] tables"
    of_subtask = {}
    for name, part in parts.items():
        place = f"{where}, [subtask.{name}]"
        of_subtask[name] = read_table(Telling, {**rest, **require_table(part, where=place)}, where=place, more=more)
    return Tellings(read_table(Telling, rest, where=where, more=more), of_subtask, one_source)
