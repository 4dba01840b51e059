"""What the evaluator and the simulator say of a trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from robokata.core.episode import Episode


def trial_facts(trial: Episode) -> Mapping[str, Any]:
    """What the evaluator says of the trial; empty for a demonstration."""
    found = trial.extra.get("trial")
    return found if isinstance(found, Mapping) else {}


def simulation_facts(trial: Episode) -> Mapping[str, Any]:
    """What the simulator says of the episode; empty for a recording of a real robot."""
    found = trial.extra.get("simulation")
    return found if isinstance(found, Mapping) else {}
