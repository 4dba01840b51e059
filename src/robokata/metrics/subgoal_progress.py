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

from collections.abc import Sequence

from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation
from robokata.metrics._trial import pooled, rows_of, simulation_facts
from robokata.statistics.intervals import mean_of_shares

UNIT: str | None = None


def observe(trial: Episode) -> Observation:
    """Share of subgoals reached."""
    subgoals = list(dict.fromkeys(simulation_facts(trial).get("subtasks") or ()))
    if not subgoals:
        return Observation(None, "the episode does not list the task's subgoals")
    reached = {a.label.removeprefix("subtask:") for a in trial.annotations if a.label.startswith("subtask:")}
    return Observation(len(reached & set(subgoals)) / len(subgoals))


def summarise(observations: Sequence[Observation]) -> Estimate:
    """Mean progress."""
    return pooled("subgoal_progress", observations, mean_of_shares)


def measure(trials: Sequence[Episode]) -> Estimate:
    """Mean progress of trials."""
    return summarise(rows_of(trials, observe))
