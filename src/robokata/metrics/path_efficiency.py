"""How straight the tip goes: the shortest way through the subgoals over the way it took.

Definition:
    Straight segments from the start through where the tip was at each subgoal to the end (the first success, where
    it is known), over the length of the path; in 0..1, 1 is straight. Where subgoals are not known, through where
    the gripper began to close and to open. Several arms: lengths added.

Unit:
    Share, 0..1.

Needs:
    Positions of the tip in space (`observation.tip_pose`, `cartesian_position`, ...).

Limits:
    None for a trial that failed: the way to a goal that was not reached is not known. Obstacles and turns of the
    hand are not considered, so that 1 need not be possible. Failed attempts add way points where only the gripper
    marks them. Noise makes paths longer; a jump in the numbers does too.

Source:
    Path efficiency L_ref / L with straight segments through subgoals. Interval: Student's after one 0 and one 1.
"""

from __future__ import annotations

import numpy as np

from robokata.core.contracts import Mean, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.geometry.tip import TipPath, tip_paths
from robokata.metrics import _success
from robokata.metrics._grasp_attempts import attempts_of
from robokata.metrics._scripted_trial import scripted_trial

UNIT: str | None = None
MEAN = Mean.OF_SHARES
IS_HEADLINE = True
_MOVED_M = 0.01
"""A tip that covers less than this has not gone anywhere."""


def observe(trial: Episode) -> Observation:
    """The shortest way over the way taken."""
    paths = tip_paths(trial)
    if not paths:
        return Observation(None, "no stream holds positions of the tip")
    if _success.at_end(trial) is False and _success.once(trial) is not True:
        return Observation(None, "it failed: the way to the goal is not known")
    done_s = _success.first_success(trial).time_s
    marks_s = _way_points_s(trial, len(paths))
    shortest_m = taken_m = 0.0
    for path in paths:
        end_s = float(path.times_s[-1]) if done_s is None else done_s
        way = path.position_m[: path.at(end_s) + 1]
        taken_m += float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())
        shortest_m += _through(path, [time_s for time_s in marks_s if time_s < end_s], end_s)
    if taken_m < _MOVED_M:
        return Observation(None, "the tip did not move")
    return Observation(min(1.0, shortest_m / taken_m))


def plant(rng: np.random.Generator) -> PlantedTrial:
    """Detours and empty closings."""
    return PlantedTrial(scripted_trial(rng, empties=int(rng.poisson(0.5)), detour_m=float(rng.uniform(0, 0.1))), None)


def _way_points_s(trial: Episode, arms: int) -> list[float]:
    """Moments between which the straight line is the shortest way."""
    subgoals = [a.end_s for a in trial.annotations if a.label.startswith("subtask:")]
    # With several arms a subgoal of one is no way point of the others; the grippers mark each arm's own.
    if subgoals and arms == 1:
        return sorted(subgoals)
    return sorted(time_s for grasp in attempts_of(trial).grasps for time_s in (grasp.start_s, grasp.end_s))


def _through(path: TipPath, marks_s: list[float], end_s: float) -> float:
    samples = [0, *(path.at(time_s) for time_s in marks_s), path.at(end_s)]
    return float(np.linalg.norm(np.diff(path.position_m[samples], axis=0), axis=1).sum())
