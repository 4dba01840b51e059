"""One trial: a policy acts in a world until it has succeeded, or its time is over."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import Chunk, Policy, PolicySpec
from robokata.core.errors import PolicyFailed
from robokata.core.world import Width, instruction_of
from robokata.evaluation.observations import Seen, Senses, refuse_misfit
from robokata.geometry.poses import pose_from_seven
from robokata.sim.attempt import Attempt, Recorder
from robokata.sim.demonstration import Begun, Scene, start, world_of
from robokata.sim.sensors import Sensors
from robokata.sim.variation import NO_VARIATION, Variation
from robokata.sim.world import SimWorld, Target

HOLD_S = 0.5
"""A success that has lasted so long ends the trial: longer than a cube takes to fall 1 m."""

_SHORTEST_QUATERNION = 0.1
"""A network's quaternion is rarely of length 1; one so short points nowhere."""


@dataclass(frozen=True)
class Conditions:
    """Everything about a trial but the policy and the seed."""

    scene: Scene
    width: Width
    variation: Variation = NO_VARIATION
    wording: int = 0
    """Paraphrase of the instruction, 0 the usual one."""
    reworded: Mapping[str, str] = field(default_factory=dict)
    """Words replaced in the instruction (`red` -> `crimson`)."""
    execute_steps: int | None = None
    """Actions of a chunk to execute before asking again; None: as the policy says, else half of the chunk."""
    size_px: tuple[int, int] = (128, 128)
    pixel_noise_levels: float = 0.0


@dataclass
class Trial:
    """What happened."""

    attempt: Attempt
    begun: Begun
    instruction: str
    seen: Seen | None = None
    infrastructure: str | None = None
    """Why the trial does not count."""
    chunk_starts: list[int] = field(default_factory=list)
    act_s: list[float] = field(default_factory=list)
    """Wall time of each answer."""


def run_trial(policy: Policy, conditions: Conditions, *, seed: int, number: int) -> Trial:
    """Trial `number`: the same number begins with the same reset for every policy and every probe."""
    scene = conditions.scene
    world = world_of(scene)
    rng = np.random.default_rng([seed, number])
    begun = start(world, scene, width=conditions.width, rng=rng, variation=conditions.variation, number=number)
    recorder = Recorder(world, begun.setup, task=scene.leaf, sensors=Sensors())
    instruction = reworded(instruction_of(scene.leaf, begun.setup, paraphrase=conditions.wording), conditions.reworded)
    trial = Trial(recorder.attempt, begun, instruction)
    try:
        spec = policy.hello(scene.robot)
        refuse_misfit(spec, world)
        policy.reset(f"{seed}-{number}", seed=seed * 1_000_003 + number, embodiment=scene.robot)
        noise = np.random.default_rng([seed, number, 11])
        senses = Senses(
            world,
            spec,
            instruction,
            size_px=conditions.size_px,
            pixel_noise_levels=conditions.pixel_noise_levels,
            rng=noise,
        )
        _act(policy, spec, senses, recorder, conditions, trial)
    except PolicyFailed as failure:
        trial.infrastructure = f"{failure.kind}: {failure}"
    return trial


def reworded(text: str, words: Mapping[str, str]) -> str:
    """The instruction with whole words replaced."""
    return " ".join(words.get(word, word) for word in text.split(" "))


def executed_steps(spec: PolicySpec, conditions: Conditions) -> int:
    """Actions of a chunk that are executed before the policy is asked again."""
    wish = conditions.execute_steps or spec.execute_steps or max(1, spec.chunk_steps // 2)
    return min(wish, spec.chunk_steps)


def _act(
    policy: Policy, spec: PolicySpec, senses: Senses, recorder: Recorder, conditions: Conditions, trial: Trial
) -> None:
    world, attempt = recorder.world, recorder.attempt
    execute = max(1, round(executed_steps(spec, conditions) * world.control_hz / spec.rate_hz))
    hold = round(HOLD_S * world.control_hz)
    chunk: Chunk | None = None
    age = 0
    while not recorder.is_over_time and not (len(attempt.successes) >= hold and all(attempt.successes[-hold:])):
        senses.look()
        trial.seen = trial.seen or senses.seen()
        if chunk is None or age >= execute:
            began = time.perf_counter()
            chunk, age = _vetted(policy.act(senses.observation()), spec, world), 0
            trial.act_s.append(time.perf_counter() - began)
            trial.chunk_starts.append(len(attempt.steps))
        row = chunk.actions[min(int(age * chunk.rate_hz / world.control_hz + 1e-9), len(chunk.actions) - 1)]
        recorder.step(functools.partial(_command, world, spec, row))
        age += 1


def _vetted(chunk: Chunk, spec: PolicySpec, world: SimWorld) -> Chunk:
    actions = np.asarray(chunk.actions, dtype=np.float64)
    if actions.ndim != 2 or actions.shape[1] != len(spec.channels) or not len(actions):
        raise PolicyFailed(
            "wrong_shape", f"the policy answers {actions.shape}; promised were chunks of {len(spec.channels)} numbers."
        )
    if not np.isfinite(actions).all():
        raise PolicyFailed("not_finite", "the policy answers numbers that are not finite.")
    if spec.action_stream == "action.tip_pose":
        # All rows, though not all may be executed: the answer as a whole is no chunk of poses.
        lengths = np.linalg.norm(_tip_rows(world, spec, actions)[..., 3:7], axis=-1)
        odd = np.flatnonzero(~(lengths > _SHORTEST_QUATERNION).all(axis=1))
        if len(odd):
            raise PolicyFailed(
                "not_finite",
                f"the policy answers a quaternion of length {lengths[odd[0]].min():.3g} in row {odd[0]} of "
                f"{len(actions)}; that is no rotation.",
            )
    return chunk._replace(actions=actions)


def _command(world: SimWorld, spec: PolicySpec, row: NDArray[np.float64]) -> None:
    if spec.action_stream == "action":
        named = dict(zip(spec.channels, row, strict=True))
        world.command_joints(np.array([named[channel] for channel in world.action_channels]))
        return
    numbers = _tip_rows(world, spec, row[None])[0]
    targets = {
        arm: Target(pose_from_seven(each), float(each[7])) for arm, each in zip(world.arms, numbers, strict=True)
    }
    world.command_tips(targets)


def _tip_rows(world: SimWorld, spec: PolicySpec, actions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Actions (H, D) in the policy's order as poses and openings per arm, (H, arms, 8), in the world's."""
    named = dict(zip(spec.channels, actions.T, strict=True))
    return np.stack([named[channel] for channel in world.command_channels], axis=-1).reshape(len(actions), -1, 8)
