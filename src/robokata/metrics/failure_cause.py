"""Why trials fail: one primary cause for each.

Definition:
    For every failed trial the first cause that holds, in the order of the table below; `parts` holds the share of
    failed trials of each cause. The value is the share of failed trials whose cause is known.

    | cause | holds where |
    |---|---|
    | `safety_stop` | the evaluator stopped the trial (`extra["trial"]["stopped"]` is `safety`) |
    | `undone` | it had succeeded before, and came undone |
    | `wrong_object` | something was held that the task does not name, and nothing that it names |
    | `drop` | something was dropped and nothing grasped after |
    | `stall` | it ends in a standstill of at least 2 s |
    | `oscillation` | it ends by going to and fro |
    | `collision` | an unintended contact of at least 0.5 s before anything was grasped |
    | `grasp_fail` | it closed its gripper, and never on anything |
    | `approach_miss` | it never closed its gripper |
    | `premature_stop` | it ended before its time was up |
    | `misplaced` | it grasped, and let go where the task was not done |
    | `timeout_in_progress` | it still held something when its time was up |

Unit:
    Share of failed trials, 0..1.

Needs:
    Failed trials; what each cause is judged by (gripper, tip, annotations). A cause whose needs are unmet is passed
    over.

Limits:
    A rule of thumb, not a diagnosis: the first cause that holds need not be what went wrong first. Perception and
    language cannot be told apart from one trial: an ignored instruction shows as `wrong_object`, or not at all
    (`extra["simulation"]["targets"]`, names of the things that the task is about, must be given for it). A trial of
    which nothing is known is `unexplained`. A failed push shows as `grasp_fail` where the gripper was closed on
    purpose.

Source:
    The taxonomy of failures of manipulation policies (approach, grasp, slip, place, collision, stall, oscillation,
    premature stop, timeout); infrastructure is counted apart. Intervals of Clopper and Pearson.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from robokata.core.contracts import Mean, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation, unknown
from robokata.metrics import _success
from robokata.metrics._events import contacts_of, drop_times_s, oscillates_at_end, stalls_of
from robokata.metrics._grasp_attempts import attempts_of
from robokata.metrics._scripted_trial import scripted_trial
from robokata.metrics._trial import simulation_facts, trial_facts
from robokata.statistics.intervals import proportion
from robokata.statistics.pooling import with_counts

UNIT: str | None = None
MEAN = Mean.RATE
IS_STUDIED = False
UNEXPLAINED = "unexplained"
_CONTACT_S = 0.5
"""A touch is shorter; what lasts this long hinders."""
_AT_END_S = 0.3
"""What lasts until a few control steps before the end lasts until the end."""


def observe(trial: Episode) -> Observation:
    """1 with the cause as its label where the trial failed, 0 with `unexplained` where no cause holds."""
    if _success.at_end(trial) is None:
        return Observation(None, _success.NOBODY_SAYS)
    cause = cause_of(trial)
    if cause is None:
        return Observation(None, "it succeeded")
    return Observation(float(cause != UNEXPLAINED), label=cause)


def cause_of(trial: Episode) -> str | None:
    """The primary cause of a failed trial, None for one that did not fail."""
    if _success.at_end(trial) is not False:
        return None
    return next((cause for cause, holds in _CAUSES if holds(trial)), UNEXPLAINED)


def summarise(observations: Sequence[Observation]) -> Estimate:
    """Share of failed trials with a known cause, and of each cause."""
    labels = [o.label for o in observations if o.label is not None and not o.is_infrastructure]
    if not labels:
        return with_counts(unknown("failure_cause", "no failed trials"), observations)
    counts = Counter(labels)
    parts = tuple(
        proportion(cause, counts[cause], len(labels))
        for cause in (*(name for name, _ in _CAUSES), UNEXPLAINED)
        if counts[cause]
    )
    estimate = proportion("failure_cause", len(labels) - counts[UNEXPLAINED], len(labels))
    return replace(with_counts(estimate, observations), parts=parts)


def plant(rng: np.random.Generator) -> PlantedTrial:
    """Failures by empty closings, drops or none."""
    empties, is_held, drops = int(rng.random() < 0.5), bool(rng.random() < 0.5), int(rng.random() < 0.3)
    return PlantedTrial(scripted_trial(rng, empties=empties, is_held=is_held, drops=drops, success=False), 1.0)


def _is_safety_stop(trial: Episode) -> bool:
    return trial_facts(trial).get("stopped") == "safety"


def _is_undone(trial: Episode) -> bool:
    return _success.once(trial) is True


def _is_wrong_object(trial: Episode) -> bool:
    targets = set(simulation_facts(trial).get("targets") or ())
    held = {a.label.split(":")[2] for a in trial.annotations if a.label.startswith("grasp:")}
    return bool(targets) and bool(held) and not held & targets


def _is_drop(trial: Episode) -> bool:
    drops = drop_times_s(trial)
    if not drops:
        return False
    return not any(grasp.is_held and grasp.start_s > drops[-1] for grasp in attempts_of(trial).grasps)


def _is_stall(trial: Episode) -> bool:
    stalls = stalls_of(trial) or ()
    return bool(stalls) and _is_at_end(trial, stalls[-1].end_s) is True


def _is_collision(trial: Episode) -> bool:
    grasped = [g.start_s for g in attempts_of(trial).grasps if g.is_held]
    first_s = min(grasped, default=float("inf"))
    return any(c.end_s - c.start_s >= _CONTACT_S and c.start_s < first_s for c in contacts_of(trial))


def _is_grasp_fail(trial: Episode) -> bool:
    grasps = attempts_of(trial).grasps
    return bool(grasps) and all(grasp.is_held is False for grasp in grasps)


def _is_approach_miss(trial: Episode) -> bool:
    attempts = attempts_of(trial)
    return attempts.reason is None and not attempts.grasps


def _is_premature_stop(trial: Episode) -> bool:
    given_s = _success.horizon_s(trial)
    # A tenth of the time: less is the last chunk that was not worth asking for.
    lasts_s = trial.duration_s
    return given_s is not None and lasts_s is not None and lasts_s < 0.9 * given_s


def _lets_go(trial: Episode) -> bool:
    held = [g for g in attempts_of(trial).grasps if g.is_held]
    return bool(held) and _is_at_end(trial, held[-1].end_s) is False


def _still_holds(trial: Episode) -> bool:
    held = [g for g in attempts_of(trial).grasps if g.is_held]
    return bool(held) and _is_at_end(trial, held[-1].end_s) is True


def _is_at_end(trial: Episode, moment_s: float) -> bool | None:
    """Whether a moment belongs to the trial's end; None where seconds do not exist."""
    return None if trial.duration_s is None else moment_s >= trial.duration_s - _AT_END_S


_CAUSES: tuple[tuple[str, Callable[[Episode], bool]], ...] = (
    ("safety_stop", _is_safety_stop),
    ("undone", _is_undone),
    ("wrong_object", _is_wrong_object),
    ("drop", _is_drop),
    ("stall", _is_stall),
    ("oscillation", oscillates_at_end),
    ("collision", _is_collision),
    ("grasp_fail", _is_grasp_fail),
    ("approach_miss", _is_approach_miss),
    ("premature_stop", _is_premature_stop),
    ("misplaced", _lets_go),
    ("timeout_in_progress", _still_holds),
)
