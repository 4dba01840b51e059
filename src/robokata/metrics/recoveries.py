"""Share of the trials in trouble that get out of it: a grasp after a failed grasp or a drop.

Definition:
    A trial is in trouble when an attempt holds nothing, or a thing is dropped. It recovers when a later attempt
    holds. Recovered over in trouble.

Unit:
    Share of the trials in trouble, 0..1.

Needs:
    As `first_try_success`; drops from annotations `drop:<thing>`, or from jaws that stay closed and meet.

Limits:
    None for a trial that was never in trouble, in which an attempt cannot be judged, or that succeeds without
    holding anything (a push). It says nothing of trouble other than at grasping. Policies that get into trouble
    rarely have few trials here, and a wide interval.

Source:
    Regrasp rate after a drop as in TRI's evaluation practices; interval of Clopper and Pearson.
"""

from __future__ import annotations

import numpy as np

from robokata.core.contracts import Mean, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.metrics import _success
from robokata.metrics._events import drop_times_s
from robokata.metrics._grasp_attempts import attempts_of
from robokata.metrics._scripted_trial import scripted_trial

UNIT: str | None = None
MEAN = Mean.RATE


def observe(trial: Episode) -> Observation:
    """1 where the trial recovers, 0 where it stays in trouble."""
    attempts = attempts_of(trial)
    if attempts.reason is not None:
        return Observation(None, attempts.reason)
    unclear = next((grasp.reason for grasp in attempts.grasps if grasp.is_held is None), None)
    if unclear is not None:
        return Observation(None, unclear)
    troubles_s = [grasp.start_s for grasp in attempts.grasps if not grasp.is_held]
    troubles_s += list(drop_times_s(trial) or ())
    if not troubles_s:
        return Observation(None, "never in trouble")
    if _success.at_end(trial) is True and all(grasp.is_held is False for grasp in attempts.grasps):
        return Observation(None, "it succeeded without holding anything")
    return Observation(float(any(g.is_held and g.start_s > min(troubles_s) for g in attempts.grasps)))


def plant(rng: np.random.Generator) -> PlantedTrial:
    """A first grasp of nothing, and a second that holds or none."""
    is_held = bool(rng.random() < 0.6)
    return PlantedTrial(scripted_trial(rng, empties=1, is_held=is_held, success=is_held), float(is_held))
