"""How far trials get: the share of the task's subgoals that were reached.

Definition:
    Distinct subgoals reached at any moment over subgoals of the task, averaged over trials; in 0..1.

Unit:
    Share of subgoals, 0..1.

Needs:
    The task's subgoals (`extra["simulation"]["subtasks"]`), and an annotation `subtask:<name>` for each one
    reached.

Limits:
    Subgoals count alike, however hard each is. A subgoal that came undone stays reached.

Source:
    Progress of a rubric as in PolaRiS: reached over total. The interval is Student's after one 0 and one 1 were
    added (Agresti and Caffo, The American Statistician 54, 2000).
"""

from __future__ import annotations

import numpy as np

from robokata.core.contracts import Mean, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.metrics._scripted_trial import scripted_trial
from robokata.metrics._trial import simulation_facts

UNIT: str | None = None
MEAN = Mean.OF_SHARES
IS_HEADLINE = True


def observe(trial: Episode) -> Observation:
    """Share of subgoals reached."""
    subgoals = list(dict.fromkeys(simulation_facts(trial).get("subtasks") or ()))
    if not subgoals:
        return Observation(None, "the episode does not list the task's subgoals")
    reached = {a.label.removeprefix("subtask:") for a in trial.annotations if a.label.startswith("subtask:")}
    return Observation(len(reached & set(subgoals)) / len(subgoals))


def plant(rng: np.random.Generator) -> PlantedTrial:
    """Trials that end at any subgoal."""
    is_held, success = bool(rng.random() < 0.8), bool(rng.random() < 0.6)
    return PlantedTrial(
        scripted_trial(rng, is_held=is_held, success=success and is_held), (is_held + (success and is_held)) / 2
    )
