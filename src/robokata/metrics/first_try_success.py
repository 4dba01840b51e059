"""Share of trials whose first grasp holds.

Definition:
    Trials in which the first completed closing of a gripper grasps something, over trials with at least one
    closing. A grasp: while the gripper is closed a thing near the tip rises by 2 cm (where the poses of things are
    known), or the jaws stay apart by more than 6 % of the stroke of what they would on nothing, and the tip rises
    by 2 cm or the hold lasts 1 s.

Unit:
    Share of trials, 0..1.

Needs:
    As `attempts`, and one of: poses of things (`simulation.objects`); a gripper whose closed value is known (a
    width, normalised values, the robot's description); a commanded opening on the scale of the measured one.

Limits:
    None for a trial without an attempt, or whose first grasp cannot be judged, or that succeeds without holding
    anything (a push). Things thinner than 6 % of the stroke (5 mm of 80 mm), and cloth, are taken for nothing. A
    first grasp of the wrong thing counts.

Source:
    As `attempts`; interval of Clopper and Pearson.
"""

from __future__ import annotations

import numpy as np

from robokata.core.contracts import Mean, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.metrics import _success
from robokata.metrics._grasp_attempts import attempts_of
from robokata.metrics._scripted_trial import scripted_trial

UNIT: str | None = None
MEAN = Mean.RATE
IS_HEADLINE = True


def observe(trial: Episode) -> Observation:
    """1 where the first attempt holds, 0 where it does not."""
    attempts = attempts_of(trial)
    if attempts.reason is not None:
        return Observation(None, attempts.reason)
    if not attempts.grasps:
        return Observation(None, "no attempt to grasp")
    if _success.at_end(trial) is True and all(grasp.is_held is False for grasp in attempts.grasps):
        return Observation(None, "it succeeded without holding anything")
    first = attempts.grasps[0]
    return Observation(None, first.reason) if first.is_held is None else Observation(float(first.is_held))


def plant(rng: np.random.Generator) -> PlantedTrial:
    """A first grasp of nothing in two trials of five."""
    empties = int(rng.random() < 0.4)
    return PlantedTrial(scripted_trial(rng, empties=empties), float(not empties))
