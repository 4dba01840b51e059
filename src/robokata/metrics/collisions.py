"""How often the robot touches what it should not.

Definition:
    Contacts per trial that were not meant: annotations `contact:<a>:<b>` (jaws or palm on the table, palm on a
    thing). Contacts of one pair less than 0.2 s apart are one. `parts` holds the seconds in contact per trial.

Unit:
    Contacts per trial.

Needs:
    An episode whose contacts were recorded (`extra["simulation"]["contacts_recorded"]` is True).

Limits:
    None where contacts were not looked for. Contacts are as fine as the source looked: once per control step here,
    so that an impact shorter than that can be missed. Forces are not judged.

Source:
    Contact counts as in RoboEval, on every control step instead of every twentieth. Interval: Garwood, Biometrika
    28 (1936), with the dispersion of the trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation
from robokata.metrics._events import contacts_are_recorded, contacts_of
from robokata.metrics._trial import parts_of, pooled, rows_of
from robokata.statistics.intervals import mean_of_counts, mean_of_numbers

UNIT: str | None = None


def observe(trial: Episode) -> Observation:
    """Number of contacts that were not meant."""
    if not contacts_are_recorded(trial):
        return Observation(None, "contacts were not recorded")
    contacts = contacts_of(trial)
    touching_s = sum(contact.end_s - contact.start_s for contact in contacts)
    return Observation(float(len(contacts)), parts=(("time_in_contact", touching_s),))


def summarise(observations: Sequence[Observation]) -> Estimate:
    """Mean number of contacts."""
    parts = parts_of(observations, ("time_in_contact",), mean_of_numbers, {"time_in_contact": "s"})
    return replace(pooled("collisions", observations, mean_of_counts), parts=parts)


def measure(trials: Sequence[Episode]) -> Estimate:
    """Mean number of contacts in trials."""
    return summarise(rows_of(trials, observe))
