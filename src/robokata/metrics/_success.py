"""When a trial succeeded, as far as anyone wrote it down."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from robokata.core.episode import Episode
from robokata.core.stream import Role
from robokata.geometry.tip import has_times, times_of
from robokata.metrics._trial import simulation_facts, trial_facts

NOBODY_SAYS = "nobody says whether it succeeded"


class Moment(NamedTuple):
    """When a trial first succeeded."""

    time_s: float | None
    """None where it never did (`is_known`), or where the moment is not written down."""
    is_known: bool
    reason: str | None = None


def at_end(trial: Episode) -> bool | None:
    """Whether the trial ended in success, None where nobody says.

    A success column is read where the format has one and the outcome does not say.
    """
    if trial.outcome.success is not None:
        return trial.outcome.success
    flags = _success_flags(trial)
    return None if flags is None else bool(flags[1][-1])


def once(trial: Episode) -> bool | None:
    """Whether the trial succeeded at some moment, None where nobody says."""
    said = simulation_facts(trial).get("success_once")
    if said is not None:
        return bool(said)
    flags = _success_flags(trial)
    if flags is not None:
        return bool(flags[1].any())
    # Success at the end is success at some moment; failure at the end says nothing of the moments before.
    return True if trial.outcome.success else None


def first_success(trial: Episode) -> Moment:
    """When the trial first succeeded, in seconds from its start."""
    facts = simulation_facts(trial)
    if facts.get("success_once") is not None:
        time_s = facts.get("first_success_s")
        return Moment(None if time_s is None else float(time_s), True)
    flags = _success_flags(trial)
    if flags is not None:
        times_s, on, timed = flags
        if not timed:
            return Moment(None, False, "the format keeps no times")
        return Moment(float(times_s[int(np.argmax(on))]) if on.any() else None, True)
    if trial.outcome.success is None:
        return Moment(None, False, NOBODY_SAYS)
    return Moment(None, False, "the moment of success is not written down")


def horizon_s(trial: Episode) -> float | None:
    """Time that the trial was given, None where nobody says."""
    said = trial_facts(trial).get("horizon_s", simulation_facts(trial).get("horizon_s"))
    return None if said is None else float(said)


def _success_flags(trial: Episode) -> tuple[np.ndarray, np.ndarray, bool] | None:
    """Times (T,) and flags (T,) of a success column, and whether the times are times."""
    for stream in trial.numeric(Role.ENDING):
        if "success" in stream.name.casefold() and len(stream):
            return times_of(trial, stream), stream.table[:, 0].astype(bool), has_times(stream)
    return None
