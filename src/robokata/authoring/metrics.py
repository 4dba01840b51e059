"""Everything that a metric imports: `from robokata.authoring.metrics import Mean, Observation`.

A metric defines

- its docstring: one sentence, then "Definition", "Unit", "Needs", "Limits" and "Source";
- `UNIT: str | None`, and `MEAN: Mean`: how the values of trials become one estimate;
- `observe(trial, *, ...) -> Observation`: what one trial says, or why it says nothing;
- `plant(rng) -> PlantedTrial`: a trial drawn at random, and its true value;
- `PARTS`, `IS_HEADLINE`, `IS_STUDIED`, where the default is not right;
- `summarise(observations) -> Estimate`, only where the estimate is not a plain mean.

Entry point group: `robokata.metrics`. Tests: `robokata.testing.METRIC_CLAUSES`.
"""

from robokata.core.clock import NS_PER_S
from robokata.core.contracts import Mean, MetricLeaf, MetricPart, PlantedTrial, SummarisingMetricLeaf
from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation, unknown
from robokata.geometry.gripper import FEW_JAWS
from robokata.geometry.smoothness import ldlj, low_passed, sparc
from robokata.geometry.tip import TipPath, has_times, tip_paths
from robokata.metrics import _success as success
from robokata.metrics._actions import commands_of
from robokata.metrics._events import contacts_are_recorded, contacts_of, drop_times_s, oscillates_at_end, stalls_of
from robokata.metrics._grasp_attempts import attempts_of
from robokata.metrics._scripted_trial import scripted_trial
from robokata.metrics._speed import speed_of
from robokata.metrics._trial import simulation_facts, trial_facts
from robokata.statistics.intervals import proportion
from robokata.statistics.pooling import known_values, with_counts
from robokata.statistics.survival import kaplan_meier, restricted_mean

__all__ = [
    "FEW_JAWS",
    "NS_PER_S",
    "Episode",
    "Estimate",
    "Mean",
    "MetricLeaf",
    "MetricPart",
    "Observation",
    "PlantedTrial",
    "SummarisingMetricLeaf",
    "TipPath",
    "attempts_of",
    "commands_of",
    "contacts_are_recorded",
    "contacts_of",
    "drop_times_s",
    "has_times",
    "kaplan_meier",
    "known_values",
    "ldlj",
    "low_passed",
    "oscillates_at_end",
    "proportion",
    "restricted_mean",
    "scripted_trial",
    "simulation_facts",
    "sparc",
    "speed_of",
    "stalls_of",
    "success",
    "tip_paths",
    "trial_facts",
    "unknown",
    "with_counts",
]
