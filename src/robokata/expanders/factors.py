"""Expansion by factors: the same episodes under other light, on another table, with heavier or smaller things.

A factor of looks renders the stored states again: motion and labels stay to the bit. A factor of physics replays the
commands in the changed world, and keeps what still succeeds.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from robokata.core.ancestry import ancestry_of
from robokata.core.contracts import ExpansionJobs
from robokata.core.detection import reopen
from robokata.core.episode import Episode
from robokata.core.errors import RecipeRefused, UnknownName, Unsupported
from robokata.core.source import Source
from robokata.core.world import Setup
from robokata.geometry.poses import pose_from_seven
from robokata.runtime.jobs import Made
from robokata.sim.attempt import Attempt, Recorder
from robokata.sim.cameras import Filming, cameras_of, film
from robokata.sim.demonstration import Scene, begin, world_of
from robokata.sim.episode import episode_of
from robokata.sim.gl import mujoco
from robokata.sim.segments import scene_told_by
from robokata.sim.variation import Variation, variation_from
from robokata.sim.world import SimWorld, Target


@dataclass(frozen=True)
class VariationJob:
    """Variant `number`: source number modulo their count, each time with other draws."""

    path: str
    format: str
    keys: tuple[str, ...]
    scene: Scene
    variation: Variation
    filming: Filming | None = field(default_factory=Filming)

    def __call__(self, number: int) -> Made:
        key = self.keys[number % len(self.keys)]
        source = _episode(self.path, self.format, key)
        world = world_of(self.scene)
        setup = setup_of(source, self.scene)
        begun = begin(world, setup, joint_noise_rad=offsets_of(source, world), variation=self.variation, number=number)
        episode_id = f"{source.id}-varied-s{self.variation.seed}-{number:06d}"
        made = {**source.extra["simulation"], "by": "factors", "factors": begun.factors, "source": source.id}
        row: dict[str, Any] = {
            "told": {"whole": source.id},
            "duration_s": source.duration_s,
            "reset": {name: [*pose[:2, 3], np.arctan2(pose[1, 0], pose[0, 0])] for name, pose in setup.poses.items()},
        }
        if not self.variation.changes_physics:
            episode = self._seen_again(source, world, made, episode_id)
            return Made({**row, "success": True, "reason": ""}, episode)
        attempt = replayed(source, world, setup, self.scene)
        row |= {"success": attempt.success_at_end, "reason": "" if attempt.success_at_end else "task not done"}
        if not attempt.success_at_end:
            return Made(row)
        rng = np.random.default_rng([self.variation.seed, number, 5])
        episode = episode_of(
            attempt,
            world,
            id=episode_id,
            instruction=source.instructions[0].text if source.instructions else "",
            made=made,
            origin=replace(source.origin, made_from=ancestry_of(source)),
            filming=self.filming,
            rng=rng,
        )
        return Made(row, episode)

    def _seen_again(self, source: Episode, world: SimWorld, made: Mapping[str, Any], episode_id: str) -> Episode:
        """The same numbers with pictures rendered again."""
        if self.filming is None:
            raise RecipeRefused("factors of looks change pictures only: ask for some with size_px.")
        states = source.stream("simulation.state")
        rng = np.random.default_rng([self.variation.seed, 6])
        films = film(world, states.table, self.filming, clock=_picture_clock(source, states.clock), rng=rng)
        kept = {name: stream for name, stream in source.streams.items() if not stream.is_picture}
        return replace(
            source,
            id=episode_id,
            streams={**kept, **{stream.name: stream for stream in films}},
            origin=replace(source.origin, made_from=ancestry_of(source)),
            extra={**source.extra, "simulation": {**made, "cameras": cameras_of(world, self.filming)}},
            ref=None,
        )

    def described(self) -> dict[str, Any]:
        """What makes two runs the same: everything but how many."""
        return {
            "by": "factors",
            "source": self.path,
            "source_format": self.format,
            "episodes": list(self.keys),
            "scene": {"task": self.scene.task, "robot": self.scene.robot, "control_hz": self.scene.control_hz},
            "width": "as recorded",
            "variation": self.variation.to_json(),
            "filming": None if self.filming is None else self.filming.to_json(),
        }


def plan(
    source: Source,
    *,
    keys: Sequence[str],
    seed: int = 0,
    size_px: tuple[int, int] | None = (128, 128),
    # NAME, or NAME=MAGNITUDE: light, texture, camera_pose, distractors, object_mass, ...
    factors: tuple[str, ...],
) -> ExpansionJobs:
    """Jobs that vary the world of these episodes.

    Raises:
        RecipeRefused: a magnitude is none.
        UnknownName: there is no such factor.
        Unsupported: the sources were not recorded in a simulated world, or there are none.
    """
    if not keys:
        raise Unsupported(f"{source.path}: there are no episodes to vary.")
    variation = variation_from(factors, seed=seed)
    scene = replace(scene_told_by(source.episode(keys[0])), distractors=variation.distractors)
    filming = Filming(*size_px) if size_px else None
    job = VariationJob(str(source.path), source.format, tuple(keys), scene, variation, filming)
    return ExpansionJobs(
        job,
        job.described(),
        may_fall_short=False,
        attempt="replays",
        advice="Ask for smaller magnitudes.",
        versions={"mujoco": mujoco().__version__},
    )


def validate(*, where: str, factors: tuple[str, ...]) -> None:
    """Refuse options that no data could obey; messages begin with `where`.

    Raises:
        RecipeRefused: nothing varies, there is no such factor, or a magnitude is none.
    """
    if not factors:
        raise RecipeRefused(f'{where}: factors is [], and a list such as ["light", "object_mass=0.5"] is needed.')
    try:
        variation_from(factors, seed=0)
    except (RecipeRefused, UnknownName) as refused:
        raise RecipeRefused(f"{where}, factors: {refused}") from None


def setup_of(episode: Episode, scene: Scene) -> Setup:
    """The reset that an episode began with."""
    first = episode.stream("simulation.objects").table[0].reshape(-1, 7)
    poses = {
        prop.name: pose_from_seven(row)
        for prop, row in zip(scene.leaf.PROPS, first, strict=True)
        if prop.parent is None
    }
    return Setup(poses, dict(episode.extra["simulation"].get("words", {})))


def offsets_of(episode: Episode, world: SimWorld) -> dict[str, np.ndarray[Any, Any]]:
    """How far each arm's joints were from home at the start, (dof,) rad per arm.

    Raises:
        Unsupported: its state is not this robot's.
    """
    first, at, out = episode.stream("action").table[0], 0, {}
    state = episode.stream("observation.state").table[0]
    for arm in world.robot.arms:
        dof = len(arm.joints)
        out[arm.name] = state[at : at + dof] - np.array(arm.home)
        at += dof + (arm.gripper is not None)
    if at != len(first):
        raise Unsupported(f"episode {episode.id}: its state has {len(first)} numbers, {world.robot.name} has {at}.")
    return out


def replayed(episode: Episode, world: SimWorld, setup: Setup, scene: Scene) -> Attempt:
    """The episode's commands once more, in the world as it is now."""
    recorder = Recorder(world, setup, task=scene.leaf)
    commands = episode.stream("action.tip_pose").table.reshape(-1, len(world.arms), 8)
    for row in commands:
        targets = {
            arm: Target(pose_from_seven(numbers), float(numbers[7]))
            for arm, numbers in zip(world.arms, row, strict=True)
        }
        recorder.step(functools.partial(world.command_tips, targets))
    return recorder.attempt


def _picture_clock(source: Episode, states: Any) -> Any:
    """The clock that the pictures had; that of the states where there were none."""
    pictures = [stream for stream in source.pictures() if len(stream) == len(states)]
    return pictures[0].clock if pictures else states


@functools.lru_cache(maxsize=4)
def _episode(path: str, format: str, key: str) -> Episode:
    return reopen(path, format).episode(key)
