"""How often the robot reaches for a grasp: closings of its grippers per trial.

Definition:
    An attempt is a completed closing: the gripper closes by 20 % of the range that it covers in the episode and
    stays closed for 0.2 s. Mean number per trial; `parts` holds the closings on nothing per trial, and the median
    time between a failed attempt and the next.

Unit:
    Attempts per trial.

Needs:
    A gripper channel, found by role and name, measured or else commanded; nothing of a simulator.

Limits:
    None where no channel is named like a gripper, where a hand has more than four finger channels, or where nothing
    tells which way round it opens: the stream's meaning, the robot's description, a name (`width`, `opening`), or
    an episode that begins and ends at the same end of its range. A gripper that begins closed has not made an
    attempt. Jaws that are told to stand half open (to approach a thing) are told from an attempt only where the
    poses of things are known. A gripper that is closed on purpose, to push, shows as a closing on nothing.

Source:
    Hysteresis and dwell as in the literature on grasp segmentation, relative to the last turn because an absolute
    threshold (closed below 0.4) never sees a grasp of a thing of half the stroke. Interval: Garwood, Biometrika 28
    (1936), with the dispersion of the trials.
"""

from __future__ import annotations

import itertools

import numpy as np

from robokata.core.contracts import Mean, MetricPart, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.metrics._grasp_attempts import attempts_of
from robokata.metrics._scripted_trial import scripted_trial

UNIT: str | None = None
MEAN = Mean.OF_COUNTS
PARTS = {"empty_closings": MetricPart(Mean.OF_COUNTS), "regrasp_gap": MetricPart(Mean.OF_NUMBERS, "s")}


def observe(trial: Episode) -> Observation:
    """Number of closings."""
    attempts = attempts_of(trial)
    if attempts.reason is not None:
        return Observation(None, attempts.reason)
    grasps = attempts.grasps
    parts = []
    if all(grasp.is_held is not None for grasp in grasps):
        parts.append(("empty_closings", float(sum(grasp.is_held is False for grasp in grasps))))
        gaps_s = [b.start_s - a.end_s for a, b in itertools.pairwise(grasps) if a.is_held is False]
        if gaps_s and attempts.has_times:
            parts.append(("regrasp_gap", float(np.median(gaps_s))))
    return Observation(float(len(grasps)), parts=tuple(parts))


def plant(rng: np.random.Generator) -> PlantedTrial:
    """Empty closings and drops before the grasp that holds."""
    empties, drops = int(rng.poisson(0.7)), int(rng.random() < 0.2)
    return PlantedTrial(scripted_trial(rng, empties=empties, drops=drops), float(empties + drops + 1))
