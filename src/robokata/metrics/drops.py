"""How often something is dropped.

Definition:
    Drops per trial: a thing in the air leaves jaws that were told to stay closed.

Unit:
    Drops per trial.

Needs:
    Annotations `drop:<thing>` of an episode whose contacts were recorded
    (`extra["simulation"]["contacts_recorded"]`), or a measured gripper whose closed value is known: jaws that
    rested on something and then meet without opening.

Limits:
    None where neither is there: an episode without annotations is not one without drops. From the jaws alone a
    thing that is pulled out by hand, or set down by pushing it out, looks the same.

Source:
    Slip as in RoboEval, on every control step instead of every twentieth. Interval: Garwood, Biometrika 28 (1936).
"""

from __future__ import annotations

import numpy as np

from robokata.core.contracts import Mean, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.metrics._events import drop_times_s
from robokata.metrics._scripted_trial import scripted_trial

UNIT: str | None = None
MEAN = Mean.OF_COUNTS


def observe(trial: Episode) -> Observation:
    """Number of drops."""
    drops = drop_times_s(trial)
    if drops is None:
        return Observation(None, "contacts were not recorded, and the jaws do not tell what they hold")
    return Observation(float(len(drops)))


def plant(rng: np.random.Generator) -> PlantedTrial:
    """Drops and regrasps."""
    drops = int(rng.poisson(0.5))
    return PlantedTrial(scripted_trial(rng, drops=drops), float(drops))
