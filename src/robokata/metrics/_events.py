"""Drops, contacts and standstills of a trial."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from robokata.core.episode import Annotation, Episode
from robokata.core.stream import Role
from robokata.geometry.motion import still_share
from robokata.geometry.runs import runs_of, samples_in
from robokata.geometry.tip import has_times, times_of, tip_paths
from robokata.metrics import _success
from robokata.metrics._grasp_attempts import attempts_of
from robokata.metrics._trial import simulation_facts

STILL_S = 2.0
"""Shorter stops are thinking, regrasping and waiting for a chunk."""
_SAME_CONTACT_S = 0.2
"""Contacts of one pair that are closer than this are one impact that bounces."""


class Interval(NamedTuple):
    """Seconds from the episode's start."""

    start_s: float
    end_s: float


def contacts_are_recorded(trial: Episode) -> bool:
    """True where contacts and drops were looked for: none in the annotations then means that there was none."""
    return simulation_facts(trial).get("contacts_recorded") is True


def drop_times_s(trial: Episode) -> tuple[float, ...] | None:
    """When something was dropped, from annotations or else from the jaws; None where neither can tell."""
    if contacts_are_recorded(trial):
        return tuple(a.start_s for a in trial.annotations if a.label.startswith("drop:"))
    attempts = attempts_of(trial)
    if attempts.reason is not None or not attempts.shows_losses:
        return None
    return tuple(grasp.lost_s for grasp in attempts.grasps if grasp.lost_s is not None)


def contacts_of(trial: Episode) -> tuple[Annotation, ...]:
    """Contacts that were not meant, those of one pair that follow each other closely taken for one."""
    merged: dict[str, list[Annotation]] = {}
    for each in sorted((a for a in trial.annotations if a.label.startswith("contact:")), key=lambda a: a.start_s):
        known = merged.setdefault(each.label, [])
        if known and each.start_s - known[-1].end_s <= _SAME_CONTACT_S:
            last = known.pop()
            known.append(Annotation(each.label, last.start_s, max(last.end_s, each.end_s), each.source))
        else:
            known.append(each)
    return tuple(sorted((a for found in merged.values() for a in found), key=lambda a: (a.start_s, a.label)))


def stalls_of(trial: Episode, *, still_s: float = STILL_S) -> tuple[Interval, ...] | None:
    """Standstills of at least `still_s` before the first success; None where no stream shows motion in time.

    Before a failed trial ends every standstill counts. Otherwise those that touch an end of the recording do not: they
    are the operator's hand on the button.
    """
    found = still_share(trial)
    if found is None:
        moves = [s for s in trial.numeric(Role.STATE) if len(s) > 2 and has_times(s)]
        is_frozen = bool(moves) and trial.outcome.success is False
        # A robot that never moves at all is one long standstill, if it was supposed to do something.
        lasts_s = trial.duration_s
        return (Interval(0.0, lasts_s),) if is_frozen and lasts_s is not None and lasts_s >= still_s else None
    stream, still = found
    if not has_times(stream):
        return None
    times_s = times_of(trial, stream)
    done_s = _success.first_success(trial).time_s
    has_failed = _success.at_end(trial) is False
    out = []
    for run in runs_of(still, at_least=samples_in(stream.clock, still_s, untimed=len(still) + 1)):
        span = Interval(float(times_s[run.first]), float(times_s[run.last + 1]))
        touches_end = run.first == 0 or run.last == len(still) - 1
        if (done_s is None or span.start_s < done_s) and (has_failed or not touches_end):
            out.append(span)
    return tuple(out)


def oscillates_at_end(trial: Episode, *, window_s: float = 3.0) -> bool:
    """True where the tip ends by going to and fro: over the last seconds its path is five times its headway."""
    for path in tip_paths(trial):
        if not path.has_times:
            continue
        last = path.position_m[path.at(float(path.times_s[-1]) - window_s) :]
        length_m = float(np.linalg.norm(np.diff(last, axis=0), axis=1).sum())
        headway_m = float(np.linalg.norm(last - last[0], axis=1).max())
        # 0.1 m: what a controller's ripple does not cover in three seconds.
        if length_m >= 0.1 and length_m >= 5 * headway_m:
            return True
    return False
