"""Share of trials that end in success.

Definition:
    Successes at the last step over all trials that count. With interval of Clopper and Pearson, which covers at
    least 95 % whatever the rate.

Unit:
    Share of trials, 0..1.

Needs:
    `outcome.success`, or a success column (`next.success`), whose last sample is taken.

Limits:
    A trial that was done and came undone counts as failed: compare with `success_once`. Published scores use either
    (29 % and 75 % for one policy on one task), so that scores of two sources are comparable only if both say which.
    Trials that the infrastructure broke are left out and counted.

Source:
    Clopper and Pearson, Biometrika 26 (1934). The two semantics: vla-evaluation-harness, common pitfalls.
"""

from __future__ import annotations

import numpy as np

from robokata.core.contracts import Mean, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.metrics import _success
from robokata.metrics._scripted_trial import scripted_trial

UNIT: str | None = None
MEAN = Mean.RATE
IS_HEADLINE = True


def observe(trial: Episode) -> Observation:
    """1 where the trial ends in success, 0 where it does not."""
    success = _success.at_end(trial)
    return Observation(None, _success.NOBODY_SAYS) if success is None else Observation(float(success))


def plant(rng: np.random.Generator) -> PlantedTrial:
    """Successes and failures."""
    success = bool(rng.random() < 0.7)
    return PlantedTrial(scripted_trial(rng, success=success), float(success))
