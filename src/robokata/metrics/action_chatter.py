"""How much the commands go to and fro.

Definition:
    Reversals per second of each command channel of the arm, averaged over channels that change: two successive
    changes of opposite sign, both larger than 0.2 % of the channel's range in the trial. `parts` holds the mean
    length of a step (in ranges of the channels, per step), and the toggles of the gripper's command through its
    middle per second.

Unit:
    Reversals per second and channel (1/s).

Needs:
    Recorded actions, with times.

Limits:
    None where the format keeps no times. Depends on the control rate (white noise reverses two times out of three),
    so trials at different rates are not pooled. Delta actions reverse where absolute ones only slow down: compare
    policies with one action space.

Source:
    Sign-reversal rate and step length of actions, as in the literature on action chunking. Interval: Student's t.
"""

from __future__ import annotations

import numpy as np

from robokata.core.clock import NS_PER_S
from robokata.core.contracts import Mean, MetricPart, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.geometry.gripper import FEW_JAWS
from robokata.geometry.tip import has_times
from robokata.metrics._actions import commands_of
from robokata.metrics._scripted_trial import scripted_trial

UNIT: str | None = "1/s"
MEAN = Mean.OF_NUMBERS
PARTS = {"step_length": MetricPart(Mean.OF_NUMBERS), "gripper_toggles": MetricPart(Mean.OF_COUNTS, "1/s")}
_NOTABLE_SHARE = 0.002
"""Smaller changes are rounding: a 12-bit count is 0.02 % of its range, a float32 far less."""


def observe(trial: Episode) -> Observation:
    """Reversals per second and channel."""
    commands = commands_of(trial)
    if isinstance(commands, str):
        return Observation(None, commands)
    if not has_times(commands.stream):
        return Observation(None, "the format keeps no times")
    times_ns = commands.stream.clock.times_ns
    duration_s = (int(times_ns[-1]) - int(times_ns[0])) / NS_PER_S
    if duration_s <= 0:
        return Observation(None, "the format keeps no times")
    steps = np.diff(commands.arm, axis=0)
    notable = np.where(np.abs(steps) > _NOTABLE_SHARE, np.sign(steps), 0)
    reversals = (notable[1:] * notable[:-1] < 0).sum(axis=0)
    parts = [("step_length", float(np.linalg.norm(steps, axis=1).mean()))]
    if 0 < commands.grippers.shape[1] <= FEW_JAWS:
        middle = (commands.grippers.max(axis=0) + commands.grippers.min(axis=0)) / 2
        toggles = np.diff(commands.grippers > middle, axis=0).sum()
        parts.append(("gripper_toggles", float(toggles) / duration_s))
    rate_hz = (len(times_ns) - 1) / duration_s
    return Observation(float(reversals.mean()) / duration_s, rate_hz=rate_hz, parts=tuple(parts))


def plant(rng: np.random.Generator) -> PlantedTrial:
    """Commands that alternate by 0, 0.3 or 1 %."""
    return PlantedTrial(
        scripted_trial(rng, chatter_rad=float(rng.choice([0.0, 0.003, 0.01])), empties=int(rng.random() < 0.3)), None
    )
