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

import numpy as np

from robokata.core.contracts import Mean, MetricPart, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.metrics._events import contacts_are_recorded, contacts_of
from robokata.metrics._scripted_trial import scripted_trial

UNIT: str | None = None
MEAN = Mean.OF_COUNTS
PARTS = {"time_in_contact": MetricPart(Mean.OF_NUMBERS, "s")}


def observe(trial: Episode) -> Observation:
    """Number of contacts that were not meant."""
    if not contacts_are_recorded(trial):
        return Observation(None, "contacts were not recorded")
    contacts = contacts_of(trial)
    touching_s = sum(contact.end_s - contact.start_s for contact in contacts)
    return Observation(float(len(contacts)), parts=(("time_in_contact", touching_s),))


def plant(rng: np.random.Generator) -> PlantedTrial:
    """Contacts that were not meant."""
    contacts = int(rng.poisson(0.6))
    return PlantedTrial(scripted_trial(rng, contacts=contacts), float(contacts))
