"""Demonstrations cut into the pieces that a generator moves to new places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.ancestry import ancestry_of
from robokata.core.episode import Episode
from robokata.core.errors import Unsupported
from robokata.core.world import Setup, Subtask
from robokata.geometry.poses import Pose, pose_from_seven
from robokata.sim.demonstration import Scene

_NEEDED = ("action.tip_pose", "simulation.objects")


@dataclass(frozen=True)
class Cut:
    """What one arm was commanded during one subtask of one demonstration."""

    source: str
    """Id of the demonstration."""
    subtask: str
    targets: tuple[Pose, ...]
    """Commanded world_from_tip, step by step."""
    openings_m: NDArray[np.float64]
    """(T,)."""
    prop_at_start: Pose
    """world_from_prop of the object of reference when the subtask began."""
    end: int
    """Steps up to the one in which the subtask was reached; the rest is margin for the offset of the boundary."""


@dataclass(frozen=True)
class Demonstration:
    """One source, ready to be cut."""

    id: str
    split: str | None
    commands: NDArray[np.float64]
    """(T, A, 8): x y z, quaternion x y z w, opening."""
    objects: NDArray[np.float64]
    """(T, P, 7)."""
    reached: Mapping[str, int]
    """Subtask -> step in which it was reached."""
    words: Mapping[str, str]
    """What was asked: it decides which props the subtasks are about."""
    ancestry: tuple[str, ...] = ()
    """What `origin.made_from` of its descendants must say: its name and those of its ancestors."""


def scene_told_by(episode: Episode) -> Scene:
    """The task and robot that an episode was recorded with.

    Raises:
        Unsupported: it was not recorded in a simulated world of ours.
    """
    made = _made(episode)
    return Scene(str(made["task"]), str(made["robot"]), int(made["control_hz"]))


def demonstration_of(episode: Episode, scene: Scene) -> Demonstration:
    """What an episode gives to a generator.

    Raises:
        Unsupported: it lacks streams or subtasks, or shows another task, robot or rate.
    """
    if scene_told_by(episode) != scene:
        raise Unsupported(
            f"episode {episode.id} shows {scene_told_by(episode)}, others show {scene}. Expand each kind by itself."
        )
    lacking = [name for name in _NEEDED if name not in episode.streams]
    if lacking:
        raise Unsupported(f"episode {episode.id} has no {', '.join(lacking)}: without them nothing can be moved.")
    commands = episode.streams["action.tip_pose"].table
    objects = episode.streams["simulation.objects"].table
    told = {note.label.removeprefix("subtask:"): note.end_s for note in episode.annotations if _is_subtask(note.label)}
    arms, props = len(scene.embodiment.arms), len(scene.leaf.PROPS)
    # An annotation ends with the control step in which the subtask was reached: at the next step's time.
    reached = {name: min(round(end_s * scene.control_hz) - 1, len(commands) - 1) for name, end_s in told.items()}
    return Demonstration(
        id=episode.id,
        split=episode.origin.split,
        commands=commands.reshape(len(commands), arms, 8),
        objects=objects.reshape(len(objects), props, 7),
        reached=reached,
        ancestry=ancestry_of(episode),
        words=dict(_made(episode).get("words", {})),
    )


def cuts_of(demonstration: Demonstration, scene: Scene, *, margin: int) -> dict[str, Cut]:
    """Subtask -> its cut; subtasks that the demonstration did not reach are absent. `margin` steps follow the end.

    The subtasks are the demonstration's own: asked for another colour, it moved another prop.
    """
    subtasks: Sequence[Subtask] = scene.leaf.subtasks(Setup({}, demonstration.words))
    arms = [arm.name for arm in scene.embodiment.arms]
    props = [prop.name for prop in scene.leaf.PROPS]
    begins = dict.fromkeys(arms, 0)
    out = {}
    for number, subtask in enumerate(subtasks):
        reached = demonstration.reached.get(subtask.name)
        if reached is None:
            continue
        waited = [demonstration.reached[name] + 1 for name in subtask.after if name in demonstration.reached]
        start = max([begins[subtask.arm], *waited])
        is_last = all(later.arm != subtask.arm for later in subtasks[number + 1 :])
        end = len(demonstration.commands) if is_last else reached + 1
        rows = demonstration.commands[start : end + (0 if is_last else margin), arms.index(subtask.arm)]
        begins[subtask.arm] = end
        if not len(rows):
            continue
        out[subtask.name] = Cut(
            source=demonstration.id,
            subtask=subtask.name,
            targets=tuple(pose_from_seven(row) for row in rows),
            openings_m=rows[:, 7],
            prop_at_start=pose_from_seven(demonstration.objects[start, props.index(subtask.prop)]),
            end=end - start,
        )
    return out


def _is_subtask(label: str) -> bool:
    return label.startswith("subtask:")


def _made(episode: Episode) -> Mapping[str, Any]:
    made = episode.extra.get("simulation")
    if not isinstance(made, Mapping) or not {"task", "robot", "control_hz"} <= set(made):
        raise Unsupported(
            f"episode {episode.id} was not recorded in a simulated world: it does not say its task and robot. "
            f"Record some with `kata collect sim TASK`."
        )
    return made
