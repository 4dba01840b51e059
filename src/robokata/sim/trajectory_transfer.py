"""New demonstrations out of old ones: each subtask of a source, moved to where its object lies now.

Every arm tells its own subtasks one after the other. Arms that wait for each other (`after`) hold still meanwhile
(sequential), arms that work in step (`beside`) begin together and after the same source (synchronised), and others go
on by themselves (parallel).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from robokata.core.world import Setup, Subtask, Width
from robokata.geometry.poses import seven_of
from robokata.sim.attempt import Attempt, Recorder
from robokata.sim.demonstration import Scene, start, world_of
from robokata.sim.segments import Cut, Demonstration, cuts_of
from robokata.sim.sensors import Sensors
from robokata.sim.transfer_options import Tellings, chosen, moved, targets_of, with_noise
from robokata.sim.world import SimWorld, Target

_TAIL_S = 0.4
"""Time after the last command in which a success must last."""
_REACH_EVERY = 6
"""Commands between two that are tested for reach before any physics is spent."""


class Told(NamedTuple):
    """Which source a subtask was told after."""

    subtask: str
    source: str


@dataclass
class Generated:
    """One attempt of the generator."""

    attempt: Attempt
    setup: Setup
    told: list[Told] = field(default_factory=list)
    reason: str = ""
    """Why it failed; empty where it succeeded."""


def generate(
    scene: Scene,
    sources: Sequence[Demonstration],
    tellings: Tellings,
    *,
    width: Width,
    seed: list[int],
    sensors: Sensors,
) -> Generated:
    """One attempt; the same seed and sources give the same attempt."""
    rng = np.random.default_rng(seed)
    world = world_of(scene)
    setup = start(world, scene, width=width, rng=rng).setup
    recorder = Recorder(world, setup, task=scene.leaf, sensors=sensors)
    out = Generated(recorder.attempt, setup)
    teller = _Teller(world, scene, sources, tellings, setup, rng, out)
    while not teller.is_done and not out.reason:
        step = teller.step(recorder.attempt)
        if out.reason:
            break
        clean = {
            "clean_tip_pose": np.array([[*seven_of(each.clean.tip), each.clean.opening_m] for each in step.values()])
        }
        targets = {arm: each.sent for arm, each in step.items()}
        recorder.step(functools.partial(world.command_tips, targets), labels=clean)
        if recorder.is_over_time:
            out.reason = "out of time"
    if not out.reason:
        for _ in range(round(_TAIL_S * scene.control_hz)):
            rows = recorder.attempt.labels["clean_tip_pose"]
            recorder.step(lambda: None, labels={"clean_tip_pose": rows[-1]})
        if not recorder.attempt.success_at_end:
            missing = [part.name for part in recorder.attempt.subtasks if part.name not in recorder.attempt.reached]
            out.reason = f"subtask not reached: {missing[0]}" if missing else "task not done"
    return out


class _Step(NamedTuple):
    """What one arm is told in one control step: as meant, and with the wander."""

    clean: Target
    sent: Target


class _Teller:
    """Where each arm is in its story. A class, because that is state."""

    def __init__(
        self,
        world: SimWorld,
        scene: Scene,
        sources: Sequence[Demonstration],
        tellings: Tellings,
        setup: Setup,
        rng: np.random.Generator,
        out: Generated,
    ) -> None:
        self._world, self._scene, self._tellings, self._rng, self._out = world, scene, tellings, rng, out
        subtasks = scene.leaf.subtasks(setup)
        highest = max(telling.offset_steps[1] for telling in (tellings.usual, *tellings.of_subtask.values()))
        margin = round(highest * scene.control_hz / 20)
        cuts = [cuts_of(source, scene, margin=margin) for source in sources]
        if tellings.one_source:
            whole = [each for each in cuts if len(each) == len(subtasks)]
            cuts = [whole[int(rng.integers(len(whole)))]] if whole else cuts
        self._cuts = {part.name: [each[part.name] for each in cuts if part.name in each] for part in subtasks}
        self._left = {arm: [part for part in subtasks if part.arm == arm] for arm in world.arms}
        self._ahead: dict[str, list[_Step]] = {arm: [] for arm in world.arms}
        self._now: dict[str, Subtask | None] = dict.fromkeys(world.arms)
        self._last = {arm: Target(world.command(arm), world.max_opening_m(arm)) for arm in world.arms}
        self._begun: dict[str, Cut] = {}
        self._props = {prop.name: prop for prop in world.own_props}

    @property
    def is_done(self) -> bool:
        """True when every arm has told everything."""
        return not any(self._left.values()) and not any(self._ahead.values())

    def step(self, attempt: Attempt) -> dict[str, _Step]:
        """What each arm is told next; sets the reason where a subtask failed or cannot be reached."""
        for arm in self._world.arms:
            if not self._ahead[arm]:
                self._finish(arm, attempt)
            if not self._ahead[arm] and self._left[arm] and not self._out.reason:
                self._begin(arm, attempt)
        out = {}
        for arm in self._world.arms:
            held = _Step(self._last[arm], self._last[arm])
            out[arm] = self._ahead[arm].pop(0) if self._ahead[arm] else held
            self._last[arm] = out[arm].clean
        return out

    def _finish(self, arm: str, attempt: Attempt) -> None:
        part = self._now[arm]
        self._now[arm] = None
        # The last piece of an arm ends with the demonstration; whether it was enough is judged after the tail.
        if part is not None and self._left[arm] and part.name not in attempt.reached:
            self._out.reason = f"subtask not reached: {part.name}"

    def _begin(self, arm: str, attempt: Attempt) -> None:
        part = self._left[arm][0]
        if any(name not in attempt.reached for name in part.after):
            if not any(self._ahead.values()) and not any(self._may_begin(other, attempt) for other in self._left):
                self._out.reason = f"subtask waits for ever: {part.name}"
            return
        if part.beside is not None and not self._partner_is_ready(part, attempt):
            return
        self._left[arm].pop(0)
        self._now[arm] = part
        prop, prop_now = self._props[part.prop], self._world.pose(part.prop)
        cuts, telling = self._cuts[part.name], self._tellings.of(part.name)
        if not cuts:
            self._out.reason = f"no source shows {part.name}"
            return
        partner = self._begun.get(part.beside or "")
        same = [cut for cut in cuts if partner is not None and cut.source == partner.source]
        cut = (
            same[0]
            if same
            else chosen(cuts, telling, prop=prop, prop_now=prop_now, tip_now=self._last[arm].tip, rng=self._rng)
        )
        self._begun[part.name] = cut
        self._out.told.append(Told(part.name, cut.source))
        motion = moved(cut, prop, prop_now)
        control_hz, rng = self._scene.control_hz, self._rng
        clean = targets_of(cut, motion, telling, start=self._last[arm], control_hz=control_hz, rng=rng)
        if not all(self._world.reaches(arm, target.tip) for target in [*clean[::_REACH_EVERY], clean[-1]]):
            self._out.reason = f"unreachable: {part.name}"
            return
        sent = with_noise(clean, telling, control_hz=control_hz, rng=rng)
        self._ahead[arm] = [_Step(*pair) for pair in zip(clean, sent, strict=True)]

    def _may_begin(self, arm: str, attempt: Attempt) -> bool:
        left = self._left[arm]
        return bool(left) and all(name in attempt.reached for name in left[0].after)

    def _partner_is_ready(self, part: Subtask, attempt: Attempt) -> bool:
        if part.beside in self._begun:
            return True
        for other, left in self._left.items():
            if left and left[0].name == part.beside:
                return not self._ahead[other] and self._may_begin(other, attempt)
        return False
